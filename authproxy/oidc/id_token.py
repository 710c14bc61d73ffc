"""PURE: whether an ID token is genuine, for this gateway, from this sign-in, and recent: OpenID Connect Core
§3.1.3.7."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from authproxy.identity.person import Issuer, Subject
from authproxy.oidc import signed_token
from authproxy.oidc.key_set import VerificationKey
from authproxy.oidc.refused import AnswerInvalid, AuthenticationTooOld
from authproxy.oidc.relying_party import Algorithm, RelyingParty
from authproxy.oidc.signed_token import SignedToken, TokenKind, instant, is_identifier, seconds
from authproxy.oidc.wire import Unreadable, base64url, json_object, octets_of

# Some providers put a person's groups into the token, so it may be longer than the 16 KiB of other kinds.
_KIND = TokenKind("ID token", frozenset({"JWT"}), longest=64 * 1024)
_OLDEST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """The claims of an ID token that has passed every check."""

    issuer: Issuer
    subject: Subject
    auth_time: datetime | None
    every: Mapping[str, object] = field(repr=False)

    @property
    def provider_session(self) -> str | None:
        """The provider's name for its session (`sid`, OpenID Connect Back-Channel Logout §2.1); None if there
        is no usable one."""
        name = self.every.get("sid")
        return name if is_identifier(name) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What this sign-in expects: the nonce that was sent, the access token that came with the ID token, and
    the time."""

    nonce: str = field(repr=False)
    access_token: str = field(repr=False)
    now: datetime


def read(token: str, algorithm: Algorithm) -> SignedToken:
    """Like `signed_token.read`, for an ID token."""
    return signed_token.read(token, _KIND, algorithm)


def verified(
    token: SignedToken, key: VerificationKey, relying_party: RelyingParty, expected: Expectation
) -> VerifiedClaims:
    """Checks the signature first and then every claim. Raises TokenRefused for the first check that fails."""
    claims = signed_token.claims_of(token, key)
    signed_token.check_parties(claims, _KIND, relying_party)
    _check_binding(claims, token.algorithm, expected)
    _check_times(claims, relying_party.leeway, expected.now)
    return VerifiedClaims(
        issuer=Issuer(relying_party.issuer),
        subject=_subject(claims),
        auth_time=_auth_time(claims, relying_party, expected.now),
        every=claims,
    )


def auth_time_in(token: str) -> datetime | None:
    """When the person of an already verified token had authenticated, by the provider's clock; None if it
    does not say."""
    try:
        claims = json_object(octets_of(token.split(".")[1]))
        return instant(claims, "auth_time", _KIND) if "auth_time" in claims else None
    except (Unreadable, IndexError, AnswerInvalid):
        return None


def _check_binding(claims: dict[str, Any], algorithm: Algorithm, expected: Expectation) -> None:
    if not _are_equal(claims.get("nonce"), expected.nonce):
        raise _KIND.refused("nonce is not the one of this sign-in")
    if "at_hash" in claims and not _are_equal(claims["at_hash"], _at_hash(expected.access_token, algorithm)):
        raise _KIND.refused("at_hash belongs to another access token")


def _are_equal(received: object, expected: str) -> bool:
    # Lone surrogates cannot be encoded as UTF-8. "surrogatepass" makes them comparable.
    return isinstance(received, str) and hmac.compare_digest(
        received.encode("utf-8", "surrogatepass"), expected.encode()
    )


def _at_hash(access_token: str, algorithm: Algorithm) -> str:
    """OpenID Connect Core §3.1.3.6: the left half of the access token's hash, by the hash of the token's
    algorithm. For Ed25519 that is SHA-512."""
    digest = hashlib.new(
        "sha512" if algorithm == "EdDSA" else f"sha{algorithm[2:]}", access_token.encode()
    ).digest()
    return base64url(digest[: len(digest) // 2])


def _check_times(claims: dict[str, Any], leeway: timedelta, now: datetime) -> None:
    issued_at = signed_token.check_times(claims, _KIND, leeway=leeway, now=now).issued_at
    if issued_at < now - _OLDEST:
        raise _KIND.refused(
            f"issued {seconds(now - issued_at)} ago, yet asked for just now; are both clocks right?"
        )


def _auth_time(claims: dict[str, Any], relying_party: RelyingParty, now: datetime) -> datetime | None:
    if "auth_time" not in claims:
        if relying_party.demands_fresh_authentication:
            raise AuthenticationTooOld(f"{_KIND.name}: auth_time is missing, though max_age was asked for")
        return None
    auth_time = instant(claims, "auth_time", _KIND)
    if auth_time > now + relying_party.leeway:
        raise _KIND.refused(f"auth_time lies {seconds(auth_time - now)} ahead; are both clocks right?")
    if relying_party.max_age is not None and now - auth_time > relying_party.max_age + relying_party.leeway:
        problem = f"the person authenticated {seconds(now - auth_time)} ago, longer than max_age"
        raise AuthenticationTooOld(f"{_KIND.name}: {problem}", is_dated=True)
    return auth_time


def _subject(claims: dict[str, Any]) -> Subject:
    subject = claims.get("sub")
    if not is_identifier(subject):
        raise _KIND.refused("sub is missing, too long or invisible")
    return Subject(subject)
