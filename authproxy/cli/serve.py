"""`authproxy serve`: runs the gateway."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from authproxy.cli.terminal import config_option, fail, reading_of


@click.command()
@config_option
def serve(config: Path) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    # Logs may be rotated during the start. Once the gateway runs, it handles these signals and reopens the
    # audit file in any case.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    first = reading_of(config)
    from authproxy.bootstrap.process import run
    from authproxy.bootstrap.starting import CannotStart
    from authproxy.settings.sources import read

    try:
        run(first, lambda: read(config, os.environ))
    except CannotStart as reason:
        fail(f"authproxy cannot start: {reason}")
