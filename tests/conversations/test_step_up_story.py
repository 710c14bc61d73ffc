"""Fresh proofs as people give them: by text message, by codes, on the phone and from a sheet of paper, and
what the portal learns of it."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import datetime
from urllib.parse import urlsplit

import pytest
import websockets

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.stores import open_stores_of_command
from authproxy.identity.member import Account, BlockedAccount
from tests.support.certificate_host import signs_in
from tests.support.gateway import CVETKA, DAVID, TICKET, Person
from tests.support.step_up import (
    FRESH,
    PLACE,
    STEP_UP,
    answered,
    asked,
    begun,
    challenge_of,
    chosen,
    landed,
    offered,
    open_step_up_house,
    proved_again,
    sent,
    stepped_up,
    wrong,
)
from tests.support.waiting import PATIENCE, until


@pytest.fixture
async def house(redis_server):
    redis_server.command("FLUSHALL")
    async with open_step_up_house(redis_server.socket_url) as opened:
        yield opened


@pytest.fixture
async def house_with_certificates(redis_server, authority_state):
    redis_server.command("FLUSHALL")
    async with open_step_up_house(
        redis_server.socket_url, authority=authority_state, acq={"idle": "30m"}
    ) as opened:
        yield opened


async def proves(house, person, method, place=PLACE):
    """From the place by way of a proof back to it; the answer of the portal."""
    email = person.email
    if method == "recovery":
        [code, *_] = await house.sheet(email)
    page = await begun(person, house.acq + place, method)
    if method == "sms":
        code = await house.code_sent(email)
    elif method == "totp":
        code = house.app_code(email)
    elif method == "push":
        await house.answers_push(email=email)
        code = None
    return await landed(person, await answered(person, page, code))


async def received(house, person):
    """What the portal gets with a request of this person: its header of proofs, and the claims of the
    assertion."""
    arrived = (await person.browser.fetch(f"{house.acq}/api/received")).json
    assert arrived["assertion"]["valid"], arrived
    headers = [value for name, value in arrived["headers"] if name.lower() == "x-auth-step-up"]
    assert len(headers) == 1
    return headers[0], arrived["assertion"]["claims"]


AMR = {"sms": "sms", "totp": "otp", "push": "pop", "recovery": "otp"}


@pytest.mark.parametrize("method", FRESH)
async def test_a_proof_leads_to_the_place_and_the_portal_learns_by_what_and_when(house, method):
    ana = await house.signed_in()
    _, before = await received(house, ana)
    house.advance(minutes=2)
    at = house.clock().timestamp()
    page = await proves(house, ana, method)
    assert (page.status, page.url) == (200, house.acq + PLACE), page.text

    header, claims = await received(house, ana)
    [sign_in, proof] = claims["step_up"]
    assert (sign_in["method"], proof["method"]) == ("rekono", method)
    assert abs(proof["at"] - at) < 40
    assert claims["auth_time"] == proof["at"] > before["auth_time"]
    assert [*before.get("amr", []), AMR[method]] == claims["amr"]
    assert [claims.get(name) for name in ("level", "method", "sub", "acr")] == [
        before.get(name) for name in ("level", "method", "sub", "acr")
    ]
    assert [part.partition(";")[0] for part in header.split(", ")] == ["rekono", method]
    assert datetime.fromisoformat(header.rpartition("at=")[2]).timestamp() == proof["at"]
    [issued], [approved] = house.events("challenge.issued"), house.events("challenge.approved")
    assert (issued["method"], approved["method"], issued["person"]) == (method, method, approved["person"])


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one after the other"])
async def test_whoever_clicks_twice_and_loses_the_first_answer_goes_on_with_the_second(house, at_once):
    """The browser sends both forms with the ticket of before. A page of the same challenge that somebody else
    has got with that ticket proves nothing after that, not even with the right code."""
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "totp")
    theirs = await ana.opens(page.url)
    code, old = house.app_code(), ana.browser.cookies.get(house.acq, TICKET)

    async def sends(form_of):
        ana.browser.cookies.put(house.acq, TICKET, old)
        return await answered(ana, form_of, code)

    ana.browser.cookies.loses = lambda name: name == TICKET  # what comes is not kept
    clicks = (
        await asyncio.gather(sends(page), sends(page)) if at_once else [await sends(page), await sends(page)]
    )

    tickets = [[line for line in click.all("set-cookie") if TICKET in line] for click in clicks]
    assert tickets[0] == tickets[1] != []
    assert [click.location for click in clicks] == [house.acq + PLACE] * 2
    stranger = await sends(theirs)
    assert (stranger.all("set-cookie"), "/login" in stranger.location) == ([], True)
    ana.browser.cookies.loses = lambda name: False
    ana.browser.cookies.take(house.acq, tickets[1][0])
    slow_portal = await answered(ana, page, code)
    assert (slow_portal.location, slow_portal.all("set-cookie")) == (house.acq + PLACE, tickets[1])
    assert (await landed(ana, slow_portal)).status == 200
    assert len(house.events("challenge.approved")) == 1
    assert house.events("challenge.refused") == []


async def test_a_wrong_code_that_is_clicked_twice_is_in_the_audit_trail_once(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "totp")

    clicks = await asyncio.gather(answered(ana, page, "000000"), answered(ana, page, "000000"))

    assert clicks[0].location == clicks[1].location
    assert "said=code_wrong" in clicks[0].location
    assert (await landed(ana, clicks[1])).status == 200
    [refused] = house.events("challenge.refused")
    assert refused["reason"] == "code_wrong"


async def test_a_place_with_a_session_in_its_path_demands_the_same_proof(house):
    """The first link of many portals in Java. What the portal answers there is its own matter."""
    ana = await house.signed_in()
    place = f"{PLACE};jsessionid=A1"
    met = await ana.opens(house.acq + place)
    assert (met.is_redirect, "acq/prejeto%20%2B%20acq" in met.location) == (True, True), met.location
    assert (await ana.opens(f"{house.acq}/;jsessionid=A1")).status in {200, 404}

    page = await proves(house, ana, "totp", place)

    assert page.url == house.acq + place
    assert [(await ana.opens(house.acq + there)).is_redirect for there in (place, PLACE)] == [False, False]
    house.advance(minutes=6)
    assert (await ana.opens(house.acq + place)).is_redirect


@pytest.mark.parametrize("method", ["push", "totp", "sms"])
async def test_the_proof_is_asked_for_again_when_it_is_older_than_the_place_allows(house, method):
    ana = await house.signed_in()
    await proves(house, ana, method)
    house.advance(minutes=4, seconds=30)
    assert (await ana.opens(house.acq + PLACE)).status == 200
    house.advance(seconds=40)
    assert (await ana.opens(house.acq + PLACE)).is_redirect
    assert (await ana.opens(house.acq + "/")).status == 200
    house.advance(minutes=6)  # push and messages may be sent again
    assert (await proves(house, ana, method)).url == house.acq + PLACE


async def test_whoever_came_with_a_certificate_is_asked_once_in_the_session_and_whoever_came_from_rekono_never(
    house_with_certificates,
):
    house = house_with_certificates
    browser = house.certificates.browser("ana.novak")
    page = await signs_in(browser, house.acq + "/")
    assert urlsplit(page.url).path == STEP_UP
    assert {"push", "totp", "sms"} <= offered(page)
    ana = Person("ana.novak@example.si", house, browser)
    answer = await answered(ana, await chosen(ana, page, "totp"), house.app_code())
    assert (await landed(ana, answer)).url == house.acq + "/"
    _, claims = await received(house, ana)
    assert (claims["method"], [proof["method"] for proof in claims["step_up"]]) == ("acnlb", ["totp"])
    house.advance(minutes=29)
    assert (await ana.opens(f"{house.acq}/prejeto")).status == 200
    house.advance(minutes=29)
    assert (await ana.opens(house.acq + "/")).status == 200

    bor = await house.signed_in(CVETKA)
    assert (await bor.opens(house.acq + "/")).status == 200
    assert len(house.events("challenge.issued")) == 1


async def test_a_script_is_told_what_is_missing_and_where_a_person_can_give_it(house):
    ana = await house.signed_in()
    answer = await ana.browser.fetch(house.acq + PLACE)
    assert (answer.status, answer.header("content-type").partition(";")[0]) == (
        401,
        "application/problem+json",
    )
    challenge = answer.header("www-authenticate")
    assert challenge.startswith(
        'Bearer realm="acq", error="insufficient_user_authentication", error_description="'
    )
    assert challenge.endswith(', max_age="300"')
    said = answer.json
    assert (said["reason"], set(said["methods"]), said["max_age"]) == ("step_up_required", set(FRESH), 300)
    page = await ana.opens(said["step_up_url"])
    assert offered(page) == set(FRESH) - {"recovery"}
    page = await chosen(ana, page, "totp")
    assert (
        await sent(
            ana, house.acq + STEP_UP, {"c": challenge_of(page), "code": house.app_code()}, is_script=True
        )
    ).status == 303
    assert (await ana.browser.fetch(house.acq + PLACE)).status == 200


async def test_a_front_proxy_hears_the_same_and_lets_in_once_there_is_a_proof(house):
    ana = await house.signed_in()

    async def subrequest():
        reader, writer = await asyncio.open_unix_connection(str(house.socket))
        try:
            writer.write(
                "GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: "
                f"{urlsplit(house.acq).netloc}\r\nX-Original-URL: "
                f"{house.acq}{PLACE}\r\nX-Original-Method: GET\r\nSec-Fetch-Mode: "
                f"navigate\r\nCookie: {ana.browser.cookies.of(house.acq + '/')}\r\nConnection: "
                "close\r\n\r\n".encode()
            )
            head = (await reader.read()).decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
        finally:
            writer.close()
        return int(head[0].split()[1]), {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }

    status, fields = await subrequest()
    assert (status, 'error="insufficient_user_authentication"' in fields["www-authenticate"]) == (401, True)
    assert "x-auth-assertion" not in fields
    page = await ana.opens(fields["location"])
    await landed(ana, await answered(ana, await chosen(ana, page, "totp"), house.app_code()))
    status, fields = await subrequest()
    assert (status, fields["x-auth-step-up"].partition(";")[0]) == (200, "rekono")
    assert ", totp;at=" in fields["x-auth-step-up"]


async def test_another_message_brings_another_code_and_the_first_is_worth_nothing_then(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "sms")
    first = await house.code_sent()
    [again] = [form for form in page.forms if ("again", "yes") in form.buttons]
    early = await ana.browser.follow(await ana.browser.submit(page, again, {"again": "yes"}))
    assert (early.status, challenge_of(early), len(await house.messages())) == (200, challenge_of(page), 1)

    house.advance(seconds=61)
    second_page = await ana.browser.follow(await ana.browser.submit(page, again, {"again": "yes"}))
    assert len(await house.messages()) == 2
    assert challenge_of(second_page) != challenge_of(page)
    second = await house.code_sent()
    late = await answered(ana, page, first)
    assert (late.status, stepped_up(late)) == (403, False)
    assert late.heading == "Ta potrditev ne velja več"
    if first != second:
        assert not stepped_up(await answered(ana, second_page, first))
    assert (await landed(ana, await answered(ana, second_page, second))).url == house.acq + PLACE


async def test_a_message_says_for_which_portal_it_is_and_that_nobody_else_may_know_it(house):
    ana = await house.signed_in()
    await begun(ana, house.acq + PLACE, "sms")
    [text] = await house.messages()
    code = await house.code_sent()
    first, *_, last = text.splitlines()
    assert (first, last) == (
        f"Koda za ACQ: {code}. Velja 5 min. Ne povejte je nikomur.",
        f"@acq.localhost #{code}",
    )


async def test_more_messages_than_five_in_an_hour_are_not_sent(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "sms")
    for _ in range(4):
        house.advance(seconds=61)
        [again] = [form for form in page.forms if ("again", "yes") in form.buttons]
        page = await ana.browser.follow(await ana.browser.submit(page, again, {"again": "yes"}))
    house.advance(seconds=61)
    [again] = [form for form in page.forms if ("again", "yes") in form.buttons]
    refused = await ana.browser.follow(await ana.browser.submit(page, again, {"again": "yes"}))
    assert (refused.status, len(await house.messages())) == (200, 5)
    # The last code is as good as it was, and another browser of the same person gets no message either.
    other = await house.signed_in()
    before = len(await house.messages())
    too_often = await begun(other, house.acq + PLACE, "sms")
    assert (too_often.status, int(too_often.header("retry-after")) > 60, len(await house.messages())) == (
        429,
        True,
        before,
    )
    house.advance(minutes=56)
    other = await house.signed_in()
    assert (await proves(house, other, "sms")).status == 200


async def test_a_gateway_that_is_down_is_seen_and_another_way_is_offered(house):
    ana = await house.signed_in()
    await house.breaks_sms("error")
    refused = await begun(ana, house.acq + PLACE, "sms")
    assert (refused.status, refused.heading) == (503, "Sporočila trenutno ni mogoče poslati")
    ready = await house.ready()
    assert (ready["status"], ready["checks"]["sms"]["status"]) == ("warning", "warning")
    assert await house.metric('authproxy_step_ups_total{method="sms",outcome="sender_unavailable"}') == 1
    [event] = house.events("challenge.refused")
    assert (event["reason"], event["method"]) == ("sender_unavailable", "sms")

    again = await begun(ana, house.acq + PLACE, "sms")
    assert (again.status, "Štejejo tudi sporočila, ki jih ni bilo mogoče poslati." in again.text) == (
        429,
        True,
    )

    [another] = [link for link in refused.links if f"{STEP_UP}?" in link and "lang=" not in link][:1]
    page = await ana.opens(another)
    assert "totp" in offered(page)
    assert (
        await landed(ana, await answered(ana, await chosen(ana, page, "totp"), house.app_code()))
    ).url == house.acq + PLACE
    await house.mends_sms()
    house.advance(minutes=6)
    assert (await proves(house, ana, "sms")).status == 200
    assert (await house.ready())["checks"]["sms"]["status"] == "ok"


async def test_if_another_message_cannot_be_sent_the_code_before_works_and_its_page_says_so_each_time(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "sms")
    code = await house.code_sent()
    house.advance(minutes=2)
    await house.breaks_sms("error")
    [again] = [form for form in page.forms if ("again", "yes") in form.buttons]
    for what in (
        "Sporočil trenutno ni mogoče poslati.",
        "Šteje tudi sporočilo, ki ga ni bilo mogoče poslati.",
    ):
        page = await landed(ana, await ana.browser.submit(page, again, {"again": "yes"}))
        assert what in page.text
        assert "ki ste jo prejeli prej" in page.text
    assert (await landed(ana, await answered(ana, page, code))).url == house.acq + PLACE


async def test_a_service_that_is_away_is_seen_and_phones_are_not_offered(house):
    ana = await house.signed_in()
    await house.provider.stop()
    for _ in range(3):
        assert (await begun(ana, house.acq + PLACE, "push")).status == 503
    assert "push" not in offered(await asked(ana, house.acq + PLACE))
    assert (await house.ready())["checks"]["onepass"]["status"] == "warning"
    assert (await proves(house, ana, "totp")).url == house.acq + PLACE


async def test_what_a_level_of_trust_does_not_allow_is_not_offered(house):
    cvetka = await house.signed_in(CVETKA)
    page = await asked(cvetka, house.acq + PLACE)
    assert offered(page) == {"push", "totp"}
    assert "SMS" in page.text  # it is said that there it is not accepted
    refused = await sent(cvetka, house.acq + STEP_UP, {"method": "sms", "rt": PLACE, "for": "acq/prejeto"})
    assert (refused.status, await house.messages(CVETKA)) == (403, [])

    david = await house.signed_in(DAVID)
    assert offered(await asked(david, house.acq + PLACE)) == {"sms"}
    await proved_again(house, david, "sms")
    # A phone is of no use at level 10, though he may have one.
    begins = await sent(
        david, f"{house.acq}/.authproxy/session/methods", {"method": "push", "label": "Davidov telefon"}
    )
    code = re.search(r'<p class="number">([A-Z0-9-]+)</p>', begins.text)[1]
    assert (await house.activates(code, "Telefon")).status == 201
    [finish] = [form for form in begins.forms if form.action.endswith("/session/methods/finish")]
    assert "Davidov telefon" in (await landed(david, await david.browser.submit(begins, finish))).text
    house.advance(minutes=6)
    assert offered(await asked(david, house.acq + PLACE)) == {"sms"}
    refused = await asked(david, f"{house.acq}/piskotek")
    assert (refused.status, "pri vaši stopnji zaupanja tu niso na voljo" in refused.text) == (403, True)
    assert await house.pushes(DAVID) == []


async def test_whoever_has_nothing_is_told_how_to_get_it_and_can_open_the_rest(house):
    david = await house.signed_in(DAVID)
    met = await david.opens(f"{house.acq}/piskotek")
    page = await david.browser.follow(met)
    assert (page.status, offered(page)) == (403, set())
    assert page.heading == "Nimate načina za potrditev istovetnosti"
    refused = await sent(
        david, house.acq + STEP_UP, {"method": "push", "rt": "/piskotek", "for": "acq/piskotek"}
    )
    assert refused.status == 403
    [session_page] = {link.partition("?")[0] for link in page.links if "/.authproxy/session" in link}
    assert (await david.opens(session_page)).status == 200
    assert (await david.opens(house.acq + "/")).status == 200


async def test_a_wrong_code_is_told_and_the_right_one_helps_still(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "totp")
    code = house.app_code()
    again = await landed(ana, await answered(ana, page, wrong(code)[0]))
    assert (again.status, challenge_of(again)) == (200, challenge_of(page))
    assert "Koda ni bila sprejeta" in again.text
    assert (
        await landed(ana, await answered(ana, again, f" {code[:3]} {code[3:]} "))
    ).url == house.acq + PLACE


async def test_five_wrong_answers_block_for_a_quarter_of_an_hour_and_an_operator_can_end_it(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "totp")
    for code in wrong(house.app_code(), 5):
        answer = await answered(ana, page, code)
    blocked = await asked(ana, house.acq + PLACE)
    assert (answer.status, blocked.status, blocked.header("retry-after")) == (403, 429, "900")
    assert offered(blocked) == {"push"}
    assert (await ana.opens(house.acq + "/")).status == 200
    for name in ("sms", "totp"):
        assert (
            await sent(ana, house.acq + STEP_UP, {"method": name, "rt": PLACE, "for": "acq/prejeto"})
        ).status == 429
    assert await house.messages() == []
    assert len(house.events("challenge.exhausted")) == 1

    assert (
        await unblocked(house, "ana.novak")
        == "ana.novak: not blocked; wrong answers forgotten; 0 sessions ended"
    )
    house.advance(seconds=30)
    assert (await proves(house, ana, "totp")).url == house.acq + PLACE


async def test_an_operator_ends_the_block_of_somebody_who_is_in_no_register(house):
    david = await house.signed_in(DAVID)
    page = await begun(david, house.acq + PLACE, "sms")
    for code in wrong(await house.code_sent(DAVID), 5):
        await answered(david, page, code)
    assert (await asked(david, house.acq + PLACE)).status == 429
    subject = house.accounts.find(DAVID).subject
    assert "wrong answers forgotten" in await unblocked(house, "--subject", house.issuer, subject)
    house.advance(seconds=61)
    assert (await proves(house, david, "sms")).url == house.acq + PLACE


async def test_a_person_who_was_blocked_and_still_has_a_session_gains_no_proof_by_it_and_loses_it(house):
    """As when the command that blocks has died before it ended their sessions."""
    david = await house.signed_in(DAVID)
    page = await begun(david, house.acq + PLACE, "sms")
    theirs = Account(issuer=house.issuer, subject=house.accounts.find(DAVID).subject)
    settings = house.settings
    async with open_stores_of_command(settings) as opened:
        assert await opened.people.block_account(
            BlockedAccount(account=theirs, blocked_at=utc_now()), revision=await opened.people.revision()
        )
    answer = await answered(david, page, await house.code_sent(DAVID))
    assert (answer.status, "/.authproxy/login" in answer.location, answer.all("set-cookie")) == (
        303,
        True,
        [],
    )
    assert "/.authproxy/login" in (await david.opens(house.acq + "/")).location


async def unblocked(house, *who):
    """What the command says."""
    command = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "authproxy",
            "people",
            "unblock",
            "--config",
            str(house.settings_file),
            *who,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await command.communicate()
    assert command.returncode == 0, complaints.decode()
    return said.decode().strip()


async def test_whoever_refuses_on_the_phone_is_asked_whether_it_was_them(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "push")
    await house.answers_push("refuse")
    refused = await answered(ana, page)
    assert (refused.status, refused.heading, stepped_up(refused)) == (
        403,
        "Potrditev je bila na telefonu zavrnjena",
        False,
    )
    assert [event["reason"] for event in house.events("challenge.refused")] == ["push_refused"]
    assert (await ana.opens(house.acq + PLACE)).is_redirect


async def test_the_waiting_page_hears_of_the_phone_and_the_phone_shows_what_the_browser_shows(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "push")
    status = f"{house.acq}{STEP_UP}/status?c={challenge_of(page)}"
    assert (await ana.browser.fetch(status)).json == {"state": "pending"}
    waiting = await landed(ana, await answered(ana, page))
    assert (waiting.status, challenge_of(waiting)) == (200, challenge_of(page))
    [push] = await house.pushes()
    assert f'<p class="number">{push["number"]}</p>' in page.text
    assert (push["place"], push["browser"], push["address"]) == (PLACE, "Chrome, Linux", "127.0.0.1")
    await house.answers_push()
    assert (await ana.browser.fetch(status)).json == {"state": "answered"}
    assert (await landed(ana, await answered(ana, page))).url == house.acq + PLACE
    assert (await ana.browser.fetch(status)).json == {"state": "over"}


async def test_a_click_and_another_send_one_message_and_a_look_sends_none(house):
    ana = await house.signed_in()
    page = await asked(ana, house.acq + PLACE)
    for _ in range(3):
        await ana.opens(page.url)
    first = await chosen(ana, page, "sms")
    second = await chosen(ana, page, "sms")
    assert (challenge_of(first), len(await house.messages())) == (challenge_of(second), 1)


async def test_a_browser_that_gives_up_its_click_finds_the_message_that_was_sent_for_it(redis_server):
    def is_on_its_way():
        return b":issuing" in redis_server.command("KEYS", "*:issuing")

    redis_server.command("FLUSHALL")
    gateway = "AUTHPROXY__STEP_UP__SMS__GATEWAYS__OUTBOX__HTTP__"
    patient = {f"{gateway}TIMEOUT": "20s", f"{gateway}DEADLINE": "20s"}
    async with open_step_up_house(redis_server.socket_url, environment=patient) as house:
        ana = await house.signed_in()
        choice = await asked(ana, house.acq + PLACE)
        await house.breaks_sms("slow", seconds=20)
        given_up = asyncio.ensure_future(chosen(ana, choice, "sms"))
        await until(is_on_its_way)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert (
            await ana.opens(house.acq + "/")
        ).status == 200  # by then the gateway knows that the browser has left
        clicked = asyncio.ensure_future(chosen(ana, choice, "sms"))
        await house.mends_sms()
        page = await clicked

        assert given_up.cancelled()
        assert stepped_up(await answered(ana, page, await house.code_sent()))
        assert len(await house.messages()) == 1


async def test_two_tabs_wait_for_two_places_and_one_proof_opens_both(house):
    ana = await house.signed_in()
    first, second = (
        await begun(ana, f"{house.acq}{PLACE}?mesec=11", "totp"),
        await begun(ana, f"{house.acq}{PLACE}?mesec=12", "totp"),
    )
    assert challenge_of(first) != challenge_of(second)
    assert (
        await landed(ana, await answered(ana, second, house.app_code()))
    ).url == f"{house.acq}{PLACE}?mesec=12"
    # The other tab has a challenge of the session before: its page helps on, and there is nothing to prove
    # any more.
    late = await answered(ana, first, house.app_code(steps=1))
    assert (late.status, stepped_up(late)) == (403, False)
    [way] = [link for link in late.links if f"{STEP_UP}?" in link and "lang=" not in link][:1]
    assert (await landed(ana, await ana.opens(way))).url == f"{house.acq}{PLACE}?mesec=11"


async def test_a_challenge_that_nobody_answers_is_over_after_five_minutes(house):
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "sms")
    code = await house.code_sent()
    house.advance(minutes=5, seconds=1)
    late = await answered(ana, page, code)
    assert (late.status, late.heading, stepped_up(late)) == (403, "Ta potrditev ne velja več", False)
    assert (await ana.opens(page.url)).status == 403
    assert (await proves(house, ana, "sms")).url == house.acq + PLACE


async def test_a_recovery_code_is_good_once(house):
    ana = await house.signed_in()
    codes = await house.sheet()
    assert (
        await landed(ana, await answered(ana, await begun(ana, house.acq + PLACE, "recovery"), codes[3]))
    ).url == house.acq + PLACE
    house.advance(minutes=6)
    page = await begun(ana, house.acq + PLACE, "recovery")
    assert not stepped_up(await answered(ana, page, codes[3]))
    assert (
        await landed(ana, await answered(ana, page, codes[4].replace("-", " ").upper()))
    ).url == house.acq + PLACE


async def test_a_web_socket_is_closed_when_the_proof_is_too_old(house):
    ana = await house.signed_in()
    await proves(house, ana, "totp")
    gateway = house.ports["gateway"]
    socket = await websockets.connect(
        f"ws://acq.localhost:{gateway}/ws",
        host="127.0.0.1",
        port=gateway,
        origin=house.acq,
        proxy=None,
        additional_headers={"Cookie": f"{TICKET}={ana.ticket(house.acq)}"},
    )
    try:
        await socket.send("dober dan")
        assert await socket.recv() == "dober dan"
        house.advance(minutes=5, seconds=5)
        async with asyncio.timeout(PATIENCE):
            await socket.wait_closed()
    finally:
        await socket.close()
    assert (await ana.opens(house.acq + "/")).status == 200


async def test_a_phone_number_that_the_bank_changes_ends_what_was_proved_with_the_old_one(house):
    ana = await house.signed_in()
    await proves(house, ana, "sms")
    await house.moves_phone("+38640999111")

    async def is_out():
        return (await ana.browser.fetch(house.acq + "/")).status == 401

    await house.at_once(is_out)


async def test_language_follows_the_person(house):
    ana = await house.signed_in()
    page = await asked(ana, house.acq + PLACE)
    english = await ana.opens(f"{page.url}&lang=en")
    assert "Confirm your identity" in english.heading
    shown = await chosen(ana, english, "sms")
    assert "Enter the code from the text message" in shown.text
    assert "is your code for ACQ" in (await house.messages())[0]
