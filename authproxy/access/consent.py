"""PURE: an operator's consent to an examination by `authproxy doctor`, and the orders that it lets the doctor
give.

A consent is made from a key of the gateway, so whoever has one has had the gateway's secrets in their hands,
and nobody can have somebody else's site examined. It lasts an hour and names the host of one portal. It never
travels: an order carries an HMAC that was made with it, and so does the gateway's answer. Whoever sees an
order can repeat it for two minutes, and would learn or spoil nothing but an answer to their own request.

An order is a bearer token, because every front proxy passes `Authorization` on to the gateway.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Purpose = Literal["look", "echo", "deny", "fail"]
"""`look`: the page for the doctor. `echo`: a 401 that says what was asked. `deny`: a 403.
`fail`: the answer is that of a store that is away."""

LASTS: Final = 3600
"""Seconds that a consent lasts."""
PREFIX: Final = "authproxy-doctor."
SCHEME: Final = "Authproxy-Doctor"
"""Of the challenge that answers `echo`. Front proxies pass `WWW-Authenticate` on to the client."""
_AGE: Final = 120
"""Seconds by which the clock of the doctor's machine may differ."""
_CONSENT: Final = re.compile(
    r"authproxy-consent\.([a-z0-9.-]{1,253}(?::\d{1,5})?)/(\d{10})\.([0-9a-f]{64})", re.ASCII
)
_ORDER: Final = re.compile(
    rb"[Bb]earer +authproxy-doctor\.(look|echo|deny|fail)\.((?:[0-9a-f]{2}){1,260})\.(\d{10})\.(\d{10})\."
    rb"([A-Za-z0-9_-]{16,64})\.([0-9a-f]{64})"
)


class ConsentRefused(ValueError):  # noqa: N818
    """The text is no consent, or one whose hour is over. The message never repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """`host` is canonical: with the port unless it is that of the scheme. `ends_at` is in seconds since
    1970."""

    host: str
    ends_at: int
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """What an operator takes from one machine to another."""
        return f"authproxy-consent.{self.host}/{self.ends_at}.{self.secret.hex()}"

    def order(self, purpose: Purpose, *, nonce: str, now: datetime) -> str:
        """The value of `Authorization` for one request. `nonce`: 16 to 64 URL-safe characters."""
        asked_at = int(now.timestamp())
        proof = _proof(self.secret, purpose, self.host, str(self.ends_at), str(asked_at), nonce)
        return (
            f"Bearer {PREFIX}{purpose}.{self.host.encode().hex()}.{self.ends_at}.{asked_at}.{nonce}.{proof}"
        )

    def answers(self, proof: str, *, nonce: str, said: str) -> bool:
        """Whether the gateway that made the consent has said this in answer to the order with that nonce."""
        return hmac.compare_digest(proof.encode(), answer_proof(self.secret, nonce, said).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`host` is that of the consent."""

    purpose: str
    host: str
    nonce: str
    secret: bytes = field(repr=False)


class Consents:
    """Recognises orders. `keys` are those of `consent_key`, the newest first; `hosts` those of the portals,
    canonical."""

    def __init__(self, keys: Iterable[bytes], hosts: Iterable[str]) -> None:
        self._keys = tuple(keys)
        self._hosts = frozenset(hosts)

    def order_in(self, authorization: Sequence[bytes], now: datetime) -> Order | None:
        """The order in these values of `Authorization`; None if there is none that must be obeyed."""
        if len(authorization) != 1:
            return None
        match = _ORDER.fullmatch(authorization[0])
        if match is None:
            return None
        purpose, in_hex, ends, asked, nonce, proof = (part.decode("ascii") for part in match.groups())
        # Hexadecimal, because a colon is no character of a bearer token (RFC 6750 §2.1).
        host = bytes.fromhex(in_hex).decode("latin-1")
        at = int(now.timestamp())
        if host not in self._hosts or not at < int(ends) <= at + LASTS + _AGE or abs(at - int(asked)) > _AGE:
            return None
        for key in self._keys:
            secret = consent(key, host, int(ends)).secret
            if hmac.compare_digest(_proof(secret, purpose, host, ends, asked, nonce), proof):
                return Order(purpose=purpose, host=host, nonce=nonce, secret=secret)
        return None


def consent(key: bytes, host: str, ends_at: int) -> Consent:
    return Consent(
        host=host, ends_at=ends_at, secret=hmac.digest(key, f"consent\n{host}\n{ends_at}".encode(), "sha256")
    )


def read(text: str, now: datetime) -> Consent:
    """The consent in a text. Raises ConsentRefused."""
    match = _CONSENT.fullmatch(text.strip())
    if match is None:
        raise ConsentRefused("this is no consent: `authproxy doctor consent` prints one")
    if int(match[2]) <= int(now.timestamp()):
        raise ConsentRefused("the consent's hour is over: `authproxy doctor consent` prints another")
    return Consent(host=match[1], ends_at=int(match[2]), secret=bytes.fromhex(match[3]))


def answer_proof(secret: bytes, nonce: str, said: str) -> str:
    return _proof(secret, "answer", nonce, said)


def echoed(nonce: str, parts: Mapping[str, str]) -> str:
    """The challenge that answers `echo`: what the gateway was asked. `parts` holds no character that would
    have to be quoted."""
    named = {"nonce": nonce} | dict(parts)
    return f"{SCHEME} " + ", ".join(f'{name}="{value}"' for name, value in named.items())


def _proof(secret: bytes, *parts: str) -> str:
    return hmac.digest(secret, "\n".join(parts).encode(), "sha256").hex()
