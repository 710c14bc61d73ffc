"""The methods that people of the sandbox have enrolled at the gateway from the start: OnePass codes, and the
phone that answers notifications."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.assurance import Level
from authproxy.identity.person import MemberId
from authproxy.sandbox.installation import EnrolledPhone


def enrolments(enrolled: EnrolledPhone, *, now: datetime) -> Iterator[tuple[MemberId, Enrolment]]:
    """The enrolments of one person, valid at every level. Their ids are the same at each start. The person's
    id in the register is the first part of the e-mail address."""
    name = enrolled.email.partition("@")[0]
    yield (
        MemberId(name),
        Enrolment(
            enrolment_id=f"onepass-codes-{name}",
            method="totp",
            label="OnePass",
            enrolled_at=now,
            secret=enrolled.totp_secret,
            level=Level.HIGH,
        ),
    )
    yield (
        MemberId(name),
        Enrolment(
            enrolment_id=f"onepass-phone-{name}",
            method="push",
            label=enrolled.device_name,
            enrolled_at=now,
            secret=enrolled.public_key,
            device_id=enrolled.device_id,
            level=Level.HIGH,
        ),
    )
