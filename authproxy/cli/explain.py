"""`authproxy explain`: what the gateway would do with a request."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from pathlib import Path

import click

from authproxy.cli.terminal import config_option, settings_of


def _an_address(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        try:
            ip_address(text)
        except ValueError:
            raise click.BadParameter("is no IP address") from None
    return text


@click.command()
@click.argument("method")
@click.argument("url")
@click.option(
    "--address",
    metavar="ADDRESS",
    callback=_an_address,
    help="Also say whether a client at this address is stopped.",
)
@click.option(
    "--role",
    "roles",
    metavar="ROLE",
    multiple=True,
    help="Also say whether a person with this role is stopped; may be repeated.",
)
@config_option
def explain(method: str, url: str, address: str | None, roles: tuple[str, ...], config: Path) -> None:
    """Say which portal and route METHOD URL falls under, what is demanded there, and why."""
    settings = settings_of(config)
    from authproxy.bootstrap.portals import all_portals
    from authproxy.cli import explanation

    explained = explanation.explained(
        method, url, all_portals(settings), address=address, roles=roles or None
    )
    click.echo(explained.text)
    sys.exit(0 if explained.is_served else 1)
