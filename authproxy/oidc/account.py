"""Asks the provider, without the person, whether their account still exists: with the refresh token (RFC 6749
§6) or by introspection of the access token (RFC 7662). Also revokes these tokens (RFC 7009).

Only an unambiguous answer counts as "no". New tokens are not examined; what counts is whether there are any.
Nobody's name, level or session end is taken from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import aiohttp

from authproxy.identity.grant import Grant
from authproxy.oidc.client_credentials import ClientCredentials
from authproxy.oidc.exchange import ProviderAnswer, ProviderQuestion, ask, cannot_ask
from authproxy.oidc.metadata import ProviderMetadata
from authproxy.oidc.refused import AnswerInvalid
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.token_endpoint import refresh_token_in

_SIZE_LIMIT: Final = 64 * 1024
_REFUSALS: Final = ("invalid_grant", "invalid_token")


@dataclass(frozen=True, slots=True)
class Stands:
    """The account exists. `grant` replaces the one that was used, if the provider has issued a new one."""

    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The account is withdrawn. `detail` tells operators what the provider answered."""

    detail: str


class AccountQuestions:
    """Every method raises CannotAsk for an answer that is neither a yes nor a no."""

    def __init__(
        self,
        relying_party: RelyingParty,
        session: aiohttp.ClientSession,
        credentials: ClientCredentials,
        *,
        metadata: ProviderMetadata,
        clock: Callable[[], datetime],
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self._metadata = metadata
        self._credentials = credentials
        self._clock = clock

    async def ask(self, grant: Grant) -> Stands | Withdrawn:
        """Whether the account exists now, according to the provider."""
        if grant.refresh_token is not None:
            return await self._refreshed(grant.refresh_token)
        if grant.access_token is not None:
            return await self._introspected(grant.access_token, grant.ends_at)
        raise cannot_ask("there is no token to ask with")

    async def end(self, grant: Grant) -> None:
        """Revokes the token at the provider, if that has a revocation endpoint. If the provider does not know
        the token, it answers 200 all the same (RFC 7009 §2.2)."""
        url = (await self._metadata.current()).revocation_endpoint
        token = grant.refresh_token or grant.access_token
        if url is None or token is None:
            return
        kind = "access_token" if grant.refresh_token is None else "refresh_token"
        answer = await self._asked("revocation endpoint", url, {"token": token, "token_type_hint": kind})
        if answer.status != 200:
            raise cannot_ask(f"revocation endpoint answered {answer.status}")

    async def _refreshed(self, refresh_token: str) -> Stands | Withdrawn:
        url = (await self._metadata.current()).token_endpoint
        answer = await self._asked(
            "token endpoint", url, {"grant_type": "refresh_token", "refresh_token": refresh_token}
        )
        document = _object_in(answer)
        # For a revoked refresh token RFC 6749 §5.2 wants `invalid_grant` and 400. MITREid answers
        # `invalid_token` and 401.
        if answer.status in {400, 401} and document.get("error") in _REFUSALS:
            return Withdrawn(f"refresh token: {document['error']}")
        if answer.status != 200 or not isinstance(document.get("access_token"), str):
            raise cannot_ask(
                f"token endpoint answered {answer.status} to a refresh token, which is neither a yes nor a no"
            )
        renewed = refresh_token_in(document)
        return Stands(None if renewed in {None, refresh_token} else Grant(refresh_token=renewed))

    async def _introspected(self, access_token: str, ends_at: datetime | None) -> Stands | Withdrawn:
        url = (await self._metadata.current()).introspection_endpoint
        if url is None:
            raise cannot_ask("the provider names no introspection endpoint any more")
        # An expired token is inactive, which says nothing about the account. The provider's clock may be
        # ahead, hence the margin.
        margin = self._relying_party.leeway + timedelta(seconds=1)
        if ends_at is None or self._clock() >= ends_at - margin:
            raise cannot_ask("the access token is over: without a refresh token nobody can ask any more")
        answer = await self._asked(
            "introspection endpoint", url, {"token": access_token, "token_type_hint": "access_token"}
        )
        active = _object_in(answer).get("active") if answer.status == 200 else None
        if active is False:
            return Withdrawn("introspection: the access token is not active")
        if active is not True:
            raise cannot_ask(
                f"introspection endpoint answered {answer.status}, which is neither a yes nor a no"
            )
        return Stands()

    async def _asked(self, name: str, url: str, form: dict[str, str]) -> ProviderAnswer:
        # Providers accept an assertion for the token endpoint at the other two endpoints, too.
        credentials = self._credentials.for_audience((await self._metadata.current()).token_endpoint)
        question = ProviderQuestion(
            name=name,
            url=url,
            headers=credentials.headers,
            form={**form, **credentials.form},
            size_limit=_SIZE_LIMIT,
        )
        return await ask(self._session, question, time_limit=self._relying_party.timeout)


def _object_in(answer: ProviderAnswer) -> dict[str, object]:
    try:
        return answer.json_object()
    except AnswerInvalid as invalid:
        raise cannot_ask(str(invalid)) from None
