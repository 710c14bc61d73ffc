"""The whole sandbox behind one gateway: all six portals, and the two that have a sign-in of their own, which
the gateway leaves alone."""

from __future__ import annotations

import base64
import json
import re
import ssl
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import redis.asyncio

from authproxy.sandbox.addresses import AUTHORITY_FOLDER
from authproxy.sandbox.portals.catalogue import PORTAL_IDS, portal
from tests.support.browser import Visitor
from tests.support.gateway import ANA, CVETKA, TICKET
from tests.support.http_client import Browser
from tests.support.sandbox import RunningSandbox
from tests.support.town import running_town
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
OWN = {"ecmsweb": ("referent", "Kartice-2026!"), "bankomati": ("nadzor", "Bankomat-2026!")}


@pytest_asyncio.fixture(loop_scope="session")
async def town(redis_server, authority_state):
    async with running_town(redis_server, authority_state) as running:
        yield running


async def signs_in_behind(person, town, portal_id, path="/", *, password=None):
    """From the gateway's chooser to the portal's own form, and through it; the page or redirect that the
    portal answers with."""
    door = await person.signs_in(town.url(portal_id, path))
    assert urlsplit(door.url).path == "/prijava"
    [form] = [form for form in door.forms if "geslo" in form.inputs]
    name, own = OWN[portal_id]
    return await person.browser.submit(door, form, {"uporabnik": name, "geslo": password or own})


def portals_cookies(answer):
    """The Set-Cookie values of the portal itself. The gateway adds a mark to a cookie of one person."""
    return [value for value in answer.all("set-cookie") if not value.startswith("__Host-authproxy-mark-")]


