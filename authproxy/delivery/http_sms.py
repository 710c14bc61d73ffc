"""Hands text messages to an SMS gateway over HTTP (RFC 9110), and decides what counts as an answer: it must
be small, complete, in time and no redirect.

If an answer is lost, it is unknown whether the gateway took the message. The same message is handed over
again, and the person may get it twice. A gateway that recognises messages by a header of ours
(`reference_header`) sends it once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Final, Literal
from urllib.parse import quote

import aiohttp
from yarl import URL

from authproxy.challenges.message import Sms
from authproxy.delivery.agreement import (
    Agreement,
    DeliveryReports,
    GatewayAnswer,
    Judgement,
    judged,
    message_id,
    reported,
)
from authproxy.delivery.sms import Unsendable
from authproxy.delivery.sms_gateways import NotTaken, Report
from authproxy.dns import client_sessions
from authproxy.dns.client_sessions import BodyRefused, SessionResolver, read_body
from authproxy.dns.resolver import Resolver
from authproxy.telemetry.logging import logger

_CONNECTIONS: Final = 32
_SIZE_LIMIT: Final = 64 * 1024
_MOST_FOLLOWED: Final = 500
"""The number of messages whose delivery is followed at a time. Further ones count as unknown; only a metric
depends on it."""
REPORT_PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300))
"""The pauses before the questions about a delivery."""


class HttpSmsGateway:
    def __init__(
        self,
        name: str,
        agreement: Agreement,
        session: aiohttp.ClientSession,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        report_pauses: tuple[timedelta, ...] = REPORT_PAUSES,
    ) -> None:
        """`spawn` runs the questions about deliveries in the background."""
        self._name = name
        self._agreement = agreement
        self._session = session
        self._spawn = spawn
        self._report_pauses = report_pauses
        self._followed = 0
        self._reports: Counter[Report] = Counter()

    @property
    def name(self) -> str:
        return self._name

    @property
    def reports(self) -> Counter[Report]:
        return self._reports

    def release(self) -> None:
        """It keeps nothing that somebody else could want."""

    async def take(self, sms: Sms) -> str:
        try:
            headers, body = self._agreement.request(sms)
        except Unsendable as unsendable:
            raise NotTaken(f"was not asked: {unsendable}", is_of_the_message=True) from None
        gateway_id = message_id(await self._hand_over(headers, body), self._agreement.success)
        if gateway_id and self._agreement.reports is not None:
            self._follow(gateway_id, self._agreement.reports)
        return gateway_id

    async def _hand_over(self, headers: Mapping[str, str], body: bytes) -> GatewayAnswer:
        """Returns the answer by which the gateway took the message. Raises NotTaken."""
        agreement, time = self._agreement, asyncio.get_running_loop().time
        ends_at = time() + agreement.deadline.total_seconds()
        problem, pause = "", agreement.pause
        for _ in range(agreement.tries):
            answer = None
            within = min(agreement.timeout.total_seconds(), ends_at - time())
            try:
                answer = await self._request(
                    "POST", agreement.url, headers, body, within=within, is_read=agreement.success.needs_body
                )
            except _NoAnswer as silence:
                problem = str(silence)
            else:
                if _is_taken(answer, agreement):
                    return answer
                problem = f"answered {answer.status}"
            wait = max(pause, answer.wait if answer is not None else pause).total_seconds()
            if time() + wait >= ends_at:
                break
            await asyncio.sleep(wait)
            pause *= 2
        raise NotTaken(problem)

    async def _request(
        self,
        method: Literal["GET", "POST"],
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        within: float,
        is_read: bool,
    ) -> GatewayAnswer:
        """Raises _NoAnswer if another try may help, and NotTaken if not."""
        try:
            async with (
                asyncio.timeout(within),
                self._session.request(
                    method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
                ) as response,
            ):
                return GatewayAnswer(
                    status=response.status,
                    body=await read_body(response, _SIZE_LIMIT) if is_read else b"",
                    retry_after=response.headers.get("Retry-After", ""),
                )
        except BodyRefused as refused:
            raise NotTaken(str(refused)) from None
        except TimeoutError:
            raise _NoAnswer(f"gave no answer within {within:.3g} s") from None
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise NotTaken(f"is not to be believed: {type(error).__name__}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The texts of these errors may quote what was sent or received. The class name is enough.
            raise _NoAnswer(f"could not be asked: {type(error).__name__}") from None

    def _follow(self, gateway_id: str, reports: DeliveryReports) -> None:
        if self._followed >= _MOST_FOLLOWED:
            self._reports["unknown"] += 1
            return
        self._followed += 1
        self._spawn(self._follow_up(gateway_id, reports))

    async def _follow_up(self, gateway_id: str, reports: DeliveryReports) -> None:
        report: Report = "unknown"
        try:
            for pause in self._report_pauses:
                await asyncio.sleep(pause.total_seconds())
                report = await self._ask_for_report(gateway_id, reports) or "unknown"
                if report != "unknown":
                    break
        finally:
            self._followed -= 1
            self._reports[report] += 1
        logger("delivery").debug("sms.reported", gateway=self._name, report=report)

    async def _ask_for_report(self, gateway_id: str, reports: DeliveryReports) -> Report | None:
        url = reports.url.replace("{message_id}", quote(gateway_id, safe=""))
        headers = {"Accept-Encoding": "identity", **self._agreement.headers}
        try:
            answer = await self._request(
                "GET", url, headers, None, within=self._agreement.timeout.total_seconds(), is_read=True
            )
        except (_NoAnswer, NotTaken):
            return None
        return reported(answer, reports)


class _NoAnswer(Exception):  # noqa: N818
    """It is unknown whether the gateway has the message."""


def client_session(
    *,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    names: Resolver | None = None,
) -> aiohttp.ClientSession:
    """A session for one gateway. Its certificate is verified only against `ca_file`, if that is given. Raises
    OSError for files that cannot be used. The caller closes the session."""
    context = None
    if ca_file is not None or certificate_file is not None:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate_file is not None:
            context.load_cert_chain(certificate_file, key_file)
    return client_sessions.client_session(SessionResolver(names), connections=_CONNECTIONS, context=context)


def _is_taken(answer: GatewayAnswer, agreement: Agreement) -> bool:
    """Whether the message was taken; False if another try may help. Raises NotTaken if not."""
    match judged(answer, agreement.success):
        case Judgement.TAKEN:
            return True
        case Judgement.LATER:
            return False
        case Judgement.REFUSED if answer.status in agreement.success.statuses:
            raise NotTaken(
                f"answered {answer.status} and did not say that it has the message", is_of_the_message=True
            )
        case Judgement.REFUSED:
            raise NotTaken(f"answered {answer.status}", is_of_the_message=True)
        case Judgement.BROKEN:
            raise NotTaken(f"answered {answer.status}")
