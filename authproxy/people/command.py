"""`authproxy people …`: what an operator says about the register, in words and exit codes. Decides nothing: files and flows do."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from authproxy.terminal import (
    FINDINGS,
    UNREADABLE,
    config_option,
    fail,
    json_option,
    print_findings,
    print_table,
    settings_of,
    store_asked,
    time_text,
)

if TYPE_CHECKING:
    from authproxy.bootstrap import Desk
    from authproxy.flows.people import Changed, Contradicted, TakenOver
    from authproxy.identity.member import CertificateName, Member
    from authproxy.people.files import PeopleList
    from authproxy.settings.schema import Settings

_Answer = TypeVar("_Answer")
person_argument = click.argument("person")


@click.group()
def people() -> None:
    """The register: whom certificates and accounts belong to, and who may enter which portal."""


@people.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--replace", is_flag=True, help="Remove whoever is not in the file.")
@config_option
def import_people(file: Path, config: Path, *, dry_run: bool, replace: bool) -> None:
    """Take a list of people (CSV or YAML) over into the register: all of it, or nothing if anything in it is wrong.

    Exit code 1: there are findings; 2: there is no list that can be read."""
    settings = settings_of(config)
    from authproxy.flows.people import Contradicted

    listed = _list_in(file, settings)

    async def take_over(desk: Desk) -> TakenOver | Contradicted:
        return await desk.take_over(listed.people, replaces=replace, is_rehearsal=dry_run)

    outcome = _at_desk(settings, take_over, command=None if dry_run else "people import --replace" if replace else "people import")
    if isinstance(outcome, Contradicted):
        print_findings(listed.conflicts(outcome.conflicts))
        sys.exit(FINDINGS)
    told = f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed, {outcome.unchanged} as they were"
    click.echo(f"would be: {told}" if dry_run else f"{told}; {outcome.sessions_ended} sessions ended")


@people.command("list")
@click.option("--portal", help="Only those who may enter this portal.")
@config_option
@json_option
def list_people(portal: str | None, config: Path, *, as_json: bool) -> None:
    """List who is in the register, without their numbers."""
    settings = settings_of(config)
    if portal is not None and portal not in settings.portals:
        raise click.UsageError(f"there is no portal {portal}; there are: {', '.join(sorted(settings.portals))}")
    snapshot = _at_desk(settings, lambda desk: desk.people.every())
    found = [member for member in snapshot.members if portal is None or member.may_enter(portal)]
    rows = [_row(member) for member in sorted(found, key=lambda member: member.member_id)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    print_table([{name: value if isinstance(value, str) else _words(value) for name, value in row.items()} for row in rows])
    click.echo(f"{len(rows)} people, revision {snapshot.revision}", err=True)


@people.command("show")
@person_argument
@config_option
@json_option
def show_person(person: str, config: Path, *, as_json: bool) -> None:
    """Show what the register knows of a person; numbers are masked."""

    async def found(desk: Desk) -> tuple[Member, str] | None:
        member = await desk.people.named(person)
        return None if member is None else (member, desk.audit_name_of(member))

    known = _at_desk(settings_of(config), found)
    if known is None:
        _nobody(person)
    details = _details(*known)
    if as_json:
        click.echo(json.dumps(details, ensure_ascii=False, indent=2))
        return
    for name, value in details.items():
        click.echo(f"{name:13}{_words(value)}")


@people.command("block")
@person_argument
@click.option("--reason", help="Kept in the register; no log has it.")
@config_option
def block_person(person: str, reason: str | None, config: Path) -> None:
    """Let a person in nowhere any more, and sign them out everywhere at once."""
    _say(person, _at_desk(settings_of(config), lambda desk: desk.block(person, reason), command="people block", person=person), "blocked")


@people.command("unblock")
@click.argument("person", required=False)
@click.option("--subject", nargs=2, metavar="ISSUER SUB", help="Somebody who is not in the register, by their account at the provider.")
@config_option
def unblock_person(person: str | None, subject: tuple[str, str] | None, config: Path) -> None:
    """Let a blocked person in again, and let them answer again whom wrong codes have blocked."""
    if (person is None) == (subject is None):
        raise click.UsageError("name either a person of the register or, with --subject, an account")
    settings = settings_of(config)
    if person is not None:
        outcome = _at_desk(settings, lambda desk: desk.unblock(person), command="people unblock", person=person)
        _say(person, outcome, f"not blocked; {_forgotten(was_lifted=outcome is not None and outcome.was_lifted)}")
    elif subject is not None:
        was_lifted = _at_desk(settings, lambda desk: desk.forgive(*subject), command="people unblock --subject")
        click.echo(f"{subject[1]}: {_forgotten(was_lifted=was_lifted)}")


@people.command("link")
@person_argument
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False), help="A PEM file with the person's certificate.")
@click.option("--subject", nargs=2, metavar="ISSUER SUB", help="The person's account at the provider, in the place of an earlier one.")
@config_option
def link_person(person: str, certificate: Path | None, subject: tuple[str, str] | None, config: Path) -> None:
    """Say whose certificate or account this is. You must have seen both: the certificate or account, and the person."""
    if (certificate is None) == (subject is None):
        raise click.UsageError("name either a certificate or, with --subject, an account")
    settings = settings_of(config)
    named = _certificate_in(certificate) if certificate is not None else None
    outcome = _at_desk(
        settings, lambda desk: desk.link(person, certificate=named, account=subject), command="people link", person=person
    )  # fmt: skip
    _say(person, outcome, "linked")


@people.command("reseal")
@config_option
def reseal_people(config: Path) -> None:
    """Write the register and what people have enrolled anew under the first of the session keys, so that the others may be dropped."""
    resealed = _at_desk(settings_of(config), lambda desk: desk.reseal(), command="people reseal")
    click.echo(f"{resealed.people} people resealed; {resealed.enrolments} enrolments moved")


def _at_desk(
    settings: Settings, work: Callable[[Desk], Awaitable[_Answer]], *, command: str | None = None, person: str | None = None
) -> _Answer:  # fmt: skip
    """`command` names a command that changes something, and is in the audit trail before it does."""
    from authproxy import bootstrap

    if command is not None and settings.store.url == bootstrap.MEMORY:
        fail(f"store.url is {bootstrap.MEMORY}: what is written there ends with this command")

    async def done() -> _Answer:
        async with bootstrap.desk(settings, command, person=person) as desk:
            return await work(desk)

    with store_asked():
        return asyncio.run(done())


def _list_in(file: Path, settings: Settings) -> PeopleList:
    from authproxy.people import files

    try:
        listed = files.read(str(file), file.read_bytes(), portals=settings.portals.keys())
    except OSError as error:
        click.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    except files.ListUnreadable as unreadable:
        print_findings([unreadable.finding])
        sys.exit(UNREADABLE)
    if listed.findings:
        print_findings(listed.findings)
        click.echo(f"{len(listed.findings)} findings; nothing was changed", err=True)
        sys.exit(FINDINGS)
    return listed


def _certificate_in(file: Path) -> CertificateName:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    from authproxy.identity.member import CertificateName

    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        click.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    except ValueError:
        fail(f"{file}: is no certificate in PEM")
    leaf = certificates[0]
    return CertificateName(fingerprint=leaf.fingerprint(SHA256()).hex(), issuer=leaf.issuer.rfc4514_string(), serial=leaf.serial_number)


def _say(person: str, outcome: Changed | Contradicted | None, state: str) -> None:
    from authproxy.flows.people import Contradicted

    if outcome is None:
        _nobody(person)
    if isinstance(outcome, Contradicted):
        fail("; ".join(f"this {each.key.kind} is that of {each.earlier}" for each in outcome.conflicts))
    click.echo(f"{person}: {state}; {outcome.sessions_ended} sessions ended")


def _forgotten(*, was_lifted: bool) -> str:
    return "wrong answers forgotten" if was_lifted else "no wrong answers"


def _nobody(person: str) -> NoReturn:
    fail(f"nobody in the register has the id {person}")


def _row(member: Member) -> dict[str, object]:
    return {
        "id": member.member_id, "name": member.name, "portals": list(member.portals), "certificates": len(member.certificates),
        "accounts": len(member.accounts), "blocked": member.is_blocked,
    }  # fmt: skip


def _details(member: Member, audit_name: str) -> dict[str, object]:
    from authproxy.identity.member import masked

    return {
        "id": member.member_id,
        "name": member.name,
        "tax_number": None if member.tax_number is None else masked(member.tax_number),
        "email": member.email,
        "phone": None if member.phone is None else masked(member.phone),
        "portals": list(member.portals),
        "certificates": [_certificate_words(each) for each in member.certificates],
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
