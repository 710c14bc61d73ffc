"""`authproxy serve`: runs the gateway."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from authproxy.cli.terminal import config_option, fail, settings_of


@click.command()
@config_option
def serve(config: Path) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    # Logs may be rotated during the start. Once the gateway runs, it handles SIGHUP and reopens the
    # audit file in any case.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = settings_of(config)
    from authproxy import bootstrap

    try:
        bootstrap.run(settings)
    except bootstrap.CannotStart as reason:
        fail(f"authproxy cannot start: {reason}")
