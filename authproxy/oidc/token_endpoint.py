"""Redeems an authorization code: RFC 6749 §4.1.3 with PKCE (RFC 7636 §4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from authproxy.access.decision import Reason
from authproxy.oidc.client_credentials import ClientCredentials
from authproxy.oidc.exchange import ProviderAnswer, ProviderQuestion, ask
from authproxy.oidc.refused import AnswerInvalid, AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty

_SIZE_LIMIT = 256 * 1024  # two tokens, and whatever else a provider puts into the answer
_LONGEST_LIFETIME = 366 * 24 * 3600
_TOKEN = re.compile(r"[\x20-\x7e]{1,32768}", re.ASCII)
# RFC 6749 §5.2: with these errors the provider rejects us as its client. No user can help that, and it
# happens to every user.
_OUR_FAULT = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """The tokens as received, unverified."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    """Seconds for which the access token is valid; None if the provider does not say."""


class TokenEndpoint:
    def __init__(
        self, relying_party: RelyingParty, session: aiohttp.ClientSession, credentials: ClientCredentials
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self._credentials = credentials

    async def redeem(self, url: str, *, code: str, redirect_uri: str, code_verifier: str) -> TokenAnswer:
        """Exchanges the code for tokens. Raises AuthorizationRefused if the provider refuses the code or this
        client, and CannotAsk if it gives no answer."""
        credentials = self._credentials.for_audience(url)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
            **credentials.form,
        }
        question = ProviderQuestion(
            name="token endpoint",
            url=url,
            headers=credentials.headers,
            form=form,
            goes_on=True,  # to userinfo
            size_limit=_SIZE_LIMIT,
        )
        answer = await ask(self._session, question, time_limit=self._relying_party.timeout)
        if answer.status != 200:
            raise _refused(answer)
        return _tokens(answer.json_object())


def _refused(answer: ProviderAnswer) -> AuthorizationRefused:
    error = answer.error
    # A 401 concerns our authentication, whatever its body says: some providers send a page with it.
    if answer.status == 401 or error in _OUR_FAULT:
        problem = (
            "the provider does not accept this relying party; check `rekono.client_id`, "
            "`rekono.client_secret_file` or the key"
        )
        return AuthorizationRefused(
            Reason.PROVIDER_REFUSED, f"token endpoint: {answer.said}: {problem}", error=error
        )
    # MITREid repeats the code in `error_description`, so that is not read.
    if isinstance(answer.json_object().get("error"), str):
        return AuthorizationRefused(
            Reason.PROVIDER_REFUSED, f"token endpoint: {answer.said}: the code was refused", error=error
        )
    return AnswerInvalid(f"token endpoint: {answer.status} without an error code (RFC 6749 §5.2)")


def _tokens(document: dict[str, Any]) -> TokenAnswer:
    id_token, access_token, token_type = (
        document.get(name) for name in ("id_token", "access_token", "token_type")
    )
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise AnswerInvalid("token endpoint: the token type is not Bearer")
    if not isinstance(access_token, str) or not _TOKEN.fullmatch(access_token):
        raise AnswerInvalid("token endpoint: no access token")
    if not isinstance(id_token, str):
        raise AnswerInvalid("token endpoint: no ID token")
    expires_in = document.get("expires_in")
    return TokenAnswer(
        id_token=id_token,
        access_token=access_token,
        refresh_token=refresh_token_in(document),
        expires_in=expires_in if type(expires_in) is int and 0 < expires_in < _LONGEST_LIFETIME else None,
    )


def refresh_token_in(document: dict[str, Any]) -> str | None:
    """The refresh token in an answer; None if there is no usable one."""
    refresh_token = document.get("refresh_token")
    return refresh_token if isinstance(refresh_token, str) and _TOKEN.fullmatch(refresh_token) else None
