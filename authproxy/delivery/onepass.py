"""The client of the service that carries notifications to phones, by the contract in README.md.

An answer must be complete, small, uncompressed and in time, and no redirect is followed. No answer of the
service approves anything: phones sign their answers.

The service counts as down only if requests that send something fail. Questions for answers do not count:
pages repeat them while somebody waits, so one slow second would look like an outage, and one person with many
tabs could cause it for everybody.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.notification import (
    EnrolledPhone,
    Notification,
    PhoneAnswer,
    Sent,
    Unanswered,
    time_text,
)
from authproxy.delivery.shared_questions import SharedQuestions
from authproxy.dns import client_sessions
from authproxy.dns.client_sessions import BodyRefused, SessionResolver, read_body
from authproxy.dns.resolver import Resolver

_SIZE_LIMIT: Final = 16 * 1024
_LONGEST_TEXT: Final = 400
_CODE: Final = re.compile(r"[A-Z2-7]{4,16}", re.ASCII)
_AWAY_AFTER: Final = 3
_AWAY_FOR: Final = timedelta(seconds=30)
_LATER_AT_LEAST: Final = 5
_LATER_AT_MOST: Final = 600
_CONNECTIONS: Final = 64
_CONNECTIONS_FOR_WAITING: Final = 32
"""How many questions for answers may be under way at a time. The remaining connections are for requests that
send something."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePassHealth:
    """`failures` counts consecutive failures without questions for answers. `asked` and `failed` count every
    request since the start."""

    asked: int
    failed: int
    failures: int
    is_away: bool
    last_failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServiceAnswer:
    status: int
    retry_after: str
    body: Mapping[str, Any] = field(repr=False)

    def text(self, member: str) -> str:
        return _text(self.body.get(member))


class _NotAgreed(ValueError):  # noqa: N818
    """The answer breaks the contract. The message names the rule and never quotes the answer."""


