"""The phone: its accounts and links, their codes, and what the provider says about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from authproxy.sandbox import one_time_code
from authproxy.sandbox.installation import Installation, Link
from authproxy.sandbox.phone.lock import Lock
from authproxy.sandbox.phone.memory import Memory, PhoneState
from authproxy.sandbox.phone.onepass import (
    Activated,
    NotActivated,
    NotInstalledError,
    OnePass,
    SignInPush,
    UnreachableError,
)
from authproxy.sandbox.phone.relying_parties import Invitation, LinkPush, RelyingParties


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What the provider says about all accounts and links at one moment."""

    pushes: tuple[tuple[Installation, SignInPush], ...] = ()
    link_pushes: tuple[tuple[Link, LinkPush], ...] = ()
    elsewhere: tuple[Installation, ...] = ()
    """Accounts that another phone has taken over."""
    is_reachable: bool = True


class Phone:
    def __init__(
        self,
        memory: Memory,
        onepass: OnePass,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._memory = memory
        self._clock = clock
        self.onepass = onepass
        self.relying_parties = RelyingParties(onepass, random_bytes)
        self.lock = Lock(memory, clock, random_bytes)
        self.csrf = random_bytes(16).hex()
        """A value in every form of the phone. Only a page of the phone reveals it, so forms of other sites
        are refused."""

    @property
    def accounts(self) -> tuple[Installation, ...]:
        return self._memory.state.accounts

    def account(self, device_id: str) -> Installation | None:
        return next((account for account in self.accounts if account.device_id == device_id), None)

    def account_of(self, email: str) -> Installation | None:
        wanted = email.strip().casefold()
        return next((account for account in self.accounts if account.email.casefold() == wanted), None)

    @property
    def links(self) -> tuple[Link, ...]:
        return self._memory.state.links

    def link(self, device_id: str) -> Link | None:
        return next((link for link in self.links if link.device_id == device_id), None)

    def links_of(self, email: str) -> tuple[Link, ...]:
        wanted = email.strip().casefold()
        return tuple(link for link in self.links if link.account.casefold() == wanted)

    def code(self, account: Installation) -> tuple[str, int]:
        """The current one-time code and the seconds that it has left. It needs no provider."""
        now = self._clock()
        return one_time_code.code(account.totp_secret, one_time_code.step(now)), one_time_code.seconds_left(
            now
        )

    def seconds_since(self, at: datetime) -> int:
        return max(0, int((self._clock() - at).total_seconds()))

    async def activate(self, email: str, code: str) -> Activated | NotActivated:
        """Raises UnreachableError."""
        outcome = await self.onepass.activate(email, code)
        if isinstance(outcome, Activated):
            self._memory.save(self._memory.state.with_account(outcome.installation))
        return outcome

    async def accept(self, invitation: Invitation, device_name: str) -> Link | None:
        """Links this phone to a relying party. None if the invitation is over. Raises UnreachableError."""
        link = await self.relying_parties.accept(invitation, device_name)
        if link is not None:
            self._memory.save(self._memory.state.with_link(link))
        return link

    async def remove_link(self, link: Link) -> None:
        """Removes the link and its key at once, and tells the service if it can be reached."""
        self._memory.save(self._memory.state.without_link(link.device_id))
        try:
            await self.relying_parties.remove(link)
        except (UnreachableError, NotInstalledError):
            return

    async def remove(self, account: Installation) -> None:
        """Removes the account from the phone, and at the provider if it can be reached."""
        self._memory.save(self._memory.state.without_account(account.device_id))
        try:
            await self.onepass.remove(account)
        except (UnreachableError, NotInstalledError):
            # Nobody else has the token and the secret, so the account is as good as removed.
            return

    async def reset(self) -> None:
        """Resets the phone to factory settings."""
        accounts, links = self.accounts, self.links
        self._memory.save(PhoneState())
        self.lock.lock()
        await asyncio.gather(
            *(self.remove(account) for account in accounts), *(self.remove_link(link) for link in links)
        )

    async def incoming(self) -> Incoming:
        asked = await asyncio.gather(*(self._asked_about(account) for account in self.accounts))
        asked_by = await asyncio.gather(*(self._asked_by(link) for link in self.links))
        return Incoming(
            pushes=tuple(
                (account, push) for account, answer in asked if isinstance(answer, tuple) for push in answer
            ),
            link_pushes=tuple(
                (link, push) for link, answer in asked_by if isinstance(answer, tuple) for push in answer
            ),
            elsewhere=tuple(account for account, answer in asked if isinstance(answer, NotInstalledError)),
            is_reachable=not any(isinstance(answer, UnreachableError) for _, answer in (*asked, *asked_by)),
        )

    async def _asked_by(self, link: Link) -> tuple[Link, tuple[LinkPush, ...] | UnreachableError]:
        try:
            return link, await self.relying_parties.pushes(link)
        except NotInstalledError:
            # The relying party has removed the phone and will send nothing more.
            self._memory.save(self._memory.state.without_link(link.device_id))
            return link, ()
        except UnreachableError as trouble:
            return link, trouble

    async def _asked_about(
        self, account: Installation
    ) -> tuple[Installation, tuple[SignInPush, ...] | NotInstalledError | UnreachableError]:
        try:
            return account, await self.onepass.pushes(account)
        except (NotInstalledError, UnreachableError) as trouble:
            return account, trouble