async def received(person, town, portal_id, *, headers=()):
    """Headers by lower-case name as the portal got them."""
    answer = await person.browser.request(
        "GET", town.url(portal_id, "/api/received"), headers=[("Accept", "text/html"), *headers]
    )
    assert answer.json["assertion"]["valid"]
    found = {}
    for name, value in answer.json["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


@pytest.mark.parametrize("portal_id", PORTAL_IDS)
async def test_each_portal_is_reached_by_a_deep_link_and_knows_who_came(town, portal_id):
    ana = town.person()
    place = town.url(portal_id, portal(portal_id).tables[0].path + "?a=1")
    page = await ana.signs_in(place)
    assert page.status == 200
    if portal_id in OWN:
        assert urlsplit(page.url).path == "/prijava"
    else:
        assert page.url == place
    claims = (await ana.browser.fetch(town.url(portal_id, "/api/jaz"))).json
    assert (claims["aud"], claims["name"], claims["level"]) == (portal_id, "Ana Novak", 20)


@pytest.mark.parametrize(
    ("portal_id", "idle_minutes"),
    [("acq", 5), ("b2b", 5), ("bips", 5), ("bws", 15), ("ecmsweb", 15), ("bankomati", 15)],
)
async def test_where_payments_are_on_the_screen_a_session_waits_less_long(town, portal_id, idle_minutes):
    ana = town.person()
    await ana.signs_in(town.url(portal_id))
    mine = town.url(portal_id, "/api/jaz")
    town.clock.advance(minutes=idle_minutes, seconds=-20)
    assert (await ana.browser.fetch(mine)).status == 200
    town.clock.advance(minutes=idle_minutes, seconds=20)
    assert (await ana.browser.fetch(mine)).json["reason"] == "session_ended"


@pytest.mark.parametrize(("portal_id", "shape"), [("ecmsweb", "absolute"), ("bankomati", "relative")])
async def test_the_second_sign_in_is_the_portals_own_and_its_redirects_pass_as_they_are(
    town, portal_id, shape
):
    ana = town.person()
    deep = portal(portal_id).tables[0].path + "?stanje=x&a=%C4%8D"
    answer = await signs_in_behind(ana, town, portal_id, deep)
    origin = town.url(portal_id, "") if shape == "absolute" else ""
    assert (answer.status, answer.header("location")) == (303, origin + deep)
    page = await ana.browser.follow(answer)
    assert page.status == 200
    assert OWN[portal_id][0] in page.text
    assert "Ana Novak" in page.text


async def test_several_cookies_of_one_answer_pass_as_an_old_server_writes_them(town):
    ana = town.person()
    answer = await signs_in_behind(ana, town, "ecmsweb")
    session, *others = portals_cookies(answer)
    assert re.fullmatch(r"JSESSIONID=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax", session)
    assert others == [
        "razporeditev=po-datumu; Path=/kartice; Expires=Wed, 22 Dec 2027 10:00:00 GMT",
        'zadnja_prijava="22. 11. 2026"; Path=/; SameSite=Lax',
    ]
    elsewhere = town.person()
    assert portals_cookies(await signs_in_behind(elsewhere, town, "bankomati"))[1:] == [
        "pogled=zemljevid; Path=/bankomati; Max-Age=86400",
        "skupina=; Path=/; Max-Age=0",
    ]


async def test_the_portals_cookies_come_back_to_it_and_the_gateways_never_do(town):
    ana = town.person()
    for portal_id in OWN:
        await signs_in_behind(ana, town, portal_id)
    for portal_id in OWN:
        url = town.url(portal_id)
        assert ana.browser.cookies.get(url, TICKET)
        [cookies] = (await received(ana, town, portal_id))["cookie"]
        assert "__Host-authproxy" not in cookies
        assert f"JSESSIONID={ana.browser.cookies.get(url, 'JSESSIONID')}" in cookies
    assert ana.browser.cookies.get(town.url("ecmsweb"), "JSESSIONID") != ana.browser.cookies.get(
        town.url("bankomati"), "JSESSIONID"
    )
    listed = await ana.opens(town.url("ecmsweb", "/kartice"))
    assert "razporeditev=po-datumu" in dict(listed.sent)["Cookie"]
    assert listed.status == 200


async def test_a_wrong_password_there_is_the_portals_own_page_and_no_matter_of_the_gateway(town):
    ana = town.person()
    page = await signs_in_behind(ana, town, "ecmsweb", password="wrong-one")
    assert (page.status, page.all("set-cookie")) == (200, [])
    assert "Uporabniško ime ali geslo ni pravilno." in page.text
    assert 'value="referent"' in page.text
    assert "wrong-one" not in page.text
    assert (await ana.browser.fetch(town.url("ecmsweb", "/api/jaz"))).status == 200
    assert (await ana.opens(town.url("ecmsweb", "/kartice"))).location.startswith(
        town.url("ecmsweb", "/prijava?")
    )


async def test_signing_out_of_the_portal_leaves_the_gateways_session_and_a_relative_redirect_stays_relative(
    town,
):
    ana = town.person()
    page = await ana.browser.follow(await signs_in_behind(ana, town, "bankomati"))
    [form] = [form for form in page.forms if form.action.endswith("/odjava")]
    answer = await ana.browser.submit(page, form)
    assert (answer.header("location"), portals_cookies(answer)) == (
        "/prijava?odjavljen=1",
        ["JSESSIONID=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"],
    )
    assert "Prijava na prehodu še velja." in (await ana.browser.follow(answer)).text
    assert (await ana.browser.fetch(town.url("bankomati", "/api/jaz"))).status == 200
    assert (await ana.opens(town.url("bankomati", "/bankomati"))).is_redirect


async def test_a_portals_session_is_not_passed_on_to_the_next_person_at_the_same_browser(town):
    ana = town.person()
    await signs_in_behind(ana, town, "ecmsweb")
    kept = ana.browser.cookies.get(town.url("ecmsweb"), "JSESSIONID")
    cvetka = town.person(CVETKA)
    await cvetka.signs_in(town.url("ecmsweb"))
    cvetka.browser.cookies.put(town.url("ecmsweb"), "JSESSIONID", kept)
    assert (await cvetka.opens(town.url("ecmsweb", "/kartice"))).is_redirect
    assert (await ana.opens(town.url("ecmsweb", "/kartice"))).status == 200


async def test_basic_credentials_and_their_challenge_pass_untouched(town):
    ana = town.person()
    await ana.signs_in(town.url("bankomati"))
    machines = town.url("bankomati", "/api/naprave")
    asked = await ana.browser.fetch(machines)
    assert (asked.status, asked.header("www-authenticate")) == (401, 'Basic realm="ESQ", charset="UTF-8"')
    assert asked.json == {"error": "unauthorized"}
    good, wrong = (
        f"Basic {base64.b64encode(f'nadzor:{password}'.encode()).decode()}"
        for password in ("Bankomat-2026!", "č:napačno")
    )
    assert (await ana.browser.fetch(machines, headers={"Authorization": wrong})).status == 401
    answer = await ana.browser.fetch(machines, headers={"Authorization": good})
    assert [each["id"] for each in answer.json][:2] == ["A0103", "A0104"]
    for value in (good, wrong, "Bearer portals-own.token", "Negotiate YII="):
        assert (await received(ana, town, "bankomati", headers=[("Authorization", value)]))[
            "authorization"
        ] == [value]


async def test_basic_credentials_alone_are_no_way_past_the_gateway(town):
    good = f"Basic {base64.b64encode(b'nadzor:Bankomat-2026!').decode()}"
    answer = await Browser().fetch(town.url("bankomati", "/api/naprave"), headers={"Authorization": good})
    assert (answer.status, answer.json["reason"]) == (401, "no_session")
    assert not any(value.startswith("Basic") for value in answer.all("www-authenticate"))
    straight = await Browser().fetch(
        town.addresses.upstream("bankomati") + "/api/naprave", headers={"Authorization": good}
    )
    assert straight.status == 403


async def test_the_portals_passwords_are_nowhere_in_what_the_gateway_writes_and_keeps(town, redis_server):
    ana = town.person()
    basic = base64.b64encode(b"nadzor:Bankomat-2026!").decode()
    await signs_in_behind(ana, town, "ecmsweb")
    await signs_in_behind(ana, town, "bankomati", password="wrong-one")
    await ana.browser.fetch(
        town.url("bankomati", "/api/naprave"), headers={"Authorization": f"Basic {basic}"}
    )

    async def is_all_written():
        return "/api/naprave" in town.written  # lines are collected for a moment

    await until(is_all_written)
    written, kept = town.written, await everything_in(redis_server.socket_url)
    assert "/prijava" in written
    for secret in (
        "Kartice-2026!",
        "Bankomat-2026!",
        "wrong-one",
        basic,
        ana.browser.cookies.get(town.url("ecmsweb"), "JSESSIONID"),
    ):
        assert secret not in written + kept


async def everything_in(store_url):
    """Keys and values of a store, as text."""
    store = redis.asyncio.from_url(store_url, decode_responses=False)
    async with store:
        read = {
            b"string": store.get,
            b"hash": store.hgetall,
            b"set": store.smembers,
            b"zset": lambda key: store.zrange(key, 0, -1),
            b"list": lambda key: store.lrange(key, 0, -1),
        }
        found = [(key, await read[await store.type(key)](key)) for key in await store.keys()]
    assert found
    return repr(found)


async def test_a_file_travels_through_to_the_portal(town):
    ana = town.person()
    form = town.url("b2b", "/oddaja")
    await ana.signs_in(form)
    content = "<Document>čšž</Document>".encode() * 4000
    boundary = "meja"
    body = b"".join(
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="vrsta"\r\n\r\nkreditna plačila '
            "(pain.001)\r\n".encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="datoteka"; '
            'filename="plačila.xml"\r\nContent-Type: text/xml\r\n\r\n'.encode(),
            content,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate",
        "Accept": "text/html",
    }
    receipt = await ana.browser.follow(await ana.browser.request("POST", form, headers=headers, body=body))
    assert receipt.status == 200
    assert f"plačila.xml ({len(content)} B)" in receipt.text


# The provider's confirmation by a digital certificate

BY_CERTIFICATE = ("mode", "certlogin")
WRONG_CERTIFICATES = {
    None: "Brskalnik ni predložil digitalnega potrdila",
    "impostor-ana": "ni izdal overitelj, ki mu zaupamo",
    "franc.golob": "je poteklo ali še ne velja",
    "erik.kos": "Predloženo potrdilo je preklicano",
    "cvetka.zupan": "ni povezano s tem računom",
}


def offers_certificate(page):
    return any(BY_CERTIFICATE in form.buttons for form in page.forms)


def shows(town, person, name):
    """From now on the person's browser shows the certificate of that name, or none."""
    person.browser.tls = ssl.create_default_context(cafile=town.folder / "certificate-host.pem")
    if name is not None:
        person.browser.tls.load_cert_chain(town.folder / AUTHORITY_FOLDER / "private" / f"{name}.pem")


async def confirmation_window(town, person):
    return await person.walk(await person.opens(town.url("acq")), stop=offers_certificate)


async def asked_for_certificate(person, window):
    """The redirect to where the certificate is shown."""
    [form] = [form for form in window.forms if BY_CERTIFICATE in form.buttons]
    return await person.browser.submit(window, form, dict([BY_CERTIFICATE]))


async def confirms(town, person, window, name):
    """Shows the certificate and goes on to the portal, or to the window that says why not."""
    shows(town, person, name)
    return await person.walk(await asked_for_certificate(person, window), stop=offers_certificate)


async def test_the_certificate_that_is_linked_to_the_account_confirms_a_sign_in_and_no_other_does(town):
    ana = town.person()
    window = await confirmation_window(town, ana)
    for name, sentence in WRONG_CERTIFICATES.items():
        window = await confirms(town, ana, window, name)
        assert (window.status, offers_certificate(window), sentence in window.text) == (200, True, True), name
    english = next(form for form in window.forms if ("mode", "") in form.buttons)
    window = await ana.browser.submit(window, english, {"mode": ""})
    assert "The certificate is not linked to this account." in window.text

    page = await confirms(town, ana, window, "ana.novak")
    assert (page.status, page.url) == (200, town.url("acq"))
    claims = (await ana.browser.fetch(town.url("acq", "/api/jaz"))).json
    assert (claims["name"], claims["level"]) == ("Ana Novak", 20)


async def test_where_nobody_says_what_is_revoked_a_certificate_confirms_nothing(town):
    ana = town.person()
    window = await confirmation_window(town, ana)
    body = json.dumps({"service": "crl", "how": "down"}).encode()
    broken = await Browser().request(
        "POST",
        town.addresses.local(8084) + "/api/break",
        headers={"Content-Type": "application/json"},
        body=body,
    )
    assert broken.status < 300
    window = await confirms(town, ana, window, "ana.novak")
    assert "Trenutno ni mogoče preveriti, ali je potrdilo preklicano." in window.text
    await Browser().request("DELETE", town.addresses.local(8084) + "/api/break")
    assert (await confirms(town, ana, window, "ana.novak")).url == town.url("acq")


async def test_a_certificate_confirms_only_in_the_browser_that_began_the_sign_in_and_once(town):
    """Who knows Ana's password and lures her to the address where certificates are shown is not signed in by
    hers."""
    thief, ana = town.person(), town.person()
    window = await confirmation_window(town, thief)
    shows(town, ana, "ana.novak")
    await confirmation_window(town, ana)
    lure = await asked_for_certificate(thief, window)
    assert (await ana.browser.follow(lure)).status == 403

    shows(town, thief, "ana.novak")
    there = await thief.browser.follow(await asked_for_certificate(thief, window))
    assert (await ana.browser.follow(there)).status == 403
    for spent in (lure, there):
        assert (await thief.browser.follow(spent)).status == 403


async def test_whoever_opens_the_address_for_certificates_by_itself_comes_to_the_provider(town):
    ana = town.person()
    shows(town, ana, None)
    assert (await ana.opens(f"{town.addresses.certificate_confirmation}/")).location == town.addresses.local(
        8081
    ) + "/"


# In Chromium


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium, town):
    opened = []

    async def visit(locale, **options):
        context = await chromium.new_context(locale=locale, **options)
        person = Visitor(await context.new_page(), RunningSandbox(town.addresses.offset), ANA)
        opened.append(person)
        return person

    yield visit
    for person in opened:
        assert person.complaints == []
        assert person.strangers == []


