"""The gateway with Keycloak: sign-in, a fresh proof, both kinds of sign-out, a replaced key, a wrong secret, and an account that is disabled."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio

from tests.support import keycloak
from tests.support.gateway import free_port, open_house, until
from tests.support.http_client import Browser
from tests.support.keycloak import ANA, BOR, CLIENT_ID, EVA, SECRET, Administrator, Guest
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.needs("java", "redis-server"), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway_ports():
    """One for each test: it must know all of them from its start."""
    return [free_port() for _ in range(12)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(tmp_path_factory, gateway_ports):
    assert keycloak.is_here(), "make foreign fetches it"
    portals = [f"http://{name}.localhost:{port}" for port in gateway_ports for name in ("acq", "b2b")]
    async with keycloak.running(tmp_path_factory.mktemp("keycloak"), free_port(), portals=portals) as issuer:
        yield issuer


@pytest.fixture
def opened(store, issuer, gateway_ports):
    """Opens a house whose provider is Keycloak."""

    def enter(*, acq=None, port=None, **environment):
        settings = {
            "AUTHPROXY__REKONO__ISSUER": issuer, "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID, "AUTHPROXY__REKONO__CLIENT_SECRET": SECRET,
            "AUTHPROXY__REKONO__SCOPES": "openid,profile,email", "AUTHPROXY__REKONO__STEP_UP_BY": "always", "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "tax_number,name",
            "AUTHPROXY__PORTALS__B2B__REQUIRED_CLAIMS": "tax_number,name", **environment,
        }  # fmt: skip
        store.command("FLUSHALL")
        ports = {"gateway": port or gateway_ports.pop(), "provider": urlsplit(issuer).port}
        return open_house(store.socket_url, environment=settings, provider_is_up=False, ports=ports, acq=acq)

    return enter


def sent(guest):
    """The parameters of the last authorization request."""
    return dict(parse_qsl(urlsplit(next(one.location for one in reversed(guest.browser.history) if one.is_redirect and "/auth?" in one.location)).query))


def asks_for_the_password(answer):
    return answer.status == 200 and any("password" in form.inputs for form in answer.forms)


async def signs_out(guest, portal):
    """The page at the end of that, at whichever server."""
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
        assert (headers["x-auth-name"], headers["x-auth-tax-number"], headers["x-auth-level"]) == ("Ana Nov%C3%A1k", "99990008", "20")


async def test_a_person_without_a_tax_number_is_refused(opened):
    async with opened() as house:
        eva = Guest(EVA, house, Browser(patience=60))
        page = await eva.signs_in(house.acq + "/")
        assert (page.status, eva.ticket(house.acq)) == (403, None)
        assert "tax_number_missing" in page.text


async def test_a_secret_that_it_does_not_know_is_told_apart_from_its_being_away(opened):
    async with opened(AUTHPROXY__REKONO__CLIENT_SECRET="another") as house:
        page = await Guest(ANA, house, Browser(patience=60)).signs_in(house.acq + "/")
        assert page.status == 403
        assert "does not accept this relying party" in house.audit


@pytest.mark.parametrize("hint", ["auto", "always"])
async def test_signing_out_ends_both_sessions_and_leads_back(opened, hint):
    async with opened(AUTHPROXY__REKONO__LOGOUT_HINT=hint) as house:
        ana = Guest(ANA, house, Browser(patience=60))
        await ana.signs_in(house.acq + "/")
        page = await signs_out(ana, house.acq)
        if hint == "auto":  # its ID tokens have names in them: it is not told whose session, and asks
            page = await ana.walk(await ana.browser.submit(page, page.forms[0], {"confirmLogout": "yes"}))
        assert page.url.startswith(f"{house.acq}/.authproxy/logout?")
        assert asks_for_the_password(await ana.walk(await ana.opens(house.b2b + "/"), stop=asks_for_the_password))


async def test_a_session_that_the_administrator_ends_is_over_at_every_portal(opened, issuer, gateway_ports):
    async with opened(port=gateway_ports[0]) as house:  # there Keycloak tells who has signed out
        ana = Guest(ANA, house, Browser(patience=60))
        for portal in (house.acq, house.b2b):
            assert (await ana.signs_in(portal + "/")).status == 200
        [person] = (await Administrator(issuer).says("GET", f"/users?email={ANA}")).json
        await Administrator(issuer).says("POST", f"/users/{person['id']}/logout")

        async def is_over():
            return [(await ana.opens(portal + "/")).status for portal in (house.acq, house.b2b)] == [303, 303]

        await until(is_over, within=10)


async def test_a_replaced_signing_key_is_found(opened, issuer):
    async with opened() as house:
        assert (await Guest(ANA, house, Browser(patience=60)).signs_in(house.acq + "/")).status == 200
        await Administrator(issuer).replaces_the_key()
        assert (await Guest(ANA, house, Browser(patience=60)).signs_in(house.acq + "/")).status == 200


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
        assert sent(ana)["prompt"] == "login"
        page = await ana.walk(question)
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")


async def test_an_account_that_is_disabled_there_is_signed_out_here(opened, issuer):
    async with opened(AUTHPROXY__REKONO__RECHECK_EVERY="1m") as house:
        bor = Guest(BOR, house, Browser(patience=60))
        assert (await bor.signs_in(house.acq + "/")).status == 200
        house.clock.advance(minutes=2)
        assert (await bor.opens(house.acq + "/")).status == 200
        await Administrator(issuer).disables(BOR)
        house.clock.advance(minutes=2)

        async def is_over():
            return (await bor.opens(house.acq + "/")).status == 303

        await until(is_over, within=10)
