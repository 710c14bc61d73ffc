"""The phone's side of relying parties: how it is linked to one, and how it signs a person's answers.

The contract is in authproxy/delivery/README.md. The key is made here and never leaves the phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from authproxy.sandbox.installation import Link, new_private_key, statement
from authproxy.sandbox.phone.onepass import OnePass

_SERVICE_PART = 6
_CODE = re.compile(r"[A-Z2-7]{16}", re.ASCII)
_BETWEEN = re.compile(r"[\s\-]")
# Characters that no code contains, and the letters that people mean by them.
_MEANT = str.maketrans("018", "OIB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Who wants to link this phone, and for which account. `code` is complete; the service knows only its
    first characters."""

    code: str = field(repr=False)
    enrolment_id: str
    relying_party: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPush:
    """A notification of a relying party. Times stay as they were received, because they are signed."""

    push_id: str
    portal: str
    place: str
    browser: str
    address: str
    issued_at: str
    expires_at: str
    number: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    shows: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The form fields to confirm: names and values."""

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.issued_at)


class RelyingParties:
    """Every call may raise UnreachableError; calls for a link may raise NotInstalledError, when it has
    ended."""

    def __init__(self, onepass: OnePass, random_bytes: Callable[[int], bytes]) -> None:
        self._onepass = onepass
        self._random_bytes = random_bytes

    async def invitation(self, typed: str) -> Invitation | None:
        """The invitation behind an activation code; None for an unknown code."""
        code = _BETWEEN.sub("", typed).upper().translate(_MEANT)
        if not _CODE.fullmatch(code):
            return None
        async with self._onepass.asked("POST", "/activations", json={"code": code[:_SERVICE_PART]}) as (
            status,
            body,
        ):
            if status != 200:
                return None
            if not f"{body['enrolment_id']}{body['relying_party']}{body['account']}".isprintable():
                raise ValueError("an invitation that cannot be shown")
            return Invitation(
                code=code,
                enrolment_id=body["enrolment_id"],
                relying_party=body["relying_party"],
                account=body["account"],
            )

    async def accept(self, invitation: Invitation, device_name: str) -> Link | None:
        """Makes a key, and proves possession of it and knowledge of the code. None if the invitation is
        over."""
        link = Link(
            relying_party=invitation.relying_party,
            account=invitation.account,
            device_id=self._random_bytes(16).hex(),
            device_name=device_name,
            device_token="",
            private_key=new_private_key(self._random_bytes),
        )
        proof = link.signed(
            statement(
                "onepass-enrolment-v1",
                enrolment=invitation.enrolment_id,
                relying_party=link.relying_party,
                secret=invitation.code[_SERVICE_PART:],
                device=link.device_id,
                name=device_name,
                key=link.public_key_text,
            )
        )
        document = {
            "code": invitation.code[:_SERVICE_PART],
            "device_id": link.device_id,
            "device_name": device_name,
            "public_key": link.public_key_text,
            "proof": proof,
        }
        async with self._onepass.asked("POST", "/phones", json=document) as (status, body):
            if status != 201:
                return None
            return Link(
                relying_party=link.relying_party,
                account=link.account,
                device_id=link.device_id,
                device_name=device_name,
                device_token=body["device_token"],
                private_key=link.private_key,
            )

    async def pushes(self, link: Link) -> tuple[LinkPush, ...]:
        async with self._onepass.asked(
            "GET", f"/phones/{link.device_id}/pushes", token=link.device_token
        ) as (_, body):
            return tuple(_push(**members) for members in body)

    async def answer(self, link: Link, push: LinkPush, *, action: str, number: str) -> int:
        """Signs and sends the answer. The status: 204 accepted, 400 wrong number, 404 unknown, 409 over."""
        version = "onepass-answer-v2" if push.shows else "onepass-answer-v1"
        asked = statement(
            version, push=push.push_id, device=link.device_id, portal=push.portal, place=push.place
        )
        shown = f"shows: {len(push.shows)}\n" if push.shows else ""
        shown += "".join(f"name: {name}\nvalue: {value}\n" for name, value in push.shows)
        rest = "".join(
            f"{name}: {value}\n"
            for name, value in (
                ("browser", push.browser),
                ("address", push.address),
                ("issued", push.issued_at),
                ("expires", push.expires_at),
                ("action", action),
                ("number", number or "-"),
            )
        )
        signed = link.signed(asked + shown + rest)
        path = f"/phones/{link.device_id}/pushes/{quote(push.push_id, safe='')}"
        document = {"action": action, "number": number, "signature": signed}
        async with self._onepass.asked("POST", path, token=link.device_token, json=document) as (status, _):
            return status

    async def remove(self, link: Link) -> None:
        async with self._onepass.asked("DELETE", f"/phones/{link.device_id}", token=link.device_token):
            pass


def _push(  # (the link says which phone this is)
    *,
    choices: list[str],
    device_id: str,  # noqa: ARG001
    shows: list[dict[str, str]] | None = None,
    **texts: Any,
) -> LinkPush:
    pairs = tuple((pair["name"], pair["value"]) for pair in shows or ())
    push = LinkPush(choices=tuple(choices), shows=pairs, **texts)
    if push.at.tzinfo is None or not all(
        text.isprintable() for text in (*texts.values(), *(text for pair in pairs for text in pair))
    ):
        raise ValueError("a notification that cannot be shown")
    return push
