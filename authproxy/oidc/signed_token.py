"""PURE: reads a token that the provider has signed (RFC 7515 compact form, RFC 8725), and checks the claims
that all kinds of tokens have.

Before the signature has been verified, only the header is read, and only to find the key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from authproxy.oidc.key_set import VerificationKey
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.relying_party import Algorithm, RelyingParty
from authproxy.oidc.wire import Unreadable, is_visible, json_object, octets_of

# Header members with which a token chooses its own key, changes how the rest is read, or demands extensions
# that we do not know (RFC 7515 §4.1.11).
_FORBIDDEN_HEADERS = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"})
_LAST_SECOND = 253_402_300_799  # of the year 9999, beyond which there is no datetime


@dataclass(frozen=True, slots=True)
class TokenKind:
    """A kind of token. `types` are the accepted values of `typ`, in capitals; a token without `typ` counts as
    `JWT`. A token of more than `longest` characters is not read."""

    name: str
    types: frozenset[str]
    longest: int = 16 * 1024

    def refused(self, found: str) -> TokenRefused:
        return TokenRefused(f"{self.name}: {found}")


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A well-formed token. Nothing else has been checked."""

    kind: TokenKind
    key_id: str | None
    algorithm: Algorithm
    token_type: str
    """`typ` in capitals; `JWT` if the token has none."""
    signing_input: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTimes:
    expires_at: datetime
    issued_at: datetime


def read(token: str, kind: TokenKind, *algorithms: Algorithm) -> SignedToken:
    """The parts of a token in JWS compact form. Its header must match the kind and one of the algorithms.
    Raises TokenRefused."""
    if len(token) > kind.longest:
        raise kind.refused(f"longer than {kind.longest} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise kind.refused("not three parts")
    try:
        header_octets, payload, signature = (octets_of(part) for part in parts)
        header = json_object(header_octets)
    except Unreadable as found:
        raise kind.refused(f"header or encoding: {found}") from None
    algorithm = next((allowed for allowed in algorithms if allowed == header.get("alg")), None)
    if algorithm is None:
        raise kind.refused(f"signed with another algorithm than {' or '.join(algorithms)}")
    if forbidden := header.keys() & _FORBIDDEN_HEADERS:
        raise kind.refused(f"header has {', '.join(sorted(forbidden))}")
    # RFC 8725 §3.11: `typ` tells access tokens, ID tokens and logout tokens apart, which the same key may
    # sign.
    token_type = header.get("typ", "JWT")
    if not isinstance(token_type, str) or token_type.upper() not in kind.types:
        raise kind.refused("typed as something else")
    key_id = header.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise kind.refused("kid is no text")
    signing_input = ".".join(parts[:2]).encode("ascii")
    return SignedToken(kind, key_id, algorithm, token_type.upper(), signing_input, payload, signature)


def claims_of(token: SignedToken, key: VerificationKey) -> dict[str, Any]:
    """The claims, after the signature has been verified. Raises TokenRefused."""
    if not key.has_signed(token.signing_input, token.signature):
        raise token.kind.refused("the signature is wrong")
    try:
        return json_object(token.payload)
    except Unreadable as found:
        raise token.kind.refused(f"claims: {found}") from None


def check_parties(claims: Mapping[str, Any], kind: TokenKind, relying_party: RelyingParty) -> None:
    """Raises TokenRefused unless the token is from this issuer, and for this client and at most the further
    audiences that the settings trust."""
    if claims.get("iss") != relying_party.issuer:
        raise kind.refused("iss is not the configured issuer, to the byte")
    stated = claims.get("aud")
    audiences = stated if isinstance(stated, list) else [stated]
    # OpenID Connect Core §3.1.3.7: a token for untrusted further audiences is refused. One of them could have
    # stolen it.
    if relying_party.client_id not in audiences or not all(
        isinstance(audience, str)
        and (audience == relying_party.client_id or audience in relying_party.audiences)
        for audience in audiences
    ):
        trusted = " and those of `rekono.audiences`" if relying_party.audiences else ""
        raise kind.refused(f"aud is not exactly this client{trusted}")
    if len(audiences) > 1 and "azp" not in claims:
        raise kind.refused("aud names several, and azp does not say that the token is for this client")
    if claims.get("azp", relying_party.client_id) != relying_party.client_id:
        raise kind.refused("azp is another client")


def check_times(
    claims: Mapping[str, Any], kind: TokenKind, *, leeway: timedelta, now: datetime
) -> TokenTimes:
    """Raises TokenRefused for a token that has expired or is not valid yet. Each kind sets its own maximum
    age."""
    expires_at, issued_at = instant(claims, "exp", kind), instant(claims, "iat", kind)
    not_before = instant(claims, "nbf", kind) if "nbf" in claims else issued_at
    if now - leeway >= expires_at:
        raise kind.refused(f"expired {seconds(now - expires_at)} ago; are both clocks right?")
    if max(issued_at, not_before) > now + leeway:
        raise kind.refused(
            f"valid only in {seconds(max(issued_at, not_before) - now)}; are both clocks right?"
        )
    return TokenTimes(expires_at=expires_at, issued_at=issued_at)


def check_validity(claims: Mapping[str, Any], kind: TokenKind, *, leeway: timedelta, now: datetime) -> None:
    """Raises TokenRefused for a token that says that it has expired or is not valid yet. A token without
    times is valid."""
    if "exp" in claims and now - leeway >= (expires_at := instant(claims, "exp", kind)):
        raise kind.refused(f"expired {seconds(now - expires_at)} ago; are both clocks right?")
    for name in ("iat", "nbf"):
        if name in claims and (begins_at := instant(claims, name, kind)) > now + leeway:
            raise kind.refused(f"valid only in {seconds(begins_at - now)}; are both clocks right?")


def instant(claims: Mapping[str, Any], name: str, kind: TokenKind) -> datetime:
    """The claim as a time, in whole seconds. Raises TokenRefused if it is missing or not a time."""
    value = claims.get(name)
    # In Python `True` is an int, and some readers accept numbers in quotes. Neither is a JSON number (RFC
    # 7519 §2).
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        raise kind.refused(f"{name} is missing or no time")
    return datetime.fromtimestamp(math.floor(value), UTC)


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


def is_identifier(value: object) -> TypeGuard[str]:
    """Whether a claim can be an identifier: text of 1 to 255 visible characters (OpenID Connect Core §2:
    `sub` has at most 255)."""
    return isinstance(value, str) and 1 <= len(value) <= 255 and is_visible(value)
