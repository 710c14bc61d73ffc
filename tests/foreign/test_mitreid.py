"""The gateway with MITREid Connect itself, whose descendant Rekono runs: what it does at sign-in, at a fresh
proof and at sign-out."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.conftest import IN_CI
from tests.support import mitreid
from tests.support.foreign_providers import house_of, portals_at
from tests.support.mitreid import ANA, EVA, SECRET, Guest
from tests.support.ports import free_port
from tests.support.waiting import until

pytestmark = [
    pytest.mark.needs("java", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(tmp_path_factory, gateway_ports):
    """One MITREid for all tests of the module: to start it takes ten times as long as a test."""
    if not mitreid.is_here():
        (pytest.fail if IN_CI else pytest.skip)("needs MITREid Connect (make foreign fetches it)")
    async with mitreid.running(
        tmp_path_factory.mktemp("mitreid"), free_port(), portals=portals_at(gateway_ports)
    ) as issuer:
        yield issuer


@pytest.fixture
def opened(store, issuer, gateway_ports):
    """Opens a house whose provider is MITREid."""

    def enter(**more):
        return house_of(
            issuer, store, gateway_ports.pop(), **{"secret": SECRET, "required_claims": "name"} | more
        )

    return enter


async def test_a_person_signs_in_and_the_portal_knows_who_it_is_and_since_when(opened):
    async with opened() as house:
        ana = Guest(ANA, house)
        page = await ana.signs_in(house.acq + "/izpis/2026/11")
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")
        headers = await ana.headers_at(house.acq)
        assert (headers["x-auth-subject"], headers["x-auth-name"], headers["x-auth-email"]) == (
            "90342.KRZTQWMA",
            "Ana Novak",
            ANA,
        )
        assert headers["x-auth-step-up"].startswith("rekono")  # it states auth_time, because max_age was sent
        assert (ana.sent["max_age"], ana.sent["code_challenge_method"]) == ("300", "S256")


@pytest.mark.parametrize("authentication", ["client_secret_post", "client_secret_basic"])
async def test_a_secret_that_it_does_not_know_is_told_apart_from_its_being_away(opened, authentication):
    async with opened(secret="another", AUTHPROXY__REKONO__CLIENT_AUTHENTICATION=authentication) as house:
        ana = Guest(ANA, house)
        page = await ana.signs_in(house.acq + "/")
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "does not accept this relying party" in house.audit
        assert ("<code>invalid_client</code>" in page.text) is (
            authentication == "client_secret_post"
        )  # the other code is not registered


async def test_a_refused_consent_signs_nobody_in(opened):
    async with opened() as house:
        eva = Guest(EVA, house)
        page = await eva.signs_in(house.acq + "/", consents=False)
        assert (page.status, eva.ticket(house.acq)) == (403, None)
        assert "consent_refused" in page.text


async def test_a_proof_that_has_grown_old_is_renewed_by_the_password_and_by_nothing_less(opened):
    routes = [{"path": "/izpis", "step_up": {"methods": ["rekono"], "max_age": "6s"}}]
    async with opened(acq={"routes": routes}) as house:
        ana = Guest(ANA, house)
        assert (await ana.signs_in(house.acq + "/")).status == 200
        page = await ana.renews_an_old_proof(house.acq + "/izpis/2026/11")
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")
        assert (ana.sent["prompt"], "max_age" in ana.sent) == ("login", True)


async def test_it_says_when_somebody_has_proved_themselves_where_no_max_age_is_agreed_too(opened):
    async with opened(AUTHPROXY__REKONO__MAX_AGE="null") as house:
        ana = Guest(ANA, house)
        signed_in = await ana.walk(
            await ana.opens(house.acq + "/"),
            stop=lambda answer: answer.is_redirect and "/step-up?" in answer.location,
        )
        assert "max_age" not in ana.sent
        choice = await ana.browser.follow(signed_in)  # a sign-in of which nobody says when it was is no proof
        page = await ana.walk(choice)
        assert (page.status, page.url) == (200, house.acq + "/")
        assert (ana.sent["prompt"], ana.sent["max_age"]) == ("login", "0")


async def test_signing_out_asks_there_ends_both_sessions_and_leads_back(opened):
    async with opened() as house:
        ana = Guest(ANA, house)
        await ana.signs_in(house.acq + "/")
        asked = await ana.signs_out(house.acq)
        assert asked.url.startswith(f"{house.issuer}endsession?")
        back = await ana.browser.submit(asked, mitreid.question(asked), {"approve": "yes"})
        assert back.location.startswith(f"{house.acq}/.authproxy/logout?state=")
        assert (await ana.browser.follow(back)).status == 200
        await ana.asked_for_the_password_at(house.b2b + "/")


async def test_whoever_stays_signed_in_there_is_led_back_all_the_same_and_asked_for_the_password_next_time(
    opened,
):
    async with opened() as house:
        ana = Guest(ANA, house)
        await ana.signs_in(house.acq + "/")
        asked = await ana.signs_out(house.acq)
        back = await ana.browser.submit(asked, mitreid.question(asked), {"deny": "no"})
        assert (await ana.browser.follow(back)).status == 200
        await ana.asked_for_the_password_at(house.acq + "/")
        assert ana.sent["prompt"] == "login"


async def test_a_grant_that_is_taken_back_there_ends_the_session_here(opened):
    scopes = {
        "AUTHPROXY__REKONO__SCOPES": "openid,profile,email,offline_access",
        "AUTHPROXY__REKONO__RECHECK_EVERY": "1m",
    }
    async with opened(**scopes) as house:
        ana = Guest(ANA, house)
        assert (await ana.signs_in(house.acq + "/")).status == 200
        granted = (await ana.browser.fetch(f"{house.issuer}api/tokens/refresh")).json
        for token in granted:
            assert (
                await ana.browser.request("DELETE", f"{house.issuer}api/tokens/refresh/{token['id']}")
            ).status == 200
        house.clock.advance(minutes=2)

        async def is_over():
            return await ana.is_led_away_from(house.acq + "/")

        await until(is_over, within=10)
        assert granted
