"""`authproxy people`: imports, lists, blocks and unblocks. The other commands of the group have files of
their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.people.backup import content_of, is_backup, put_back
from authproxy.cli.people.export import export_people
from authproxy.cli.people.forgetting import forget_person
from authproxy.cli.people.links import link_person, unlink_person
from authproxy.cli.people.methods import methods, names_of, whom
from authproxy.cli.people.register import (
    account_of,
    belongs_to,
    nobody,
    on_register,
    person_argument,
    say,
    subject_option,
)
from authproxy.cli.people.roles import roles
from authproxy.cli.terminal import (
    FINDINGS,
    UNREADABLE,
    agreed,
    check_portal,
    config_option,
    fail,
    json_option,
    print_details,
    print_findings,
    print_json,
    print_table,
    settings_of,
    time_text,
)

if TYPE_CHECKING:
    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.cli.people.files import PeopleList
    from authproxy.flows.register.operators import (
        AccountBlocked,
        AccountIsOf,
        Contradicted,
        NotLost,
        TakenOver,
    )
    from authproxy.identity.member import Account, BlockedAccount, CertificateName, Member
    from authproxy.settings.schema import Settings


@click.group()
def people() -> None:
    """The register: whom certificates and accounts belong to, and who may enter which portal."""


people.add_command(methods)
people.add_command(roles)
people.add_command(link_person)
people.add_command(unlink_person)
people.add_command(export_people)
people.add_command(forget_person)


@people.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--replace", is_flag=True, help="Remove whoever is not in the file. Not for a backup.")
@click.option(
    "--new-register",
    is_flag=True,
    help="Begin a new register where the old one is lost, with all blocks and links.",
)
@click.option("--keep-methods/--remove-methods", "keeps", default=None, help="With --new-register.")
@click.option(
    "--missing",
    is_flag=True,
    help="A backup into a store that is not empty: add whoever is not there, and change nobody who is.",
)
@click.option(
    "--recovery-codes",
    is_flag=True,
    help="A backup with its recovery codes, some of which may have been used since.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key under which a backup is sealed, if it is not among `sessions.keys`.",
)
@config_option
def import_people(  # noqa: PLR0913  (each is an option)
    file: Path,
    config: Path,
    *,
    dry_run: bool,
    replace: bool,
    new_register: bool,
    keeps: bool | None,
    missing: bool,
    recovery_codes: bool,
    key_file: Path | None,
) -> None:
    """Take a list of people (CSV or YAML) over into the register, or put a backup back: all of it, or nothing
    if anything in it is wrong.

    A backup (`people export --backup`) goes into a store that has nobody. It never changes anybody who is
    there, and signs nobody in.

    Exit code 1: there are findings; 2: there is no list or backup that can be read."""
    if new_register and (dry_run or keeps is None):
        raise click.UsageError(
            "--new-register has no rehearsal, and needs --keep-methods or --remove-methods: nobody can say "
            "who has left"
        )
    if keeps is not None and not new_register:
        raise click.UsageError(
            "--keep-methods and --remove-methods go with --new-register; otherwise whoever leaves loses "
            "their methods"
        )
    settings = settings_of(config)
    octets = content_of(file)
    if is_backup(octets):
        if replace:
            raise click.UsageError("--replace is for lists: a backup removes nobody")
        put_back(
            file,
            octets,
            settings,
            is_rehearsal=dry_run,
            keeps_methods=keeps,
            adds_missing=missing,
            brings_recovery=recovery_codes,
            key_file=key_file,
        )
        return
    if missing or recovery_codes or key_file is not None:
        raise click.UsageError(
            f"--missing, --recovery-codes and --key-file are for backups, and {file} is a list"
        )
    _take_over(file, octets, settings, is_rehearsal=dry_run, keeps_methods=keeps, replaces=replace)


def _take_over(
    file: Path,
    octets: bytes,
    settings: Settings,
    *,
    is_rehearsal: bool,
    keeps_methods: bool | None,
    replaces: bool,
) -> None:
    """`keeps_methods` is None unless a new register begins."""
    from authproxy.flows.register.operators import Contradicted, NotLost

    listed = _list_in(file, octets, settings)

    async def work(register: AuditedRegister) -> TakenOver | Contradicted | NotLost:
        if keeps_methods is not None:
            return await register.begin_anew(listed.people, keeps_methods=keeps_methods)
        return await register.take_over(listed.people, replaces=replaces, is_rehearsal=is_rehearsal)

    command = "people import" + (
        " --new-register" if keeps_methods is not None else " --replace" if replaces else ""
    )
    outcome = on_register(settings, work, command=None if is_rehearsal else command)
    if isinstance(outcome, NotLost):
        fail(
            "the register is there and whole: without --new-register, or with --replace, the list is taken "
            "over into it"
        )
    if isinstance(outcome, Contradicted):
        print_findings(listed.conflicts(outcome.conflicts))
        sys.exit(FINDINGS)
    counts = (
        f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed, {outcome.unchanged} "
        "as they were"
    )
    click.echo(
        f"would be: {counts}" if is_rehearsal else f"{counts}; {outcome.sessions_ended} sessions ended"
    )


@people.command("list")
@click.option("--portal", help="Only those who may enter this portal.")
@click.option(
    "--blocked-accounts", is_flag=True, help="Blocked accounts of people outside the register instead."
)
@config_option
@json_option
def list_people(portal: str | None, config: Path, *, blocked_accounts: bool, as_json: bool) -> None:
    """List who is in the register, without their numbers."""
    settings = settings_of(config)
    if blocked_accounts:
        _list_blocked_accounts(settings, as_json=as_json)
        return
    check_portal(settings, portal)
    snapshot = on_register(settings, lambda register: register.people.every())
    members = [member for member in snapshot.members if portal is None or member.may_enter(portal)]
    rows = [_row(member) for member in sorted(members, key=lambda member: member.member_id)]
    if as_json:
        print_json(rows)
        return
    anybody_has_roles = any(row["roles"] for row in rows)
    print_table(
        [
            {
                name: value if isinstance(value, str) else _words(value)
                for name, value in row.items()
                if name != "roles" or anybody_has_roles
            }
            for row in rows
        ]
    )
    click.echo(f"{len(rows)} people, revision {snapshot.revision}", err=True)


def _list_blocked_accounts(settings: Settings, *, as_json: bool) -> None:
    async def find(register: AuditedRegister) -> list[tuple[BlockedAccount, str]]:
        blocked = (await register.people.every()).blocked
        return [(each, register.audit_name_of(each.account)) for each in blocked]

    rows: list[dict[str, object]] = [
        {
            "issuer": blocked.account.issuer,
            "subject": blocked.account.subject,
            "blocked": time_text(blocked.blocked_at),
            "reason": blocked.reason or "-",
            "audit_name": audit_name,
        }
        for blocked, audit_name in sorted(on_register(settings, find), key=lambda pair: pair[0].blocked_at)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(rows)
    click.echo(f"{len(rows)} accounts", err=True)


@people.command("show")
@person_argument
@config_option
@json_option
def show_person(person: str, config: Path, *, as_json: bool) -> None:
    """Show what the register knows of a person; numbers are masked."""

    async def find(register: AuditedRegister) -> tuple[Member, str] | None:
        member = await register.people.named(person)
        return None if member is None else (member, register.audit_name_of(member))

    known = on_register(settings_of(config), find)
    if known is None:
        nobody(person)
    details = _details(*known)
    if as_json:
        print_json(details)
        return
    print_details({name: _words(value) for name, value in details.items()})


@people.command("block")
@click.argument("person", required=False)
@subject_option
@click.option("--reason", help="Kept in the register; no log has it.")
@config_option
def block_person(
    person: str | None, subject: tuple[str, str] | None, reason: str | None, config: Path
) -> None:
    """Let somebody in nowhere any more, and sign them out everywhere at once."""
    _demand_one_name(person, subject)
    settings = settings_of(config)
    if person is not None:
        say(
            person,
            on_register(
                settings,
                lambda register: register.block(person, reason),
                command="people block",
                person=person,
            ),
            "blocked",
        )
    elif subject is not None:
        _block_account(settings, subject, reason)


@people.command("unblock")
@click.argument("person", required=False)
@subject_option
@click.option(
    "--keep-methods/--remove-methods",
    "keeps",
    default=None,
    help="What becomes of what they have enrolled; asked if not said.",
)
@config_option
def unblock_person(
    person: str | None, subject: tuple[str, str] | None, config: Path, *, keeps: bool | None
) -> None:
    """Let somebody blocked in again, and let them answer again whom wrong codes have blocked.

    Whoever has had their account or session may have enrolled something of their own. So it is asked what
    becomes of that. Without a terminal it must be said."""
    _demand_one_name(person, subject)
    settings = settings_of(config)
    who = whom(settings, person, subject)
    methods_outcome = _decide_on_methods(settings, who, keeps=keeps)
    if person is not None:
        outcome = on_register(
            settings,
            lambda register: register.unblock(person, removes_methods=methods_outcome == _REMOVED),
            command="people unblock",
            person=person,
        )
        was_lifted = outcome is not None and outcome.was_lifted
        say(
            person,
            outcome,
            f"not blocked; {_forgotten(was_lifted=was_lifted)}{methods_outcome}",
        )
    elif subject is not None:
        account = account_of(subject)
        lifted = on_register(
            settings,
            lambda register: register.unblock_account(account, removes_methods=methods_outcome == _REMOVED),
            command="people unblock --subject",
            person=account,
        )
        state = "not blocked; " if lifted.was_blocked else ""
        click.echo(f"{subject[1]}: {state}{_forgotten(was_lifted=lifted.was_lifted)}{methods_outcome}")


@people.command("reseal")
@config_option
def reseal_people(config: Path) -> None:
    """Write the register, what people have enrolled, and the API keys of programs anew under the first of the
    session keys, so that the others may be dropped."""
    resealed = on_register(settings_of(config), lambda register: register.reseal(), command="people reseal")
    click.echo(f"{resealed.people} people resealed; {resealed.enrolments} enrolments moved")


_KEPT, _REMOVED = "; methods kept", "; methods removed"


def _demand_one_name(person: str | None, subject: tuple[str, str] | None) -> None:
    if (person is None) == (subject is None):
        raise click.UsageError("name either a person of the register or, with --subject, an account")


def _block_account(settings: Settings, subject: tuple[str, str], reason: str | None) -> None:
    from authproxy.flows.register.operators import AccountIsOf

    account = account_of(subject)

    async def block(register: AuditedRegister) -> AccountBlocked | AccountIsOf:
        return await register.block_account(account, reason)

    outcome = on_register(settings, block, command="people block --subject", person=account)
    if isinstance(outcome, AccountIsOf):
        belongs_to(subject, outcome.member_id)
    click.echo(f"{subject[1]}: blocked; {outcome.sessions_ended} sessions ended")


def _decide_on_methods(settings: Settings, who: Member | Account, *, keeps: bool | None) -> str:
    """Whether the person's methods are kept or removed, as words for the message. Asks the operator only if
    somebody who has methods was blocked by an operator: wrong codes alone cast no doubt on methods."""
    if keeps is not None:
        return _KEPT if keeps else _REMOVED
    if not _is_blocked(settings, who):
        return ""
    methods = on_register(settings, lambda register: register.methods(who))
    if not methods.kinds:
        return ""
    if not sys.stdin.isatty():
        raise click.UsageError(f"say --keep-methods or --remove-methods: there are {names_of(methods)}")
    click.echo(f"Enrolled: {names_of(methods)}.", err=True)
    is_theirs = agreed("Did the person enrol all of it, and should they keep it?", must_choose=True)
    return _KEPT if is_theirs else _REMOVED


def _is_blocked(settings: Settings, who: Member | Account) -> bool:
    from authproxy.identity.member import Member

    if isinstance(who, Member):
        return who.is_blocked
    return on_register(settings, lambda register: register.people.whose(who)).is_blocked


def _list_in(file: Path, octets: bytes, settings: Settings) -> PeopleList:
    from authproxy.cli.people import files

    try:
        listed = files.read(str(file), octets, portals=settings.portals.keys())
    except files.ListUnreadable as unreadable:
        print_findings([unreadable.finding])
        sys.exit(UNREADABLE)
    if listed.findings:
        print_findings(listed.findings)
        click.echo(f"{len(listed.findings)} findings; nothing was changed", err=True)
        sys.exit(FINDINGS)
    return listed


def _forgotten(*, was_lifted: bool) -> str:
    return "wrong answers forgotten" if was_lifted else "no wrong answers"


def _row(member: Member) -> dict[str, object]:
    return {
        "id": member.member_id,
        "name": member.name,
        "portals": list(member.portals),
        "roles": list(map(str, member.roles)),
        "certificates": len(member.certificates),
        "accounts": len(member.accounts),
        "blocked": member.is_blocked,
    }


def _details(member: Member, audit_name: str) -> dict[str, object]:
    from authproxy.identity.member import masked

    return {
        "id": member.member_id,
        "name": member.name,
        "tax_number": None if member.tax_number is None else masked(member.tax_number),
        "email": member.email,
        "phone": None if member.phone is None else masked(member.phone),
        "portals": list(member.portals),
        "roles": list(map(str, member.roles)),
        "certificates": [_certificate_words(certificate) for certificate in member.certificates],
        "accounts": [f"{account.subject} at {account.issuer}" for account in member.accounts],
        "blocked": None if member.blocked_at is None else time_text(member.blocked_at),
        "reason": member.block_reason,
        "audit_name": audit_name,
    }


def _certificate_words(certificate: CertificateName) -> str:
    serial = None if certificate.serial is None else f"{certificate.serial:x}@{certificate.issuer}"
    return ", ".join(filter(None, (certificate.fingerprint, serial)))


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " | ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