@pytest.mark.needs("chromium-headless-shell")
@pytest.mark.parametrize(
    ("portal_id", "locale", "welcome"),
    [("ecmsweb", "sl-SI", "Pozdravljeni, Ana Novak"), ("bankomati", "en-GB", "Welcome, Ana Novak")],
)
async def test_both_sign_ins_go_by_the_keyboard_one_after_the_other(
    town, visitor, portal_id, locale, welcome
):
    person = await visitor(locale)
    page, home = person.page, town.url(portal_id)
    await page.goto(home)
    await person.tabs_to("main form button[name=method][value=rekono]")
    await page.keyboard.press("Enter")
    await person.proves_who_they_are("smslogin")
    await page.wait_for_url(f"{home}prijava**")
    assert await person.barriers() == []
    user, password = OWN[portal_id]
    await person.tabs_to("#uporabnik")
    await page.keyboard.type(user)
    await person.tabs_to("#geslo")
    await page.keyboard.type(password)
    await page.keyboard.press("Enter")
    await page.wait_for_url(home)
    assert await page.locator("h1").inner_text() == welcome


@pytest.mark.needs("chromium-headless-shell")
async def test_the_start_page_is_free_of_barriers_and_its_first_step_leads_to_a_portal(town, visitor):
    for locale, scheme in (("sl-SI", "light"), ("en-GB", "dark")):
        person = await visitor(locale, color_scheme=scheme, viewport={"width": 320, "height": 800})
        await person.page.goto(town.addresses.local(8088))
        assert await person.barriers() == []
        assert await person.page.locator(".state.down").count() == 0
        await person.page.locator(".steps a").click()
        await person.page.wait_for_url("**/.authproxy/login**")
