"""PURE: whether an access token is genuine, for this gateway, and a program's own (RFC 9068 §4, RFC 8725).

Issuer, audience and algorithm come from the settings. A token that speaks for a person is refused: a program
that has a person's token must not come in as itself, and no person comes in without signing in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from authproxy.oidc import signed_token
from authproxy.oidc.key_set import VerificationKey
from authproxy.oidc.relying_party import ALGORITHMS, Algorithm, is_endpoint
from authproxy.oidc.signed_token import SignedToken, TokenKind, instant, is_identifier

_PROFILE: Final = frozenset({"AT+JWT", "APPLICATION/AT+JWT"})
"""RFC 9068 §2.1."""
_KIND: Final = TokenKind("access token", _PROFILE | {"JWT"})
_OF_A_PERSON: Final = frozenset({"nonce", "at_hash", "c_hash", "auth_time", "amr", "sid", "session_state"})
"""Claims of ID tokens, and of access tokens for somebody who has signed in. Keycloak states `acr` for
programs, too."""
_OF_ANOTHER_KIND: Final = frozenset({"events"})
"""Of logout tokens and security events (RFC 8417)."""
_BINDING: Final = frozenset({"cnf"})
"""The token is good only with a key that the client proves to have (RFC 8705 §3.1, RFC 9449 §6.1). Nobody
checks that here, so somebody else may have taken it."""
_NAMES_OF_THE_CLIENT: Final = ("sub", "client_id", "azp")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAgreement:
    """Whose access tokens are believed, and which. `subject_claim` names the client. Raises ValueError for an
    impossible agreement."""

    issuer: str
    audience: str
    jwks_url: str
    algorithm: Algorithm = "RS256"
    subject_claim: str = "client_id"
    leeway: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience or not self.subject_claim:
            raise ValueError("issuer, audience and subject_claim cannot be empty")
        if self.algorithm not in ALGORITHMS:
            raise ValueError("algorithm is not supported")
        if not is_endpoint(self.jwks_url, issuer=self.issuer):
            raise ValueError("jwks_url: https is needed (http on localhost only), without user and fragment")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a token says that has passed every check. `ends_at` includes the leeway."""

    client_id: str
    scopes: frozenset[str]
    ends_at: datetime


def read(token: str, agreement: TokenAgreement) -> SignedToken:
    """Like `signed_token.read`, for an access token."""
    return signed_token.read(token, _KIND, agreement.algorithm)


def verified(
    token: SignedToken, key: VerificationKey, agreement: TokenAgreement, *, now: datetime
) -> AccessToken:
    """Checks the signature first and then every claim. Raises TokenRefused for the first check that fails."""
    claims = signed_token.claims_of(token, key)
    _check_parties(claims, agreement)
    expires_at = instant(claims, "exp", _KIND)
    signed_token.check_validity(claims, _KIND, leeway=agreement.leeway, now=now)
    _check_meaning(claims)
    client_id = claims.get(agreement.subject_claim)
    if not is_identifier(client_id):
        raise _KIND.refused(f"{agreement.subject_claim} is missing, too long, invisible or no text")
    # RFC 9068 §2.2: where no person is involved, `sub` names the client. A plain JWT may name it otherwise
    # there: Keycloak and Entra ID state the id of an account that they keep for the program.
    if (token.token_type in _PROFILE or agreement.subject_claim == "sub") and any(
        claims[name] != client_id for name in _NAMES_OF_THE_CLIENT if name in claims
    ):
        raise _KIND.refused(
            "sub, client_id and azp are not all the client, so the token speaks for somebody else"
        )
    return AccessToken(client_id=client_id, scopes=_scopes(claims), ends_at=expires_at + agreement.leeway)


def _check_parties(claims: Mapping[str, Any], agreement: TokenAgreement) -> None:
    if claims.get("iss") != agreement.issuer:
        raise _KIND.refused("iss is not the configured issuer, to the byte")
    stated = claims.get("aud")
    audiences = stated if isinstance(stated, list) else [stated]
    # RFC 9068 §4: one of them must be this gateway. Others may stand beside it, because one token may be for
    # several servers.
    if agreement.audience not in audiences or not all(isinstance(each, str) for each in audiences):
        raise _KIND.refused("aud does not name the configured audience")


def _check_meaning(claims: Mapping[str, Any]) -> None:
    """Keeps out tokens of other kinds that the same key may have signed (RFC 8725 §3.12), and those of
    people."""
    for names, what in (
        (_OF_A_PERSON, "it is about a person who has signed in"),
        (_OF_ANOTHER_KIND, "it is a token of another kind"),
        (_BINDING, "it is bound to a key of its client, which is not checked here"),
    ):
        if found := claims.keys() & names:
            raise _KIND.refused(f"{what} ({', '.join(sorted(found))})")


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """RFC 9068 §2.2.3: words with blanks between them. Some issuers write a list, or `scp`."""
    stated = claims.get("scope", claims.get("scp", ""))
    words = stated.split(" ") if isinstance(stated, str) else stated
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _KIND.refused("scope is no list of words")
    return frozenset(words) - {""}
