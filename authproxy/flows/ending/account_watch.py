"""Whether the accounts behind sessions still stand at the provider: one that does not ends its session, on
every instance.

The question is asked beside the requests of an active person, never before their answer. Silence changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.grant import Grant, GrantTurn
from authproxy.identity.session import Session, SessionId
from authproxy.oidc.account import Stands, Withdrawn
from authproxy.oidc.exchange import has_been_sent
from authproxy.telemetry.logging import logger

_LIVES_BEYOND: Final = timedelta(hours=1)
"""How much longer than an idle session its grant lives: an outage may prolong the session by as much
(`store.forgives`)."""


class Provider(Protocol):
    async def ask_about(self, grant: Grant) -> Stands | Withdrawn: ...
    async def end_grant(self, grant: Grant) -> None: ...


class Grants(Protocol):
    async def keep(
        self, secret: str, grant: Grant, *, due_at: datetime, lives_for: timedelta, now: datetime
    ) -> None: ...
    async def turn(
        self, secret: str, *, every: timedelta, lives_for: timedelta, now: datetime
    ) -> GrantTurn | None: ...
    async def settle(self, secret: str, grant: Grant | None = None) -> bool: ...
    async def take(self, secret: str) -> Grant | None: ...


class Sessions(Protocol):
    async def revoke(self, session_id: SessionId) -> bool: ...


class AccountWatch:
    """`unknown` counts questions that nobody has answered, for metrics; `failure` is why the last one was
    not, None if it was."""

    def __init__(
        self,
        *,
        provider: Provider,
        grants: Grants,
        sessions: Sessions,
        every: timedelta,
        fresh: Callable[[int], str],
    ) -> None:
        """`every` is how often an account is asked about at most; it must be longer than a question to the
        provider may take."""
        self._provider = provider
        self._grants = grants
        self._sessions = sessions
        self._every = every
        self._fresh = fresh
        self.unknown = 0
        self.failure: str | None = None

    async def hold(self, grant: Grant | None, *, idle_for: timedelta, now: datetime) -> str | None:
        """Keeps what a sign-in has brought; the secret that its session must remember, which ends when its
        person is idle for so long. Raises CannotAsk(STORE_UNAVAILABLE)."""
        if grant is None:
            self._note(
                "the provider gives no refresh token (scope offline_access) and names no introspection "
                "endpoint"
            )
            return None
        secret = self._fresh(32)
        await self._grants.keep(
            secret, grant, due_at=now + self._every, lives_for=idle_for + _LIVES_BEYOND, now=now
        )
        return secret

    async def look(self, session: Session, *, now: datetime) -> str | None:
        """Asks about the account behind a session, if that is due and nobody else is asking. What the
        provider said, if that has ended the session. Never raises CannotAsk."""
        if session.grant is None:
            return None
        try:
            lives_for = session.idle_for + _LIVES_BEYOND
            turn = await self._grants.turn(session.grant, every=self._every, lives_for=lives_for, now=now)
            return None if turn is None else await self._asked(session, session.grant, turn)
        except CannotAsk as failure:
            self._note(str(failure))
            return None

    async def let_go(self, secret: str) -> None:
        """Forgets the tokens of a session that its person has ended, and has the provider forget them. Never
        raises CannotAsk."""
        try:
            grant = await self._grants.take(secret)
        except CannotAsk as failure:
            _not_revoked(failure)
            return
        if grant is not None:
            await self._end(grant)

    async def _end(self, grant: Grant) -> None:
        try:
            await self._provider.end_grant(grant)
        except CannotAsk as failure:
            _not_revoked(failure)

    async def _asked(self, session: Session, secret: str, turn: GrantTurn) -> str | None:
        try:
            told = await self._provider.ask_about(turn.grant)
        except CannotAsk as failure:
            # Where the question may have arrived, the provider may have replaced the refresh token: it stays
            # doubtful then.
            if not turn.is_doubtful and not has_been_sent(failure):
                await self._grants.settle(secret)
            raise
        if isinstance(told, Stands):
            self.failure = None
            if not await self._grants.settle(secret, told.grant) and told.grant is not None:
                # Its person has signed out during the question: what was revoked then is the token before
                # this one.
                await self._end(told.grant)
            return None
        if turn.is_doubtful and turn.grant.refresh_token is not None:
            # Spent by a question whose answer was lost, or refused: nobody can tell, and nobody is signed out
            # by a guess.
            await self._grants.take(secret)
            self._note(
                "a refresh token is refused after a question that has had no answer: it says nothing about "
                "the account"
            )
            return None
        await self._sessions.revoke(session.session_id)
        await self._grants.take(secret)
        self.failure = None
        return told.found

    def _note(self, failure: str) -> None:
        self.unknown += 1
        self.failure = failure
        logger("oidc").warning("account.unknown", error=failure)


def _not_revoked(failure: CannotAsk) -> None:
    logger("oidc").warning("tokens.not_revoked", reason=failure.reason.value, error=str(failure))
