"""`authproxy people methods`: lists what somebody has enrolled for step-ups, and removes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.people.register import account_of, belongs_to, nobody, on_register, subject_option
from authproxy.cli.terminal import (
    config_option,
    fail,
    json_option,
    print_json,
    print_table,
    settings_of,
    time_text,
)

if TYPE_CHECKING:
    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.flows.register.operators import MethodsRemoved, PersonMethods
    from authproxy.identity.member import Account, Member
    from authproxy.settings.schema import Settings

_WORDS = ("list", "remove")


@click.command("methods")
@click.argument("words", nargs=-1, metavar="[PERSON] [list | remove ID | remove --all]")
@subject_option
@click.option("--all", "is_all", is_flag=True, help="With `remove`: everything, recovery codes too.")
@config_option
@json_option
def methods(
    words: tuple[str, ...], subject: tuple[str, str] | None, config: Path, *, is_all: bool, as_json: bool
) -> None:
    """Show what somebody has enrolled to prove who they are, or take it away.

    Name a PERSON of the register, or an account with --subject. Without a further word the methods are
    listed. `remove` takes one or all of them away and signs the person out everywhere. An ID that begins with
    a dash stands after `--`."""
    person, words = (None, words) if subject is not None else (words[0] if words else None, words[1:])
    if person is None and subject is None:
        raise click.UsageError("name either a person of the register or, with --subject, an account")
    action = words[0] if words else "list"
    _check_words(action, words[1:], is_all=is_all)
    settings = settings_of(config)
    who = whom(settings, person, subject)
    named = person or (subject or ("", ""))[1]
    if action == "list":
        _show(on_register(settings, lambda register: register.methods(who)), as_json=as_json)
        return
    removed = _remove_all(settings, who) if is_all else _remove(settings, who, words[1])
    click.echo(
        f"{named}: {', '.join(removed.removed) or 'nothing'} removed; {removed.sessions_ended} sessions ended"
    )


def whom(settings: Settings, person: str | None, subject: tuple[str, str] | None) -> Member | Account:
    """The person of the register, or an account that belongs to nobody there. Ends the command otherwise."""
    if subject is not None:
        account = account_of(subject)
        standing = on_register(settings, lambda register: register.people.whose(account))
        if standing.member_id is not None:
            belongs_to(subject, standing.member_id)
        return account
    member = on_register(settings, lambda register: register.people.named(person or ""))
    if member is None:
        nobody(person or "")
    return member


def names_of(methods: PersonMethods) -> str:
    """The methods in words."""
    return ", ".join(
        f"{enrolment.method} “{enrolment.label}”" if enrolment.label else enrolment.method
        for enrolment in methods.enrolments
    )


def _remove_all(settings: Settings, who: Member | Account) -> MethodsRemoved:
    return on_register(
        settings,
        lambda register: register.remove_methods(who),
        command="people methods remove --all",
        person=_named(who),
    )


def _remove(settings: Settings, who: Member | Account, enrolment_id: str) -> MethodsRemoved:
    async def remove(register: AuditedRegister) -> MethodsRemoved:
        return await register.remove_method(who, enrolment_id)

    outcome = on_register(settings, remove, command="people methods remove", person=_named(who))
    if not outcome.removed:
        fail(
            f"there is no method {enrolment_id}: `authproxy people methods … list` shows those that there are"
        )
    return outcome


def _named(who: Member | Account) -> str | Account:
    from authproxy.identity.member import Member

    return who.member_id if isinstance(who, Member) else who


def _check_words(action: str, names: Sequence[str], *, is_all: bool) -> None:
    if action not in _WORDS:
        raise click.UsageError(f"say `list`, `remove ID` or `remove --all`, not {action!r}")
    if action == "list" and (names or is_all):
        raise click.UsageError("`list` shows everything: it takes neither an ID nor --all")
    if action == "remove" and len(names) != (0 if is_all else 1):
        raise click.UsageError("say which: `remove ID`, or `remove --all`")


def _show(methods: PersonMethods, *, as_json: bool) -> None:
    rows: list[dict[str, object]] = [
        {
            "id": enrolment.enrolment_id,
            "method": enrolment.method,
            "label": enrolment.label or "-",
            "level": int(enrolment.level),
            "enrolled_at": time_text(enrolment.enrolled_at) if enrolment.enrolled_at.timestamp() > 0 else "-",
        }
        for enrolment in methods.enrolments
    ]
    if as_json:
        print_json({"methods": rows, "recovery_codes_left": methods.recovery_left})
        return
    print_table(rows)
    click.echo(f"{len(rows)} methods, {methods.recovery_left} recovery codes left", err=True)
