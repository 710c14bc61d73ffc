"""How a portal is told that a person has signed out."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest
from aiohttp import web

from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.routes import Portal
from authproxy.access.unavailable import CannotAsk
from authproxy.dns.client_sessions import SessionResolver, client_session
from authproxy.flows.ending.portal_sign_out import PortalSignOuts, ToldPortal
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.log_lines import logged_events
from tests.support.session_builders import NOW, new_ticket, session_for

COOKIES = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32), carries_values=True)
PORTAL = Portal(
    portal_id="acq", origin="https://acq.example", host="acq.example", routes=(), personal_cookies=COOKIES
)
SESSION = session_for(new_ticket())


class PortalFixture:
    def __init__(self):
        self.asked = []
        self.status = 200
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.bound_to = None
        self.signer_fails = False

    async def answer(self, request):
        self.asked.append(request)
        await self.may_answer.wait()
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    def identity(self, portal, session, now, bound_to):
        if self.signer_fails:
            raise CannotAsk(Reason.SIGNER_UNAVAILABLE, "the key is away")
        self.bound_to = bound_to
        return b"X-Auth-Subject: ana\r\nX-Auth-Name: \xc5\xa0pela\r\nX-Auth-Assertion: a.b.c\r\n"


@contextlib.asynccontextmanager
async def told(portal=PORTAL, *, port=None, within=30.0):
    """The portal, and a function that tells it and returns what was logged."""
    house = PortalFixture()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", house.answer)
    listening = bound()
    begun = []
    async with serving(application, listening), client_session(SessionResolver(), connections=2) as client:
        at = f"http://127.0.0.1:{port or port_of(listening)}/app/logout?from=gateway"
        sign_outs = PortalSignOuts(
            {"acq": ToldPortal(portal=portal, url=at, host="acq.example", client=client)},
            identity=house.identity,
            spawn=begun.append,
            within=within,
        )

        async def tell(cookies="", session=SESSION):
            with logged_events() as logged:
                sign_outs.begin(session, cookies, now=NOW)
                for work in begun:
                    await work
                begun.clear()
            return logged

        yield house, tell


def cookies_of(person):
    """What a browser sends to our sign-out page whose portal has set a cookie for that person."""
    lines = COOKIES.marks([(b"Set-Cookie", b"JSESSIONID=in-app; Path=/app")], COOKIES.owner(person), "/app/")
    return "look=blue; " + lines.decode().removeprefix("Set-Cookie: ").partition(";")[0]


async def test_the_portal_gets_the_identity_and_the_cookies_of_the_session_that_has_ended():
    async with told() as (portal, tell):
        assert await tell(cookies_of(SESSION.person)) == []
        [request] = portal.asked
        assert (request.method, request.raw_path) == ("GET", "/app/logout?from=gateway")
        headers = request.headers
        assert headers["Host"] == headers["X-Forwarded-Host"] == "acq.example"
        assert headers["X-Forwarded-Proto"] == "https"
        assert (headers["X-Auth-Subject"], headers["X-Auth-Assertion"]) == ("ana", "a.b.c")
        assert headers["Cookie"] == "JSESSIONID=in-app"
        assert portal.bound_to is None


async def test_nobody_elses_cookie_is_shown_to_the_portal():
    other = session_for(new_ticket())
    bor = replace(other.person, subject="bor")
    async with told() as (portal, tell):
        await tell(cookies_of(bor) + "; JSESSIONID=planted")
        assert "Cookie" not in portal.asked[0].headers


async def test_a_portal_without_personal_cookies_is_told_by_the_identity_alone():
    plain = replace(PORTAL, personal_cookies=None, binds_assertion=True)
    async with told(plain) as (portal, tell):
        await tell("JSESSIONID=x")
        assert "Cookie" not in portal.asked[0].headers
        assert portal.bound_to == ("GET", "https://acq.example/app/logout")


async def test_only_the_portal_of_the_session_is_told():
    async with told() as (portal, tell):
        await tell(session=replace(SESSION, portal="b2b"))
        assert portal.asked == []


@pytest.mark.parametrize(("status", "is_told"), [(200, True), (302, True), (404, False), (500, False)])
async def test_a_redirect_is_an_answer_that_nobody_follows(status, is_told):
    async with told() as (portal, tell):
        portal.status = status
        logged = await tell()
        assert len(portal.asked) == 1
        assert [event["event"] for event in logged] == ([] if is_told else ["portal.not_signed_out"])


async def test_a_portal_that_says_nothing_is_given_up_with_a_line_in_the_log():
    async with told(within=0.05) as (portal, tell):
        portal.may_answer.clear()
        [line] = await tell(cookies_of(SESSION.person))
        assert (line["event"], line["error"]) == ("portal.not_signed_out", "TimeoutError")
        assert "in-app" not in str(line)
        portal.may_answer.set()


async def test_neither_a_portal_nor_a_signer_that_is_away_fails_anything():
    async with told() as (portal, tell):
        portal.signer_fails = True
        [line] = await tell()
        assert line["error"] == "signer_unavailable"
        assert portal.asked == []
    with bound() as nobody:
        async with told(port=port_of(nobody)) as (_, tell):
            [line] = await tell()
            assert line["error"] == "ClientConnectorError"
