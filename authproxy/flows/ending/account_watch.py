"""Whether the account behind a session still stands at the provider. If it does not, the session ends on
every instance.

The question is asked beside the requests of an active person; no answer waits for it. If the provider is
silent, nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.unavailable import CannotAsk
from authproxy.flows.stores import GrantStore, SessionStore
from authproxy.identity.grant import Grant, GrantTurn
from authproxy.identity.session import Session
from authproxy.oidc.account import Stands
from authproxy.oidc.exchange import has_been_sent
from authproxy.oidc.provider import OpenIdProvider
from authproxy.telemetry.logging import logger

_LIVES_BEYOND: Final = timedelta(hours=1)
"""How much longer than an idle session its grant is kept, because an outage may prolong the session by as
much (`store.forgives`)."""


class AccountWatch:
    """`unknown` counts unanswered questions, for metrics. `failure` is why the last question was not
    answered; None if it was."""

    def __init__(
        self,
        *,
        provider: OpenIdProvider,
        grants: GrantStore,
        sessions: SessionStore,
        recheck_every: timedelta,
        random_text: Callable[[int], str],
    ) -> None:
        """An account is asked about once in `recheck_every` at most. That must be longer than a question to
        the provider may take."""
        self._provider = provider
        self._grants = grants
        self._sessions = sessions
        self._recheck_every = recheck_every
        self._random_text = random_text
        self.unknown = 0
        self.failure: str | None = None

    async def keep(self, grant: Grant | None, *, idle_for: timedelta, now: datetime) -> str | None:
        """Keeps the grant that a sign-in has brought, and returns the secret that opens it, for the session's
        record. `idle_for` is how long the session lives without activity. Raises
        CannotAsk(STORE_UNAVAILABLE)."""
        if grant is None:
            self._note(
                "the provider gives no refresh token (scope offline_access) and names no introspection "
                "endpoint"
            )
            return None
        secret = self._random_text(32)
        await self._grants.keep(
            secret, grant, due_at=now + self._recheck_every, lives_for=idle_for + _LIVES_BEYOND, now=now
        )
        return secret

    async def look(self, session: Session, *, now: datetime) -> str | None:
        """Asks about the account behind a session, if that is due and no other instance is asking. Returns
        what the provider said, if that has ended the session. Never raises CannotAsk."""
        if session.grant is None:
            return None
        try:
            lives_for = session.idle_for + _LIVES_BEYOND
            turn = await self._grants.turn(
                session.grant, every=self._recheck_every, lives_for=lives_for, now=now
            )
            return None if turn is None else await self._ask(session, session.grant, turn)
        except CannotAsk as failure:
            self._note(str(failure))
            return None

    async def forget(self, secret: str) -> None:
        """Deletes the tokens of a session that its person has ended, and has the provider revoke them. Never
        raises CannotAsk."""
        try:
            grant = await self._grants.take(secret)
        except CannotAsk as failure:
            _not_revoked(failure)
            return
        if grant is not None:
            await self._revoke(grant)

    async def _revoke(self, grant: Grant) -> None:
        try:
            await self._provider.end_grant(grant)
        except CannotAsk as failure:
            _not_revoked(failure)

    async def _ask(self, session: Session, secret: str, turn: GrantTurn) -> str | None:
        try:
            answer = await self._provider.ask_about(turn.grant)
        except CannotAsk as failure:
            # If the question may have arrived, the provider may have replaced the refresh token. The token
            # then stays in doubt.
            if not turn.is_doubtful and not has_been_sent(failure):
                await self._grants.settle(secret)
            raise
        if isinstance(answer, Stands):
            self.failure = None
            if not await self._grants.settle(secret, answer.grant) and answer.grant is not None:
                # The person has signed out during the question, and the token before this one was revoked.
                await self._revoke(answer.grant)
            return None
        if turn.is_doubtful and turn.grant.refresh_token is not None:
            # The token was used up by a question whose answer was lost, or the account is withdrawn. Nobody
            # can tell, and nobody is signed out by a guess.
            await self._grants.take(secret)
            self._note(
                "a refresh token is refused after a question that has had no answer: it says nothing about "
                "the account"
            )
            return None
        await self._sessions.revoke(session.session_id)
        await self._grants.take(secret)
        self.failure = None
        return answer.detail

    def _note(self, failure: str) -> None:
        self.unknown += 1
        self.failure = failure
        logger("oidc").warning("account.unknown", error=failure)


def _not_revoked(failure: CannotAsk) -> None:
    logger("oidc").warning("tokens.not_revoked", reason=failure.reason.value, error=str(failure))
