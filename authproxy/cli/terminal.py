"""What all commands share: options, reading the settings, tables, and how a command fails."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from authproxy.settings.findings import Finding
    from authproxy.settings.schema import Settings
    from authproxy.settings.sources import Reading

FINDINGS, UNREADABLE = 1, 2

config_option = click.option(
    "-c",
    "--config",
    envvar="AUTHPROXY_CONFIG",
    required=True,
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The settings file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


class OneLineGroup(click.Group):
    """A group whose commands fail with one line and exit code 1, whatever goes wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of our output has gone, and click ends without a word
            from authproxy.bootstrap.starting import in_one_line

            fail(f"authproxy: {in_one_line(error)}")


@contextmanager
def store_asked(*, exit_code: int = 1) -> Iterator[None]:
    """Turns CannotAsk into its message and this exit code. What a gateway would log is not printed: it would
    say the same again, between the lines of the answer."""
    from authproxy.access.unavailable import CannotAsk
    from authproxy.telemetry.logging import silence

    try:
        with silence():
            yield
    except CannotAsk as error:
        fail(str(error), exit_code=exit_code)


def settings_of(config: Path) -> Settings:
    """The settings. Findings are written to standard error, and an error ends the command."""
    settings = reading_of(config).settings
    assert settings is not None  # noqa: S101
    return settings


def reading_of(config: Path, *, tells_warnings: bool = True) -> Reading:
    """As `settings_of`, with what else is known of them."""
    from authproxy.settings.findings import SettingsUnreadable
    from authproxy.settings.sources import read

    try:
        reading = read(config, os.environ)
    except SettingsUnreadable as unreadable:
        print_findings(unreadable.findings)
        sys.exit(UNREADABLE)
    print_findings(finding for finding in reading.findings if tells_warnings or finding.severity == "error")
    if reading.settings is None:
        sys.exit(FINDINGS)
    return reading


def check_portal(settings: Settings, portal: str | None) -> None:
    """Ends the command if it names a portal that the settings do not have."""
    if portal is not None and portal not in settings.portals:
        raise click.UsageError(
            f"there is no portal {portal}; there are: {', '.join(sorted(settings.portals))}"
        )


def agreed(question: str, *, must_choose: bool = False) -> bool:
    """What the operator answers at the terminal. Enter alone means no, or with `must_choose` nothing. Ctrl-C
    and Ctrl-D end the command."""
    choices = "y/n" if must_choose else "y/N"
    while True:
        try:
            click.echo(f"{visible(question)} [{choices}]: ", err=True, nl=False)
            line = _typed_line()
        except KeyboardInterrupt:
            raise click.Abort from None
        if not line:
            raise click.Abort
        match line.strip().lower():
            case "y" | "yes":
                return True
            case "n" | "no":
                return False
            case "" if not must_choose:
                return False
        click.echo("Error: invalid input", err=True)


def _typed_line() -> str:
    """The next line of standard input, empty at its end. Python only notes a signal that comes just before
    it begins to read, and `input` would then ignore Ctrl-C until Enter. So this waits for the signal too."""
    signalled, signals = socket.socketpair()
    with signalled, signals:
        signals.setblocking(False)
        before = signal.set_wakeup_fd(signals.fileno())
        try:
            select.select([sys.stdin, signalled], [], [])
        finally:
            signal.set_wakeup_fd(before)
    return sys.stdin.readline()


def print_findings(findings: Iterable[Finding]) -> None:
    for finding in findings:
        click.echo(str(finding), err=True)


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        return
    shown = [{name: visible(str(cell)) for name, cell in row.items()} for row in rows]
    widths = [max(len(name), *(len(row[name]) for row in shown)) for name in shown[0]]
    for cells in [list(shown[0]), *(list(row.values()) for row in shown)]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def print_details(details: Mapping[str, object], *, err: bool = False) -> None:
    """One line for each detail of one thing."""
    for name, value in details.items():
        click.echo(f"{name:13}{visible(str(value))}", err=err)


def visible(text: str) -> str:
    """The text with invisible characters escaped: a certificate or a register must not control the
    terminal."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def print_json(value: object) -> None:
    """JSON for programs and people, with invisible characters escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo("".join(sign if sign.isprintable() or sign == "\n" else _escaped(sign) for sign in text))


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def time_text(moment: object) -> str:
    return format(moment, "%Y-%m-%dT%H:%M:%SZ")


def fail(message: str, *, exit_code: int = 1) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(exit_code)
