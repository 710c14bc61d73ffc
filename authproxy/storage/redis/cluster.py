"""Redis Cluster: each key is on one of several primaries, and may move to another one while it is asked for.

redis-py's own client tries again for several seconds, sends one command of a pipeline again although the
others of its transaction are done, and lets one part that is gone fail the questions to all others. Here the
parts are asked at the same time, each by the deadline, and a part that does not answer fails only its own
questions. Replicas are never asked: they would refer to their primary.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Any, Final

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, InvalidResponse, MovedError, TryAgainError

from authproxy.dns.store_urls import Address, address_text
from authproxy.storage.redis import errors
from authproxy.storage.redis.answer_shapes import Command, key_of
from authproxy.storage.redis.lookout import PATIENCE, Lookout, most
from authproxy.storage.redis.servers import ASKING, Server
from authproxy.telemetry.logging import logger

_SLOTS: Final = 16_384
_REDIRECTIONS: Final = 16
_PAUSE: Final = 0.02
"""Seconds before a question is asked again whose keys are just moving. It grows to ten times as much."""
_PART_OF_DEADLINE: Final = 0.95
"""So that a part that does not answer is told apart from a question that has no answer at all."""
_ASKED_AT_ONCE: Final = 7
"""Nodes in one round. They are drawn by lot: neighbours by address may all be at the site that is away."""
_SHARDS: Final[Command] = ("CLUSTER", "SHARDS")
_EVERYWHERE: Final = frozenset({"PING", "INFO", "TIME", "CLUSTER", "ROLE", "ASKING", "WAIT"})
"""Commands without a key. They are asked of every primary."""
_EPOCH: Final = re.compile(rb"^cluster_current_epoch:(\d{1,18})", re.MULTILINE)
_ELSEWHERE: Final = (
    "the cluster names a node on another machine, and neither TLS nor `store.allows_plaintext` is set"
)
_random = SystemRandom()
_log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """How one node sees the cluster. Of two views the one with the higher epoch is newer."""

    epoch: int
    is_served: bool
    slots: list[Address | None]
    primaries: frozenset[Address]
    replicas: frozenset[Address]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Commands that are asked together, and their answers so far."""

    commands: Sequence[Command]
    answers: list[Any]
    until: float
    """The deadline, by the clock of the event loop."""
    confirmed_within: int


