"""What becomes of a fresh proof when something is away in the middle of it: nobody is signed out, nobody is
taken for who they have not proved to be, and whoever tries again comes through."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.gateway import DAVID
from tests.support.redis_server import RedisServer, fault_proxy
from tests.support.step_up import (
    PLACE,
    STEP_UP,
    answered,
    asked,
    begun,
    challenge_of,
    landed,
    offered,
    open_step_up_house,
    proved_again,
    sent,
    sent_form,
    stepped_up,
)
from tests.support.waiting import until

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def store():
    with RedisServer("--appendfsync", "no", append_only=True) as running:
        yield running


@pytest.fixture
async def proxy(store):
    store.command("FLUSHALL")
    async with fault_proxy(store.port) as opened:
        yield opened


@pytest.fixture
async def house(proxy):
    async with open_step_up_house(proxy.url) as opened:
        yield opened


async def is_back(house):
    return (await house.ready())["checks"]["store"]["status"] == "ok"


async def place_status(house, person, place=PLACE):
    return (await person.browser.fetch(house.acq + place)).status


@pytest.mark.parametrize(
    "word", [b"approved", b"HMGET"], ids=["between approval and rotation", "before the answer is counted"]
)
async def test_a_store_that_dies_within_an_answer_signs_nobody_out_and_steps_nobody_up(house, proxy, word):
    ana = await house.signed_in()
    before = ana.ticket(house.acq)
    page = await begun(ana, house.acq + PLACE, "totp")
    proxy.fall_after(word)
    failed = await answered(ana, page, house.app_code())
    assert (failed.status, failed.all("set-cookie"), ana.ticket(house.acq)) == (503, [], before)
    assert failed.header("retry-after").isdigit()
    await proxy.pass_on()
    await until(lambda: is_back(house))

    assert (await place_status(house, ana), await place_status(house, ana, "/api/jaz")) == (401, 200)
    assert [event["method"] for event in house.events("challenge.approved")] == []
    house.advance(seconds=30)
    assert (
        await landed(ana, await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code()))
    ).url == house.acq + PLACE
    assert ana.ticket(house.acq) != before


async def test_an_approval_whose_rotation_was_lost_is_worth_nothing_to_anybody(house, proxy):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "sms")
    code = await house.code_sent()
    proxy.fall_after(b"approved")
    assert (await answered(ana, page, code)).status == 503
    await proxy.pass_on()
    await until(lambda: is_back(house))
    again = await answered(ana, page, code)
    assert (again.status, stepped_up(again), await place_status(house, ana)) == (403, False, 401)


async def test_the_approval_of_a_phone_counts_once_the_store_is_back(house, proxy):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "push")
    await house.answers_push()
    await proxy.refuse()
    assert (await answered(ana, page)).status == 503
    await proxy.pass_on()
    await until(lambda: is_back(house))
    assert (await landed(ana, await answered(ana, page))).url == house.acq + PLACE


async def test_a_store_that_is_away_costs_nobody_a_try(house, proxy):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "totp")
    await proxy.refuse()
    for _ in range(10):
        unanswerable = await sent(
            ana, house.acq + STEP_UP, {"c": challenge_of(page), "code": "000000"}, is_script=True
        )
        assert (unanswerable.status, unanswerable.json["reason"]) == (503, "store_unavailable")
    await proxy.pass_on()
    await until(lambda: is_back(house))
    assert (await landed(ana, await answered(ana, page, house.app_code()))).url == house.acq + PLACE


async def test_a_form_that_cannot_be_held_because_the_store_is_down_is_not_said_to_be_held(house, proxy):
    ana = await house.signed_in()
    assert await place_status(house, ana, "/api/jaz") == 200
    await proxy.refuse()
    answer = await sent_form(ana, f"{house.acq}/vnos", b"znesek=100")
    assert (answer.status, answer.all("location"), answer.all("set-cookie")) == (503, [], [])
    assert house.portal.asked.count("POST /vnos") == 0
    await proxy.pass_on()
    await until(lambda: is_back(house))
    kept = await sent_form(ana, f"{house.acq}/vnos", b"znesek=100")
    assert "&held=" in kept.location


async def test_a_gateway_for_messages_that_hangs_delays_only_people_who_wait_for_it_and_not_for_long(house):
    ana, david = await house.signed_in(), await house.signed_in(DAVID)
    await house.breaks_sms("slow", seconds=60)
    page = await asked(ana, house.acq + PLACE)
    [form] = [form for form in page.forms if ("method", "sms") in form.buttons]
    waiting = asyncio.create_task(ana.browser.submit(page, form, {"method": "sms"}))
    served = 0
    while not waiting.done():
        assert await place_status(house, david, "/api/jaz") == 200
        served += 1
    refused = await waiting
    assert (refused.status, refused.header("content-type").partition(";")[0]) == (503, "text/html")
    assert served > 4
    assert offered(await asked(ana, house.acq + PLACE)) >= {"totp", "push"}
    assert (
        await landed(ana, await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code()))
    ).url == house.acq + PLACE
    await house.mends_sms()


async def test_a_message_that_is_lost_on_its_way_can_be_asked_for_again(house):
    ana = await house.signed_in()
    await house.breaks_sms("lose")
    page = await begun(ana, house.acq + PLACE, "sms")
    assert (page.status, await house.messages()) == (200, [])
    await house.mends_sms()
    house.advance(seconds=61)
    [again] = [form for form in page.forms if ("again", "yes") in form.buttons]
    page = await ana.browser.follow(await ana.browser.submit(page, again, {"again": "yes"}))
    assert (await landed(ana, await answered(ana, page, await house.code_sent()))).url == house.acq + PLACE


async def test_a_service_that_goes_away_while_a_phone_is_asked_leaves_the_page_waiting_and_other_ways_open(
    house,
):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "push")
    await house.provider.stop()
    status = await ana.browser.fetch(f"{house.acq}{STEP_UP}/status?c={challenge_of(page)}")
    assert (status.status, status.json) == (200, {"state": "pending"})
    waiting = await landed(ana, await answered(ana, page))
    assert (waiting.status, challenge_of(waiting)) == (200, challenge_of(page))
    assert (
        await landed(ana, await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code()))
    ).url == house.acq + PLACE


async def test_a_change_that_the_person_cannot_be_told_of_is_made_and_logged(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "push")
    await house.breaks_sms("error")
    made = await sent(ana, f"{house.acq}/.authproxy/session/methods", {"method": "recovery"})
    assert made.status == 200
    house.advance(minutes=61)  # for so long it is tried again

    async def lost():
        assert house.gateway.outputs.flush()
        told = [
            line
            for line in map(json.loads, house.log.getvalue().splitlines())
            if line.get("event") == "notice.lost"
        ]
        return [(line["change"], line["method"]) for line in told]

    await until(lost, within=20)
    assert await lost() == [("enrolled", "recovery")]
    assert [event["method"] for event in house.events("method.enrolled") if event["by"] != "operator"] == [
        "recovery"
    ]
