"""The section `store` → all stores in Redis, or in the memory of this process for trying things out."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.keys import record_keys
from authproxy.bootstrap.resolver import open_resolver
from authproxy.dns.resolver import Resolver
from authproxy.settings.checks.plaintext import is_here
from authproxy.settings.schema import Settings, StoreSettings
from authproxy.settings.step_up import BlockSettings
from authproxy.settings.this_machine import this_machine
from authproxy.storage.memory import (
    MemoryAttempts,
    MemoryChallenges,
    MemoryEnrolments,
    MemoryGrants,
    MemoryLimits,
    MemoryLogoutTokens,
    MemoryMachineKeys,
    MemoryNotices,
    MemoryPeople,
    MemorySessions,
    MemorySharedOctets,
    MemoryUsedProofs,
)
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealed_texts import Seals
from authproxy.storage.records.sealing import KeyRing
from authproxy.storage.redis import formats
from authproxy.storage.redis.attempts import RedisAttempts
from authproxy.storage.redis.audit_queue import RedisAuditQueue
from authproxy.storage.redis.challenges import RedisChallenges
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from authproxy.storage.redis.enrolments import RedisEnrolments
from authproxy.storage.redis.grants import RedisGrants
from authproxy.storage.redis.heartbeat import Heartbeat
from authproxy.storage.redis.limits import RedisLimits
from authproxy.storage.redis.logout_tokens import RedisLogoutTokens
from authproxy.storage.redis.machine_keys import RedisMachineKeys
from authproxy.storage.redis.notices import RedisNotices
from authproxy.storage.redis.open_sessions import RedisOpenSessions
from authproxy.storage.redis.people import RedisPeople
from authproxy.storage.redis.servers import StoreTls
from authproxy.storage.redis.sessions import RedisSessions
from authproxy.storage.redis.shared_octets import RedisSharedOctets
from authproxy.storage.redis.used_proofs import RedisUsedProofs
from authproxy.storage.retention import BlockRules
from authproxy.telemetry.audit import Audit, Event
from authproxy.web.management import Check

MEMORY = "memory://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Every store. `connection` and `heartbeat` are None where they keep their records in memory."""

    sessions: RedisSessions | MemorySessions
    attempts: RedisAttempts | MemoryAttempts
    seals: Seals
    logout_tokens: RedisLogoutTokens | MemoryLogoutTokens
    people: RedisPeople | MemoryPeople
    shared_octets: RedisSharedOctets | MemorySharedOctets
    challenges: RedisChallenges | MemoryChallenges
    limits: RedisLimits | MemoryLimits
    enrolments: RedisEnrolments | MemoryEnrolments
    notices: RedisNotices | MemoryNotices
    grants: RedisGrants | MemoryGrants
    used_proofs: RedisUsedProofs | MemoryUsedProofs
    machine_keys: RedisMachineKeys | MemoryMachineKeys
    near_cache: NearCache
    connection: RedisConnection | None
    heartbeat: Heartbeat | None
    clock: Callable[[], datetime]
    open_sessions: RedisOpenSessions | None = None
    members_of: tuple[str, ...] = ()
    """The portals that let in only people of the register."""
    audit_queue: RedisAuditQueue | None = None
    """Events of commands that wait for a gateway; None in memory, which no command can reach."""

    @property
    def unreadable(self) -> dict[str, int]:
        """How many records none of the keys has opened since the start, by kind."""
        kinds = {
            "session": self.sessions,
            "challenge": self.challenges,
            "enrolment": self.enrolments,
            "machine_key": self.machine_keys,
        }
        sealed = RedisSessions | RedisChallenges | RedisEnrolments | RedisMachineKeys
        return {name: store.unreadable for name, store in kinds.items() if isinstance(store, sealed)}

    async def check(self) -> Check:
        """For readiness: whether the store takes writes and its register is whole, and what an operator
        should repair. Raises CannotAsk."""
        if self.heartbeat is None:
            return Check(status="warning", detail="in this process: sessions are lost at its end")
        warnings = await self.warnings(self.heartbeat)
        unreadable = sum(self.unreadable.values())
        notes = [f"{unreadable} records could not be read since the start"] if unreadable else []
        return Check(status="warning" if warnings else "ok", detail="; ".join([*warnings, *notes]))

    async def warnings(self, heartbeat: Heartbeat) -> list[str]:
        """What an operator should repair, in sentences. Raises CannotAsk if the store takes no writes, or its
        register is not whole."""
        await heartbeat.beat(self.clock())
        warnings = await heartbeat.warnings(self.clock)
        if await self.people.revision() == 0 and self.members_of:
            warnings.append(
                f"there is no register of people, so that nobody may enter {', '.join(self.members_of)}"
            )
        if not await self.people.is_under_first_key():
            warnings.append("the register of people needs an older key: run `authproxy people reseal`")
        return warnings


@asynccontextmanager
async def open_stores(
    settings: Settings,
    *,
    names: Resolver,
    clock: Callable[[], datetime] = utc_now,
    audit: Audit | None = None,
) -> AsyncIterator[Stores]:
    """The stores for the length of the block. `audit` records sessions that end by time or cannot be read;
    commands leave it out."""
    keys = KeyRing(record_keys(settings.sessions), random_bytes=secrets.token_bytes)
    if settings.store.url == MEMORY:
        yield _memory_stores(settings, keys, clock)
        return
    store = settings.store
    connection = RedisConnection(
        store.url,
        username=store.username,
        password=store.password.get_secret_value() if store.password is not None else None,
        tls=_store_tls(store),
        deadline=store.deadline,
        names=names,
        several=_several(store),
    )
    heartbeat = Heartbeat(connection, forgives=store.forgives, remembers=settings.sessions.absolute)
    try:
        await _refuse_newer(connection)
        yield _redis_stores(settings, keys, connection, heartbeat, clock, audit)
    finally:
        if heartbeat.endings.untold:
            # A command ends before the next beat, so it tells the gateways now which sessions it has ended:
            # they end them again if the store is set back to an older state.
            with suppress(CannotAsk):
                await heartbeat.tell_endings(clock())
        await connection.aclose()