class Cluster:
    """`server_at` makes the connections to a node. `may_lead_to` says which hosts people's sessions and the
    password may be sent to. `on_change` is called when other servers have keys than before."""

    def __init__(
        self,
        seeds: Sequence[Address],
        server_at: Callable[[Address], Server],
        *,
        may_lead_to: Callable[[str], bool],
        has_tls: bool,
        on_change: Callable[[], None],
        deadline: float,
    ) -> None:
        self._on_change = on_change
        self._has_tls = has_tls
        self._seeds = tuple(seeds)
        self._server_at = server_at
        self._may_lead_to = may_lead_to
        self._deadline = deadline
        self._servers: dict[Address, Server] = {}
        self._slots: list[Address | None] = []
        self._addresses: frozenset[Address] = frozenset()
        self.shape = 0
        """Rises whenever other servers have keys than before, as far as is known. A new node that keys are moving
        to has no slot yet: it is known from the first key that is found there until the map is read again."""
        self._replicas: frozenset[Address] = frozenset()
        self._epoch = -1
        self._lookout = Lookout(self._look)
        self._failure = "no node of the cluster answers"

    async def answers(
        self, commands: Sequence[Command], *, in_order: bool = False, confirmed_within: int = 0
    ) -> list[Any]:
        """The answers, in the order of the commands. In the place of an answer is the exception if it was
        refused, or if its part of the cluster does not answer. Raises Unreached if nothing is
        known of the cluster. Commands for one slot are carried out in their order, unless the slot is just
        moving; with `in_order`, so are those for different slots. `confirmed_within` is as for a server."""
        until = asyncio.get_running_loop().time() + self._deadline * _PART_OF_DEADLINE
        batch = _Batch(commands, [None] * len(commands), until, confirmed_within)
        await self._know()
        keyed = [at for at, command in enumerate(commands) if command[0] not in _EVERYWHERE]
        if len(keyed) < len(commands):
            await asyncio.gather(self._ask_owners(batch, keyed), self._ask_all(batch))
        elif in_order:
            for _, run in itertools.groupby(keyed, lambda at: _slot_of(commands[at])):
                await self._ask_owners(batch, list(run))
        else:
            await self._ask_owners(batch, keyed)
        return batch.answers

    async def primaries(self) -> list[Server]:
        """Every server that has keys. Raises Unreached if nothing is known of the cluster."""
        await self._know()
        return [self._server(address) for address in sorted(self._addresses)]

    async def holders(self) -> list[Server]:
        """Every server that may have keys: the `primaries`, and those without a slot, to which keys may be on
        their way. Raises what a primary answers that does not say which they are."""
        await self._know()
        primaries = sorted(self._addresses)
        until = asyncio.get_running_loop().time() + self._deadline * _PART_OF_DEADLINE
        batch = _Batch([_SHARDS], [None], until, 0)
        said = await asyncio.gather(*(self._conversation(batch, address, [_SHARDS]) for address in primaries))
        found = set(primaries)
        for address, [shards] in zip(primaries, said, strict=True):
            if isinstance(shards, Exception):
                raise shards
            found.update(_masters(shards, address[0], has_tls=self._has_tls))
        return [self._server(address) for address in sorted(found)]

    def part_of(self, command: Command) -> Address | None:
        """Whom this command is asked of, as far as is known now."""
        return self._slots[_slot_of(command)] if self._slots else None

    def server_of(self, part: Address | None) -> Server | None:
        """The node, if it has been asked before and nothing that is known is in doubt."""
        if part is None or self._lookout.is_doubted:
            return None
        self._lookout.look_soon()
        return self._servers.get(part)

    async def leave(self) -> None:
        """What is known is in doubt. The servers that have failed are left already, and the others go on."""
        self._lookout.doubt()

    async def aclose(self) -> None:
        await self._lookout.aclose()
        for server in list(self._servers.values()):
            await server.aclose()

    async def _know(self) -> None:
        if self._lookout.is_doubted or not self._slots:
            await self._lookout.fresh()
        else:
            self._lookout.look_soon()
        if not self._slots:
            raise errors.Unreached(self._failure)

    async def _ask_owners(self, batch: _Batch, wanted: Iterable[int]) -> None:
        """Asks who has the key of each command, and follows keys that have moved."""
        commands, answers = batch.commands, batch.answers
        # Of each command its place in the batch, whom it goes to, and whether its key is just moving there.
        waiting = [(at, self._slots[_slot_of(commands[at])], False) for at in wanted]
        for attempt in range(_REDIRECTIONS):
            parts: dict[Address, list[tuple[int, bool]]] = {}
            for at, address, is_asking in waiting:
                if address is None:
                    answers[at] = ClusterDownError("CLUSTERDOWN Hash slot not served")
                else:
                    parts.setdefault(address, []).append((at, is_asking))
            asked = [self._ask_part(batch, address, part) for address, part in parts.items()]
            if len(asked) == 1:
                await asked[0]
            else:
                await asyncio.gather(*asked)
            is_moving = any(isinstance(answers[at], TryAgainError) for at, _, _ in waiting)
            waiting = [
                (at, *self._redirected(commands[at], address, answers[at]))
                for at, address, _ in waiting
                if address is not None and isinstance(answers[at], AskError | TryAgainError)
            ]
            pause = min(_PAUSE * (attempt + 1), 10 * _PAUSE) if is_moving else 0
            if not waiting or asyncio.get_running_loop().time() + pause > batch.until:
                return
            await asyncio.sleep(pause)

    def _redirected(
        self, command: Command, asked: Address, answer: AskError | TryAgainError
    ) -> tuple[Address | None, bool]:
        slot = _slot_of(command)
        if isinstance(answer, TryAgainError):
            return self._slots[slot], False
        address = (answer.host or asked[0], answer.port)
        self._set_addresses(self._addresses | {address})
        if isinstance(answer, MovedError):
            self._slots[slot] = address
            self._lookout.doubt()
            return address, False
        return address, True

    def _set_addresses(self, addresses: frozenset[Address]) -> None:
        if addresses != self._addresses:
            self._addresses = addresses
            self.shape += 1
            self._on_change()

    async def _ask_part(self, batch: _Batch, address: Address, part: Sequence[tuple[int, bool]]) -> None:
        """Asks one server. Never raises: what fails is the answer to each of its commands."""
        sent: list[Command] = []
        for at, is_asking in part:
            sent += [ASKING, batch.commands[at]] if is_asking else [batch.commands[at]]
        found = await self._conversation(batch, address, sent)
        if len(sent) > len(part):
            found = [answer for command, answer in zip(sent, found, strict=True) if command is not ASKING]
        for (at, _), answer in zip(part, found, strict=True):
            batch.answers[at] = answer

    async def _ask_all(self, batch: _Batch) -> None:
        """Asks every primary what has no key. Texts are joined."""
        wanted = [at for at, command in enumerate(batch.commands) if command[0] in _EVERYWHERE]
        sent = [batch.commands[at] for at in wanted]
        found = await asyncio.gather(
            *(self._conversation(batch, address, sent) for address in sorted(self._addresses))
        )
        for place, at in enumerate(wanted):
            batch.answers[at] = _joined([of_one[place] for of_one in found])

    async def _conversation(self, batch: _Batch, address: Address, commands: Sequence[Command]) -> list[Any]:
        try:
            server = self._server(address)
        except errors.Unreached as error:
            return [error] * len(commands)
        try:
            async with asyncio.timeout_at(batch.until):
                return await server.conversation(commands, confirmed_within=batch.confirmed_within)
        except Exception as error:  # noqa: BLE001  (a server may say anything, as in `RedisConnection`)
            self._lookout.doubt()
            await server.leave()
            return [error] * len(commands)

    def _server(self, address: Address) -> Server:
        """Raises Unreached for a server that nothing may be sent to."""
        if address not in self._seeds and not self._may_lead_to(address[0]):
            raise errors.Unreached(_ELSEWHERE)
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = self._server_at(address)
        return server

    async def _look(self) -> None:
        asked = self._drawn(self._addresses | self._replicas)
        said = await most([self._view(address) for address in asked])
        if not said:
            # Only now: what was a node when the URL was written may have become one of another cluster.
            asked = self._drawn(frozenset(self._seeds))
            said = await most([self._view(address) for address in asked])
        if not said:
            return
        newest = max(said, key=lambda view: (view.is_served, view.epoch))
        if newest.epoch < self._epoch and 2 * len(said) <= len(asked):
            return  # a few nodes that were cut off tell of yesterday
        self._epoch, self._slots, self._replicas = newest.epoch, newest.slots, newest.replicas
        before = self._addresses
        self._set_addresses(newest.primaries)
        if before and before != self._addresses:
            primaries = list(map(address_text, sorted(self._addresses)))
            _log.warning("store.primaries_changed", primaries=primaries)
        for address in set(self._servers) - self._addresses - self._replicas - set(self._seeds):
            await self._servers.pop(address).aclose(nowait=True)

    @staticmethod
    def _drawn(addresses: frozenset[Address]) -> list[Address]:
        return _random.sample(sorted(addresses), min(_ASKED_AT_ONCE, len(addresses)))

    async def _view(self, address: Address) -> _View | None:
        """How this node sees the cluster; None, with the reason in `_failure`, if that is of no use."""
        try:
            server = self._server(address)
        except errors.Unreached:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                said = await server.conversation([("CLUSTER", "SLOTS"), ("CLUSTER", "INFO")])
            return _understood(*said, host=address[0])
        except Exception as error:  # noqa: BLE001  (as above)
            await server.leave()
            reason = errors.description(error, deadline=PATIENCE).replace("the store", "it", 1)
            self._failure = f"no node of the cluster says which keys are where: {reason}"
            return None


