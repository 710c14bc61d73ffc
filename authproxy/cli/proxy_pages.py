"""`authproxy proxy-pages`: the page that Caddy or Traefik shows while the gateway is away."""

from __future__ import annotations

from pathlib import Path

import click

from authproxy.cli.terminal import config_option, fail, settings_of

_PROXIES = ("caddy", "traefik")
_THEN = {"caddy": "`caddy reload`, or restart Caddy", "traefik": "Traefik takes it over by itself"}


@click.command("proxy-pages")
@click.argument("proxy", type=click.Choice(_PROXIES))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@config_option
def proxy_pages(proxy: str, file: Path, config: Path) -> None:
    """Write the page that PROXY (caddy or traefik) shows while the gateway is away to FILE, in the look of
    the settings.

    Each portal has its name, colour, logo and contact there."""
    settings = settings_of(config)
    from authproxy.bootstrap.presentations import proxy_pages

    text = proxy_pages("caddy" if proxy == "caddy" else "traefik", settings)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror}")
    click.echo(f"{file}: written; {_THEN[proxy]}")
