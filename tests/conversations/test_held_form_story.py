"""A form that is sent when a fresh proof is missing: it waits, is shown, and reaches the portal once, by way
of the whole gateway."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import redis

from tests.support.gateway import CVETKA
from tests.support.nginx import recording_portal
from tests.support.step_up import (
    DEMANDING,
    answered,
    chosen,
    landed,
    offered,
    open_step_up_house,
    sent_form,
)

ROUTES = [{"path": "/vnos", "methods": ["POST"], "step_up": {"methods": ["rekono"], "max_age": "5m"}}]
TYPED = {"besedilo": 'plača <script>alert(1)</script> & "november"'}


@pytest.fixture
async def house(houses):
    async with houses(acq={"idle": "30m", "routes": ROUTES}) as opened:
        yield opened


@pytest.fixture
async def ana(house):
    """Signed in six minutes ago."""
    person = house.person()
    await person.signs_in(house.acq + "/")
    house.clock.advance(minutes=6)
    return person


async def send_form(person, house):
    page = await person.opens(house.acq + "/vnos")
    [form] = [form for form in page.forms if form.action == f"{house.acq}/vnos"]
    return await person.browser.submit(page, form, TYPED)


def sent(house):
    return house.portal.asked.count("POST /vnos")


def sending(page):
    """The form of the confirmation page that goes to the portal."""
    [form] = [form for form in page.forms if "authproxy-held" in form.fields]
    return form


async def test_what_was_typed_is_shown_after_the_proof_and_sent_once(house, ana):
    met = await send_form(ana, house)
    assert (met.status, sent(house), len(house.events("request.held"))) == (303, 0, 1)
    page = await ana.walk(met)
    assert (page.status, sent(house)) == (200, 0)
    assert "<script>alert" not in page.text
    assert "plača &lt;script&gt;" in page.text
    form = sending(page)
    assert form.action == f"{house.acq}/vnos"
    answer = await ana.browser.submit(page, form)
    assert (answer.status, sent(house), len(house.events("request.released"))) == (200, 1, 1)
    assert "plača &lt;script&gt;" in answer.text
    again = await ana.browser.submit(page, form)
    assert (again.status, sent(house)) == (410, 1)
    for secret in (form.fields["authproxy-held"], "plača", "pla\\u010da"):
        assert secret not in house.audit


async def test_a_form_to_a_path_with_several_readings_is_kept_and_sent_as_well(house, ana):
    page = await ana.opens(house.acq + "/vnos")
    [form] = [form for form in page.forms if form.action == f"{house.acq}/vnos"]
    target = f"{house.acq}/vnos;jsessionid=A1"
    met = await ana.browser.submit(page, replace(form, action=target), TYPED)
    assert (met.status, "held=" in met.location) == (303, True)

    page = await ana.walk(met)

    assert sending(page).action == target
    await ana.browser.submit(page, sending(page))
    assert house.portal.asked.count("POST /vnos;jsessionid=A1") == len(house.events("request.released")) == 1


async def test_nobody_else_can_see_or_send_it(house, ana):
    page = await ana.walk(await send_form(ana, house))
    form = sending(page)
    cvetka = house.person(CVETKA)
    await cvetka.signs_in(house.acq + "/")
    assert (await cvetka.opens(page.url)).status == 410
    assert (await cvetka.browser.submit(page, form)).status == 410
    assert sent(house) == 0
    assert (await ana.browser.submit(page, form)).status == 200


async def test_another_instance_sends_it_as_well(house, ana):
    page = await ana.walk(await send_form(ana, house))
    async with house.second_gateway() as port:
        said = {
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": "same-origin",
            "Origin": house.acq,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = f"authproxy-held={sending(page).fields['authproxy-held']}".encode()
        answer = await ana.browser.request("POST", f"{house.acq}/vnos", headers=said, body=body, port=port)
    assert (answer.status, sent(house)) == (200, 1)


async def test_a_proof_that_grew_old_before_the_click_is_asked_again_and_the_form_still_waits(house, ana):
    page = await ana.walk(await send_form(ana, house))
    house.clock.advance(minutes=6)
    late = await ana.browser.submit(page, sending(page))
    assert (late.status, sent(house)) == (303, 0)
    page = await ana.walk(late)
    assert (await ana.browser.submit(page, sending(page))).status == 200
    assert sent(house) == 1


async def test_where_each_form_needs_a_proof_of_its_own_signing_in_again_serves_one_form(houses):
    alone = [
        {
            "path": "/vnos",
            "methods": ["POST"],
            "step_up": {"methods": ["rekono"], "max_age": 0, "shows": ["besedilo"]},
        }
    ]
    async with houses(acq={"idle": "30m", "routes": alone}) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        for already in (0, 1):
            met = await send_form(ana, house)
            assert (met.status, sent(house)) == (303, already)
            page = await ana.walk(met)
            assert (await ana.browser.submit(page, sending(page))).status == 200
            assert sent(house) == already + 1


async def test_what_is_not_to_be_sent_is_forgotten(house, ana):
    page = await ana.walk(await send_form(ana, house))
    [discard] = [form for form in page.forms if form.action.endswith("/step-up/discard")]
    assert (await ana.browser.submit(page, discard)).status == 303
    assert (await ana.browser.submit(page, sending(page))).status == 410
    assert sent(house) == 0


async def test_a_form_that_is_too_large_is_said_to_be_lost(house, ana):
    page = await ana.opens(house.acq + "/vnos")
    [form] = [form for form in page.forms if form.action == f"{house.acq}/vnos"]
    met = await ana.browser.submit(page, form, {"besedilo": "x" * 300_000})
    assert (met.status, met.location.endswith("&lost=yes"), sent(house)) == (303, True, 0)
    assert (await ana.browser.follow(met)).status == 200


BOUNDARY = "----meja7MA4YWxkTrZu0gW"
FILE = bytes(range(256)) * 300
MULTIPART = (
    (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="opomba"\r\n\r\nračun <b>november</b>\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="priloga"; filename="račun \'november\'.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    ).encode()
    + FILE
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)


@pytest.fixture
async def before_a_portal(redis_server):
    """A house that asks for codes, before a portal that keeps what it got."""
    redis_server.command("FLUSHALL")
    async with recording_portal() as portal:
        acq = DEMANDING | {"upstream": f"http://127.0.0.1:{portal.port}"}
        async with open_step_up_house(redis_server.socket_url, acq=acq) as opened:
            yield opened, portal


def posts(portal):
    return [received for received in portal.received if received.method == "POST"]


async def confirmed(house, person, met, *, steps=0):
    """From the redirect after a form by way of a code to the page that shows what is about to be sent."""
    page = await person.browser.follow(met)
    return await landed(
        person, await answered(person, await chosen(person, page, "totp"), house.app_code(steps=steps))
    )


async def test_a_file_arrives_byte_for_byte_under_its_own_type_at_its_own_address(before_a_portal):
    house, portal = before_a_portal
    ana = await house.signed_in()
    target = "/vnos/oddaja?mesec=november%2F11&x=%C4%8D"
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    met = await sent_form(ana, house.acq + target, MULTIPART, content_type=content_type)
    assert (met.status, "&held=" in met.location, posts(portal)) == (303, True, [])
    page = await confirmed(house, ana, met)
    assert page.status == 200
    for shown in (
        "opomba",
        "račun &lt;b&gt;november&lt;/b&gt;",
        "račun &#39;november&#39;.pdf",
        "/vnos/oddaja",
    ):
        assert shown in page.text
    form = sending(page)
    assert form.action == house.acq + target
    answer = await ana.browser.submit(page, form)
    assert (answer.status, answer.text) == (200, "portal")
    [arrived] = posts(portal)
    assert (arrived.target, arrived.body_size, arrived.body_sha256) == (
        target,
        len(MULTIPART),
        hashlib.sha256(MULTIPART).hexdigest(),
    )
    assert [value for name, value in arrived.headers if name.lower() == "content-type"] == [content_type]
    assert [
        value.partition(";")[0] for name, value in arrived.headers if name.lower() == "x-auth-step-up"
    ] == ["rekono"]
    assert (await ana.browser.submit(page, form)).status == 410
    assert len(posts(portal)) == 1


async def test_two_tabs_each_send_their_own_form_once(before_a_portal):
    house, portal = before_a_portal
    ana = await house.signed_in()
    bodies = [f"znesek={number}".encode() for number in (100, 200)]
    first, second = [await sent_form(ana, f"{house.acq}/vnos", body) for body in bodies]
    shown_first = await confirmed(house, ana, first)
    # The proof is the session's: the other tab has nothing to prove any more, and goes on to its own form.
    shown_second = await landed(ana, await ana.browser.follow(second))
    for page in (shown_second, shown_first):
        assert (await ana.browser.submit(page, sending(page))).status == 200
    assert [received.body_sha256 for received in posts(portal)] == [
        hashlib.sha256(body).hexdigest() for body in reversed(bodies)
    ]


async def test_a_form_that_was_discarded_in_one_tab_is_not_sent_from_the_other(before_a_portal):
    house, portal = before_a_portal
    ana = await house.signed_in()
    page = await confirmed(house, ana, await sent_form(ana, f"{house.acq}/vnos", b"znesek=100"))
    same = await ana.opens(page.url)
    [discard] = [form for form in page.forms if form.action.endswith("/step-up/discard")]
    assert (await ana.browser.submit(page, discard)).status == 303
    assert (await ana.browser.submit(same, sending(same))).status == 410
    assert posts(portal) == []


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "image/png"])
async def test_what_no_form_of_a_page_can_be_is_said_to_be_lost(before_a_portal, content_type):
    house, portal = before_a_portal
    ana = await house.signed_in()
    met = await sent_form(ana, f"{house.acq}/vnos", b"{}", content_type=content_type)
    assert met.location.endswith("&lost=yes")
    page = await ana.browser.follow(met)
    assert "Portal podatkov, ki ste jih pravkar poslali, ni prejel" in page.text
    assert (offered(page) >= {"totp"}, posts(portal)) == (True, [])


async def test_a_form_of_the_largest_size_is_kept_and_a_byte_more_is_lost(before_a_portal):
    house, portal = before_a_portal
    ana = await house.signed_in()
    largest = b"x=" + b"y" * (256 * 1024 - 2)
    assert (await sent_form(ana, f"{house.acq}/vnos", largest + b"y")).location.endswith("&lost=yes")
    page = await confirmed(house, ana, await sent_form(ana, f"{house.acq}/vnos", largest))
    assert (await ana.browser.submit(page, sending(page))).status == 200
    assert [received.body_size for received in posts(portal)] == [256 * 1024]


async def test_what_is_kept_cannot_be_read_in_the_store(before_a_portal, redis_server):
    house, _ = before_a_portal
    ana = await house.signed_in()
    met = await sent_form(ana, f"{house.acq}/vnos", b"opis=PODPLAT&znesek=4711")
    name = met.location.partition("&held=")[2]
    kept = contents(redis_server)
    assert kept
    for secret in (b"PODPLAT", b"opis=", name.encode()):
        assert not any(secret in octets for octets in kept)


def contents(redis_server):
    """Every key and its value, as the store has them."""
    with redis.Redis.from_url(redis_server.socket_url) as store:
        keys = list(store.scan_iter(count=1000))
        return keys + [store.dump(key) for key in keys]


async def test_a_form_waits_no_longer_than_an_attempt_lives(before_a_portal, redis_server):
    house, portal = before_a_portal
    ana = await house.signed_in()
    await sent_form(ana, f"{house.acq}/vnos", b"znesek=100")
    with redis.Redis.from_url(redis_server.socket_url) as store:
        [left] = [store.pttl(key) for key in store.scan_iter(match="*kept*", count=1000)]
    assert 0 < left <= 30 * 60 * 1000
    assert posts(portal) == []
