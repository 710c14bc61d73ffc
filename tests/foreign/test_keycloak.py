"""The gateway with Keycloak: sign-in, a fresh proof, both kinds of sign-out, a replaced key, a wrong secret,
and an account that is disabled."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.support import keycloak
from tests.support.foreign_providers import house_of, portals_at
from tests.support.keycloak import ANA, BOR, CENE, EVA, SECRET, Administrator, Guest
from tests.support.ports import free_port
from tests.support.waiting import until

pytestmark = [pytest.mark.needs("java", "redis-server"), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(tmp_path_factory, gateway_ports):
    assert keycloak.is_here(), "make foreign fetches it"
    async with keycloak.running(
        tmp_path_factory.mktemp("keycloak"), free_port(), portals=portals_at(gateway_ports)
    ) as issuer:
        yield issuer


@pytest.fixture
def opened(store, issuer, gateway_ports):
    """Opens a house whose provider is Keycloak."""

    def enter(*, port=None, **more):
        how = {
            "secret": SECRET,
            "required_claims": "tax_number,name",
            "AUTHPROXY__REKONO__STEP_UP_BY": "always",
        }
        return house_of(issuer, store, port or gateway_ports.pop(), **how | more)

    return enter


async def test_a_person_signs_in_and_the_portal_knows_who_it_is_and_since_when(opened):
    async with opened() as house:
        ana = Guest(ANA, house)
        page = await ana.signs_in(house.acq + "/izpis/2026/11")
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")
        headers = await ana.headers_at(house.acq)
        assert (headers["x-auth-name"], headers["x-auth-tax-number"], headers["x-auth-level"]) == (
            "Ana Nov%C3%A1k",
            "99990008",
            "20",
        )


async def test_a_person_without_a_tax_number_is_refused(opened):
    async with opened() as house:
        eva = Guest(EVA, house)
        page = await eva.signs_in(house.acq + "/")
        assert (page.status, eva.ticket(house.acq)) == (403, None)
        assert "tax_number_missing" in page.text


async def test_a_secret_that_it_does_not_know_is_told_apart_from_its_being_away(opened):
    async with opened(secret="another") as house:
        page = await Guest(ANA, house).signs_in(house.acq + "/")
        assert page.status == 403
        assert "does not accept this relying party" in house.audit


@pytest.mark.parametrize("hint", ["auto", "always"])
async def test_signing_out_ends_both_sessions_and_leads_back(opened, hint):
    async with opened(AUTHPROXY__REKONO__LOGOUT_HINT=hint) as house:
        ana = Guest(ANA, house)
        await ana.signs_in(house.acq + "/")
        page = await ana.signs_out(house.acq)
        if hint == "auto":  # its ID tokens have names in them: it is not told whose session, and asks
            page = await ana.walk(await ana.browser.submit(page, page.forms[0], {"confirmLogout": "yes"}))
        assert page.url.startswith(f"{house.acq}/.authproxy/logout?")
        await ana.asked_for_the_password_at(house.b2b + "/")


async def test_a_session_that_the_administrator_ends_is_over_at_every_portal(opened, issuer, gateway_ports):
    async with opened(port=gateway_ports[0]) as house:  # there Keycloak tells who has signed out
        cene = Guest(CENE, house)  # with sessions of other tests beside it Keycloak tells of one of them only
        for portal in (house.acq, house.b2b):
            assert (await cene.signs_in(portal + "/")).status == 200
        [person] = (await Administrator(issuer).says("GET", f"/users?email={CENE}")).json
        await Administrator(issuer).says("POST", f"/users/{person['id']}/logout")

        async def is_over():
            return await cene.is_led_away_from(house.acq + "/") and await cene.is_led_away_from(
                house.b2b + "/"
            )

        await until(is_over, within=10)


async def test_a_replaced_signing_key_is_found(opened, issuer):
    async with opened() as house:
        assert (await Guest(ANA, house).signs_in(house.acq + "/")).status == 200
        await Administrator(issuer).replaces_the_key()
        assert (await Guest(ANA, house).signs_in(house.acq + "/")).status == 200


async def test_a_proof_that_has_grown_old_is_renewed_by_the_password_and_by_nothing_less(opened):
    routes = [{"path": "/izpis", "step_up": {"methods": ["rekono"], "max_age": "6s"}}]
    async with opened(acq={"routes": routes}) as house:
        ana = Guest(ANA, house)
        assert (await ana.signs_in(house.acq + "/")).status == 200
        page = await ana.renews_an_old_proof(house.acq + "/izpis/2026/11")
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")
        assert ana.sent["prompt"] == "login"


async def test_an_account_that_is_disabled_there_is_signed_out_here(opened, issuer):
    async with opened(AUTHPROXY__REKONO__RECHECK_EVERY="1m") as house:
        bor = Guest(BOR, house)
        assert (await bor.signs_in(house.acq + "/")).status == 200
        house.clock.advance(minutes=2)
        assert (await bor.opens(house.acq + "/")).status == 200
        await Administrator(issuer).disables(BOR)
        house.clock.advance(minutes=2)

        async def is_over():
            return await bor.is_led_away_from(house.acq + "/")

        await until(is_over, within=10)
