"""`authproxy import`: the configuration of another gateway as settings of this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.terminal import fail, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from authproxy.cli.imports.draft import Draft

_LARGEST = 1024 * 1024
_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_output = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the settings to this new file instead of standard output.",
)


@click.group("import")
def import_() -> None:
    """Write settings that say what the configuration of another gateway says.

    The settings go to standard output. What became of every statement goes to standard error. Secrets are
    never repeated: they are named as files to make. Read the settings before you use them, and run
    check-config."""


@import_.command("oauth2-proxy")
@_file
@_output
def import_oauth2_proxy(file: Path, output: Path | None) -> None:
    """Import FILE, the configuration file of oauth2-proxy (TOML, such as oauth2-proxy.cfg)."""
    from authproxy.cli.imports.oauth2_proxy import draft_of

    _import(file, output, draft_of)


@import_.command("mod_auth_openidc")
@_file
@_output
def import_mod_auth_openidc(file: Path, output: Path | None) -> None:
    """Import FILE, an Apache configuration with mod_auth_openidc. Files that it includes are not read."""
    from authproxy.cli.imports.mod_auth_openidc import draft_of

    _import(file, output, draft_of)


def _import(file: Path, output: Path | None, draft_of: Callable[[str], Draft]) -> None:
    from authproxy.cli.imports.draft import CannotRead
    from authproxy.cli.imports.settings_text import written

    try:
        draft = draft_of(_text(file))
    except CannotRead as refused:
        fail(f"{file}: {visible(str(refused))}")
    text = written(draft)
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            with output.open("x", encoding="utf-8") as new:
                new.write(text)
        except OSError as error:
            fail(f"{output}: cannot be written: {error.strerror}")
    for line in draft.report(str(file)):
        click.echo(visible(line), err=True)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            octets = opened.read(_LARGEST + 1)
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}")
    if len(octets) > _LARGEST:
        fail(f"{file}: is larger than 1 MiB, and no configuration")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{file}: is not text in UTF-8")
