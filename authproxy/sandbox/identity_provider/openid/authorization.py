"""PURE: authorization requests: what a relying party may ask for, and what must happen before the answer (RFC
6749 §4.1, RFC 7636, OpenID Connect Core §3.1.2).

Where MITREid Connect differs from the specifications, this module does as MITREid does and says so.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode, urlsplit, urlunsplit

from authproxy.sandbox.identity_provider.openid.clients import Client

TAX_NUMBER_SCOPE = "http://idp.rekono.si/openid/taxnumber"
SCOPES = ("openid", "profile", "email", "address", "phone", TAX_NUMBER_SCOPE)


class NotAnswerable(Exception):  # noqa: N818
    """An error that is shown to the person and not sent to the redirect URI, because the sender cannot be
    trusted with an answer (RFC 6749 §4.1.2.1)."""

    def __init__(self, problem: str, *, status: int = 400) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status


class AuthorizationRefused(Exception):  # noqa: N818
    """An error that is sent to the relying party at `location`."""

    def __init__(self, location: str) -> None:
        super().__init__("the authorization request is refused")
        self.location = location


class Step(enum.Enum):
    SIGN_IN = enum.auto()
    CONSENT = enum.auto()
    ISSUE = enum.auto()
    LOGIN_REQUIRED = "login_required"
    INTERACTION_REQUIRED = "interaction_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None = field(repr=False)
    nonce: str | None = field(repr=False)
    code_challenge: str | None
    code_challenge_method: str
    max_age: int | None
    prompts: frozenset[str]
    login_hint: str = field(repr=False)


def read(parameters: Sequence[tuple[str, str]], clients: Mapping[str, Client]) -> AuthorizationRequest:
    """The request in the parameters. Raises NotAnswerable or Refused."""
    given = dict(parameters)
    if len(given) != len(parameters):
        raise NotAnswerable("parameter_repeated")
    client = clients.get(given.get("client_id", ""))
    if client is None:
        raise NotAnswerable("client_unknown")
    redirect_uri = given.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise NotAnswerable("redirect_uri_unknown")
    state = given.get("state")
    if given.get("response_type") != "code":
        raise AuthorizationRefused(answer(redirect_uri, error="unsupported_response_type", state=state))
    scopes = (
        tuple(given.get("scope", "").split()) or SCOPES
    )  # without `scope` all registered scopes, as at MITREid
    challenge, method = given.get("code_challenge"), given.get("code_challenge_method", "plain")
    if not set(scopes) <= {*SCOPES, "offline_access"}:
        raise AuthorizationRefused(answer(redirect_uri, error="invalid_scope", state=state))
    if challenge is not None and method not in ("plain", "S256"):
        raise AuthorizationRefused(answer(redirect_uri, error="invalid_request", state=state))
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scopes=scopes,
        state=state,
        nonce=given.get("nonce"),
        code_challenge=challenge,
        code_challenge_method=method,
        max_age=_seconds(given.get("max_age")),
        prompts=frozenset(given.get("prompt", "").split()),
        login_hint=_hint(given.get("login_hint", "")),
    )


def next_step(
    request: AuthorizationRequest,
    *,
    authenticated_at: datetime | None,
    just_signed_in: bool,
    consented: bool,
    now: datetime,
) -> Step:
    """The next step for a person who signed in at `authenticated_at`, or has not signed in (None)."""
    if "none" in request.prompts:
        if authenticated_at is None:
            return Step.LOGIN_REQUIRED
        return Step.ISSUE if consented else Step.INTERACTION_REQUIRED
    if authenticated_at is None or (
        not just_signed_in and _must_sign_in_again(request, authenticated_at, now)
    ):
        return Step.SIGN_IN
    return Step.ISSUE if consented else Step.CONSENT


def answer(redirect_uri: str, **parameters: str | None) -> str:
    """The redirect URI with the parameters added to its query. An empty state comes back empty."""
    parts = urlsplit(redirect_uri)
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))


def verifier_fits(challenge: str, method: str, verifier: str) -> bool:
    """RFC 7636 §4.6."""
    if method == "S256":
        verifier = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(challenge.encode(), verifier.encode())


def _must_sign_in_again(request: AuthorizationRequest, authenticated_at: datetime, now: datetime) -> bool:
    if request.prompts:
        return "login" in request.prompts  # MITREid ignores max_age if any prompt is sent
    return request.max_age is not None and (now - authenticated_at).total_seconds() > request.max_age


def _seconds(max_age: str | None) -> int | None:
    if max_age is None:
        return None
    if not (max_age.isascii() and max_age.removeprefix("-").isdigit()):
        raise NotAnswerable("max_age_unreadable", status=500)  # MITREid: NumberFormatException
    return int(max_age)


def _hint(login_hint: str) -> str:
    return "" if login_hint.startswith(("http://", "https://")) else login_hint[:320]
