"""The adapter to the OnePass service, against one that answers as it likes: slow, huge, redirecting, closing,
lying in form."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.notification import EnrolledPhone, Notification, PhoneAnswer, Sent, Unanswered
from authproxy.delivery.onepass import OnePassService, client_session
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.clock import Clock

NOW = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)
KEY = "the-key-of-the-gateway"
PUSH = Notification(
    push_id="p/1?",
    device_id="d-1",
    portal="Plačila",
    place="/placila",
    browser="Firefox",
    address="192.0.2.7",
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=2),
    number="47",
    choices=("83", "47", "21"),
)
ANSWER = {"action": "approve", "number": "47", "signature": "s"}
PHONE = {"device_id": "d-1", "device_name": "Anin telefon", "public_key": "k", "proof": "p"}


class Hostile:
    """Says what it is told to, to everything; keeps what it was asked."""

    def __init__(self):
        self.answer, self.asked, self.bodies = lambda _: web.Response(status=500), [], []

    async def answered(self, request):
        self.asked.append(request)
        self.bodies.append(await request.json() if request.can_read_body else None)
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
async def hostile():
    return Hostile()


@pytest.fixture
async def service(hostile, clock):
    application, listener = web.Application(), bound()
    application.router.add_route("*", "/{path:.*}", hostile.answered)
    async with contextlib.AsyncExitStack() as running:
        port = port_of(listener)
        await running.enter_async_context(serving(application, listener))
        session = await running.enter_async_context(client_session(None))
        yield OnePassService(
            session,
            url=f"http://127.0.0.1:{port}/api/",
            api_key=KEY,
            timeout=timedelta(seconds=5),
            clock=clock,
        )


def says(hostile, status, body=None, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    hostile.answer = lambda _: (
        web.json_response(body, status=status, headers=given)
        if body is not None
        else web.Response(status=status, headers=given)
    )


QUESTIONS = {
    "send": lambda service: service.send(PUSH),
    "answer_to": lambda service: service.answer_to("p"),
    "withdraw": lambda service: service.withdraw("p"),
    "begin_enrolment": lambda service: service.begin_enrolment(
        "e", relying_party="R", account="a", expires_at=NOW
    ),
    "enrolled": lambda service: service.enrolled("e"),
    "remove": lambda service: service.remove("d"),
}


async def test_a_notification_travels_whole_and_with_the_key(service, hostile):
    says(hostile, 202, {})
    assert await service.send(PUSH) is Sent.ACCEPTED
    [asked] = hostile.asked
    assert (asked.method, asked.path, asked.headers["Authorization"]) == (
        "POST",
        "/api/pushes",
        f"Bearer {KEY}",
    )
    assert hostile.bodies == [
        {
            "push_id": "p/1?",
            "device_id": "d-1",
            "portal": "Plačila",
            "place": "/placila",
            "browser": "Firefox",
            "address": "192.0.2.7",
            "issued_at": "2026-11-22T10:00:12Z",
            "expires_at": "2026-11-22T10:02:12Z",
            "number": "47",
            "choices": ["83", "47", "21"],
        }
    ]


async def test_names_cannot_lead_to_another_place_of_the_service(service, hostile):
    says(hostile, 204)
    await service.withdraw("../devices/d?x#y")
    assert hostile.asked[0].raw_path == "/api/pushes/..%2Fdevices%2Fd%3Fx%23y"


@pytest.mark.parametrize(
    ("after", "span"), [("40", 40), ("1", 5), ("86400", 600), ("soon", 5), ("", 5), ("9" * 40, 5), ("٤٠", 5)]
)
async def test_a_service_that_is_asked_too_often_says_until_when_within_reason(service, hostile, after, span):
    says(hostile, 429, Retry_After=after) if after.isascii() else says(hostile, 429)
    assert await service.send(PUSH) == timedelta(seconds=span)


async def test_a_phone_that_is_not_known_is_an_answer(service, hostile):
    says(hostile, 404)
    assert await service.send(PUSH) is Sent.UNKNOWN_DEVICE
    assert await service.answer_to("p") is Unanswered.GONE
    assert await service.enrolled("e") is Unanswered.GONE
    await service.withdraw("p")
    await service.remove("d")
    assert service.health.failed == 0


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"state": "pending"}, Unanswered.PENDING),
        ({"state": "gone"}, Unanswered.GONE),
        (
            {"state": "answered", "answer": ANSWER, "more": 1},
            PhoneAnswer(action="approve", number="47", signature="s"),
        ),
    ],
)
async def test_what_the_phone_has_answered_is_read_as_it_stands(service, hostile, body, read):
    says(hostile, 200, body)
    assert await service.answer_to("p") == read


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"state": "pending"}, Unanswered.PENDING),
        ({"state": "gone"}, Unanswered.GONE),
        ({"state": "enrolled"} | PHONE, EnrolledPhone(**PHONE)),
    ],
)
async def test_a_phone_that_has_come_is_read_as_it_stands(service, hostile, body, read):
    says(hostile, 200, body)
    assert await service.enrolled("e") == read


async def test_an_activation_code_can_be_typed_or_is_none(service, hostile):
    says(hostile, 201, {"activation_code": "ABC234"})
    assert (
        await service.begin_enrolment("e", relying_party="R", account="a@example.si", expires_at=NOW)
        == "ABC234"
    )
    assert hostile.bodies == [
        {
            "enrolment_id": "e",
            "relying_party": "R",
            "account_hint": "a@example.si",
            "expires_at": "2026-11-22T10:00:12Z",
        }
    ]
    for code in ("", "abc", "AB1", "A" * 17, "<b>", 4, None, "АВС234"):
        says(hostile, 201, {"activation_code": code})
        with pytest.raises(CannotAsk):
            await service.begin_enrolment("e", relying_party="R", account="a", expires_at=NOW)


LIES = {
    "no object": [],
    "no state": {},
    "another state": {"state": "approved"},
    "no answer": {"state": "answered"},
    "an answer that is none": {"state": "answered", "answer": "approve"},
    "a number that is one": {"state": "answered", "answer": ANSWER | {"number": 47}},
    "no signature": {"state": "answered", "answer": {"action": "approve", "number": "47"}},
    "a long text": {"state": "answered", "answer": ANSWER | {"signature": "s" * 401}},
    "a state that is a list": {"state": ["gone"]},
    "half a phone": {"state": "enrolled", "device_id": "d"},
    "a phone without a name": {"state": "enrolled"} | PHONE | {"device_name": None},
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("question", ["answer_to", "enrolled"])
async def test_what_is_not_agreed_is_no_answer(service, hostile, question, lie):
    says(hostile, 200, LIES[lie])
    with pytest.raises(CannotAsk) as failure:
        await QUESTIONS[question](service)
    assert failure.value.reason is Reason.SENDER_UNAVAILABLE


async def hang_up(request):
    request.transport.abort()
    return web.Response()


def endless(request):
    async def pouring():
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            while True:
                await response.write(b" " * 4096)
        return response

    return pouring()


FAULTS = {
    "error": lambda _: web.Response(status=500),
    "forbidden": lambda _: web.Response(status=401, text=KEY),
    "redirect": lambda _: web.Response(status=302, headers={"Location": "/api/elsewhere"}),
    "created otherwise": lambda _: web.Response(status=203),
    "hang up": hang_up,
    "endless": endless,
    "no JSON": lambda _: web.Response(status=200, text="<html>"),
    "deep": lambda _: web.Response(status=200, text="[" * 9000),
    "no UTF-8": lambda _: web.Response(status=200, body=b'{"state": "\xff"}'),
    "packed": lambda _: web.Response(
        status=200, body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_no_answer_and_says_nothing_that_was_sent_or_received(service, hostile, fault):
    hostile.answer = FAULTS[fault]
    for question in (
        ("answer_to", "enrolled")
        if fault in {"endless", "no JSON", "deep", "no UTF-8", "packed"}
        else QUESTIONS
    ):
        with pytest.raises(CannotAsk) as failure:
            await QUESTIONS[question](service)
        assert failure.value.reason is Reason.SENDER_UNAVAILABLE
        assert not {KEY, "47", "html", "192.0.2.7", "placila"} & set(
            str(failure.value).replace("/", " ").split()
        )
    assert "/api/elsewhere" not in [request.path for request in hostile.asked]


async def test_a_service_that_does_not_answer_in_time_is_not_waited_for(hostile, clock):
    application, listener, released = web.Application(), bound(), asyncio.Event()

    async def silent(_):
        await released.wait()
        return web.json_response({"state": "pending"})

    application.router.add_route("*", "/{path:.*}", silent)
    async with contextlib.AsyncExitStack() as running:
        port = port_of(listener)
        await running.enter_async_context(serving(application, listener))
        session = await running.enter_async_context(client_session(None))
        service = OnePassService(
            session,
            url=f"http://127.0.0.1:{port}",
            api_key=KEY,
            timeout=timedelta(milliseconds=50),
            clock=clock,
        )
        with pytest.raises(CannotAsk, match=r"had no answer within 0\.05 s"):
            await service.answer_to("p")
        released.set()


async def test_after_three_failures_in_a_row_the_service_is_away_for_half_a_minute(service, hostile, clock):
    for failures in (1, 2, 3):
        assert not service.is_away
        with pytest.raises(CannotAsk):
            await service.withdraw("p")
        assert service.health.failures == failures
    assert service.is_away
    assert (service.health.asked, service.health.failed, service.health.last_failure) == (
        3,
        3,
        "OnePass (DELETE pushes) answered 500",
    )
    clock.now += timedelta(seconds=30)
    assert not service.is_away
    with pytest.raises(CannotAsk):
        await service.withdraw("p")
    assert service.is_away
    says(hostile, 204, None)
    await service.withdraw("p")
    assert not service.is_away
    assert (service.health.failures, service.health.failed) == (0, 4)


async def test_nonsense_counts_as_a_failure_as_silence_does(service, hostile):
    says(hostile, 201, {"activation_code": "?"})
    for _ in range(3):
        with pytest.raises(CannotAsk):
            await service.begin_enrolment("e", relying_party="B", account="ana", expires_at=NOW)
    assert service.is_away


async def test_waiting_for_a_phone_says_nothing_about_whether_the_service_is_there(service, hostile):
    for name in range(5):
        with pytest.raises(CannotAsk, match="answered 500"):
            await service.answer_to(f"p{name}")
        with pytest.raises(CannotAsk, match="answered 500"):
            await service.enrolled(f"e{name}")
    assert (service.is_away, service.health.failures, service.health.failed) == (False, 0, 10)
    for _ in range(3):
        with pytest.raises(CannotAsk):
            await service.send(PUSH)
    says(hostile, 200, {"state": "pending"})
    assert await service.answer_to("another") is Unanswered.PENDING
    assert service.is_away


async def test_five_hundred_questions_for_one_answer_are_few_questions_to_the_service_and_leave_room_for_others(
    service, hostile
):
    released = asyncio.Event()

    async def slowly(request):
        await released.wait()
        return web.json_response({"state": "pending"})

    hostile.answer = lambda request: slowly(request) if request.method == "GET" else web.Response(status=202)
    asking = [asyncio.ensure_future(service.answer_to("p")) for _ in range(500)]
    others = [asyncio.ensure_future(service.answer_to(f"of person {number}")) for number in range(80)]
    assert await service.send(PUSH) is Sent.ACCEPTED
    released.set()
    assert set(await asyncio.gather(*asking, *others)) == {Unanswered.PENDING}
    assert [request.path for request in hostile.asked].count("/api/pushes/p") == 1
    assert not service.is_away
