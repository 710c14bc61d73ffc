"""Asks the userinfo endpoint about the person of the access token: OpenID Connect Core §5.3, as JSON or as a
signed JWT (§5.3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import aiohttp

from authproxy.access.unavailable import CannotAsk
from authproxy.oidc import signed_token
from authproxy.oidc.exchange import ProviderAnswer, ProviderQuestion, ask
from authproxy.oidc.metadata import Metadata, ProviderMetadata
from authproxy.oidc.refused import AnswerInvalid
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.signed_token import TokenKind
from authproxy.telemetry.logging import logger

_SIZE_LIMIT = 256 * 1024
_NAME = "userinfo endpoint"
_KIND = TokenKind("userinfo", frozenset({"JWT"}), longest=64 * 1024)


class UserInfo:
    def __init__(
        self,
        relying_party: RelyingParty,
        session: aiohttp.ClientSession,
        provider: ProviderMetadata,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self._provider = provider
        self._clock = clock

    async def fetch(self, metadata: Metadata, *, access_token: str, subject: str) -> Mapping[str, object]:
        """The claims about the subject of the ID token; none if the endpoint is not asked, or may fail and
        does.

        Raises AnswerInvalid for an answer that must not be believed, even if no answer is needed, and
        CannotAsk if a needed answer is missing.
        """
        if metadata.userinfo_endpoint is None or self._relying_party.userinfo == "off":
            return {}
        try:
            answer = await self._asked(metadata.userinfo_endpoint, access_token)
            if answer.status != 200:
                return self._without(
                    AnswerInvalid(f"{_NAME}: {answer.status} for a token that has just been issued")
                )
            claims = await self._claims(answer, metadata)
        except CannotAsk as failure:
            return self._without(failure)
        if claims.get("sub") != subject:
            # OpenID Connect Core §5.3.2: `sub` must be that of the ID token. Otherwise the access token may
            # be another person's (token substitution).
            raise AnswerInvalid(f"{_NAME}: about another subject than the ID token")
        return claims

    def _without(self, failure: CannotAsk | AnswerInvalid) -> Mapping[str, object]:
        """The claims without an answer: none. Raises the failure if an answer is needed."""
        if self._relying_party.userinfo == "required":
            raise failure
        logger("oidc").warning("userinfo.unanswered", error=str(failure))
        return {}

    async def _asked(self, url: str, access_token: str) -> ProviderAnswer:
        question = ProviderQuestion(
            name=_NAME, url=url, headers={"Authorization": f"Bearer {access_token}"}, size_limit=_SIZE_LIMIT
        )
        return await ask(self._session, question, time_limit=self._relying_party.timeout)

    async def _claims(self, answer: ProviderAnswer, metadata: Metadata) -> Mapping[str, object]:
        if answer.media_type != "application/jwt":
            return answer.json_object()
        # Latin-1 decodes every byte. Characters outside ASCII are then refused as not base64url.
        token = signed_token.read(
            answer.body.decode("latin-1"), _KIND, self._relying_party.algorithm, *metadata.userinfo_algorithms
        )
        key = await self._provider.userinfo_key(token.key_id, token.algorithm)
        if key is None:
            raise _KIND.refused("no usable key of the provider is the one that it names")
        claims = signed_token.claims_of(token, key)
        signed_token.check_parties(claims, _KIND, self._relying_party)
        signed_token.check_validity(claims, _KIND, leeway=self._relying_party.leeway, now=self._clock())
        return claims