async def _refuse_newer(connection: RedisConnection) -> None:
    """Raises NewerStore. A store that does not answer is judged by the heartbeat as soon as it does, and is
    asked nothing else until then."""
    try:
        await formats.refuse_newer(connection)
    except formats.NewerStore:
        raise
    except CannotAsk as failure:
        connection.refused = failure


@asynccontextmanager
async def open_stores_of_command(settings: Settings) -> AsyncIterator[Stores]:
    """The stores with a resolver of their own, for a command that needs nothing else."""
    async with open_resolver(settings) as names, open_stores(settings, names=names) as stores:
        yield stores


def _memory_stores(settings: Settings, keys: KeyRing, clock: Callable[[], datetime]) -> Stores:
    near_cache = NearCache(near_cache_for=settings.store.near_cache_for, silence=None)
    people, addresses = _block_rules(settings.step_up.blocks)
    return Stores(
        sessions=MemorySessions(near_cache, remembered_for=_remembered_for(settings)),
        attempts=MemoryAttempts(),
        seals=Seals(keys),
        logout_tokens=MemoryLogoutTokens(),
        people=MemoryPeople(),
        shared_octets=MemorySharedOctets(clock=clock),
        challenges=MemoryChallenges(),
        limits=MemoryLimits(people=people, addresses=addresses),
        enrolments=MemoryEnrolments(),
        notices=MemoryNotices(),
        grants=MemoryGrants(),
        used_proofs=MemoryUsedProofs(clock=clock),
        machine_keys=MemoryMachineKeys(near_cache),
        near_cache=near_cache,
        connection=None,
        heartbeat=None,
        clock=clock,
    )


def _redis_stores(
    settings: Settings,
    keys: KeyRing,
    connection: RedisConnection,
    heartbeat: Heartbeat,
    clock: Callable[[], datetime],
    audit: Audit | None,
) -> Stores:
    people, addresses = _block_rules(settings.step_up.blocks)
    open_sessions = None
    if audit is not None:
        open_sessions = RedisOpenSessions(connection, keys=keys, heartbeat=heartbeat, name_of=audit.name_of)
    sessions = RedisSessions(
        connection,
        keys=keys,
        heartbeat=heartbeat,
        open_sessions=open_sessions,
        remembered_for=_remembered_for(settings),
        on_unreadable=None
        if audit is None
        else lambda session_id: audit.record(Event.SESSION_UNREADABLE, session_id=session_id),
        on_idle_end=None
        if audit is None
        else lambda session: audit.record(Event.SESSION_ENDED, session=session, by="time", detail="idle"),
    )
    return Stores(
        sessions=sessions,
        open_sessions=open_sessions,
        attempts=RedisAttempts(connection),
        seals=Seals(keys),
        logout_tokens=RedisLogoutTokens(connection),
        people=RedisPeople(connection, keys=keys, heartbeat=heartbeat),
        shared_octets=RedisSharedOctets(connection, keys=keys),
        challenges=RedisChallenges(connection, keys=keys),
        limits=RedisLimits(connection, keys=keys, people=people, addresses=addresses),
        enrolments=RedisEnrolments(connection, keys=keys),
        notices=RedisNotices(connection, keys=keys),
        grants=RedisGrants(connection, keys=keys),
        used_proofs=RedisUsedProofs(connection),
        machine_keys=RedisMachineKeys(connection, keys=keys, heartbeat=heartbeat),
        audit_queue=RedisAuditQueue(connection, keys=keys),
        near_cache=NearCache(near_cache_for=settings.store.near_cache_for),
        connection=connection,
        heartbeat=heartbeat,
        clock=clock,
        members_of=tuple(
            portal_id for portal_id, portal in settings.portals.items() if portal.members == "register"
        ),
    )


def _several(store: StoreSettings) -> SeveralServers:
    password, machine = store.sentinel_password, this_machine()
    return SeveralServers(
        sentinel_username=store.sentinel_username,
        sentinel_password=password.get_secret_value() if password is not None else None,
        is_durable=store.durable,
        may_lead_to=lambda host: store.allows_plaintext or is_here(host, machine),
    )


def _store_tls(settings: StoreSettings) -> StoreTls | None:
    """None if no file is named: the URL alone then decides about TLS."""
    tls = StoreTls(
        ca_file=settings.ca_file,
        certificate_file=settings.client_cert_file,
        key_file=settings.client_key_file,
    )
    return None if tls == StoreTls() else tls


def _remembered_for(settings: Settings) -> timedelta:
    """How long it is known whose a session was. Nobody asks where no form is held."""
    return settings.sessions.attempt if settings.step_up.held.size else timedelta()


def _block_rules(blocks: BlockSettings) -> tuple[BlockRules, BlockRules]:
    """When people are blocked, and when addresses are."""
    people = BlockRules(after=blocks.after, lasts=blocks.lasts, at_most=blocks.at_most)
    return people, replace(people, after=blocks.after_from_address)
