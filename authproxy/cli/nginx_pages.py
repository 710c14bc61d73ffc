"""`authproxy nginx-pages`: the pages that nginx shows while the gateway is away."""

from __future__ import annotations

from pathlib import Path

import click

from authproxy.cli.terminal import config_option, fail, settings_of


@click.command("nginx-pages")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@config_option
def nginx_pages(file: Path, config: Path) -> None:
    """Write the pages that nginx shows while the gateway is away to FILE (`pages.conf`), in the look of the
    settings.

    Each portal has its name, colour, logo and contact there. nginx reads the file when it is reloaded."""
    settings = settings_of(config)
    from authproxy.bootstrap.presentations import nginx_pages

    text = nginx_pages(settings)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror}")
    click.echo(f"{file}: written; `nginx -t`, then reload nginx")
