"""`authproxy explain`: what the gateway would do with a request, and what a refusal means."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.terminal import UNREADABLE, settings_of, store_asked, visible

if TYPE_CHECKING:
    from authproxy.identity.session import NoSession, SessionStanding
    from authproxy.settings.schema import Settings


def _an_address(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        try:
            ip_address(text)
        except ValueError:
            raise click.BadParameter("is no IP address") from None
    return text


@click.command()
@click.argument("words", metavar="METHOD URL | CODE", nargs=-1, required=True)
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
@click.option(
    "--session",
    "session_id",
    metavar="SESSION_ID",
    help="Also say whose this session is, and whether it is stopped. `sessions list` and the log name it.",
)
@click.option(
    "-c",
    "--config",
    envvar="AUTHPROXY_CONFIG",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The settings file. A CODE needs none.",
)
def explain(
    words: tuple[str, ...],
    address: str | None,
    roles: tuple[str, ...],
    session_id: str | None,
    config: Path | None,
) -> None:
    """Say which portal and route METHOD URL falls under, what is demanded there, and why.

    Exit code 0 if nothing that is known stops the request, 1 if something does or if no such session is open,
    2 if the store cannot be asked.

    Or say what the CODE of a refusal means, as it stands on a page, in an answer or in the log."""
    if len(words) == 1:
        if address is not None or roles or session_id is not None:
            raise click.UsageError("--address, --role and --session are for METHOD and URL")
        _explain_code(words[0])
        return
    if len(words) != 2:
        raise click.UsageError("give METHOD and URL, or one CODE")
    if session_id is not None and roles:
        raise click.UsageError("give --session or --role: a session has the roles of its person")
    if config is None:
        raise click.UsageError("Missing option '-c' / '--config' (env var: 'AUTHPROXY_CONFIG').")
    settings = settings_of(config)
    from authproxy.bootstrap.portals import all_portals
    from authproxy.cli import explanation

    method, url = words
    explained = explanation.explained(
        method,
        url,
        all_portals(settings),
        address=address,
        roles=roles or None,
        session=None if session_id is None else _session(settings, session_id),
    )
    for line in explained.text.splitlines():
        click.echo(visible(line))
    sys.exit(0 if explained.is_served else 1)


def _session(settings: Settings, session_id: str) -> SessionStanding | NoSession:
    from authproxy.bootstrap.open_sessions import session_standing
    from authproxy.identity.session import NO_SESSION

    with store_asked(exit_code=UNREADABLE):
        return asyncio.run(session_standing(settings, session_id)) or NO_SESSION


def _explain_code(code: str) -> None:
    from authproxy.cli import reasons

    try:
        click.echo(reasons.explained(visible(code)))
    except ValueError as problem:
        raise click.UsageError(f"{visible(code)} {problem}; for a request, give METHOD and URL") from None
