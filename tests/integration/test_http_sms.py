"""Text messages over HTTP: by the sandbox's outbox, by a gateway that does everything wrong, and by two of
them in order."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import trustme
import yaml
from aiohttp import web
from pydantic import TypeAdapter

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.background import Background
from authproxy.bootstrap.text_messages import sms_sender
from authproxy.challenges.message import Sms
from authproxy.delivery.agreement import Agreement, DeliveryReports, Signature, Success
from authproxy.delivery.http_sms import HttpSmsGateway, client_session
from authproxy.delivery.sms_gateways import FallbackSender, GatewayRest, NotTaken
from authproxy.delivery.template import Template
from authproxy.sandbox.outbox.application import application
from authproxy.settings.sms import SmsSettings
from tests.support.clock import Clock
from tests.support.hostile_sms_gateway import hostile_sms_gateway
from tests.support.log_lines import log_lines
from tests.support.ports import free_port
from tests.support.waiting import until

SMS = Sms(
    recipient="+38640123456",
    text='Koda za "Pridobivanje" je 493817 – šumniki & <znaki>.\n@acq.bankart.si #493817',
    reference="ref-1",
)
JSON = Template('{"sender": "{sender}", "recipient": "{recipient}", "text": "{text}"}', "application/json")
FORM = Template("sender={sender}&recipient={recipient}&text={text}", "application/x-www-form-urlencoded")
KEY = {"X-API-Key": "peskovnik-sms-2026"}
SECRETS = ("493817", "40123456", "peskovnik", "ref-1")


@pytest.fixture
async def outbox(aiohttp_client):
    http = await aiohttp_client(application(clock=Clock()))

    async def texts():
        async with http.get("/api/messages") as answer:
            return [(each["to"], each["from"], each["text"]) for each in await answer.json()]

    async def breaks(how, **more):
        await (await http.post("/api/break", json={"service": "sms", "how": how, **more})).release()

    async def mended():
        await (await http.delete("/api/break")).release()

    url = str(http.make_url("")).rstrip("/")
    yield SimpleNamespace(url=url, texts=texts, breaks=breaks, mended=mended)
    await mended()


@pytest.fixture
async def hostile():
    async with hostile_sms_gateway() as opened:
        yield opened


@pytest.fixture
async def gateways():
    """Gives gateways whose background work and connections end with the test."""
    tasks = set()
    async with contextlib.AsyncExitStack() as resources:

        async def gateway(url, *, name="mno", looks=(), session=None, **agreed):
            agreed = {
                "body": JSON,
                "headers": KEY,
                "sender": "Bankart",
                "timeout": timedelta(seconds=5),
                "pause": timedelta(milliseconds=5),
                **agreed,
            }
            opened = session or await resources.enter_async_context(client_session())
            return HttpSmsGateway(
                name,
                Agreement(url=url, **agreed),
                opened,
                report_pauses=looks,
                spawn=lambda work: tasks.add(asyncio.ensure_future(work)),
            )

        yield gateway
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [each for each in ended if isinstance(each, Exception)] == []


# Towards the outbox


@pytest.mark.parametrize(
    ("body", "content_type"), [(JSON, "application/json"), (FORM, "application/x-www-form-urlencoded")]
)
async def test_a_message_arrives_as_it_was_written(outbox, gateways, body, content_type):
    gateway = await gateways(
        f"{outbox.url}/sms/send",
        body=body,
        content_type=content_type,
        success=Success(pointer="/status", values=frozenset({"accepted"}), id_pointer="/message_id"),
    )
    assert len(await gateway.take(SMS)) == 16
    assert await outbox.texts() == [("+38640123456", "Bankart", SMS.text)]


async def test_basic_credentials_are_shown_too(outbox, gateways):
    gateway = await gateways(
        f"{outbox.url}/sms/send",
        headers={"Authorization": aiohttp.encode_basic_auth("prehod", "Sandbox-2026!")},
    )
    await gateway.take(SMS)
    assert len(await outbox.texts()) == 1


async def test_credentials_that_are_not_accepted_are_everybodys_trouble(outbox, gateways):
    gateway = await gateways(f"{outbox.url}/sms/send", headers={"X-API-Key": "another"})
    with pytest.raises(NotTaken, match="answered 401") as failed:
        await gateway.take(SMS)
    assert not failed.value.is_of_the_message


@pytest.mark.parametrize("how", ["error", "slow"])
async def test_a_gateway_that_fails_for_a_moment_is_asked_again(outbox, gateways, how):
    await outbox.breaks(how)
    gateway = await gateways(
        f"{outbox.url}/sms/send",
        tries=5,
        timeout=timedelta(seconds=0.3),
        pause=timedelta(seconds=0.1),
        deadline=timedelta(seconds=20),
    )
    waiting = asyncio.ensure_future(gateway.take(SMS))
    await asyncio.sleep(0)
    await outbox.mended()
    await waiting
    assert len(await outbox.texts()) in {1, 2}


async def test_a_busy_gateway_that_wants_to_be_left_alone_for_long_is_not_asked_again(hostile, gateways):
    hostile.answer(429, **{"Retry-After": "30"})
    gateway = await gateways(hostile.url, tries=5, deadline=timedelta(seconds=20))
    with pytest.raises(NotTaken, match="answered 429"):
        await gateway.take(SMS)
    assert len(hostile.requests) == 1


async def test_a_number_that_a_gateway_does_not_serve_is_this_messages_trouble(outbox, gateways):
    await outbox.breaks("reject", to=SMS.recipient)
    gateway = await gateways(f"{outbox.url}/sms/send")
    with pytest.raises(NotTaken, match="answered 422") as failed:
        await gateway.take(SMS)
    assert failed.value.is_of_the_message


@pytest.mark.parametrize(("how", "report"), [(None, "delivered"), ("lose", "unknown")])
async def test_deliveries_are_asked_about_in_the_background(outbox, gateways, how, report):
    if how:
        await outbox.breaks(how)
    reports = DeliveryReports(
        url=f"{outbox.url}/sms/status/{{message_id}}",
        pointer="/status",
        delivered=frozenset({"delivered"}),
        failed=frozenset(),
    )
    gateway = await gateways(
        f"{outbox.url}/sms/send",
        success=Success(id_pointer="/message_id"),
        reports=reports,
        looks=(timedelta(0), timedelta(milliseconds=10)),
    )
    await gateway.take(SMS)
    await until(lambda: asyncio.sleep(0, result=sum(gateway.reports.values())))
    assert gateway.reports == {report: 1}


async def test_the_settings_of_the_documentation_send_to_the_outbox(outbox):
    readme = (Path(__file__).parents[2] / "authproxy" / "delivery" / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    written = yaml.safe_load(
        example.replace("http://localhost:8083", outbox.url).replace(
            "secret_file: sms-key", f"secret: {KEY['X-API-Key']}"
        )
    )
    settings = TypeAdapter(SmsSettings).validate_python(written["step_up"]["sms"])
    background = Background(clock=Clock())
    async with contextlib.AsyncExitStack() as resources:
        sending = await sms_sender(settings, clock=Clock(), background=background, resources=resources)
        delivered = await sending.send(SMS)
        await background.end()
    assert (delivered.gateway, await outbox.texts()) == ("outbox", [("+38640123456", "Bankart", SMS.text)])


# Towards a hostile one


async def test_a_request_goes_where_it_was_agreed_and_nothing_of_the_message_is_in_its_url(hostile, gateways):
    hostile.answer(200)
    signature = Signature(header="X-Signature", key=b"k")
    await (await gateways(hostile.url, reference_header="Idempotency-Key", signature=signature)).take(SMS)
    [(method, target, headers, _)] = hostile.requests
    assert (method, target) == ("POST", "/send")
    assert (headers["Idempotency-Key"], len(headers["X-Signature"]), headers["User-Agent"]) == (
        "ref-1",
        64,
        "authproxy",
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(hostile, gateways, status):
    hostile.answer(status, Location=hostile.url + "/elsewhere")
    with pytest.raises(NotTaken, match=f"answered {status}"):
        await (await gateways(hostile.url)).take(SMS)
    assert len(hostile.requests) == 1


async def test_a_lost_answer_means_the_same_message_with_the_same_reference_again(hostile, gateways):
    hostile.hang_up()
    hostile.answer(200)
    await (await gateways(hostile.url, reference_header="Idempotency-Key")).take(SMS)
    first, second = hostile.requests
    assert (first[3], first[2]["Idempotency-Key"]) == (second[3], second[2]["Idempotency-Key"])


@pytest.mark.parametrize("after", [None, b'{"id":'])
async def test_a_gateway_that_never_ends_costs_the_deadline_and_no_more(hostile, gateways, after):
    hostile.stall(after)
    gateway = await gateways(
        hostile.url,
        tries=5,
        timeout=timedelta(seconds=0.2),
        deadline=timedelta(seconds=0.5),
        success=Success(id_pointer="/id"),
    )
    with pytest.raises(NotTaken, match="gave no answer within"):
        await gateway.take(SMS)
    assert 1 <= len(hostile.requests) <= 4


async def test_an_answer_without_end_is_left_and_not_asked_for_again(hostile, gateways):
    hostile.flood()
    with pytest.raises(NotTaken, match="more than 65536 bytes"):
        await (await gateways(hostile.url, success=Success(id_pointer="/id"))).take(SMS)
    assert len(hostile.requests) == 1


async def test_a_body_that_nobody_needs_is_not_read(hostile, gateways):
    hostile.flood()
    assert await (await gateways(hostile.url)).take(SMS) == ""


async def test_an_answer_in_an_encoding_that_was_not_asked_for_is_not_unpacked(hostile, gateways):
    hostile.answer(200, **{"Content-Encoding": "gzip"})
    with pytest.raises(NotTaken, match="encoding"):
        await (await gateways(hostile.url, success=Success(id_pointer="/id"))).take(SMS)


async def test_a_success_that_says_it_is_none_is_none(hostile, gateways):
    hostile.answer(200, body=b'{"status": "error", "text": "493817"}')
    with pytest.raises(NotTaken, match="did not say that it has the message") as failed:
        await (
            await gateways(hostile.url, success=Success(pointer="/status", values=frozenset({"accepted"})))
        ).take(SMS)
    assert failed.value.is_of_the_message
    assert len(hostile.requests) == 1


async def test_names_of_messages_stay_in_their_place_of_the_status_address(hostile, gateways):
    hostile.answer(200, body=b'{"id": "../../x?y#z", "status": "failed"}')
    reports = DeliveryReports(
        url=hostile.url + "/{message_id}/state",
        pointer="/status",
        delivered=frozenset(),
        failed=frozenset({"failed"}),
    )
    gateway = await gateways(
        hostile.url, success=Success(id_pointer="/id"), reports=reports, looks=(timedelta(0),)
    )
    assert await gateway.take(SMS) == "../../x?y#z"
    await until(lambda: asyncio.sleep(0, result=gateway.reports["failed"]))
    assert [target for _, target, _, _ in hostile.requests] == ["/send", "/send/..%2F..%2Fx%3Fy%23z/state"]


async def test_a_gateway_that_tells_nothing_of_deliveries_is_not_asked_for_ever(hostile, gateways):
    hostile.answer(200)
    hostile.hang_up()
    reports = DeliveryReports(
        url=hostile.url + "/{message_id}", pointer="/status", delivered=frozenset(), failed=frozenset()
    )
    gateway = await gateways(
        hostile.url, success=Success(id_pointer="/id"), reports=reports, looks=(timedelta(0),) * 3
    )
    await gateway.take(SMS)
    await until(lambda: asyncio.sleep(0, result=gateway.reports["unknown"]))
    assert len(hostile.requests) <= 7  # aiohttp itself asks once more where a GET loses its connection


async def test_only_so_many_deliveries_are_asked_about_at_a_time(hostile, gateways):
    hostile.answer(200)
    reports = DeliveryReports(
        url=hostile.url + "/{message_id}", pointer="/status", delivered=frozenset(), failed=frozenset()
    )
    gateway = await gateways(
        hostile.url, success=Success(id_pointer="/id"), reports=reports, looks=(timedelta(hours=1),)
    )
    await asyncio.gather(*(gateway.take(SMS) for _ in range(503)))
    assert gateway.reports == {"unknown": 3}


async def test_a_number_in_another_form_reaches_no_gateway(hostile, gateways):
    hostile.answer(200)
    with pytest.raises(NotTaken, match="was not asked"):
        await (await gateways(hostile.url)).take(replace(SMS, recipient="040123456"))
    assert hostile.requests == []


async def test_over_tls_only_a_gateway_that_proves_itself_gets_a_message_and_we_prove_ourselves(
    aiohttp_server, gateways, tmp_path
):
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    own = authority.issue_cert("prehod.example.si")
    own.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "own.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    shown = []

    async def send(request):
        shown.append(request.transport.get_extra_info("peercert")["subjectAltName"])
        return web.json_response({})

    made = web.Application()
    made.router.add_post("/send", send)
    server = await aiohttp_server(made, ssl=context)
    files = {"certificate_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.key")}
    async with (
        client_session(ca_file=str(tmp_path / "ca.pem"), **files) as good,
        client_session(ca_file=str(tmp_path / "stranger.pem"), **files) as bad,
    ):
        await (await gateways(f"https://127.0.0.1:{server.port}/send", session=good)).take(SMS)
        with pytest.raises(NotTaken, match="is not to be believed: ClientConnectorCertificateError"):
            await (await gateways(f"https://127.0.0.1:{server.port}/send", session=bad)).take(SMS)
    assert shown == [(("DNS", "prehod.example.si"),)]


# Several in order


def sender(*gateways, clock=None, after=2):
    return FallbackSender(
        gateways, rest=GatewayRest(after=after, lasts=timedelta(seconds=30)), clock=clock or Clock()
    )


async def test_the_first_gateway_that_takes_a_message_has_it(outbox, hostile, gateways):
    hostile.answer(200)
    sending = sender(
        await gateways(f"{outbox.url}/sms/send", name="first"), await gateways(hostile.url, name="second")
    )
    assert (await sending.send(SMS)).gateway == "first"
    assert (len(await outbox.texts()), hostile.requests) == (1, [])
    assert list(sending.sent()) == [("first", "accepted", 1)]


@pytest.mark.parametrize("trouble", ["away", 500, 401, 422])
async def test_whatever_goes_wrong_with_the_first_the_second_has_the_message(
    outbox, hostile, gateways, trouble
):
    hostile.answer(trouble if trouble != "away" else 200)
    url = f"http://127.0.0.1:{free_port()}/send" if trouble == "away" else hostile.url
    sending = sender(
        await gateways(url, name="first"),
        await gateways(f"{outbox.url}/sms/send", name="second", success=Success(id_pointer="/message_id")),
    )
    delivered = await sending.send(SMS)
    assert (delivered.gateway, len(delivered.message_id)) == ("second", 16)
    assert Counter({(name, outcome): count for name, outcome, count in sending.sent()}) == {
        ("first", "refused" if trouble == 422 else "failed"): 1,
        ("second", "accepted"): 1,
    }


async def test_when_nobody_takes_a_message_the_reason_says_who_said_what_and_nothing_of_the_message(
    hostile, gateways
):
    hostile.answer(500)
    sending = sender(
        await gateways(hostile.url, name="first"),
        await gateways(f"http://127.0.0.1:{free_port()}/", name="second"),
    )
    with log_lines("debug") as lines, pytest.raises(CannotAsk) as failed:
        await sending.send(SMS)
    assert failed.value.reason is Reason.SENDER_UNAVAILABLE
    assert (
        str(failed.value)
        == "no SMS gateway took a message: first answered 500; second could not be asked: ClientConnectorError"
    )
    said = lines.getvalue() + repr(failed.value) + repr(sending.health())
    assert [each["gateway"] for each in lines.lines() if each["event"] == "sms.not_taken"] == [
        "first",
        "second",
    ]
    assert [secret for secret in SECRETS if secret in said] == []


async def test_a_gateway_that_keeps_failing_is_asked_last_until_one_message_finds_it_at_work(
    outbox, hostile, gateways
):
    hostile.answer(500, 500, 500)
    clock = Clock()
    sending = sender(
        await gateways(hostile.url, name="first", tries=1),
        await gateways(f"{outbox.url}/sms/send", name="second"),
        clock=clock,
    )
    for _ in range(4):
        assert (await sending.send(SMS)).gateway == "second"
    assert len(hostile.requests) == 2
    assert [(each.name, each.failures, each.is_resting) for each in sending.health()] == [
        ("first", 2, True),
        ("second", 0, False),
    ]
    clock.advance(seconds=31)
    assert (await sending.send(SMS)).gateway == "second"  # the probe fails, and the rest begins anew
    assert (await sending.send(SMS)).gateway == "second"
    assert len(hostile.requests) == 3
    hostile.answers.clear()
    hostile.answer(200)
    clock.advance(seconds=31)
    assert [(await sending.send(SMS)).gateway for _ in range(2)] == ["first", "first"]
    assert [(each.failures, each.is_resting) for each in sending.health()] == [(0, False), (0, False)]


async def test_one_message_at_a_time_is_a_probe(outbox, hostile, gateways):
    hostile.answer(500, 500)
    clock = Clock()
    sending = sender(
        await gateways(hostile.url, name="first", tries=1),
        await gateways(f"{outbox.url}/sms/send", name="second"),
        clock=clock,
    )
    for _ in range(2):
        await sending.send(SMS)
    clock.advance(seconds=31)
    hostile.answers.clear()
    hostile.stall()
    probe = asyncio.ensure_future(sending.send(SMS))
    await until(lambda: asyncio.sleep(0, result=len(hostile.requests) == 3))
    assert {(await sending.send(SMS)).gateway for _ in range(5)} == {"second"}
    assert len(hostile.requests) == 3
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)


async def test_odd_numbers_take_no_gateway_away_from_others(outbox, gateways):
    await outbox.breaks("reject", to=SMS.recipient)
    sending = sender(await gateways(f"{outbox.url}/sms/send", name="only"))
    for _ in range(5):
        with pytest.raises(CannotAsk):
            await sending.send(SMS)
    assert [(each.failures, each.is_resting) for each in sending.health()] == [(0, False)]
    assert (await sending.send(replace(SMS, recipient="+38640123458"))).gateway == "only"


async def test_a_gateway_without_a_second_is_asked_even_at_rest(outbox, gateways):
    await outbox.breaks("error")
    sending = sender(await gateways(f"{outbox.url}/sms/send", name="only", tries=1))
    for _ in range(3):
        with pytest.raises(CannotAsk):
            await sending.send(SMS)
    assert [each.is_resting for each in sending.health()] == [True]
    await outbox.mended()
    assert (await sending.send(SMS)).gateway == "only"
    assert list(sending.sent()) == [("only", "failed", 3), ("only", "accepted", 1)]


async def test_what_gateways_told_of_deliveries_is_counted_by_gateway(outbox, gateways):
    reports = DeliveryReports(
        url=f"{outbox.url}/sms/status/{{message_id}}",
        pointer="/status",
        delivered=frozenset({"delivered"}),
        failed=frozenset(),
    )
    sending = sender(
        await gateways(
            f"{outbox.url}/sms/send",
            success=Success(id_pointer="/message_id"),
            reports=reports,
            looks=(timedelta(0),),
        )
    )
    await sending.send(SMS)
    await until(lambda: asyncio.sleep(0, result=list(sending.reported())))
    assert list(sending.reported()) == [("mno", "delivered", 1)]
