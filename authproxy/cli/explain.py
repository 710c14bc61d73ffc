"""`authproxy explain`: what the gateway would do with a request."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from authproxy.cli.terminal import config_option, settings_of


@click.command()
@click.argument("method")
@click.argument("url")
@config_option
def explain(method: str, url: str, config: Path) -> None:
    """Say which portal and route METHOD URL falls under, what is demanded there, and why."""
    settings = settings_of(config)
    from authproxy import bootstrap
    from authproxy.cli import explanation

    explained = explanation.explained(method, url, bootstrap.all_portals(settings))
    click.echo(explained.text)
    sys.exit(0 if explained.is_served else 1)
