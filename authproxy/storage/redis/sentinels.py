"""Redis Sentinel: asks which server is the primary, and notices when it is another one.

redis-py's own client asks one Sentinel after the other, so that one that is cut off costs a question its whole
deadline. It believes the first that answers, even if that one has missed a failover, and it never leaves a
former primary that still takes questions. Here all Sentinels are asked at once, the newest decision counts
(`config-epoch`), and it is asked again about once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import ResponseError

from authproxy.dns.store_urls import Address, address_text
from authproxy.storage.redis import errors
from authproxy.storage.redis.lookout import PATIENCE, Lookout, most
from authproxy.storage.redis.servers import Server
from authproxy.telemetry.logging import logger

_ELSEWHERE: Final = (
    "it names a primary on another machine, and neither TLS nor `store.allows_plaintext` is set"
)
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What one Sentinel says. Each failover has a higher epoch than the one before."""

    address: Address
    epoch: int


class Sentinels:
    """`servers` are the Sentinels. `may_lead_to` says which hosts people's sessions and the password may be
    sent to. `on_change` is called when another server has become the primary."""

    def __init__(
        self,
        servers: Mapping[Address, Server],
        service: str,
        *,
        may_lead_to: Callable[[str], bool],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self._servers = servers
        self._service = service
        self._may_lead_to = may_lead_to
        self._on_change = on_change
        self._known: _Decision | None = None
        self.are_few = False
        """Whether no more than half of them said something in the last round."""
        self._lookout = Lookout(self._look)
        self._failure = "no Sentinel answers"

    async def address(self) -> Address:
        """Where the primary is, as the Sentinels said a moment ago. If none of them answers, it is where they
        said last. Raises Unreached if they have never said it."""
        await self._lookout.fresh()
        if self._known is None:
            raise errors.Unreached(self._failure)
        return self._known.address

    def look(self) -> None:
        self._lookout.look_soon()

    def doubt(self) -> None:
        self._lookout.doubt()

    async def warnings(self) -> list[str]:
        """What an operator should mend, in sentences."""
        said = await asyncio.gather(*map(self._asked, self._servers))
        silent = [
            f"{address_text(address)}: {reason}"
            for address, reason in zip(self._servers, said, strict=True)
            if isinstance(reason, str)
        ]
        warnings = []
        if silent:
            warnings.append(
                f"{len(silent)} of {len(said)} Sentinels do not say where the primary is "
                f"({'; '.join(silent)})"
                + ("; without most of them there is no failover" if 2 * len(silent) >= len(said) else "")
            )
        if len({decision.address for decision in said if isinstance(decision, _Decision)}) > 1:
            warnings.append("the Sentinels do not agree where the primary is")
        return warnings

    async def aclose(self) -> None:
        await self._lookout.aclose()
        for server in self._servers.values():
            await server.aclose()

    async def _look(self) -> None:
        said = await most([self._decision(address) for address in self._servers])
        self.are_few = 2 * len(said) <= len(self._servers)
        if not said:
            return
        known = self._known
        # Sentinels that were set up by hand for different primaries have the same epoch. Then most of them are
        # believed, and if there is no majority, nothing changes: whoever answers first must not decide.
        newest = max(said, key=lambda one: (one.epoch, said.count(one), one == known))
        if known is not None and newest.epoch < known.epoch and self.are_few:
            return  # a few Sentinels that were cut off tell of the primary of yesterday
        self._known = newest
        if known is not None and known.address != newest.address:
            _log.warning(
                "store.primary_changed",
                primary=address_text(newest.address),
                before=address_text(known.address),
            )
            await self._on_change()

    async def _decision(self, sentinel: Address) -> _Decision | None:
        """What this Sentinel says; None, with the reason in `_failure`, if it says nothing that is of use."""
        said = await self._asked(sentinel)
        if isinstance(said, _Decision):
            return said
        self._failure = f"the Sentinels do not lead to the primary: {said}"
        return None

    async def _asked(self, sentinel: Address) -> _Decision | str:
        """What this Sentinel says, or why it says nothing that is of use, in a sentence about it."""
        server = self._servers[sentinel]
        try:
            async with asyncio.timeout(PATIENCE):
                # During a failover the first answer leads to the new primary before the second one does.
                address, facts = await server.conversation(
                    [
                        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service),
                        ("SENTINEL", "MASTER", self._service),
                    ]
                )
            return self._understood(address, facts)
        except Exception as error:  # noqa: BLE001  (a Sentinel may say anything, as in `RedisConnection`)
            await server.leave()
            return errors.description(error, deadline=PATIENCE).replace("the store", "it", 1)

    def _understood(self, address: Any, facts: Any) -> _Decision | str:
        if address is None or (isinstance(facts, ResponseError) and "No such master" in str(facts)):
            return f"it knows no service `{self._service}`"
        for answer in (address, facts):
            if isinstance(answer, Exception):
                raise answer
        host, port = address
        told = dict(zip(facts[::2], facts[1::2], strict=True))
        decision = _Decision((host.decode("ascii"), int(port)), int(told[b"config-epoch"]))
        return decision if self._may_lead_to(decision.address[0]) else _ELSEWHERE
