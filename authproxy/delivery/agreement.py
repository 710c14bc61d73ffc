"""PURE: the agreement with an SMS gateway that is used over HTTP: how a message is handed over, and what its
answers mean."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Final, Literal

from authproxy.challenges.message import Sms
from authproxy.delivery.sms import RecipientForm, written
from authproxy.delivery.template import Template

_LATER: Final = frozenset({408, 425, 429})
_OF_THE_MESSAGE: Final = frozenset({400, 409, 413, 422})
"""The 4xx statuses that concern this message. All others (401, 403, 404, …) concern us, and every message
gets them."""
_ID: Final = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """HMAC-SHA-256 over the body, sent in a header after `prefix`."""

    header: str
    key: bytes = field(repr=False)
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""

    def of(self, body: bytes) -> str:
        digest = hmac.new(self.key, body, hashlib.sha256).digest()
        return self.prefix + (digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """Which answers mean that the gateway took the message: those with one of the statuses and, if `pointer`
    (RFC 6901) is set, a suitable JSON value there: one of `values`, or without `values` anything but null and
    false."""

    statuses: frozenset[int] = frozenset({200, 201, 202})
    pointer: str | None = None
    values: frozenset[str] = frozenset()
    id_pointer: str | None = None

    @property
    def needs_body(self) -> bool:
        return self.pointer is not None or self.id_pointer is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReports:
    """Where to ask what became of a message. `{message_id}` in `url` is replaced."""

    url: str
    pointer: str
    delivered: frozenset[str]
    failed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    url: str
    content_type: str = "application/json"
    body: Template
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Including authentication."""
    sender: str
    recipient_form: RecipientForm = "+"
    reference_header: str | None = None
    """The header by which the gateway recognises a repeated request. Without it, the gateway may send a
    message twice if its answer was lost."""
    signature: Signature | None = None
    success: Success = field(default_factory=Success)
    reports: DeliveryReports | None = None
    timeout: timedelta = timedelta(seconds=4)
    """For one try."""
    tries: int = 2
    pause: timedelta = timedelta(milliseconds=300)
    """The pause before the second try. It doubles before each further one."""
    deadline: timedelta = timedelta(seconds=8)
    """For all tries together."""

    def request(self, sms: Sms) -> tuple[dict[str, str], bytes]:
        """Headers and body. Raises Unsendable."""
        body = self.body.filled(
            {
                "recipient": written(sms.recipient, self.recipient_form),
                "text": sms.text,
                "sender": self.sender,
                "reference": sms.reference,
            }
        )
        headers = {"Content-Type": self.content_type, "Accept-Encoding": "identity", **self.headers}
        if self.reference_header is not None:
            headers[self.reference_header] = sms.reference
        if self.signature is not None:
            headers[self.signature.header] = self.signature.of(body)
        return headers, body


class Judgement(Enum):
    TAKEN = auto()
    LATER = auto()
    """Another try may help."""
    REFUSED = auto()
    """The gateway will never take this message."""
    BROKEN = auto()
    """The gateway will take no message until an operator changes something."""


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    status: int
    body: bytes = field(repr=False, default=b"")
    retry_after: str = ""
    """The value of Retry-After."""

    @property
    def wait(self) -> timedelta:
        """How long the gateway asks us to wait. A date (RFC 9110 §10.2.3 allows both forms) is ignored."""
        stated = self.retry_after.strip()
        return timedelta(seconds=int(stated)) if _SECONDS.fullmatch(stated) else timedelta()


def judged(answer: GatewayAnswer, success: Success) -> Judgement:
    if answer.status in success.statuses:
        return Judgement.TAKEN if _says_so(answer, success) else Judgement.REFUSED
    if answer.status in _LATER or answer.status >= 500:
        return Judgement.LATER
    return Judgement.REFUSED if answer.status in _OF_THE_MESSAGE else Judgement.BROKEN


def message_id(answer: GatewayAnswer, success: Success) -> str:
    """The gateway's id of the message; empty if there is no usable one."""
    stated = None if success.id_pointer is None else _text(_at(answer.body, success.id_pointer))
    return stated if stated is not None and _ID.fullmatch(stated) else ""


def reported(answer: GatewayAnswer, reports: DeliveryReports) -> Literal["delivered", "failed"] | None:
    """What became of the message; None while it is unknown."""
    if answer.status != 200:
        return None
    state = (_text(_at(answer.body, reports.pointer)) or "").lower()
    if state in reports.delivered:
        return "delivered"
    return "failed" if state in reports.failed else None


def _says_so(answer: GatewayAnswer, success: Success) -> bool:
    if success.pointer is None:
        return True
    value = _at(answer.body, success.pointer)
    if success.values:
        return _text(value) in success.values
    return value is not _ABSENT and value is not None and value is not False


def _text(value: Any) -> str | None:
    """A JSON value as an operator writes it in the settings: `true`, `0`, `accepted`."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int) else None


def _at(body: bytes, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901 §4), or `_ABSENT`, also if the body is not JSON."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return _ABSENT
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name, _ABSENT)
        elif (
            isinstance(value, list)
            and name.isascii()
            and name.isdecimal()
            and len(name) < 6
            and int(name) < len(value)
        ):
            value = value[int(name)]
        else:
            return _ABSENT
    return value
