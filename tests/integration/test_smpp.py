"""Text messages by SMPP 3.4 through message centres of others: npm `smpp`, and the one of smpp34, written in
Rust."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from dataclasses import replace
from datetime import timedelta

import pytest
import smpp34
import trustme

from authproxy.challenges.message import Sms
from authproxy.delivery.smpp import MessageCentre, SmppSmsGateway
from authproxy.delivery.sms_gateways import NotTaken
from tests.conftest import IN_CI
from tests.support.message_centre import is_installed, message_centre
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.needs("node")]
NUMBER = "+38640123456"
CODE = Sms(recipient=NUMBER, text="Code 123456\n\n@acq.bankart.si #123456", reference="r")
SLOVENE = Sms(
    recipient=NUMBER,
    text="Bankart: koda za vstop na portal Čezmejna plačila je 493817. Velja 5 minut, nikomur je ne povejte "
    "– če je niste zahtevali vi, pokličite svojo banko. Žal šumniki podražijo vsako sporočilo "
    "😀.\n\n@acq.bankart.si #493817",
    reference="r",
)


@pytest.fixture
async def centre():
    if not is_installed():
        (pytest.fail if IN_CI else pytest.skip)("needs npm smpp (make setup installs it)")
    async with message_centre(free_port()) as opened:
        yield opened


@pytest.fixture
async def gateways():
    """Gives gateways whose background work ends with the test."""
    tasks, references = set(), itertools.count(7)

    def spawn(work):
        tasks.add(task := asyncio.ensure_future(work))
        return task

    def gateway(port, *, runs=False, **agreed):
        agreed = {
            "host": "127.0.0.1",
            "system_id": "prehod",
            "password": "geslo-8",
            "sender": "Bankart",
            "pause": timedelta(milliseconds=10),
            "deadline": timedelta(seconds=5),
            **agreed,
        }
        made = SmppSmsGateway(
            "mno", MessageCentre(port=port, **agreed), random_below=lambda _: next(references), spawn=spawn
        )
        if runs:
            spawn(made.run())
        return made

    gateway.background = tasks
    yield gateway
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in ended if isinstance(each, Exception)] == []


def whole(messages):
    """What a telephone shows of the parts."""
    parts = sorted((each["udh"][0], each["text"]) for each in messages)
    assert {udh[3] for udh, _ in parts} == {len(parts)}
    assert [udh[4] for udh, _ in parts] == list(range(1, len(parts) + 1))
    assert len({udh[2] for udh, _ in parts}) == 1
    return "".join(text for _, text in parts)


async def test_a_message_is_taken_and_gets_a_name(centre, gateways):
    assert await gateways(centre.port).take(CODE) == "m-1"
    assert centre.of("bind_transceiver") == [
        {
            "event": "bind_transceiver",
            "system_id": "prehod",
            "password": "geslo-8",
            "system_type": "",
            "version": 0x34,
        }
    ]
    [message] = centre.messages
    assert message["text"] == CODE.text  # the @ is octet 0 in the alphabet of telephones
    assert (message["source"], message["destination"]) == ([5, 0, "Bankart"], [1, 1, "38640123456"])
    assert (message["data_coding"], message["esm_class"], message["receipt"]) == (0, 0, 1)


async def test_messages_share_one_connection(centre, gateways):
    gateway = gateways(centre.port)
    names = await asyncio.gather(*(gateway.take(CODE) for _ in range(20)))
    assert len(set(names)) == 20
    assert len(centre.of("bind_transceiver")) == 1


async def test_a_long_slovene_text_arrives_whole_in_parts(centre, gateways):
    assert await gateways(centre.port).take(SLOVENE) == "m-1"
    assert len(centre.messages) > 3
    assert {(each["data_coding"], each["esm_class"]) for each in centre.messages} == {(8, 0x40)}
    assert [each["receipt"] for each in centre.messages] == [0] * (len(centre.messages) - 1) + [1]
    assert whole(centre.messages) == SLOVENE.text


async def test_a_long_text_of_the_telephones_alphabet_arrives_whole_in_parts(centre, gateways):
    text = "Potrditvena koda: 123456 [velja 5 min] ~ " * 6
    await gateways(centre.port).take(replace(CODE, text=text))
    assert {each["data_coding"] for each in centre.messages} == {0}
    assert whole(centre.messages) == text


async def test_a_long_text_can_be_left_to_the_message_centre_to_cut(centre, gateways):
    await gateways(centre.port, long_messages="payload").take(SLOVENE)
    [message] = centre.messages
    assert (message["payload"], message["text"], message["udh"]) == (True, SLOVENE.text, [])


async def test_a_message_centre_of_another_alphabet_gets_ucs2_only(centre, gateways):
    await gateways(centre.port, only_ucs2=True).take(CODE)
    assert [(each["data_coding"], each["text"]) for each in centre.messages] == [(8, CODE.text)]


@pytest.mark.parametrize(
    ("sender", "source"),
    [("+38615555555", [1, 1, "38615555555"]), ("3838", [0, 1, "3838"]), ("Bankart", [5, 0, "Bankart"])],
)
async def test_senders_are_words_short_numbers_and_whole_numbers(centre, gateways, sender, source):
    await gateways(centre.port, sender=sender, recipient_form="00").take(CODE)
    assert [(each["source"], each["destination"]) for each in centre.messages] == [
        (source, [0, 1, "0038640123456"])
    ]


async def test_a_busy_message_centre_is_asked_again(centre, gateways):
    await centre.does(set={"statuses": [0x58, 0x14, 0x08]})
    assert await gateways(centre.port).take(CODE) == "m-1"
    assert len(centre.messages) == 4


async def test_a_message_centre_that_stays_busy_does_not_take_the_message(centre, gateways):
    await centre.does(set={"statuses": [0x58] * 1000})
    with pytest.raises(NotTaken, match=r"did not take it within 0\.3 s") as failed:
        await gateways(centre.port, deadline=timedelta(seconds=0.3)).take(CODE)
    assert not failed.value.is_of_the_message


@pytest.mark.parametrize(
    ("status", "is_of_the_message"),
    [(0x0B, True), (0x01, True), (0x0A, False), (0x45, False), (0x0400, False)],
)
async def test_a_refusal_tells_whether_others_meet_it_too(centre, gateways, status, is_of_the_message):
    await centre.does(set={"statuses": [status]})
    with pytest.raises(NotTaken, match=f"answered 0x{status:08X}") as failed:
        await gateways(centre.port).take(CODE)
    assert failed.value.is_of_the_message is is_of_the_message


async def test_a_message_centre_that_does_not_want_us_says_so(centre, gateways):
    await centre.does(set={"bind": 0x0E})
    gateway = gateways(centre.port)
    with pytest.raises(NotTaken, match="refused the connection with 0x0000000E") as failed:
        await gateway.take(CODE)
    assert not failed.value.is_of_the_message
    await centre.does(set={"bind": 0})
    assert await gateway.take(CODE) == "m-1"


async def test_a_connection_that_is_lost_with_a_message_is_made_anew_and_the_message_sent_again(
    centre, gateways
):
    await centre.does(set={"statuses": ["drop"]})
    assert await gateways(centre.port).take(CODE) == "m-1"
    assert [each["text"] for each in centre.messages] == [CODE.text] * 2


async def test_a_message_that_loses_every_connection_is_not_taken(centre, gateways):
    await centre.does(set={"statuses": ["drop"] * 9})
    with pytest.raises(NotTaken, match="closed the connection"):
        await gateways(centre.port).take(CODE)
    assert len(centre.messages) == 2


async def test_a_message_centre_that_dies_in_the_middle_is_found_again(centre, gateways):
    gateway = gateways(centre.port)
    await centre.does(set={"statuses": ["silent"]})
    waiting = asyncio.ensure_future(gateway.take(CODE))
    await centre.until("submit_sm")
    await centre.die()
    with pytest.raises(NotTaken, match=r"could not be connected to|closed the connection"):
        await waiting
    async with message_centre(centre.port) as reborn:
        assert await gateway.take(CODE) == "m-1"
        assert len(reborn.messages) == 1


async def test_a_message_centre_that_says_nothing_costs_the_deadline_and_no_more(centre, gateways):
    await centre.does(set={"statuses": ["silent"]})
    gateway = gateways(centre.port, deadline=timedelta(seconds=0.3))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NotTaken):
            await gateway.take(CODE)
    assert await gateway.take(CODE) == "m-1"


async def test_a_connection_that_is_kept_is_made_before_the_first_message_and_made_anew(centre, gateways):
    gateways(centre.port, runs=True)
    await centre.until("bind_transceiver")
    await centre.does(drop=True)
    await centre.until("bind_transceiver", 2)
    assert centre.messages == []


async def test_a_message_centre_that_is_not_there_yet_is_waited_for(gateways):
    if not is_installed():
        (pytest.fail if IN_CI else pytest.skip)("needs npm smpp (make setup installs it)")
    port = free_port()
    gateways(port, runs=True, longest_pause=timedelta(milliseconds=50))
    async with message_centre(port) as late:
        assert await late.until("bind_transceiver")


async def test_a_silent_connection_is_tried_and_left_when_nobody_answers(centre, gateways):
    gateways(
        centre.port, runs=True, enquire_every=timedelta(milliseconds=50), deadline=timedelta(seconds=0.5)
    )
    await centre.until("enquire_link", 3)
    assert len(centre.of("bind_transceiver")) == 1
    await centre.does(set={"silent": True})
    await centre.until("bind_transceiver", 2)


async def test_the_message_centres_own_questions_are_answered(centre, gateways):
    gateways(centre.port, runs=True)
    await centre.until("bind_transceiver")
    await centre.does(tell={"command": "enquire_link"})
    await centre.until("enquire_link_resp")
    await centre.does(tell={"command": "data_sm", "fields": {"destination_addr": "1"}})
    assert (await centre.until("generic_nack"))[0]["status"] == 0x03
    await centre.does(tell={"command": "unbind"})
    await centre.until("bind_transceiver", 2)


async def test_reports_about_deliveries_are_counted(centre, gateways):
    texts = [
        {
            "esm_class": 4,
            "short_message": (
                "id:m-1 sub:001 dlvrd:001 submit date:2611221030 done date:2611221031 stat:DELIVRD err:000 "
                "text:"
            ),
        },
        {
            "esm_class": 4,
            "short_message": (
                "id:m-2 sub:001 dlvrd:000 submit date:2611221030 done date:2611221031 stat:UNDELIV err:001 "
                "text:"
            ),
        },
        {"esm_class": 4, "receipted_message_id": "m-3", "message_state": 2},
        {"esm_class": 4, "receipted_message_id": "m-4", "message_state": 1},
        {"esm_class": 0, "source_addr": "38640123456", "short_message": "stat:DELIVRD"},
    ]
    await centre.does(set={"receipts": texts})
    gateway = gateways(centre.port)
    for _ in texts:
        await gateway.take(CODE)
    assert [each["status"] for each in await centre.until("deliver_sm_resp", len(texts))] == [0] * len(texts)
    assert dict(gateway.reports) == {"delivered": 2, "failed": 1}


async def test_a_transmitter_asks_for_no_reports(centre, gateways):
    await gateways(centre.port, bind="transmitter").take(CODE)
    assert (len(centre.of("bind_transmitter")), centre.messages[0]["receipt"]) == (1, 0)


async def test_the_end_is_a_goodbye(centre, gateways):
    await gateways(centre.port, runs=True).take(CODE)
    for task in gateways.background:
        task.cancel()
    await centre.until("unbind")


async def test_where_one_connection_is_allowed_a_successor_waits_until_the_one_before_gives_it_up(
    centre, gateways
):
    await centre.does(set={"single": True})
    before, after = gateways(centre.port, runs=True), gateways(centre.port, runs=True)
    assert await before.take(CODE) == "m-1"
    await centre.until("bind_transceiver", 3)  # the successor has been refused, and has tried again
    sending = asyncio.ensure_future(after.take(CODE))
    await centre.until("bind_transceiver", 5)
    assert len(centre.messages) == 1

    before.release()
    assert await sending == "m-2"
    assert len(centre.of("unbind")) == 1
    # The one before keeps no connection any more. A message that comes late has to wait, like any other.
    binds = len(centre.of("bind_transceiver"))
    late = asyncio.ensure_future(before.take(CODE))
    await centre.until("bind_transceiver", binds + 1)
    after.release()
    assert await late == "m-3"
    await centre.until("unbind", 3)


async def test_a_connection_is_given_up_after_the_message_that_is_under_way(centre, gateways):
    await centre.does(set={"statuses": [0x14]})  # its queue is full: the message is sent once more
    gateway = gateways(centre.port, runs=True, pause=timedelta(milliseconds=300))
    sending = asyncio.ensure_future(gateway.take(CODE))
    await centre.until("submit_sm")
    gateway.release()
    assert await sending == "m-1"
    assert len(await centre.until("unbind")) == 1
    assert len(centre.of("bind_transceiver")) == 1


async def test_over_tls_only_a_message_centre_that_proves_itself_gets_a_message(gateways, tmp_path):
    if not is_installed():
        (pytest.fail if IN_CI else pytest.skip)("needs npm smpp (make setup installs it)")
    authority, stranger = trustme.CA(), trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    trusting, doubting = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    stranger.configure_trust(doubting)
    async with message_centre(
        free_port(), key=tmp_path / "both.pem", certificate=tmp_path / "both.pem"
    ) as secured:
        assert await gateways(secured.port, context=trusting).take(SLOVENE) == "m-1"
        with pytest.raises(NotTaken, match="could not be connected to: SSLCertVerificationError"):
            await gateways(secured.port, context=doubting).take(CODE)
        assert whole(secured.messages) == SLOVENE.text


@pytest.mark.parametrize(
    "nonsense",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x0f" + bytes(12), b"\xff" * 16, b"\0\0\0\x10\0\0\0\x15"],
)
async def test_what_is_no_message_centre_gets_the_password_and_nothing_else_and_is_left(gateways, nonsense):
    heard = []

    async def answers(reader, writer):
        heard.append(await reader.read(1000))
        writer.write(nonsense)
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.write_eof()
            await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(answers, "127.0.0.1", port):
        with pytest.raises(NotTaken, match=r"sent what is no SMPP|closed the connection"):
            await gateways(port).take(CODE)
    assert all(NUMBER[1:].encode() not in each for each in heard)


def unit(command, sequence, body=b"", status=0):
    return (
        b"".join(number.to_bytes(4, "big") for number in (16 + len(body), command, status, sequence)) + body
    )


@contextlib.asynccontextmanager
async def by_hand(answers):
    """A message centre that takes every bind, and answers a message as `answers(sequence)` says."""

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(16)
                length, command, _, sequence = (
                    int.from_bytes(head[at : at + 4], "big") for at in (0, 4, 8, 12)
                )
                await reader.readexactly(length - 16)
                writer.write(
                    answers(sequence) if command == 4 else unit(command | 0x80000000, sequence, b"x\0")
                )
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield port


async def test_answers_that_nobody_waits_for_are_passed_over(gateways):
    stray = unit(0x80000004, 4711, b"stray\0")
    async with by_hand(
        lambda sequence: (
            stray + unit(0x80000004, sequence, b"right\0") + unit(0x80000004, sequence, b"again\0")
        )
    ) as port:
        assert [await gateways(port).take(CODE) for _ in range(2)] == ["right", "right"]


async def test_an_answer_to_another_question_ends_the_connection(gateways):
    async with by_hand(lambda sequence: unit(0x80000015, sequence)) as port:
        with pytest.raises(NotTaken, match="answered another question"):
            await gateways(port).take(CODE)


async def test_a_nack_is_a_refusal(gateways):
    async with by_hand(lambda sequence: unit(0x80000000, sequence, status=3)) as port:
        with pytest.raises(NotTaken, match="answered 0x00000003"):
            await gateways(port).take(CODE)


async def test_the_rust_message_centre_reads_the_same(gateways):
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="rust")
    await server.start()
    found = []

    async def serve():
        while True:
            event = await server.next()
            if isinstance(event, smpp34.SubmitSmEvent):
                found.append(event)
                event.reject(smpp34.ESME_RTHROTTLED) if len(found) == 1 else event.accept(f"r-{len(found)}")

    serving = asyncio.ensure_future(serve())
    try:
        gateway = gateways(port)
        assert await gateway.take(SLOVENE) == "r-2"
        assert await gateways(port, long_messages="payload").take(SLOVENE)
        *parts, payload = found[1:]
        assert "".join(each.short_message[6:].decode("utf-16-be") for each in parts) == SLOVENE.text
        assert {
            (each.esm_class, each.data_coding, each.destination_addr, each.source_addr) for each in parts
        } == {(0x40, 8, "38640123456", "Bankart")}
        assert [(each.tag, each.value.decode("utf-16-be")) for each in payload.tlvs] == [
            (smpp34.TLV_MESSAGE_PAYLOAD, SLOVENE.text)
        ]
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await server.stop()


async def test_nothing_of_a_message_stands_in_what_is_told(centre, gateways):
    await centre.does(set={"statuses": [0x0B]})
    gateway = gateways(centre.port)
    with pytest.raises(NotTaken) as failed:
        await gateway.take(CODE)
    with pytest.raises(NotTaken, match="the number is not in international form") as unsent:
        await gateway.take(replace(CODE, recipient="040123456"))
    said = (
        f"{failed.value!r} {unsent.value!r} {CODE!r} "
        f"{MessageCentre(host='h', system_id='s', password='geslo-8', sender='B')!r}"
    )
    assert [secret for secret in ("123456", "40123456", "geslo-8") if secret in said] == []
    await until(lambda: asyncio.sleep(0, result=len(centre.messages) == 1))
