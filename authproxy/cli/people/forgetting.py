"""`authproxy people forget`: removes all that is stored about somebody."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.people.register import account_of, belongs_to, nobody, on_register, subject_option
from authproxy.cli.terminal import agreed, config_option, fail, settings_of

if TYPE_CHECKING:
    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.flows.register.operators import AccountIsOf, Forgotten, StaysBlocked


@click.command("forget")
@click.argument("person", required=False)
@subject_option
@click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")
@config_option
def forget_person(person: str | None, subject: tuple[str, str] | None, config: Path, *, yes: bool) -> None:
    """Remove all that is stored about somebody: their entry in the register, what they have enrolled, their
    sessions, and the number to which their codes went.

    The audit trail stays as it is. The name by which it knows the person is printed."""
    if (person is None) == (subject is None):
        raise click.UsageError("name either a person of the register or, with --subject, an account")
    settings = settings_of(config)
    from authproxy.flows.register.operators import AccountIsOf, StaysBlocked

    named = person or (subject or ("", ""))[1]
    who = person if subject is None else account_of(subject)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask at: say --yes to forget them for ever")
        if not agreed(f"Remove all that is stored about {named}? It cannot be undone."):
            raise click.Abort

    async def forget(
        register: AuditedRegister,
    ) -> tuple[Forgotten | StaysBlocked | AccountIsOf | None, str]:
        if who is None:
            return None, ""
        return await register.forget(who), register.audit_name_of(who)

    outcome, audit_name = on_register(settings, forget, command="people forget", person=who)
    if outcome is None:
        nobody(named)
    if isinstance(outcome, StaysBlocked):
        fail(f"{named} is blocked, and could sign in again once forgotten: `authproxy people unblock` first")
    if isinstance(outcome, AccountIsOf):
        belongs_to(subject or ("", ""), outcome.member_id)
    click.echo(
        f"{named}: forgotten; {len(outcome.methods)} methods removed; {outcome.sessions_ended} sessions "
        f"ended; stays in the audit trail as {audit_name}"
    )
