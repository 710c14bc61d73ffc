"""PURE: the file of `authproxy people export --backup`: one line that anybody may read, and after it
everything, sealed.

The line is authenticated with the rest, so nobody can give one backup the date of another. What is inside are
the records of the store. A backup that is cut off, changed, or sealed under an unknown key does not open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from authproxy.challenges.enrolment import OwnedMethods, RecoverySheet
from authproxy.identity.member import BlockedAccount, Member
from authproxy.storage.records import challenges, members
from authproxy.storage.records.challenges import OwnedEnrolment, RecoverySet
from authproxy.storage.records.sealing import KeyRing, Purpose
from authproxy.storage.records.values import UNREADABLE, octets_of, time_in, time_text

_MAGIC: Final = b"authproxy backup "
_LONGEST_LINE: Final = 200
_LINE: Final = re.compile(rb"authproxy backup (\d{1,3}): [ -~]*")
_Record = TypeVar("_Record")
BACKUP_FORMAT: Final = 1
"""Changes when a version that knows only the one before would misread a backup."""


class BackupUnreadable(Exception):  # noqa: N818
    """A sentence for the operator, which follows the name of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """The register, and what everybody has enrolled."""

    made_at: datetime
    people: tuple[Member, ...]
    blocked: tuple[BlockedAccount, ...]
    methods: tuple[OwnedMethods, ...]


def is_backup(octets: bytes) -> bool:
    """Whether the file is a backup and no list, by how it begins."""
    return octets.startswith(_MAGIC)


def sealed(backup: Backup, keys: KeyRing, *, version: str) -> bytes:
    """The content of the file, under the first key."""
    line = (
        f"authproxy backup {BACKUP_FORMAT}: {len(backup.people)} people, {len(backup.methods)} with methods, "
        f"{len(backup.blocked)} blocked accounts; {time_text(backup.made_at)}, authproxy {version}, key "
        f"{keys.key_ids[0].hex()}"
    )
    content = octets_of(
        {
            "made_at": time_text(backup.made_at),
            "people": [json.loads(members.member_octets(member)) for member in backup.people],
            "blocked": [json.loads(members.account_octets(blocked)) for blocked in backup.blocked],
            "methods": [_methods_fields(methods) for methods in backup.methods],
        }
    )
    return line.encode() + b"\n" + keys.seal(Purpose.BACKUP, content, bound_to=line)


def opened(octets: bytes, keys: KeyRing) -> Backup:
    """Raises BackupUnreadable, also if only a part of it can be read: half a backup is none."""
    line, _, content = octets.partition(b"\n")
    named = _LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
    if named is None:
        raise BackupUnreadable("begins like a backup and is none")
    if int(named[1]) != BACKUP_FORMAT:
        raise BackupUnreadable(
            f"is a backup of format {int(named[1])}, and this version reads format {BACKUP_FORMAT}: use the "
            "version that made it"
        )
    key_id = keys.key_id_of(content)
    if key_id not in keys.key_ids:
        known = ", ".join(known.hex() for known in keys.key_ids)
        raise BackupUnreadable(
            f"is sealed under the session key {key_id.hex() or '–'}, which is not here (here: {known}): "
            "name the file of that key with --key-file"
        )
    plaintext = keys.open(Purpose.BACKUP, content, bound_to=line.decode("ascii"))
    if plaintext is None:
        raise BackupUnreadable("does not open: it has been changed, or is not whole")
    backup = _backup_in(plaintext)
    if backup is None:
        raise BackupUnreadable("holds a record that this version cannot read: use the version that made it")
    return backup


def _methods_fields(methods: OwnedMethods) -> dict[str, Any]:
    sheet = methods.recovery
    enrolments = [
        json.loads(challenges.owned_octets(OwnedEnrolment(methods.owner, enrolment)))
        for enrolment in methods.enrolments
    ]
    if sheet is None:
        return {"owner": methods.owner, "enrolments": enrolments}
    recovery_set = RecoverySet(methods.owner, sheet.set_id, sheet.listing, sheet.newer_fields)
    recovery = {"set": json.loads(challenges.recovery_set_octets(recovery_set)), "codes": sheet.codes}
    return {"owner": methods.owner, "enrolments": enrolments, "recovery": recovery}


def _backup_in(plaintext: bytes) -> Backup | None:
    try:
        fields = json.loads(plaintext)
        return Backup(
            made_at=time_in(fields["made_at"]),
            people=_every(members.member_in, fields["people"]),
            blocked=_every(members.account_in, fields["blocked"]),
            methods=tuple(_methods_in(methods) for methods in fields["methods"]),
        )
    except UNREADABLE:
        return None


def _methods_in(fields: dict[str, Any]) -> OwnedMethods:
    owner = tuple(map(str, fields["owner"]))
    owned = _every(challenges.owned_in, fields["enrolments"])
    recovery = fields.get("recovery")
    sheet = None
    if recovery is not None:
        [recovery_set] = _every(challenges.recovery_set_in, [recovery["set"]])
        sheet = RecoverySheet(
            set_id=recovery_set.set_id,
            codes=tuple(map(str, recovery["codes"])),
            listing=recovery_set.listing,
            newer_fields=recovery_set.newer_fields,
        )
    return OwnedMethods(owner=owner, enrolments=tuple(each.enrolment for each in owned), recovery=sheet)


def _every(read: Callable[[bytes], _Record | None], records: Iterable[dict[str, Any]]) -> tuple[_Record, ...]:
    """Raises ValueError if one of them cannot be read."""
    found = []
    for record in records:
        known = read(octets_of(record))
        if known is None:
            raise ValueError("a record cannot be read")
        found.append(known)
    return tuple(found)
