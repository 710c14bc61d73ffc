"""Asks the userinfo endpoint who the access token speaks for: OpenID Connect Core §5.3."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from authproxy.oidc.exchange import Question, ask
from authproxy.oidc.refused import AnswerInvalid
from authproxy.oidc.relying_party import RelyingParty

_SIZE_LIMIT = 64 * 1024


class UserInfo:
    def __init__(self, relying_party: RelyingParty, session: aiohttp.ClientSession) -> None:
        self._relying_party = relying_party
        self._session = session

    async def ask(self, url: str, *, access_token: str, subject: str) -> Mapping[str, object]:
        """The claims about the subject of the ID token. Raises AnswerInvalid for anybody else's, CannotAsk if there is no answer."""
        question = Question(
            name="userinfo endpoint", url=url, headers={"Authorization": f"Bearer {access_token}"}, size_limit=_SIZE_LIMIT
        )
        answer = await ask(self._session, question, timeout=self._relying_party.timeout)
        if answer.status != 200:
            raise AnswerInvalid(f"userinfo endpoint: {answer.status} for a token that has just been issued")
        if answer.media_type == "application/jwt":
            # Signed answers must be agreed on at registration, and were not; unsigned ones come as JSON.
            raise AnswerInvalid("userinfo endpoint: a JWT, though JSON was asked for")
        claims = answer.json_object()
        if claims.get("sub") != subject:
            # OpenID Connect Core §5.3.2: the access token may be another person's (token substitution).
            raise AnswerInvalid("userinfo endpoint: about another subject than the ID token")
        return claims
