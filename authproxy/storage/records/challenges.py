"""PURE: the JSON inside sealed challenges and enrolments, by the rules of `records.sessions`."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, TypeVar

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import EnrolledMethod, Enrolment
from authproxy.identity.assurance import STEP_UP_METHODS, Level
from authproxy.identity.session import SessionId
from authproxy.storage.records.values import (
    UNREADABLE,
    newer_in,
    octets_of,
    optional_time_in,
    optional_time_text,
    time_in,
    time_text,
    with_newer,
)

_ENROLLED: Final[tuple[EnrolledMethod, ...]] = ("totp", "push", "recovery")
_ENROLMENT: Final = frozenset(["owner", "id", "method", "label", "enrolled_at", "secret", "device", "level"])
_SET: Final = frozenset(["owner", "set", "listing"])
_Word = TypeVar("_Word", bound=str)


class OwnedEnrolment(NamedTuple):
    """An enrolment and its owner. The owner is in the record, because moving it to another key needs them."""

    owner: tuple[str, ...]
    enrolment: Enrolment


class RecoverySet(NamedTuple):
    """Where somebody's recovery codes are. Only this record has the name of the set. `listing` is the entry
    that the person sees in their list of methods. Older versions kept it elsewhere, or lost it."""

    owner: tuple[str, ...]
    set_id: str
    listing: Enrolment | None = None
    newer_fields: str = ""


def challenge_octets(challenge: Challenge) -> bytes:
    return octets_of(
        {
            "id": challenge.challenge_id,
            "method": challenge.method,
            "session": challenge.session_id,
            "portal": challenge.portal,
            "route": challenge.route,
            "return_to": challenge.return_to,
            "held": challenge.held,
            "binding": challenge.binding,
            "shown": challenge.shown,
            "purpose": challenge.purpose,
            "answer": challenge.answer,
            "number": challenge.number,
            "enrolment": challenge.enrolment_id,
            "destination": challenge.destination,
            "issued_at": time_text(challenge.issued_at),
            "expires_at": time_text(challenge.expires_at),
            "again_at": optional_time_text(challenge.again_at),
            "level": challenge.level,
        }
    )


def challenge_in(octets: bytes) -> Challenge | None:
    try:
        fields = json.loads(octets)
        return Challenge(
            challenge_id=ChallengeId(fields["id"]),
            method=_one_of(STEP_UP_METHODS, fields["method"]),
            session_id=SessionId(fields["session"]),
            portal=fields["portal"],
            route=fields["route"],
            return_to=fields["return_to"],
            held=fields.get("held"),
            binding=fields.get("binding"),
            shown=tuple((str(name), str(value)) for name, value in fields.get("shown", ())),
            # These have no default. A challenge that does not say what it is for, or what answers it, is not
            # valid.
            purpose=fields["purpose"],
            answer=fields["answer"],
            number=fields.get("number"),
            enrolment_id=fields.get("enrolment"),
            destination=fields.get("destination", ""),
            issued_at=time_in(fields["issued_at"]),
            expires_at=time_in(fields["expires_at"]),
            again_at=optional_time_in(fields.get("again_at")),
            level=_level(fields),
        )
    except UNREADABLE:
        return None


def owned_octets(owned: OwnedEnrolment) -> bytes:
    return octets_of({"owner": owned.owner, **_enrolment_fields(owned.enrolment)})


def owned_in(octets: bytes) -> OwnedEnrolment | None:
    try:
        fields = json.loads(octets)
        return OwnedEnrolment(_owner(fields["owner"]), _enrolment(fields))
    except UNREADABLE:
        return None


def recovery_set_octets(recovery_set: RecoverySet) -> bytes:
    listing = None if recovery_set.listing is None else _enrolment_fields(recovery_set.listing)
    fields = {"owner": recovery_set.owner, "set": recovery_set.set_id, "listing": listing}
    return octets_of(with_newer(fields, recovery_set.newer_fields))


def recovery_set_in(octets: bytes) -> RecoverySet | None:
    try:
        fields = json.loads(octets)
        listing = fields.get("listing")
        return RecoverySet(
            _owner(fields["owner"]),
            str(fields["set"]),
            None if listing is None else _enrolment(listing),
            newer_in(fields, _SET),
        )
    except UNREADABLE:
        return None


def _enrolment_fields(enrolment: Enrolment) -> dict[str, Any]:
    fields = {
        "id": enrolment.enrolment_id,
        "method": enrolment.method,
        "label": enrolment.label,
        "enrolled_at": time_text(enrolment.enrolled_at),
        "secret": enrolment.secret,
        "device": enrolment.device_id,
        "level": enrolment.level,
    }
    return with_newer(fields, enrolment.newer_fields)


def _enrolment(fields: dict[str, Any]) -> Enrolment:
    return Enrolment(
        enrolment_id=fields["id"],
        method=_one_of(_ENROLLED, fields["method"]),
        label=fields.get("label", ""),
        enrolled_at=time_in(fields["enrolled_at"]),
        secret=fields["secret"],
        device_id=fields.get("device"),
        level=_level(fields),
        newer_fields=newer_in(fields, _ENROLMENT),
    )


def _level(fields: dict[str, Any]) -> Level:
    """The lowest level if the record has none: an older version wrote it."""
    return Level(fields.get("level", Level.LOW))


def _owner(parts: list[str]) -> tuple[str, ...]:
    return tuple(map(str, parts))


def _one_of(known: tuple[_Word, ...], word: _Word) -> _Word:
    """Raises ValueError for a word that only a newer version knows."""
    return known[known.index(word)]
