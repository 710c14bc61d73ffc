"""The next person at the same browser, at a portal that is as naive as old ones are: its cookie decides who is
inside."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import pytest
from aiohttp import web

from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.gateway import ANA, CVETKA, open_house

SETTINGS = {"cookies": {"end_with_session": ["JSESSIONID"]}}


class NaivePortal:
    """Remembers whom it has seen first with a cookie, and greets them by name ever after."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.sessions: dict[str, str] = {}
        self.received: list[web.Request] = []
        self.told = asyncio.Event()
        self.is_broken = False
        self.domain = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.received.append(request)
        in_path = request.path.rpartition(";jsessionid=")[2] if ";" in request.path else ""
        found = request.cookies.get("JSESSIONID", in_path)
        if request.path == "/app/logout":
            self.told.set()
            self.sessions.pop(found, None)
            return web.Response(status=500 if self.is_broken else 200)
        if found in self.sessions:
            return web.Response(text=f"hello {self.sessions[found]}")
        name = secrets.token_hex(16)
        self.sessions[name] = request.headers["X-Auth-Name"]
        answer = web.Response(text=f"hello {self.sessions[name]}")
        domain = f"; Domain={self.domain}" if self.domain else ""
        answer.headers.add("Set-Cookie", f"JSESSIONID={name}; Path={self.path}; HttpOnly{domain}")
        answer.headers.add("Set-Cookie", "look=blue; Path=/")
        return answer


@contextlib.asynccontextmanager
async def house_before(store_url, *, path="/", sign_out_url=False, **acq):
    portal, listening = NaivePortal(path), bound()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", portal.answer)
    at = f"http://127.0.0.1:{port_of(listening)}"
    if sign_out_url:
        acq["sign_out_url"] = f"{at}/app/logout"
    async with (
        serving(application, listening),
        open_house(store_url, acq=acq | {"upstream": at}, keeps_log=True) as house,
    ):
        yield house, portal


async def greeted(person, house, path="/app/") -> str:
    page = await person.signs_in(house.acq + path)
    assert page.status == 200, page.text
    return page.text


async def signs_out(person, house):
    page = await person.opens(f"{house.acq}/.authproxy/logout")
    [form] = [form for form in page.forms if form.action.startswith(f"{house.acq}/.authproxy/logout")]
    return await person.browser.submit(page, form)


def next_person(house, before):
    """Cvetka, at the browser of somebody whom the provider does not remember."""
    before.browser.cookies.put(house.issuer, "JSESSIONID", None)
    return house.person(CVETKA, browser=before.browser)


@pytest.fixture
def store_url(redis_server):
    redis_server.command("FLUSHALL")
    return redis_server.socket_url


async def test_without_the_setting_a_naive_portal_takes_the_next_person_for_the_one_before(store_url):
    async with house_before(store_url) as (house, _):
        ana = house.person(ANA)
        assert await greeted(ana, house) == "hello Ana Novak"
        await signs_out(ana, house)
        assert await greeted(next_person(house, ana), house) == "hello Ana Novak"


@pytest.mark.parametrize("path", ["/", "/app"])
@pytest.mark.parametrize("end", ["sign-out", "idle", "absolute", "lost"])
async def test_however_a_session_has_ended_the_next_person_is_greeted_as_themselves(store_url, path, end):
    async with house_before(store_url, path=path, **SETTINGS) as (house, portal):
        ana = house.person(ANA)
        assert await greeted(ana, house) == "hello Ana Novak"
        assert await greeted(ana, house) == "hello Ana Novak"
        assert len(portal.sessions) == 1
        if end == "sign-out":
            await signs_out(ana, house)
            assert ana.browser.cookies.get(house.acq, "JSESSIONID") is None
            assert not [name for name in ana.browser.cookies.of(house.acq + "/app/") if "mark" in name]
        elif end == "lost":
            ana.browser.cookies.put(house.acq, "__Host-authproxy", None)
        else:
            house.advance(**({"minutes": 16} if end == "idle" else {"hours": 9}))
        kept = ana.browser.cookies.get(house.acq, "JSESSIONID")
        cvetka = next_person(house, ana)
        assert await greeted(cvetka, house) == "hello Cvetka Zupan"
        assert kept is None or f"JSESSIONID={kept}" not in cvetka.browser.cookies.of(house.acq + "/app/")
        assert await greeted(cvetka, house) == "hello Cvetka Zupan"
        assert len(portal.sessions) == 2
        assert "look=blue" in portal.received[-1].headers["Cookie"]
        assert "authproxy" not in portal.received[-1].headers["Cookie"]


