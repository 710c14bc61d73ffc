"""The gateway with MITREid Connect itself, whose descendant Rekono runs: what it does at sign-in, at a fresh proof and at sign-out."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio

from tests.conftest import IN_CI
from tests.support import mitreid
from tests.support.gateway import free_port, open_house, until
from tests.support.http_client import Browser
from tests.support.mitreid import ANA, CLIENT_ID, EVA, SECRET, Guest
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.needs("java", "redis-server"), pytest.mark.xdist_group("mitreid"), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway_ports():
    """One for each test: MITREid must know all of them from its start."""
    return [free_port() for _ in range(12)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(tmp_path_factory, gateway_ports):
    """One MITREid for all tests of the module: to start it takes ten times as long as a test."""
    if not mitreid.is_here():
        (pytest.fail if IN_CI else pytest.skip)("needs MITREid Connect (make setup fetches it)")
    portals = [f"http://{name}.localhost:{port}" for name in ("acq", "b2b") for port in gateway_ports]
    async with mitreid.running(tmp_path_factory.mktemp("mitreid"), free_port(), portals=portals) as issuer:
        yield issuer


@pytest.fixture
def opened(store, issuer, gateway_ports):
    """Opens a house whose provider is MITREid."""

    def enter(*, acq=None, **environment):
        settings = {
            "AUTHPROXY__REKONO__ISSUER": issuer, "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID, "AUTHPROXY__REKONO__CLIENT_SECRET": SECRET,
            "AUTHPROXY__REKONO__SCOPES": "openid,profile,email", "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "name",
            "AUTHPROXY__PORTALS__B2B__REQUIRED_CLAIMS": "name", **environment,
        }  # fmt: skip
        store.command("FLUSHALL")
        ports = {"gateway": gateway_ports.pop(), "provider": urlsplit(issuer).port}
        return open_house(store.socket_url, environment=settings, provider_is_up=False, ports=ports, acq=acq)

    return enter


def sent(guest):
    """The parameters of the last authorization request."""
    return dict(parse_qsl(urlsplit(next(one.location for one in reversed(guest.browser.history) if one.is_redirect and "/authorize?" in one.location)).query))


def asks_for_the_password(answer):
    return answer.status == 200 and any("password" in form.inputs for form in answer.forms)


async def signs_out(guest, portal):
    """What the provider asks then."""
    confirmation = await guest.opens(f"{portal}/.authproxy/logout")
    form = next(form for form in confirmation.forms if form.action.startswith(f"{portal}/.authproxy/logout"))
    return await guest.walk(await guest.browser.submit(confirmation, form))


async def test_a_person_signs_in_and_the_portal_knows_who_it_is_and_since_when(opened):
    async with opened() as house:
        ana = Guest(ANA, house, Browser(patience=60))
        page = await ana.signs_in(house.acq + "/izpis/2026/11")
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")
        received = (await ana.browser.request("GET", f"{house.acq}/api/received", headers={"Accept": "text/html"})).json
        headers = {name.lower(): value for name, value in received["headers"]}
        assert (headers["x-auth-subject"], headers["x-auth-name"], headers["x-auth-email"]) == ("90342.KRZTQWMA", "Ana Novak", ANA)
        assert headers["x-auth-step-up"].startswith("rekono")  # it states auth_time, because max_age was sent
        assert (sent(ana)["max_age"], sent(ana)["code_challenge_method"]) == ("300", "S256")


@pytest.mark.parametrize("authentication", ["client_secret_post", "client_secret_basic"])
async def test_a_secret_that_it_does_not_know_is_told_apart_from_its_being_away(opened, authentication):
    async with opened(AUTHPROXY__REKONO__CLIENT_SECRET="another", AUTHPROXY__REKONO__CLIENT_AUTHENTICATION=authentication) as house:
        ana = Guest(ANA, house, Browser(patience=60))
        page = await ana.signs_in(house.acq + "/")
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "does not accept this relying party" in house.audit
        assert ("<code>invalid_client</code>" in page.text) is (authentication == "client_secret_post")  # the other code is not registered


async def test_a_refused_consent_signs_nobody_in(opened):
    async with opened() as house:
        eva = Guest(EVA, house, Browser(patience=60))
        page = await eva.signs_in(house.acq + "/", consents=False)
        assert (page.status, eva.ticket(house.acq)) == (403, None)
        assert "consent_refused" in page.text


async def test_a_proof_that_has_grown_old_is_renewed_by_the_password_and_by_nothing_less(opened):
    routes = [{"path": "/izpis", "step_up": {"methods": ["rekono"], "max_age": "6s"}}]
    async with opened(acq={"routes": routes}) as house:
        ana = Guest(ANA, house, Browser(patience=60))
        assert (await ana.signs_in(house.acq + "/")).status == 200

        async def is_old():
            await asyncio.sleep(0.2)  # its clock cannot be moved
            return (await ana.opens(house.acq + "/izpis/2026/11")).status == 303

        await until(is_old, within=20)
        question = await ana.walk(await ana.opens(house.acq + "/izpis/2026/11"), stop=asks_for_the_password)
        assert asks_for_the_password(question)
        assert (sent(ana)["prompt"], "max_age" in sent(ana)) == ("login", True)
        page = await ana.walk(question)
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")


async def test_it_says_when_somebody_has_proved_themselves_where_no_max_age_is_agreed_too(opened):
    async with opened(AUTHPROXY__REKONO__MAX_AGE="null") as house:
        ana = Guest(ANA, house, Browser(patience=60))
        signed_in = await ana.walk(await ana.opens(house.acq + "/"), stop=lambda answer: answer.is_redirect and "/step-up?" in answer.location)
        assert "max_age" not in sent(ana)
        choice = await ana.browser.follow(signed_in)  # a sign-in of which nobody says when it was is no proof
        page = await ana.walk(choice)
        assert (page.status, page.url) == (200, house.acq + "/")
        assert (sent(ana)["prompt"], sent(ana)["max_age"]) == ("login", "0")


async def test_signing_out_asks_there_ends_both_sessions_and_leads_back(opened):
    async with opened() as house:
        ana = Guest(ANA, house, Browser(patience=60))
        await ana.signs_in(house.acq + "/")
        asked = await signs_out(ana, house.acq)
        assert asked.url.startswith(f"{house.issuer}endsession?")
        back = await ana.browser.submit(asked, mitreid.question(asked), {"approve": "yes"})
        assert back.location.startswith(f"{house.acq}/.authproxy/logout?state=")
        assert (await ana.browser.follow(back)).status == 200
        at_b2b = await ana.walk(await ana.opens(house.b2b + "/"), stop=asks_for_the_password)
        assert asks_for_the_password(at_b2b)


async def test_whoever_stays_signed_in_there_is_led_back_all_the_same_and_asked_for_the_password_next_time(opened):
    async with opened() as house:
        ana = Guest(ANA, house, Browser(patience=60))
        await ana.signs_in(house.acq + "/")
        asked = await signs_out(ana, house.acq)
        back = await ana.browser.submit(asked, mitreid.question(asked), {"deny": "no"})
        assert (await ana.browser.follow(back)).status == 200
        assert asks_for_the_password(await ana.walk(await ana.opens(house.acq + "/"), stop=asks_for_the_password))
        assert sent(ana)["prompt"] == "login"


async def test_a_grant_that_is_taken_back_there_ends_the_session_here(opened):
    scopes = {"AUTHPROXY__REKONO__SCOPES": "openid,profile,email,offline_access", "AUTHPROXY__REKONO__RECHECK_EVERY": "1m"}
    async with opened(**scopes) as house:
        ana = Guest(ANA, house, Browser(patience=60))
        assert (await ana.signs_in(house.acq + "/")).status == 200
        granted = (await ana.browser.fetch(f"{house.issuer}api/tokens/refresh")).json
        for token in granted:
            assert (await ana.browser.request("DELETE", f"{house.issuer}api/tokens/refresh/{token['id']}")).status == 200
        house.clock.advance(minutes=2)

        async def is_over():
            return (await ana.opens(house.acq + "/")).status == 303

        await until(is_over, within=10)
        assert granted