class OnePassService:
    """Every method raises CannotAsk(SENDER_UNAVAILABLE) if the service fails. Its text names the request and
    the problem, and never quotes what was sent."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        api_key: str,
        timeout: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        self._timeout = timeout
        self._clock = clock
        self._asked = self._failed = self._failures = 0
        self._last_failure = ""
        self._away_until: datetime | None = None
        self._answers: SharedQuestions[PhoneAnswer | Unanswered] = SharedQuestions(unknown=Unanswered.PENDING)
        self._phones: SharedQuestions[EnrolledPhone | Unanswered] = SharedQuestions(
            unknown=Unanswered.PENDING
        )
        self._waiting = asyncio.Semaphore(_CONNECTIONS_FOR_WAITING)

    @property
    def is_away(self) -> bool:
        """Whether it failed several times in a row a short time ago. After that time the next request tries
        again."""
        return self._away_until is not None and self._clock() < self._away_until

    @property
    def health(self) -> OnePassHealth:
        return OnePassHealth(
            asked=self._asked,
            failed=self._failed,
            failures=self._failures,
            is_away=self.is_away,
            last_failure=self._last_failure,
        )

    async def send(self, notification: Notification) -> Sent | timedelta:
        """Sends a notification. Returns a time span if the service asks us to wait that long first."""
        return await self._ask(
            "POST",
            "pushes",
            _sent,
            accepted={202, 404, 429},
            document={
                "push_id": notification.push_id,
                "device_id": notification.device_id,
                "portal": notification.portal,
                "place": notification.place,
                "browser": notification.browser,
                "address": notification.address,
                "issued_at": time_text(notification.issued_at),
                "expires_at": time_text(notification.expires_at),
                "number": notification.number,
                "choices": list(notification.choices),
                **(
                    {"shows": [{"name": name, "value": value} for name, value in notification.shows]}
                    if notification.shows
                    else {}
                ),
            },
        )

    async def answer_to(self, push_id: str) -> PhoneAnswer | Unanswered:
        """The phone's answer. The service is asked about once a second, however many callers ask."""
        return await self._answers.ask(push_id, lambda: self._poll("pushes", _phone_answer, push_id))

    async def withdraw(self, push_id: str) -> None:
        await self._ask("DELETE", "pushes", _done, named=push_id, accepted={204, 404})

    async def begin_enrolment(
        self, enrolment_id: str, *, relying_party: str, account: str, expires_at: datetime
    ) -> str:
        return await self._ask(
            "POST",
            "enrolments",
            _activation_code,
            accepted={201},
            document={
                "enrolment_id": enrolment_id,
                "relying_party": relying_party,
                "account_hint": account,
                "expires_at": time_text(expires_at),
            },
        )

    async def enrolled(self, enrolment_id: str) -> EnrolledPhone | Unanswered:
        """The enrolled phone. Shares questions as `answer_to` does."""
        return await self._phones.ask(
            enrolment_id, lambda: self._poll("enrolments", _enrolled_phone, enrolment_id)
        )

    async def remove(self, device_id: str) -> None:
        await self._ask("DELETE", "devices", _done, named=device_id, accepted={204, 404})

    async def _poll(self, kind: str, read: Callable[[_ServiceAnswer], T], named: str) -> T:
        """Asks for an answer for which somebody waits. The result does not decide whether the service is
        down."""
        async with self._waiting:
            try:
                return await self._request("GET", kind, read, accepted={200, 404}, named=named)
            except CannotAsk:
                self._failed += 1
                raise

    async def _ask(
        self,
        method: str,
        kind: str,
        read: Callable[[_ServiceAnswer], T],
        *,
        accepted: set[int],
        named: str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> T:
        try:
            answer = await self._request(
                method, kind, read, accepted=accepted, named=named, document=document
            )
        except CannotAsk as failure:
            self._failed += 1
            self._failures += 1
            self._last_failure = str(failure)
            if self._failures >= _AWAY_AFTER:
                self._away_until = self._clock() + _AWAY_FOR
            raise
        self._failures, self._away_until = 0, None
        return answer

    async def _request(
        self,
        method: str,
        kind: str,
        read: Callable[[_ServiceAnswer], T],
        *,
        accepted: set[int],
        named: str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> T:
        self._asked += 1
        url = f"{self._url}/{kind}" if named is None else f"{self._url}/{kind}/{quote(named, safe='')}"
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return read(await self._exchange(method, url, accepted, document))
        except TimeoutError:
            raise _cannot_ask(
                method, kind, f"had no answer within {self._timeout.total_seconds():g} s"
            ) from None
        except _NotAgreed as fault:
            raise _cannot_ask(method, kind, str(fault)) from None
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            # The texts of these errors may quote what was received. The class name is enough.
            raise _cannot_ask(method, kind, f"could not be asked: {type(error).__name__}") from None

    async def _exchange(
        self, method: str, url: str, accepted: set[int], document: Mapping[str, Any] | None
    ) -> _ServiceAnswer:
        async with self._session.request(
            method, URL(url, encoded=True), headers=self._headers, json=document, allow_redirects=False
        ) as response:
            if response.status not in accepted:
                raise _NotAgreed(f"answered {response.status}")
            try:
                octets = await read_body(response, _SIZE_LIMIT)
            except BodyRefused as refused:
                raise _NotAgreed(str(refused)) from None
            body = json.loads(octets) if response.status in {200, 201} else {}
            if not isinstance(body, dict):
                raise _NotAgreed("answered with no JSON object")
            return _ServiceAnswer(
                status=response.status, retry_after=response.headers.get("Retry-After", ""), body=body
            )


def _cannot_ask(method: str, kind: str, what: str) -> CannotAsk:
    return CannotAsk(Reason.SENDER_UNAVAILABLE, f"OnePass ({method} {kind}) {what}")


def client_session(ca_file: str | None, names: Resolver | None = None) -> aiohttp.ClientSession:
    """A session for the service. Its certificate is verified only against `ca_file`, if that is given. The
    caller closes the session."""
    context = None if ca_file is None else ssl.create_default_context(cafile=ca_file)
    return client_sessions.client_session(SessionResolver(names), connections=_CONNECTIONS, context=context)


def _sent(answer: _ServiceAnswer) -> Sent | timedelta:
    if answer.status == 429:
        given = answer.retry_after
        seconds = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else _LATER_AT_LEAST
        return timedelta(seconds=min(max(seconds, _LATER_AT_LEAST), _LATER_AT_MOST))
    return Sent.ACCEPTED if answer.status == 202 else Sent.UNKNOWN_DEVICE


def _phone_answer(answer: _ServiceAnswer) -> PhoneAnswer | Unanswered:
    unanswered = _unanswered(answer)
    if unanswered is not None:
        return unanswered
    given = answer.body.get("answer")
    if answer.text("state") != "answered" or not isinstance(given, dict):
        raise _NotAgreed("answered with a state that there is not")
    return PhoneAnswer(
        action=_text(given.get("action")),
        number=_text(given.get("number")),
        signature=_text(given.get("signature")),
    )


def _unanswered(answer: _ServiceAnswer) -> Unanswered | None:
    state = "gone" if answer.status == 404 else answer.text("state")
    return {"pending": Unanswered.PENDING, "gone": Unanswered.GONE}.get(state)


def _activation_code(answer: _ServiceAnswer) -> str:
    code = answer.text("activation_code")
    if not _CODE.fullmatch(code):
        raise _NotAgreed("answered with a code that nobody can type")
    return code


def _enrolled_phone(answer: _ServiceAnswer) -> EnrolledPhone | Unanswered:
    unanswered = _unanswered(answer)
    if unanswered is not None:
        return unanswered
    if answer.text("state") != "enrolled":
        raise _NotAgreed("answered with a state that there is not")
    return EnrolledPhone(
        device_id=answer.text("device_id"),
        device_name=answer.text("device_name"),
        public_key=answer.text("public_key"),
        proof=answer.text("proof"),
    )


def _done(_: _ServiceAnswer) -> None:
    return None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise _NotAgreed("answered with something else where a short text should be")
    return value
