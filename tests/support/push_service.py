"""A service that carries notifications, without a network: honest, until a test makes it lie. And phones with
keys, which sign by the letter of the contract with none of the gateway's code."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.enrolment import Enrolment
from authproxy.challenges.notification import EnrolledPhone, Notification, PhoneAnswer, Sent, Unanswered

SERVICE_PART = "SERV25"


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def text_of(head: str, *pairs: tuple[str, str]) -> str:
    return "\n".join([head, *(f"{name}: {value}" for name, value in pairs), ""])


class PhoneKey:
    def __init__(self, curve: ec.EllipticCurve | None = None) -> None:
        self.key = ec.generate_private_key(curve or ec.SECP256R1())

    def sign(self, text: str) -> str:
        r, s = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return base64url(r.to_bytes(32) + s.to_bytes(32))

    @property
    def der(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def pem(self) -> str:
        return (
            self.key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def enrolment(self, name: str, *, enrolled_at: datetime) -> Enrolment:
        return Enrolment(
            enrolment_id=f"enrolment-{name}",
            method="push",
            label=name,
            enrolled_at=enrolled_at,
            secret=self.pem,
            device_id=f"device-{name}",
        )

    def answer(
        self,
        push: Notification,
        action: str = "approve",
        number: str | None = None,
        *,
        seen: dict[str, str] | None = None,
    ) -> PhoneAnswer:
        """What this phone says to a notification; `seen` is what it was shown otherwise than it was sent."""
        number = push.number if number is None else number
        shown = {
            "push": push.push_id,
            "device": push.device_id,
            "portal": push.portal,
            "place": push.place,
            "browser": push.browser,
            "address": push.address,
            "issued": f"{push.issued_at:%Y-%m-%dT%H:%M:%SZ}",
            "expires": f"{push.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            "action": action,
            "number": number if action == "approve" else "-",
        } | (seen or {})
        signed = list(shown.items())
        if push.shows:
            signed[4:4] = [
                ("shows", str(len(push.shows))),
                *(line for pair in push.shows for line in zip(("name", "value"), pair, strict=True)),
            ]
        head = "onepass-answer-v2" if push.shows else "onepass-answer-v1"
        return PhoneAnswer(
            action=action,
            number=number if action == "approve" else "",
            signature=self.sign(text_of(head, *signed)),
        )

    def comes(
        self,
        enrolment_id: str,
        secret: str,
        *,
        relying_party: str,
        device_id: str | None = None,
        name: str = "Moj telefon",
    ) -> EnrolledPhone:
        device_id, key = device_id or secrets.token_hex(16), base64url(self.der)
        proof = self.sign(
            text_of(
                "onepass-enrolment-v1",
                ("enrolment", enrolment_id),
                ("relying_party", relying_party),
                ("secret", secret),
                ("device", device_id),
                ("name", name),
                ("key", key),
            )
        )
        return EnrolledPhone(device_id=device_id, device_name=name, public_key=key, proof=proof)


@dataclass
class CarryingService:
    """`answers` are what it says of notifications, whatever phones have said."""

    is_away: bool = False
    is_down: bool = False
    sends: Sent | timedelta = Sent.ACCEPTED
    sent: list[Notification] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    answers: dict[str, PhoneAnswer | Unanswered] = field(default_factory=dict)
    enrolments: list[tuple[str, str, str, datetime]] = field(default_factory=list)
    comers: dict[str, EnrolledPhone | Unanswered] = field(default_factory=dict)

    async def send(self, notification: Notification) -> Sent | timedelta:
        self._asked()
        self.sent.append(notification)
        return self.sends

    async def answer_to(self, push_id: str) -> PhoneAnswer | Unanswered:
        self._asked()
        return self.answers.get(push_id, Unanswered.PENDING)

    async def withdraw(self, push_id: str) -> None:
        self._asked()
        self.withdrawn.append(push_id)

    async def begin_enrolment(
        self, enrolment_id: str, *, relying_party: str, account: str, expires_at: datetime
    ) -> str:
        self._asked()
        self.enrolments.append((enrolment_id, relying_party, account, expires_at))
        return SERVICE_PART

    async def enrolled(self, enrolment_id: str) -> EnrolledPhone | Unanswered:
        self._asked()
        return self.comers.get(enrolment_id, Unanswered.PENDING)

    async def remove(self, device_id: str) -> None:
        self._asked()
        self.removed.append(device_id)

    def _asked(self) -> None:
        if self.is_down:
            raise CannotAsk(Reason.SENDER_UNAVAILABLE, "down")
