"""What every SMS gateway is to whoever sends, and the sender that asks several in order: the first that takes
a message has it.

A gateway that failed several times in a row is asked last for a while: people should not wait for its
silence. Then one message is its probe. Nothing that concerns one number alone counts, or whoever has an odd
number could take a gateway away from everybody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.message import Delivered, Sms
from authproxy.telemetry.logging import logger

Outcome = Literal["accepted", "refused", "failed"]
Report = Literal["delivered", "failed", "unknown"]


class NotTaken(Exception):  # noqa: N818
    """The gateway does not have the message, or nobody knows. The text is for operators and holds nothing of
    the message.

    `is_of_the_message`: another message might be taken."""

    def __init__(self, problem: str, *, is_of_the_message: bool = False) -> None:
        super().__init__(problem)
        self.is_of_the_message = is_of_the_message


class SmsGateway(Protocol):
    @property
    def name(self) -> str:
        """Of the settings: it stands in metrics and logs."""
        ...

    @property
    def reports(self) -> Counter[Report]:
        """What became of messages, as far as the gateway has told."""
        ...

    async def take(self, sms: Sms) -> str:
        """Hands the message over, within the gateway's own limit of time; its name for the message, or
        nothing. Raises NotTaken."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRest:
    """When a gateway is asked last, and for how long."""

    after: int = 3
    """Failures in a row."""
    lasts: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHealth:
    name: str
    failures: int
    """In a row; 0 where it works, as far as is known."""
    is_resting: bool
    last_problem: str


@dataclass(slots=True)
class _Standing:
    gateway: SmsGateway
    failures: int = 0
    rests_until: datetime | None = None
    last_problem: str = ""
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    def is_resting(self, now: datetime) -> bool:
        return self.rests_until is not None and now < self.rests_until


class FallbackSender:
    def __init__(
        self, gateways: Sequence[SmsGateway], *, rest: GatewayRest, clock: Callable[[], datetime]
    ) -> None:
        """Gateways in the order in which they are asked; at least one."""
        self._standings = tuple(_Standing(gateway) for gateway in gateways)
        self._rest = rest
        self._clock = clock

    async def send(self, sms: Sms) -> Delivered:
        """Raises CannotAsk if no gateway takes the message.

        Where an answer is lost, the next one is asked and the person may get the same message twice: better
        than none."""
        problems = []
        for standing in self._in_order():
            try:
                message_id = await standing.gateway.take(sms)
            except NotTaken as problem:
                self._note(standing, problem)
                problems.append(f"{standing.gateway.name} {problem}")
            else:
                standing.outcomes["accepted"] += 1
                standing.failures, standing.rests_until = 0, None
                return Delivered(gateway=standing.gateway.name, message_id=message_id)
        raise CannotAsk(Reason.SENDER_UNAVAILABLE, f"no SMS gateway took a message: {'; '.join(problems)}")

    def health(self) -> tuple[GatewayHealth, ...]:
        now = self._clock()
        return tuple(
            GatewayHealth(
                name=each.gateway.name,
                failures=each.failures,
                is_resting=each.is_resting(now),
                last_problem=each.last_problem,
            )
            for each in self._standings
        )

    def sent(self) -> Iterator[tuple[str, Outcome, int]]:
        """How many messages each gateway has taken and has not."""
        return (
            (each.gateway.name, outcome, count)
            for each in self._standings
            for outcome, count in each.outcomes.items()
        )

    def reported(self) -> Iterator[tuple[str, Report, int]]:
        """What became of the messages that each gateway has taken."""
        return (
            (each.gateway.name, report, count)
            for each in self._standings
            for report, count in each.gateway.reports.items()
        )

    def _in_order(self) -> Iterator[_Standing]:
        """One by one, judged when its turn comes."""
        resting = []
        for standing in self._standings:
            now = self._clock()
            if standing.is_resting(now):
                resting.append(standing)
                continue
            if standing.rests_until is not None:
                # This message is the probe. Others that come while it waits find the gateway at rest.
                standing.rests_until = now + self._rest.lasts
            yield standing
        yield from resting

    def _note(self, standing: _Standing, problem: NotTaken) -> None:
        standing.outcomes["refused" if problem.is_of_the_message else "failed"] += 1
        logger("delivery").warning("sms.not_taken", gateway=standing.gateway.name, problem=str(problem))
        if problem.is_of_the_message:
            return
        standing.failures += 1
        standing.last_problem = str(problem)
        if standing.failures >= self._rest.after:
            standing.rests_until = self._clock() + self._rest.lasts
