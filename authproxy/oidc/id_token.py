"""PURE: whether an ID token is genuine, for us, from this sign-in, and fresh: OpenID Connect Core §3.1.3.7, RFC 7515, RFC 8725.

Nothing inside a token is read before its signature holds, save the header, and of that only what finds the key.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from authproxy.identity.person import Issuer, Subject
from authproxy.oidc.key_set import VerificationKey
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.relying_party import Algorithm, RelyingParty
from authproxy.oidc.wire import Unreadable, base64url, is_visible, json_object, octets_of

_SIZE_LIMIT = 16 * 1024
# Members that would bring a key of the token's choice, change how the rest is read, or demand what we do not know (RFC 7515 §4.1.11).
_FORBIDDEN_HEADERS = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"})
_OLDEST = timedelta(minutes=10)
_LAST_SECOND = 253_402_300_799  # of the year 9999, beyond which there is no datetime


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token whose form is right, and nothing more."""

    key_id: str | None
    algorithm: Algorithm
    signing_input: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """The claims of an ID token that has passed every check."""

    issuer: Issuer
    subject: Subject
    auth_time: datetime | None
    every: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What only this sign-in can know: the nonce that was sent, the access token that came along, and what time it is."""

    nonce: str = field(repr=False)
    access_token: str = field(repr=False)
    now: datetime


def read(token: str, algorithm: Algorithm) -> SignedToken:
    """The parts of a token in JWS compact form whose header suits the pinned algorithm. Raises TokenRefused."""
    if len(token) > _SIZE_LIMIT:
        raise TokenRefused(f"ID token: longer than {_SIZE_LIMIT} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefused("ID token: not three parts")
    try:
        header_octets, payload, signature = (octets_of(part) for part in parts)
        header = json_object(header_octets)
    except Unreadable as found:
        raise TokenRefused(f"ID token: header or encoding: {found}") from None
    if header.get("alg") != algorithm:
        raise TokenRefused(f"ID token: signed with another algorithm than {algorithm}")
    if forbidden := header.keys() & _FORBIDDEN_HEADERS:
        raise TokenRefused(f"ID token: header has {', '.join(sorted(forbidden))}")
    # RFC 8725 §3.11: an access token or a logout token is no ID token, though the same key has signed it.
    token_type = header.get("typ", "JWT")
    if not isinstance(token_type, str) or token_type.upper() != "JWT":
        raise TokenRefused("ID token: typed as something else")
    key_id = header.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise TokenRefused("ID token: kid is no text")
    return SignedToken(key_id, algorithm, ".".join(parts[:2]).encode("ascii"), payload, signature)


def verified(token: SignedToken, key: VerificationKey, relying_party: RelyingParty, expected: Expectation) -> VerifiedClaims:
    """The claims, after the signature and then every check. Raises TokenRefused with the first check that failed."""
    if not key.has_signed(token.signing_input, token.signature):
        raise TokenRefused("ID token: the signature is wrong")
    try:
        claims = json_object(token.payload)
    except Unreadable as found:
        raise TokenRefused(f"ID token: claims: {found}") from None
    _check_parties(claims, relying_party)
    _check_binding(claims, token.algorithm, expected)
    _check_times(claims, relying_party.leeway, expected.now)
    return VerifiedClaims(
        issuer=Issuer(relying_party.issuer),
        subject=_subject(claims),
        auth_time=_auth_time(claims, relying_party, expected.now),
        every=claims,
    )


def _check_parties(claims: dict[str, Any], relying_party: RelyingParty) -> None:
    if claims.get("iss") != relying_party.issuer:
        raise TokenRefused("ID token: iss is not the configured issuer, to the byte")
    # Of several audiences another one could be the thief; the specification leaves us the right to trust none but ourselves.
    if claims.get("aud") not in (relying_party.client_id, [relying_party.client_id]):
        raise TokenRefused("ID token: aud is not exactly this client")
    if claims.get("azp", relying_party.client_id) != relying_party.client_id:
        raise TokenRefused("ID token: azp is another client")


def _check_binding(claims: dict[str, Any], algorithm: Algorithm, expected: Expectation) -> None:
    if not _are_equal(claims.get("nonce"), expected.nonce):
        raise TokenRefused("ID token: nonce is not the one of this sign-in")
    if "at_hash" in claims and not _are_equal(claims["at_hash"], _at_hash(expected.access_token, algorithm)):
        raise TokenRefused("ID token: at_hash belongs to another access token")


def _are_equal(received: object, expected: str) -> bool:
    # Lone surrogates have no UTF-8; "surrogatepass" keeps them comparable.
    return isinstance(received, str) and hmac.compare_digest(received.encode("utf-8", "surrogatepass"), expected.encode())


def _at_hash(access_token: str, algorithm: Algorithm) -> str:
    """OpenID Connect Core §3.1.3.6; for Ed25519 the hash is its own, SHA-512."""
    digest = hashlib.new("sha512" if algorithm == "EdDSA" else f"sha{algorithm[2:]}", access_token.encode()).digest()
    return base64url(digest[: len(digest) // 2])


def _check_times(claims: dict[str, Any], leeway: timedelta, now: datetime) -> None:
    expires_at, issued_at = _instant(claims, "exp"), _instant(claims, "iat")
    not_before = _instant(claims, "nbf") if "nbf" in claims else issued_at
    if now - leeway >= expires_at:
        raise TokenRefused(f"ID token: expired {_seconds(now - expires_at)} ago; are both clocks right?")
    if max(issued_at, not_before) > now + leeway:
        raise TokenRefused(f"ID token: valid only in {_seconds(max(issued_at, not_before) - now)}; are both clocks right?")
    if issued_at < now - _OLDEST:
        raise TokenRefused(f"ID token: issued {_seconds(now - issued_at)} ago, yet asked for just now; are both clocks right?")


def _auth_time(claims: dict[str, Any], relying_party: RelyingParty, now: datetime) -> datetime | None:
    if "auth_time" not in claims:
        if relying_party.demands_fresh_authentication:
            raise TokenRefused("ID token: auth_time is missing, though max_age was asked for")
        return None
    auth_time = _instant(claims, "auth_time")
    if auth_time > now + relying_party.leeway:
        raise TokenRefused(f"ID token: auth_time lies {_seconds(auth_time - now)} ahead; are both clocks right?")
    if relying_party.max_age is not None and now - auth_time > relying_party.max_age + relying_party.leeway:
        raise TokenRefused(f"ID token: the person authenticated {_seconds(now - auth_time)} ago, longer than max_age")
    return auth_time


def _instant(claims: dict[str, Any], name: str) -> datetime:
    value = claims.get(name)
    # `True` is an int to Python, and text that looks like a number is one to some readers: neither is a JSON number.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        raise TokenRefused(f"ID token: {name} is missing or no time")
    return datetime.fromtimestamp(math.floor(value), UTC)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


def _subject(claims: dict[str, Any]) -> Subject:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not is_visible(subject):
        raise TokenRefused("ID token: sub is missing, too long or invisible")
    return Subject(subject)