async def test_somebody_who_comes_back_after_an_idle_end_is_still_inside_their_own_portal(store_url):
    async with house_before(store_url, path="/app", **SETTINGS) as (house, portal):
        ana = house.person(ANA)
        await greeted(ana, house)
        house.advance(minutes=16)
        assert await greeted(ana, house) == "hello Ana Novak"
        assert len(portal.sessions) == 1


async def test_a_portal_that_knows_only_its_inner_name_has_its_cookies_marked_where_browsers_keep_them(
    store_url,
):
    async with house_before(store_url, preserve_host=False, **SETTINGS) as (house, portal):
        portal.domain = "127.0.0.1"
        ana = house.person(ANA)
        await greeted(ana, house)
        assert await greeted(ana, house) == "hello Ana Novak"
        assert len(portal.sessions) == 1
        answer = await signs_out(ana, house)
        assert "JSESSIONID=; Max-Age=0; Path=/; Domain=acq.localhost; HttpOnly" in answer.all("set-cookie")


async def test_a_cookie_that_somebody_has_planted_opens_nothing(store_url):
    async with house_before(store_url, **SETTINGS) as (house, _):
        ana, cvetka = house.person(ANA), house.person(CVETKA)
        await greeted(ana, house)
        cvetka.browser.cookies.put(house.acq, "JSESSIONID", ana.browser.cookies.get(house.acq, "JSESSIONID"))
        assert await greeted(cvetka, house) == "hello Cvetka Zupan"


@pytest.mark.parametrize("link", ["/app/;jsessionid={}", "/app/x%3Bjsessionid={}", "/app/;v=1;JSESSIONID={}"])
async def test_a_link_with_somebody_elses_session_in_its_path_leads_into_ones_own(store_url, link):
    async with house_before(store_url, **SETTINGS) as (house, portal):
        ana, cvetka = house.person(ANA), house.person(CVETKA)
        await greeted(ana, house)
        [name] = portal.sessions
        assert await greeted(cvetka, house, link.format(name)) == "hello Cvetka Zupan"
        assert name not in portal.received[-1].raw_path
        # Her own links still lead where they say.
        own = cvetka.browser.cookies.get(house.acq, "JSESSIONID")
        assert (await cvetka.opens(house.acq + link.format(own))).text == "hello Cvetka Zupan"


async def test_the_portal_is_told_and_ends_its_own_session(store_url):
    async with house_before(store_url, path="/app", sign_out_url=True, **SETTINGS) as (house, portal):
        ana = house.person(ANA)
        await greeted(ana, house)
        [name] = portal.sessions
        assert (await signs_out(ana, house)).status == 303
        async with asyncio.timeout(10):
            await portal.told.wait()
        assert portal.sessions == {}
        last = portal.received[-1]
        assert (last.method, last.headers["Cookie"]) == ("GET", f"JSESSIONID={name}")
        assert last.headers["X-Auth-Name"] == "Ana Novak"
        assert last.headers["X-Auth-Assertion"].count(".") == 2
        house.secrets.add(name)
        house.nothing_has_leaked()


async def test_a_portal_that_fails_does_not_keep_anybody_from_signing_out(store_url):
    async with house_before(store_url, sign_out_url=True, **SETTINGS) as (house, portal):
        ana = house.person(ANA)
        await greeted(ana, house)
        ticket = ana.ticket(house.acq)
        portal.is_broken = True
        assert (await signs_out(ana, house)).status == 303
        ana.browser.cookies.put(house.acq, "__Host-authproxy", ticket)
        assert (await ana.browser.fetch(house.acq + "/app/")).json["reason"] == "session_ended"


async def test_the_portals_own_sign_out_leads_to_ours_and_ends_nothing_by_itself(store_url):
    async with house_before(store_url, sign_out_paths=["/app/logout"], **SETTINGS) as (house, portal):
        ana = house.person(ANA)
        await greeted(ana, house)
        before = len(portal.received)
        for target in ("/app/logout", "/app/logout?x=1", "/app/logout;jsessionid=A", "/app//logout"):
            for method in ("GET", "POST"):
                answer = await ana.browser.request(method, house.acq + target, body=b"")
                assert (answer.status, answer.location) == (303, f"{house.acq}/.authproxy/logout"), target
            # Somebody without a session is not made to sign in in order to sign out.
            stranger = await house.person(CVETKA).opens(house.acq + target)
            assert stranger.location == f"{house.acq}/.authproxy/logout"
        assert len(portal.received) == before
        assert await greeted(ana, house) == "hello Ana Novak"