def _understood(slots: Any, facts: Any, *, host: str) -> _View:
    """Raises the refusal, or whatever comes of an answer that cannot be read."""
    for answer in (slots, facts):
        if isinstance(answer, Exception):
            raise answer
    epoch = _EPOCH.search(facts)
    if epoch is None:
        raise InvalidResponse
    owners: list[Address | None] = [None] * _SLOTS
    primaries: set[Address] = set()
    replicas: set[Address] = set()
    for first, last, primary, *others in slots:
        if not 0 <= first <= last < _SLOTS:
            raise InvalidResponse
        owner = _address(primary, host)
        owners[first : last + 1] = [owner] * (last + 1 - first)
        if owner is not None:
            primaries.add(owner)
        replicas.update(found for other in others if (found := _address(other, host)) is not None)
    if not primaries:
        raise errors.Unreached("no node has any key")
    return _View(
        epoch=int(epoch[1]),
        is_served=b"cluster_state:ok" in facts,
        slots=owners,
        primaries=frozenset(primaries),
        replicas=frozenset(replicas),
    )


def _address(node: Any, asked_host: str) -> Address | None:
    """A node that does not know its own address has none here: it is where it was asked."""
    host, port = node[0], node[1]
    if host == b"?":
        return None
    return (host.decode("ascii") if host else asked_host, int(port))


def _masters(shards: Any, asked_host: str, *, has_tls: bool) -> Iterator[Address]:
    """The primaries in the answer to CLUSTER SHARDS, also those without a slot."""
    for shard in shards:
        for node in _by_name(shard)[b"nodes"]:
            facts = _by_name(node)
            if facts[b"role"] == b"master" and facts[b"health"] != b"failed":
                port = facts[b"tls-port"] if has_tls else facts[b"port"]
                if (address := _address((facts[b"endpoint"], port), asked_host)) is not None:
                    yield address


def _by_name(flat: Sequence[Any]) -> dict[Any, Any]:
    """An answer that comes as a list of names and values by turns."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _slot_of(command: Command) -> int:
    return key_slot(key_of(command))


def _joined(found: Sequence[Any]) -> Any:
    """One answer of all primaries."""
    refused = next((answer for answer in found if isinstance(answer, Exception)), None)
    if refused is not None:
        return refused
    return b"\r\n".join(found) if all(isinstance(answer, bytes) for answer in found) else found[0]
