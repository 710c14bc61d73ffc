"""The interface of SMS gateways, and a sender that asks several of them in order until one takes the message.

A gateway that failed several times in a row is asked last for a while, because people should not wait for it.
After that one message is its probe. Failures that concern one number only do not count: otherwise somebody
with an unusual number could put a gateway out of use for everybody.
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
    """The gateway does not have the message, or that is unknown. The text is for operators and quotes nothing
    of the message.

    `is_of_the_message`: the failure concerns this message only."""

    def __init__(self, problem: str, *, is_of_the_message: bool = False) -> None:
        super().__init__(problem)
        self.is_of_the_message = is_of_the_message


class SmsGateway(Protocol):
    @property
    def name(self) -> str:
        """The name in settings, metrics and logs."""
        ...

    @property
    def reports(self) -> Counter[Report]:
        """What became of messages, as far as the gateway has reported."""
        ...

    async def take(self, sms: Sms) -> str:
        """Hands the message over, within the gateway's own time limit. Returns the gateway's id of the
        message, or an empty text. Raises NotTaken."""
        ...

    def release(self) -> None:
        """Gives up a connection that it keeps: a successor in another process wants one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRest:
    """When a gateway is put last, and for how long."""

    after: int = 3
    """Consecutive failures."""
    lasts: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHealth:
    name: str
    failures: int
    """Consecutive failures; 0 if it works, as far as is known."""
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
        """`gateways` are at least one, in the order in which they are asked."""
        self._standings = tuple(_Standing(gateway) for gateway in gateways)
        self._rest = rest
        self._clock = clock

    async def send(self, sms: Sms) -> Delivered:
        """Sends a message. Raises CannotAsk if no gateway takes it.

        If an answer is lost, the next gateway is asked, and the person may get the message twice. That is
        better than none."""
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

    def release(self) -> None:
        """Gives up connections that are kept: a successor wants them, and centres may allow one alone."""
        for standing in self._standings:
            standing.gateway.release()

    def health(self) -> tuple[GatewayHealth, ...]:
        now = self._clock()
        return tuple(
            GatewayHealth(
                name=standing.gateway.name,
                failures=standing.failures,
                is_resting=standing.is_resting(now),
                last_problem=standing.last_problem,
            )
            for standing in self._standings
        )

    def sent(self) -> Iterator[tuple[str, Outcome, int]]:
        """How many messages each gateway has taken and not taken."""
        return (
            (standing.gateway.name, outcome, count)
            for standing in self._standings
            for outcome, count in standing.outcomes.items()
        )

    def reported(self) -> Iterator[tuple[str, Report, int]]:
        """What became of the messages that each gateway has taken."""
        return (
            (standing.gateway.name, report, count)
            for standing in self._standings
            for report, count in standing.gateway.reports.items()
        )

    def _in_order(self) -> Iterator[_Standing]:
        """The gateways in the order of asking. Whether one is resting is decided when its turn comes."""
        resting = []
        for standing in self._standings:
            now = self._clock()
            if standing.is_resting(now):
                resting.append(standing)
                continue
            if standing.rests_until is not None:
                # This message is the probe. For messages that come meanwhile the gateway is still resting.
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
