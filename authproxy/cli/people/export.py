"""`authproxy people export`: the register as a list that `people import` takes, or as a sealed backup."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.people.register import on_register
from authproxy.cli.terminal import UNREADABLE, config_option, settings_of

if TYPE_CHECKING:
    from authproxy.identity.member import CertificateName, Member
    from authproxy.settings.schema import Settings


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--backup",
    is_flag=True,
    help="Everything about people that is nowhere else, also what they have enrolled, sealed.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Seal the backup under this key (`openssl rand -base64 32`), for a site with other session keys.",
)
@config_option
def export_people(file: Path, config: Path, *, backup: bool, key_file: Path | None) -> None:
    """Write everybody in the register to FILE, which must not exist yet: CSV as `people import` takes it,
    with tax and telephone numbers.

    FILE is for your eyes only (mode 0600). Accounts at the provider and reasons of blocks are not in it: an
    import leaves them as they are. With --backup they are, and so are blocked accounts and what people have
    enrolled. That file opens only with the key that is the first of `sessions.keys` now, or with that of
    --key-file."""
    if key_file is not None and not backup:
        raise click.UsageError("--key-file is for backups: without --backup nothing is sealed")
    settings = settings_of(config)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        click.echo(f"{file}: cannot be written: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    try:
        with os.fdopen(descriptor, "wb") as written:
            octets, message = _backup(file, settings, key_file) if backup else _list(settings)
            written.write(octets)
            written.flush()
            os.fsync(written.fileno())
    except BaseException:
        file.unlink()  # nobody must take a part of the register for all of it
        raise
    click.echo(message)


def _list(settings: Settings) -> tuple[bytes, str]:
    members = on_register(settings, lambda register: register.export(), command="people export")
    return _text(members).encode(), f"{len(members)} people"


def _backup(file: Path, settings: Settings, key_file: Path | None) -> tuple[bytes, str]:
    from authproxy.bootstrap.backups import BackupSeals
    from authproxy.storage.records.backups import BackupUnreadable

    try:
        seals = BackupSeals(settings, key_file)
    except BackupUnreadable as problem:
        click.echo(f"{file}: {problem}", err=True)
        sys.exit(UNREADABLE)
    backup, unreadable = on_register(
        settings, lambda register: register.backup(), command="people export --backup"
    )
    if unreadable:
        click.echo(
            f"warning: {unreadable} methods are not in the backup: they are sealed under a key that is not "
            "among `sessions.keys`",
            err=True,
        )
    message = (
        f"{len(backup.people)} people, {len(backup.methods)} with methods, {len(backup.blocked)} blocked "
        "accounts"
    )
    return seals.seal(backup), message


def _text(members: tuple[Member, ...]) -> str:
    from authproxy.cli.people.files import COLUMNS

    text = io.StringIO()
    rows = csv.writer(text, delimiter=";", lineterminator="\n")
    rows.writerow(COLUMNS)
    for member in sorted(members, key=lambda member: member.member_id):
        rows.writerow(_cells(member))
    return text.getvalue()


def _cells(member: Member) -> tuple[str, ...]:
    from authproxy.cli.people.columns import NOTHING

    return (
        member.member_id,
        member.tax_number or NOTHING,
        _no_formula(member.name),
        _no_formula(member.email or NOTHING),
        member.phone or NOTHING,
        " ".join(member.portals) or NOTHING,
        " ".join(map(str, member.roles)) or NOTHING,
        "|".join(name for certificate in member.certificates for name in _names(certificate)) or NOTHING,
        "yes" if member.is_blocked else "no",
    )


def _no_formula(text: str) -> str:
    """With a blank before what a spreadsheet would compute. `people import` drops the blank."""
    from authproxy.cli.people.columns import NOTHING

    return f" {text}" if text.startswith(("=", "+", "-", "@")) and text != NOTHING else text


def _names(certificate: CertificateName) -> list[str]:
    """Both names of a certificate that has both. An import replaces all names, so one that is missing would
    be lost."""
    serial = "" if certificate.serial is None else f"{certificate.serial:x}@{certificate.issuer}"
    return [name for name in (certificate.fingerprint, serial) if name]
