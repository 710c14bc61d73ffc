"""`authproxy people export`: the register as a list that `people import` takes."""

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


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def export_people(file: Path, config: Path) -> None:
    """Write everybody in the register to FILE, which must not exist yet: CSV as `people import` takes it,
    with tax and telephone numbers.

    FILE is for your eyes only (mode 0600). Accounts at the provider and reasons of blocks are not in it: an
    import leaves them as they are."""
    settings = settings_of(config)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        click.echo(f"{file}: cannot be written: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as written:
            members = on_register(settings, lambda register: register.export(), command="people export")
            written.write(_text(members))
    except BaseException:
        file.unlink()  # nobody must take a part of the register for all of it
        raise
    click.echo(f"{len(members)} people")


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
        member.name,
        member.email or NOTHING,
        member.phone or NOTHING,
        " ".join(member.portals) or NOTHING,
        " ".join(map(str, member.roles)) or NOTHING,
        "|".join(name for certificate in member.certificates for name in _names(certificate)) or NOTHING,
        "yes" if member.is_blocked else "no",
    )


def _names(certificate: CertificateName) -> list[str]:
    """Both names of a certificate that has both. An import replaces all names, so one that is missing would
    be lost."""
    serial = "" if certificate.serial is None else f"{certificate.serial:x}@{certificate.issuer}"
    return [name for name in (certificate.fingerprint, serial) if name]
