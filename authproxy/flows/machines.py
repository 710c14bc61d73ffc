"""Programs that come in without a person, on routes that name them: by an access token of the issuer, or by
an API key.

A genuine credential is remembered for a short time, so that a program with many requests costs neither a
signature check nor a question to the store each time. A key that was revoked is forgotten at once
(`storage/near_cache.py`). A program never has a session: it gets no cookie, and no step-up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from authproxy.access import bearer, machine_policy, policy
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    Unavailable,
)
from authproxy.access.header_names import HeaderNames
from authproxy.access.routes import Portal, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.assertions.signer import AssertionSigner
from authproxy.flows import identity_headers
from authproxy.flows.stores import MachineKeyStore, PeopleStore
from authproxy.identity.machine_client import KEY_PREFIX, MachineClient, key_id_of
from authproxy.identity.member import RegisterKey
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.token_issuer import TokenIssuer
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics

TOKEN_REMEMBERED_FOR: Final = timedelta(seconds=60)
"""A token whose key the issuer has withdrawn may be believed for this much longer."""
_ADMISSION_TOLD_EVERY: Final = timedelta(hours=1)
_REFUSAL_TOLD_EVERY: Final = timedelta(minutes=1)


class KeyChanges(Protocol):
    """Whether what was read of API keys still holds (`storage/near_cache.py`)."""

    @property
    def machine_keys_epoch(self) -> int: ...
    def is_heard(self, now: datetime) -> bool: ...


class RefusalLimit(Protocol):
    """How many credentials of one client address may be wrong within a minute."""

    def wait(self, kind: Literal["machines"], client: str, now: datetime) -> int | None:
        """None if another one may be looked at."""
        ...

    def count(self, kind: Literal["machines"], client: str, now: datetime) -> None: ...


class MachineIdentity:
    """Makes the header block by which a portal learns of a program."""

    def __init__(
        self,
        *,
        signer: AssertionSigner,
        assertion_lifetime: timedelta,
        header_names: Mapping[str, HeaderNames],
    ) -> None:
        self._signer = signer
        self._header_names = header_names
        self.good_for = assertion_lifetime / 2
        """A block is used for this long."""

    def block(
        self, client_id: str, portal: Portal, now: datetime, bound_to: tuple[str, str] | None = None
    ) -> bytes:
        """Raises CannotAsk if nothing can be signed."""
        assertion = self._signer.mint_for_machine(
            client_id, portal_id=portal.portal_id, now=now, bound_to=bound_to
        )
        return identity_headers.of_machine(
            client_id, self._header_names[portal.portal_id], assertion=assertion
        )


class MachineReports:
    """What operators see of programs. A program asks thousands of times an hour, so its coming in is told
    once an hour, and refusals of one address once a minute for each reason. Metrics count every request."""

    def __init__(self, *, audit: Audit, metrics: Metrics, most_told: int = 4_096) -> None:
        self._most_told = most_told
        self._audit = audit
        self._metrics = metrics
        self._told: dict[tuple[str, ...], datetime] = {}

    def demand(self) -> None:
        """Raises CannotAsk if events are required and cannot be written."""
        self._audit.demand()

    def admitted(self, portal: Portal, client: MachineClient, sender: Sender, now: datetime) -> None:
        self._metrics.machine_requests[portal.portal_id, client.credential, ""] += 1
        if self._is_due((portal.portal_id, _named(client)), now, _ADMISSION_TOLD_EVERY):
            self._record(Event.MACHINE_ADMITTED, portal, sender, None, _named(client))

    def refused(
        self,
        portal: Portal,
        client: MachineClient | None,
        sender: Sender,
        now: datetime,
        *,
        reason: Reason,
        why: str,
    ) -> None:
        credential = "" if client is None else client.credential
        self._metrics.machine_requests[portal.portal_id, credential, reason] += 1
        if self._is_due((portal.portal_id, sender.address, reason), now, _REFUSAL_TOLD_EVERY):
            self._record(Event.MACHINE_REFUSED, portal, sender, reason, why)

    def limited(self) -> None:
        self._metrics.requests_limited[("machines",)] += 1

    def _record(
        self, event: Event, portal: Portal, sender: Sender, reason: Reason | None, detail: str
    ) -> None:
        self._audit.record(
            event,
            portal=portal.portal_id,
            method="machine",
            reason=reason,
            detail=detail,
            client=sender.address,
            request_id=sender.request_id,
        )

    def _is_due(self, what: tuple[str, ...], now: datetime, every: timedelta) -> bool:
        told_at = self._told.get(what)
        if told_at is not None and timedelta() <= now - told_at < every:
            return False
        if len(self._told) >= self._most_told:
            self._told.clear()
        self._told[what] = now
        return True


class _Wrong(Exception):  # noqa: N818
    """The credential is not genuine, or is over. The message is for operators and does not repeat it."""


class _Over(_Wrong):
    """The key was genuine, and its time is over."""


class _Known:
    """A genuine credential. `epoch` is None for a token. `blocks` are finished header blocks, by portal, and
    until when they may be used."""

    __slots__ = ("blocks", "client", "epoch", "good_until", "read_at")

    def __init__(
        self, client: MachineClient, epoch: int | None, read_at: datetime, good_until: datetime
    ) -> None:
        self.client = client
        self.epoch = epoch
        self.read_at = read_at
        self.good_until = good_until
        self.blocks: dict[str, tuple[bytes, datetime]] = {}


class Machines:
    """`keys_remembered_for` is `store.near_cache_for`. Without an `issuer` no access token is believed."""

    def __init__(  # noqa: PLR0913  (each is a part of the gateway)
        self,
        *,
        keys: MachineKeyStore,
        people: PeopleStore,
        key_changes: KeyChanges,
        keys_remembered_for: timedelta,
        issuer: TokenIssuer | None,
        limit: RefusalLimit,
        identity: MachineIdentity,
        reports: MachineReports,
        most_remembered: int = 2_000,
    ) -> None:
        self._most_remembered = most_remembered
        self._keys = keys
        self._people = people
        self._key_changes = key_changes
        self._keys_remembered_for = keys_remembered_for
        self._issuer = issuer
        self._limit = limit
        self._identity = identity
        self._reports = reports
        self._known: OrderedDict[str, _Known] = OrderedDict()

    @staticmethod
    def credential_in(portal: Portal, route: Route, sender: Sender) -> str | None:
        """The credential by which a program wants to come in; None if the request has none, or if what stands
        in `Authorization` is the portal's business.

        On a route that takes tokens every bearer token is one for the gateway. Where API keys alone are
        taken, other tokens are the portal's. On a route without programs a genuine credential is refused by
        its own name, unless somebody is signed in: then `Authorization` is the portal's business, as it is
        at portals without programs."""
        demand, somewhere = route.requirement.machines, portal.machines
        if somewhere is None or (demand is None and (sender.ticket is not None or route.access == "public")):
            return None
        credential = bearer.credential_in(sender.authorization)
        if credential is None or not ((demand or somewhere).tokens or credential.startswith(KEY_PREFIX)):
            return None
        return credential

    def decide_now(
        self,
        portal: Portal,
        route: Route,
        target: RequestTarget,
        sender: Sender,
        credential: str,
        now: datetime,
    ) -> Decision | None:
        """The decision, if it needs no question; None if it does."""
        refused = self._refused_unseen(portal, route, sender, credential, now)
        if refused is not None:
            return refused
        known = self._remembered(credential, now)
        if known is None or (route.strict and known.epoch is not None):
            return None
        return self._judged(portal, route, target, sender, known, now)

    async def decide(
        self,
        portal: Portal,
        route: Route,
        target: RequestTarget,
        sender: Sender,
        credential: str,
        now: datetime,
    ) -> Decision:
        """The decision, after asking the store or the issuer. Never raises CannotAsk."""
        unseen = self._refused_unseen(portal, route, sender, credential, now)
        if unseen is not None:
            return unseen
        try:
            self._reports.demand()
            known = await self._read(credential, now)
        except _Wrong as wrong:
            # Only now: a program that goes on with an old key must not keep others at its address out. A look
            # at a wrong credential costs no more than one at a made-up ticket, or a signature check.
            if self._limit.wait("machines", sender.address, now) is not None:
                self._reports.limited()
                return Denied(reason=Reason.TOO_MANY_REQUESTS, portal=portal, route=route)
            self._limit.count("machines", sender.address, now)
            return self._refused(portal, route, sender, now, str(wrong), "invalid_token")
        except CannotAsk as refused:
            return Unavailable(reason=refused.reason, portal=portal)
        return self._judged(portal, route, target, sender, known, now)

    def _refused_unseen(
        self, portal: Portal, route: Route, sender: Sender, credential: str, now: datetime
    ) -> Decision | None:
        """The decision if the credential need not be looked at; None if it must be."""
        barred = policy.barred(route, sender)
        if barred is not None:
            return Denied(reason=barred, portal=portal, route=route)
        if credential == bearer.MALFORMED:
            return self._refused(portal, route, sender, now, "it cannot be read", "invalid_request")
        if sender.ticket is not None:
            # A request of a person and of a program at once: whichever counted, the other would be misled.
            why = "it came with a session cookie"
            return self._refused(portal, route, sender, now, why, "invalid_request")
        return None

    def still_allowed_now(self, allowed: Allowed, sender: Sender, now: datetime) -> bool | None:
        """As `still_allowed`, if that needs no question; None if it does."""
        credential = bearer.credential_in(sender.authorization)
        known = None if credential is None else self._remembered(credential, now)
        return None if known is None else self._goes_on(allowed, sender, known.client)

    async def still_allowed(
        self, allowed: Allowed, sender: Sender, now: datetime, *, is_finite: bool = False
    ) -> bool:
        """Whether what a program has opened may go on. It ends when its key is revoked. What is finite, such
        as a download, does not end because its credential is over by now. If nobody can be asked, it goes on
        until the end of its credential."""
        machine, credential = allowed.machine, bearer.credential_in(sender.authorization)
        if machine is None or credential is None:
            return False
        if is_finite and machine.credential == "token":
            return True
        try:
            known = self._remembered(credential, now) or await self._read(credential, now)
        except _Over:
            return is_finite
        except _Wrong:
            return False
        except CannotAsk:
            return now < machine.ends_at
        return self._goes_on(allowed, sender, known.client)

    @staticmethod
    def _goes_on(allowed: Allowed, sender: Sender, client: MachineClient) -> bool:
        return (
            policy.barred(allowed.route, sender) is None
            and machine_policy.unmet(client, allowed.portal, allowed.route, sender) is None
        )

    # Whose credential it is.

    def _remembered(self, credential: str, now: datetime) -> _Known | None:
        known = self._known.get(credential)
        # The lower bound matters when the clock is set back.
        if known is None or not known.read_at <= now < known.good_until:
            return None
        changes = self._key_changes
        if known.epoch is not None and not (
            known.epoch == changes.machine_keys_epoch and changes.is_heard(now)
        ):
            return None
        return known

    async def _read(self, credential: str, now: datetime) -> _Known:
        """Raises _Wrong and CannotAsk."""
        known = await (
            self._read_key(credential, now)
            if credential.startswith(KEY_PREFIX)
            else self._read_token(credential, now)
        )
        client_id = known.client.client_id
        if any(await self._people.find([RegisterKey("id", client_id)])):
            # Some portals read the subject alone, and would take the program for this person.
            raise _Wrong(f"{_named(known.client)}: a person of the register has this id")
        if known.good_until > now:
            before = self._known.get(credential)
            if before is not None and before.client == known.client and before.read_at <= now:
                known.blocks = before.blocks
            self._known[credential] = known
            self._known.move_to_end(credential)
            if len(self._known) > self._most_remembered:
                self._known.popitem(last=False)
        return known

    async def _read_key(self, credential: str, now: datetime) -> _Known:
        key_id = key_id_of(credential)
        if key_id is None:
            raise _Wrong("API key: it has another form")
        epoch = self._key_changes.machine_keys_epoch
        key = await self._keys.find(key_id)
        if key is None:
            raise _Wrong(f"API key {key_id}: unknown or revoked")
        if key.ends_at <= now:
            raise _Over(f"API key {key_id} of {key.client_id}: over since {key.ends_at:%Y-%m-%d %H:%M} UTC")
        client = MachineClient(
            client_id=key.client_id,
            credential="key",
            scopes=frozenset(key.scopes),
            ends_at=key.ends_at,
            key=key,
        )
        return _Known(client, epoch, now, min(now + self._keys_remembered_for, key.ends_at))

    async def _read_token(self, credential: str, now: datetime) -> _Known:
        if self._issuer is None:
            raise _Wrong("access token: no issuer is set up")
        try:
            token = await self._issuer.verified(credential)
        except TokenRefused as refused:
            raise _Wrong(str(refused)) from None
        client = MachineClient(
            client_id=token.client_id, credential="token", scopes=token.scopes, ends_at=token.ends_at
        )
        return _Known(client, None, now, min(now + TOKEN_REMEMBERED_FOR, token.ends_at))

    # What it may do.

    def _judged(
        self,
        portal: Portal,
        route: Route,
        target: RequestTarget,
        sender: Sender,
        known: _Known,
        now: datetime,
    ) -> Decision:
        client = known.client
        reason = machine_policy.unmet(client, portal, route, sender)
        if reason is not None:
            self._reports.refused(portal, client, sender, now, reason=reason, why=_named(client))
            error: bearer.Error | None = (
                "insufficient_scope" if reason is Reason.MACHINE_NOT_ALLOWED_HERE else None
            )
            return Denied(reason=reason, portal=portal, route=route, machine=client, bearer_error=error)
        try:
            block = self._block(portal, target, known, now)
        except CannotAsk as refused:
            return Unavailable(reason=refused.reason, portal=portal)
        self._reports.admitted(portal, client, sender, now)
        cookies = portal.personal_cookies
        return Allowed(
            portal=portal,
            route=route,
            session=None,
            machine=client,
            identity_headers=block,
            cookie_owner=b"" if cookies is None else cookies.owner(_as_person(client)),
        )

    def _block(self, portal: Portal, target: RequestTarget, known: _Known, now: datetime) -> bytes:
        client_id = known.client.client_id
        if portal.binds_assertion:
            bound_to = (target.method, portal.origin + target.path)
            return self._identity.block(client_id, portal, now, bound_to)
        finished = known.blocks.get(portal.portal_id)
        if finished is None or now >= finished[1]:
            finished = self._identity.block(client_id, portal, now), now + self._identity.good_for
            known.blocks[portal.portal_id] = finished
        return finished[0]

    def _refused(
        self, portal: Portal, route: Route, sender: Sender, now: datetime, why: str, error: bearer.Error
    ) -> Decision:
        """The decision on a credential that is not genuine. Where no program may come in, it is nobody's, and
        says nothing."""
        if route.requirement.machines is None:
            return AuthenticationRequired(reason=Reason.NO_SESSION, portal=portal)
        reason = Reason.MACHINE_TOKEN_INVALID
        self._reports.refused(portal, None, sender, now, reason=reason, why=why)
        return Denied(reason=reason, portal=portal, route=route, bearer_error=error)


def _as_person(client: MachineClient) -> Person:
    """Who owns the cookies that a portal sets for the program. No provider's issuer is this word, so nobody
    else does."""
    return Person(issuer=Issuer("machine"), subject=Subject(client.client_id))


def _named(client: MachineClient) -> str:
    credential = "access token" if client.key is None else f"key {client.key.key_id}"
    return f"{client.client_id}, {credential}"
