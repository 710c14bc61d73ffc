"""The provider says, server to server, that somebody has signed out there (OpenID Connect Back-Channel Logout
1.0 §2.6, §2.7): which sessions end, and that a token has its effect once. The wrong session must never end,
and a session that is meant must not survive unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from authproxy.flows.stores import LogoutTokens, SessionStore
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import SessionId, SessionSummary
from authproxy.oidc.back_channel_logout import LogoutToken
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.refused import TokenRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsEnded:
    """`sessions` are those that have ended, perhaps none. `person` is None if the token names only a session
    of the provider."""

    sessions: tuple[SessionSummary, ...]
    person: Person | None = field(repr=False)
    named_by: Literal["sid", "sub"]


@dataclass(frozen=True, slots=True)
class LogoutRefused:
    """Nothing has ended. `detail` says why; no text of the token is in it."""

    detail: str


class BackChannelLogout:
    def __init__(self, *, provider: OpenIdProvider, sessions: SessionStore, tokens: LogoutTokens) -> None:
        self._provider = provider
        self._sessions = sessions
        self._tokens = tokens

    async def end(self, token_text: str, *, now: datetime) -> SessionsEnded | LogoutRefused:
        """Ends the sessions that the token means, at every portal. Once this has returned SessionsEnded, they
        are over on every instance. Raises CannotAsk if the store or the provider's keys could not be asked:
        then the provider must send the token again."""
        try:
            token = await self._provider.logout_token(token_text)
        except TokenRefused as refusal:
            return LogoutRefused(str(refusal))
        # §2.6 step 8: a second token with the same `jti` has no effect.
        if not await self._tokens.take(token.issuer, token.token_id, now=now):
            return LogoutRefused("logout token: it was used before")
        meant = await self._meant(token, now)
        if meant is None:
            return LogoutRefused("logout token: sid is a session of somebody else than sub")
        ended = await self._sessions.revoke_all([summary.session_id for summary in meant])
        # Only now, because a token that has had no effect yet must count when it is sent again.
        await self._tokens.keep(token.issuer, token.token_id, until=token.good_until, now=now)
        return SessionsEnded(
            sessions=tuple(summary for summary in meant if summary.session_id in ended),
            person=None if token.subject is None else Person(issuer=token.issuer, subject=token.subject),
            named_by="sub" if token.provider_session is None else "sid",
        )

    async def _meant(self, token: LogoutToken, now: datetime) -> tuple[SessionSummary, ...] | None:
        """The sessions that the token means; None if `sid` and `sub` contradict each other."""
        if token.provider_session is None:
            # §2.4: without `sid` all sessions of the person are meant.
            return await self._of_subject(token.issuer, token.subject, now)
        named = await self._sessions.of_provider_session(token.issuer, token.provider_session, now=now)
        if token.subject is None:
            return named
        theirs = await self._of_subject(token.issuer, token.subject, now)
        strangers = _ids(named) - _ids(theirs)
        # Asked again: a session that ended between the two questions is no contradiction.
        if strangers & _ids(
            await self._sessions.of_provider_session(token.issuer, token.provider_session, now=now)
        ):
            return None
        # The session that is meant may be one for which the provider stated no `sid`, so these end too.
        # Sessions of another `sid` go on.
        return named + tuple(summary for summary in theirs if summary.provider_session is None)

    async def _of_subject(
        self, issuer: Issuer, subject: Subject | None, now: datetime
    ) -> tuple[SessionSummary, ...]:
        return () if subject is None else await self._sessions.summaries(issuer, subject, now=now)


def _ids(summaries: Iterable[SessionSummary]) -> frozenset[SessionId]:
    return frozenset(summary.session_id for summary in summaries)
