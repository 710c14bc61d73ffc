"""`authproxy sessions`: lists and ends sessions."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from authproxy.cli.terminal import (
    check_portal,
    config_option,
    fail,
    json_option,
    print_json,
    print_table,
    settings_of,
    store_asked,
    time_text,
)

if TYPE_CHECKING:
    from authproxy.bootstrap.open_sessions import OpenSession


_HYPHENED_ID: Final = re.compile("-[A-Za-z0-9_-]{23}")
"""A session id is 18 octets in base64url: 24 characters (`SessionTicket.session_id`)."""


@click.group()
def sessions() -> None:
    """Who is signed in, and ending that."""


@sessions.command("list")
@click.option(
    "--person",
    help="Only those of this person: an id in the register, a `sub`, or a name in the audit trail.",
)
@click.option("--portal", help="Only those at this portal.")
@click.option(
    "--hashes",
    is_flag=True,
    help="Name people as the audit trail does, for whoever may not see who they are.",
)
@config_option
@json_option
def list_sessions(
    person: str | None, portal: str | None, config: Path, *, hashes: bool, as_json: bool
) -> None:
    """List the open sessions and whose they are, without anything that would open one. Tax numbers are
    masked."""
    settings = settings_of(config)
    check_portal(settings, portal)
    from authproxy.bootstrap.open_sessions import list_sessions

    with store_asked():
        open_sessions = asyncio.run(list_sessions(settings, person=person, portal=portal))
    rows = [_row(session, hashes=hashes) for session in open_sessions]
    if as_json:
        print_json(rows)
        return
    print_table(rows)
    click.echo(f"{len(rows)} open", err=True)


def _row(session: OpenSession, *, hashes: bool) -> dict[str, object]:
    summary = session.summary
    return {
        "session": summary.session_id,
        "portal": summary.portal,
        **_person(session, hashes=hashes),
        "method": summary.method,
        "level": int(summary.level),
        "started_at": time_text(summary.started_at),
        "last_active_at": time_text(summary.last_active_at),
        "expires_at": time_text(summary.expires_at),
        "browser": summary.browser,
    }


def _person(session: OpenSession, *, hashes: bool) -> dict[str, object]:
    """The columns about the person; a dash where an older version of the gateway has stored nothing."""
    if hashes:
        return {"person": session.audit_name or "-"}
    person = session.summary.person
    name, subject = (None, None) if person is None else (person.name, person.subject_for_portals)
    return {"person": subject or "-", "name": name or "-", "tax_number": session.summary.tax_number or "-"}


class _TakesSessionIds(click.Command):
    """A command that does not take a session id for an option where it begins with a hyphen, as one in 64
    does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ids = [arg for arg in args if _HYPHENED_ID.fullmatch(arg)]
        rest = [arg for arg in args if not _HYPHENED_ID.fullmatch(arg)]
        return super().parse_args(ctx, [*rest, "--", *ids] if ids and "--" not in rest else args)


@sessions.command("revoke", cls=_TakesSessionIds)
@click.argument("session_id", required=False)
@click.option(
    "--person",
    help="End all sessions of this person, named as `sessions list` does (with or without --hashes).",
)
@click.option("--subject", help="End all sessions of this person (the provider's `sub`).")
@click.option("--issuer", help="The provider that names the person; by default the configured one.")
@click.option(
    "--all",
    "everybodys",
    is_flag=True,
    help="End everybody's sessions, also those that came back with an older copy of the store.",
)
@config_option
def revoke_sessions(
    session_id: str | None,
    person: str | None,
    subject: str | None,
    issuer: str | None,
    config: Path,
    *,
    everybodys: bool,
) -> None:
    """End one session, or all of a person. Exit code 1 if there was none.

    With --all everybody has to sign in again; exit code 0, also if nobody was signed in."""
    if [session_id, person, subject, everybodys or None].count(None) != 3:
        raise click.UsageError(
            "name either a session or, with --person or --subject, a person; or end --all of them"
        )
    settings = settings_of(config)
    from authproxy.bootstrap.open_sessions import (
        SeveralPeople,
        revoke_every_session,
        revoke_session,
        revoke_sessions_of,
        revoke_sessions_of_subject,
    )

    if everybodys:
        work = revoke_every_session(settings)
    elif session_id is not None:
        work = revoke_session(settings, session_id)
    elif person is not None:
        work = revoke_sessions_of(settings, person)
    else:
        work = revoke_sessions_of_subject(settings, subject or "", issuer)
    with store_asked():
        try:
            ended = asyncio.run(work)
        except SeveralPeople as several:
            fail(str(several))
    click.echo(f"{ended} ended")
    sys.exit(0 if ended or everybodys else 1)
