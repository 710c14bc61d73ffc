"""`authproxy people link` and `unlink`: whose a certificate or an account is. A certificate is shown first,
and the operator confirms it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.people.register import account_of, nobody, on_register, person_argument, say
from authproxy.cli.terminal import (
    UNREADABLE,
    agreed,
    config_option,
    fail,
    print_details,
    settings_of,
    time_text,
)

if TYPE_CHECKING:
    from cryptography import x509

    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.identity.member import Account, CertificateName, Member
    from authproxy.settings.schema import Settings

_yes_option = click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")


@click.command("link")
@person_argument
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The person's certificate: PEM, DER or .p7b.",
)
@click.option(
    "--from-refusal",
    metavar="CODE",
    help="The certificate that was refused with this code, which its person has seen.",
)
@click.option(
    "--subject",
    nargs=2,
    metavar="ISSUER SUB",
    help="The person's account at the provider, in the place of an earlier one.",
)
@_yes_option
@config_option
def link_person(
    person: str,
    certificate: Path | None,
    from_refusal: str | None,
    subject: tuple[str, str] | None,
    config: Path,
    *,
    yes: bool,
) -> None:
    """Say whose certificate or account this is. You must have seen both: the certificate or account, and the
    person.

    What the certificate says of its holder is shown, and you are asked whether that is the person."""
    if [certificate, from_refusal, subject].count(None) != 2:
        raise click.UsageError("name a certificate, the code of a refusal or, with --subject, an account")
    settings = settings_of(config)
    name = None
    if subject is None:
        linked = (
            _certificate_in(certificate)
            if certificate is not None
            else _refused(settings, from_refusal or "")
        )
        _ask(person, linked, settings, yes=yes)
        name = _name_of(linked)
    outcome = on_register(
        settings,
        lambda register: register.link(person, certificate=name, account=subject),
        command="people link",
        person=person,
    )
    say(person, outcome, "linked")


@click.command("unlink")
@person_argument
@click.option(
    "--certificate",
    metavar="FILE|NAME",
    help="Its file, or its SHA-256 or SERIAL@ISSUER as `people show` prints it.",
)
@click.option("--subject", nargs=2, metavar="ISSUER SUB", help="The person's account at the provider.")
@config_option
def unlink_person(
    person: str, certificate: str | None, subject: tuple[str, str] | None, config: Path
) -> None:
    """Take a certificate or an account away from a person, and sign them out everywhere."""
    if (certificate is None) == (subject is None):
        raise click.UsageError("name either a certificate or, with --subject, an account")
    settings = settings_of(config)
    from authproxy.flows.register.operators import NotLinked

    link: CertificateName | Account = (
        account_of(subject) if subject is not None else _named(certificate or "")
    )
    outcome = on_register(
        settings, lambda register: register.unlink(person, link), command="people unlink", person=person
    )
    if isinstance(outcome, NotLinked):
        fail(f"{person} has no such {'certificate' if subject is None else 'account'}")
    say(person, outcome, "unlinked")


def _certificate_in(file: Path) -> x509.Certificate:
    """The person's own certificate in the file, without those of authorities."""
    from cryptography import x509

    from authproxy.certificates import files

    try:
        contents = files.contents(file.read_bytes())
    except OSError as error:
        click.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    if contents.kind not in {files.FileKind.CERTIFICATE, files.FileKind.BUNDLE}:
        fail(f"{file}: is {contents.kind}")
    certificates = dict.fromkeys(x509.load_der_x509_certificate(octets) for octets in contents.certificates)
    own = [certificate for certificate in certificates if not files.is_authority(certificate)]
    if len(own) > 1:
        fail(f"{file}: holds the certificates of {len(own)} holders instead of one")
    return own[0]


def _refused(settings: Settings, code: str) -> x509.Certificate:
    from cryptography import x509

    octets = on_register(settings, lambda register: register.refused_certificate(code))
    if octets is None:
        fail(
            "no certificate is kept under this code: it is another one, or it was refused more than seven "
            "days ago"
        )
    return x509.load_der_x509_certificate(octets)


def _named(text: str) -> CertificateName:
    from authproxy.cli.people import columns

    if Path(text).is_file():
        return _name_of(_certificate_in(Path(text)))
    try:
        return columns.certificate(text)
    except ValueError as problem:
        fail(f"there is no file of this name, and as the name of a certificate it {problem}")


def _name_of(certificate: x509.Certificate) -> CertificateName:
    from cryptography.hazmat.primitives.hashes import SHA256

    from authproxy.certificates.leaf import issuer_name
    from authproxy.identity.member import CertificateName

    return CertificateName(
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        issuer=issuer_name(certificate),
        serial=certificate.serial_number,
    )


def _ask(person: str, certificate: x509.Certificate, settings: Settings, *, yes: bool) -> None:
    """Shows what the certificate and the profile say. Ends the command unless the operator agrees."""

    async def find(register: AuditedRegister) -> Member | None:
        return await register.people.named(person)

    member = on_register(settings, find)
    if member is None:
        nobody(person)
    print_details(_details(certificate, settings), err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask at: say --yes if this is the person's certificate"
        )
    if not agreed(f"Is this the certificate of {member.name} ({member.member_id})?"):
        raise click.Abort


def _details(certificate: x509.Certificate, settings: Settings) -> dict[str, str]:
    from authproxy.bootstrap.certificate_explanation import whether_accepted
    from authproxy.certificates import leaf as leaves

    try:
        leaf = leaves.read(certificate)
    except leaves.UnreadableLeaf as problem:
        fail(str(problem))
    return {
        "holder": leaf.known_as or "–",
        "organisation": leaf.organization or "–",
        "issuer": leaves.shown(leaf.issuer),
        "serial": f"{leaf.serial_number:x}",
        "sha-256": leaf.fingerprint,
        "valid until": time_text(leaf.not_after),
        "signs in": whether_accepted(settings, certificate),
    }
