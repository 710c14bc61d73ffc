"""PURE: the protocol data units of SMPP 3.4 that a sender of messages needs (§3.2 layout, §4 operations,
§5.1.3 statuses).

They are our own, because available libraries log texts and numbers when something fails, break on unknown
statuses, or trust only the system's certificate authorities. In the tests, two foreign message centres read
them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

HEADER_SIZE: Final = 16
_LARGEST: Final = 70_000
"""Bytes: a `message_payload` of 64 KiB and the fields around it."""
_HEADER: Final = struct.Struct(">IIII")
_ANSWER: Final = 0x80000000
_VERSION: Final = 0x34
_HAS_HEADER, _IS_RECEIPT, _KINDS = 0x40, 0x04, 0x3C
_MESSAGE_PAYLOAD, _MESSAGE_STATE = 0x0424, 0x0427
_DELIVERED: Final = 2
_LOST: Final = frozenset({3, 4, 5, 8})
"""Expired, deleted, undeliverable, rejected (§5.2.28)."""
_WORDS: Final[dict[bytes, int]] = {b"DELIVRD": 2, b"EXPIRED": 3, b"DELETED": 4, b"UNDELIV": 5, b"REJECTD": 8}


class Command(IntEnum):
    GENERIC_NACK = 0x80000000
    BIND_TRANSMITTER = 0x00000002
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    BIND_TRANSCEIVER = 0x00000009
    ENQUIRE_LINK = 0x00000015


OK: Final = 0
UNKNOWN_COMMAND: Final = 0x03
ALREADY_BOUND: Final = 0x05
BUSY: Final = frozenset({0x08, 0x14, 0x58, 0x64})
"""System error, queue full, throttled, temporary application error (§5.1.3): another try may help."""
OF_THE_MESSAGE: Final = frozenset({0x01, 0x0B, 0x48, 0x50, 0x66})
"""Invalid length, invalid destination address, its type or its plan, rejected by an application (§5.1.3): the
centre will never take this message."""


@dataclass(frozen=True, slots=True)
class SmppAddress:
    """`kind` is the type of number (§5.2.5), `plan` the numbering plan (§5.2.6)."""

    kind: int
    plan: int
    text: str = field(repr=False)

    def octets(self) -> bytes:
        return bytes([self.kind, self.plan]) + _text(self.text, 20)


@dataclass(frozen=True, slots=True)
class Pdu:
    command: int
    status: int
    sequence: int
    body: bytes = field(repr=False)

    @property
    def is_answer(self) -> bool:
        return bool(self.command & _ANSWER)

    def answers(self, command: Command) -> bool:
        return self.command in {command | _ANSWER, Command.GENERIC_NACK}


def written(command: int, sequence: int, body: bytes = b"", *, status: int = OK) -> bytes:
    return _HEADER.pack(HEADER_SIZE + len(body), command, status, sequence) + body


def answer(to: Pdu, body: bytes = b"") -> bytes:
    return written(to.command | _ANSWER, to.sequence, body)


def refusal(to: Pdu) -> bytes:
    """The answer to a command that is unknown here (`generic_nack`, §4.3)."""
    return written(Command.GENERIC_NACK, to.sequence, status=UNKNOWN_COMMAND)


def body_size(header: bytes) -> int:
    """How many bytes follow the header. Raises ValueError for an impossible length."""
    length = _HEADER.unpack(header)[0]
    if not HEADER_SIZE <= length <= _LARGEST:
        raise ValueError("a length that cannot be")
    return int(length) - HEADER_SIZE


def read(header: bytes, body: bytes) -> Pdu:
    _, command, status, sequence = _HEADER.unpack(header)
    return Pdu(command, status, sequence, body)


def bind(system_id: str, password: str, system_type: str) -> bytes:
    """The body of both bind requests (§4.1). A password longer than the standard's eight characters is sent
    unchanged, because many message centres accept it."""
    return (
        _text(system_id, 15) + _text(password, 64) + _text(system_type, 12) + bytes([_VERSION, 0, 0]) + b"\0"
    )


def submission(
    source: SmppAddress,
    destination: SmppAddress,
    octets: bytes,
    *,
    data_coding: Literal[0, 8],
    is_part: bool = False,
    is_payload: bool = False,
    wants_receipt: bool = False,
) -> bytes:
    """The body of `submit_sm` (§4.4). `is_part`: the bytes begin with the header that joins parts.
    `is_payload`: they are longer than one message, and the message centre splits them."""
    flags = (
        bytes([_HAS_HEADER if is_part else 0, 0, 0])
        + b"\0\0"
        + bytes([int(wants_receipt), 0, data_coding, 0])
    )
    short = b"" if is_payload else octets
    optional = struct.pack(">HH", _MESSAGE_PAYLOAD, len(octets)) + octets if is_payload else b""
    return b"\0" + source.octets() + destination.octets() + flags + bytes([len(short)]) + short + optional


def message_id(body: bytes) -> str:
    """The message centre's id of a message, from `submit_sm_resp` (§4.4.2); empty if there is no readable
    one."""
    text = body.partition(b"\0")[0]
    return (
        text.decode("ascii")
        if text.isascii() and text.decode("ascii").isprintable() and len(text) <= 64
        else ""
    )


def receipt(body: bytes) -> Literal["delivered", "failed"] | None:
    """What became of a message, from `deliver_sm`: by `message_state` (§5.3.2.35), or by the words that most
    centres write (appendix B). None for anything but a receipt with a final state."""
    try:
        kind, text, state = _delivery(body)
    except (ValueError, IndexError, struct.error):
        return None
    if kind & _KINDS != _IS_RECEIPT:
        return None
    if state is None:
        word = text.partition(b"stat:")[2][:7].upper()
        state = _WORDS.get(word, 0)
    if state == _DELIVERED:
        return "delivered"
    return "failed" if state in _LOST else None


def _delivery(body: bytes) -> tuple[int, bytes, int | None]:
    """Kind, text and, if it is present, state of a delivered message."""
    at = body.index(b"\0") + 1
    for _ in range(2):
        at = body.index(b"\0", at + 2) + 1
    kind = body[at]
    at += 3
    for _ in range(2):
        at = body.index(b"\0", at) + 1
    size = body[at + 4]
    at += 5
    text, at = body[at : at + size], at + size
    state = None
    while at < len(body):
        tag, length = struct.unpack_from(">HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if tag == _MESSAGE_STATE and length == 1:
            state = value[0]
        if tag == _MESSAGE_PAYLOAD:
            text = value
        at += 4 + length
    return kind, text, state


def _text(text: str, longest: int) -> bytes:
    """A C-octet string (§3.1). Raises ValueError for a text that does not fit."""
    if len(text) > longest or not text.isascii() or "\0" in text:
        raise ValueError("a text that does not fit into its field")
    return text.encode("ascii") + b"\0"
