"""PURE: whether a logout token is genuine, for this gateway, and recent, and which sessions it names: OpenID
Connect Back-Channel Logout 1.0 §2.4, §2.6. The caller must remember `token_id`, so that a token takes effect
once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from authproxy.identity.person import Issuer, Subject
from authproxy.oidc import signed_token
from authproxy.oidc.key_set import VerificationKey
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.signed_token import SignedToken, TokenKind, instant, is_identifier, seconds

EVENT = "http://schemas.openid.net/event/backchannel-logout"
_NAME = "logout token"
_TYPED = TokenKind(_NAME, frozenset({"LOGOUT+JWT", "APPLICATION/LOGOUT+JWT"}))
# Since 2022 §2.4 recommends a type of its own. Older providers send no `typ`, or JWT.
_TYPED_OR_NOT = TokenKind(_NAME, _TYPED.types | {"JWT"})
_OLDEST = timedelta(minutes=5)
"""§2.4 recommends that tokens expire within two minutes. The longer a token is accepted, the longer a stolen
one can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """The request of a token that has passed every check. At least one of `subject` and `provider_session` is
    set."""

    issuer: Issuer
    subject: Subject | None = field(repr=False)
    provider_session: str | None = field(repr=False)
    token_id: str = field(repr=False)
    good_until: datetime
    """After this time the token is refused as too old."""


def read(token: str, relying_party: RelyingParty) -> SignedToken:
    """Like `signed_token.read`, for a logout token."""
    kind = _TYPED if relying_party.logout_tokens == "typed" else _TYPED_OR_NOT
    return signed_token.read(token, kind, relying_party.algorithm)


def verified(
    token: SignedToken, key: VerificationKey, relying_party: RelyingParty, *, now: datetime
) -> LogoutToken:
    """Checks the signature first and then every claim. Raises TokenRefused for the first check that fails."""
    kind = token.kind
    claims = signed_token.claims_of(token, key)
    signed_token.check_parties(claims, kind, relying_party)
    _check_meaning(claims, kind)
    good_until = _good_until(claims, kind, relying_party, now)
    token_id = claims.get("jti")
    if not is_identifier(token_id):
        raise kind.refused("jti is missing, too long or invisible")
    subject, provider_session = _optional(claims, "sub", kind), _optional(claims, "sid", kind)
    if subject is None and provider_session is None:
        raise kind.refused("neither sub nor sid")
    return LogoutToken(
        issuer=Issuer(relying_party.issuer),
        subject=None if subject is None else Subject(subject),
        provider_session=provider_session,
        token_id=token_id,
        good_until=good_until,
    )


def _check_meaning(claims: Mapping[str, Any], kind: TokenKind) -> None:
    """§2.6: demands `events` and forbids `nonce`. Otherwise an ID token could be replayed as a logout token,
    because the same key signs both and `typ` may be missing."""
    events = claims.get("events")
    if not isinstance(events, dict) or events.keys() != {EVENT} or not isinstance(events[EVENT], dict):
        raise kind.refused("events is not that of a back-channel logout alone")
    if "nonce" in claims:
        raise kind.refused("it has a nonce, as ID tokens do")


def _good_until(
    claims: dict[str, Any], kind: TokenKind, relying_party: RelyingParty, now: datetime
) -> datetime:
    leeway = relying_party.leeway
    if relying_party.logout_tokens == "draft" and "exp" not in claims:
        # The maximum age, which holds for every token, is the only limit then.
        claims = {**claims, "exp": (instant(claims, "iat", kind) + _OLDEST).timestamp()}
    times = signed_token.check_times(claims, kind, leeway=leeway, now=now)
    if now - times.issued_at >= _OLDEST + leeway:
        raise kind.refused(f"issued {seconds(now - times.issued_at)} ago; are both clocks right?")
    return min(times.expires_at, times.issued_at + _OLDEST) + leeway


def _optional(claims: Mapping[str, Any], name: str, kind: TokenKind) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not is_identifier(value):
        raise kind.refused(f"{name} is too long, invisible or no text")
    return value
