"""PURE: the authorization request and its response: OpenID Connect Core §3.1.2, PKCE (RFC 7636), `iss` in the
response (RFC 9207)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from authproxy.access.decision import Reason
from authproxy.oidc.refused import AnswerInvalid, AuthorizationRefused, registered
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.wire import base64url

# RFC 6749 appendix A.11: a code is VSCHAR of any length. Rekono's has 32 characters, Microsoft's have up to
# 2,500. The limit keeps the token request small.
_CODE = re.compile(r"[\x20-\x7e]{1,8192}", re.ASCII)
_STATE = re.compile(r"[\x21-\x7e]{1,2048}", re.ASCII)
# RFC 6749 §4.1.2.1: these stand for 500 and 503, which cannot be sent in a redirect of the browser.
_OUTAGES = frozenset({"server_error", "temporarily_unavailable"})
_TOKENS = frozenset({"id_token", "access_token"})
_NO_EXTRA: Mapping[str, str] = MappingProxyType({})
_PARAMETERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"}) | _TOKENS


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """A response that has passed the checks. Until its code is redeemed, whoever has the code could get a
    session."""

    code: str = field(repr=False)


def parameters(
    relying_party: RelyingParty,
    *,
    redirect_uri: str,
    state: str,
    nonce: str,
    code_verifier: str,
    ui_locales: str,
    anew: bool = False,
    extra: Mapping[str, str] = _NO_EXTRA,
) -> dict[str, str]:
    """The parameters of an authorization request. `anew` demands a new authentication even if somebody is
    signed in at the provider: by the same person after a repair of their data, or by another one. `extra`
    parameters are sent unless they have the name of one of ours."""
    parameters = {
        **extra,
        "response_type": "code",
        "client_id": relying_party.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(relying_party.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": code_challenge(code_verifier),
        "code_challenge_method": "S256",  # MITREid's default is `plain`
        "ui_locales": ui_locales,
    }
    prompt = "login" if anew else relying_party.prompt
    if prompt is not None:
        parameters["prompt"] = prompt
    # MITREid does not enforce max_age if there is a prompt. It is sent anyway, because otherwise there would
    # be no auth_time to check.
    if relying_party.max_age is not None and (anew or prompt is None):
        parameters["max_age"] = str(
            int(relying_party.max_age.total_seconds())
        )  # digits only: anything else is a 500 at MITREid
    return parameters


def code_challenge(code_verifier: str) -> str:
    """RFC 7636 §4.2, method S256."""
    return base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


def state_of(parameters: Sequence[tuple[str, str]]) -> str | None:
    """The state that finds the attempt; None unless there is exactly one that could be ours."""
    states = [value for name, value in parameters if name == "state"]
    return states[0] if len(states) == 1 and _STATE.fullmatch(states[0]) else None


def read_response(
    parameters: Sequence[tuple[str, str]], *, expected_issuer: str, issuer_is_announced: bool
) -> AuthorizationResponse:
    """The code in a response whose state is known. Raises AuthorizationRefused, whose text never quotes the
    provider."""
    occurrences = Counter(name for name, _ in parameters if name in _PARAMETERS)
    if any(count > 1 for count in occurrences.values()):
        raise AnswerInvalid("authorization response: a parameter occurs twice")
    received = dict(parameters)
    if received.get("iss", expected_issuer) != expected_issuer or (
        issuer_is_announced and "iss" not in received
    ):
        raise AnswerInvalid("authorization response: not from this issuer (RFC 9207)")
    if received.keys() & _TOKENS:
        raise AnswerInvalid(
            "authorization response: a token, which was not asked for and must not travel through a browser"
        )
    if "error" in received:
        raise _refused(received)
    if not _CODE.fullmatch(received.get("code", "")):
        raise AnswerInvalid(
            "authorization response: no code, or none that RFC 6749 allows, or one of more than 8192 "
            "characters"
        )
    return AuthorizationResponse(received["code"])


def _refused(received: dict[str, str]) -> AuthorizationRefused:
    if "code" in received:
        return AnswerInvalid("authorization response: both an error and a code")
    if received["error"] == "access_denied":
        return AuthorizationRefused(
            Reason.CONSENT_REFUSED, "authorization response: access_denied", error="access_denied"
        )
    reason = Reason.PROVIDER_UNAVAILABLE if received["error"] in _OUTAGES else Reason.PROVIDER_REFUSED
    error = registered(received["error"])
    return AuthorizationRefused(
        reason, f"authorization response: {error or 'an error whose code is not registered'}", error=error
    )
