"""`authproxy proxy-pages`: the page that a front proxy other than nginx shows while the gateway is away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.terminal import config_option, fail, settings_of

if TYPE_CHECKING:
    from authproxy.web.proxy_pages import Proxy

_THEN: dict[Proxy, str] = {
    "caddy": "restart Caddy",
    "traefik": "Traefik takes it over by itself",
    "envoy": "restart Envoy",
    "haproxy": "reload HAProxy",
}


@click.command("proxy-pages")
@click.argument("proxy", type=click.Choice(list(_THEN)))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@config_option
def proxy_pages(proxy: Proxy, file: Path, config: Path) -> None:
    """Write the page that PROXY (caddy, traefik, envoy, haproxy) shows while the gateway is away to FILE, in
    the look of the settings.

    Each portal has its name, colour, logo and contact there. For nginx it is `authproxy nginx-pages`."""
    settings = settings_of(config)
    from authproxy.bootstrap.presentations import proxy_pages

    text = proxy_pages(proxy, settings)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror}")
    click.echo(f"{file}: written; {_THEN[proxy]}")
