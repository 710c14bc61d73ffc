"""The gateway with django-oauth-toolkit, the provider of many institutions' own Django: sign-in with its
question of consent, a fresh proof, sign-out, a replaced key, refresh tokens that are good once, and refusals.

It states `auth_time` and asks for the password where `prompt=login` says so, yet does not know `max_age`; it
has no session identifiers, and its ID tokens may be signed with the client's secret.
"""

from __future__ import annotations

import contextlib
import json

import pytest
import pytest_asyncio

from tests.conftest import IN_CI
from tests.support import oauth_toolkit
from tests.support.foreign_providers import asks_for_the_password, house_of, portals_at
from tests.support.oauth_toolkit import SECRET, Administrator, Guest
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]

ANA = {
    "name": "Ana Novák",
    "email": "ana@example.si",
    "email_verified": True,
    "taxnumber": "99990008",
    "loa": "20",
}
PEOPLE = {
    "ana": ANA,
    "bor": {**ANA, "name": "Bor Kranjc", "taxnumber": "99990024"},
    "cene": {**ANA, "name": "Cene Zupan", "taxnumber": "99990032"},
    "dana": {**ANA, "name": "Dana Horvat", "taxnumber": "99990059"},
    "eva": {"name": "Eva Brez", "loa": "20"},
}


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def gateway_ports():
    """One for each test: the provider must know all of them from its start."""
    return [free_port() for _ in range(16)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer(tmp_path_factory, gateway_ports):
    if not oauth_toolkit.is_here():
        (pytest.fail if IN_CI else pytest.skip)("needs django-oauth-toolkit (make setup installs it)")
    async with oauth_toolkit.running(
        tmp_path_factory.mktemp("toolkit"), free_port(), portals=portals_at(gateway_ports), people=PEOPLE
    ) as issuer:
        yield issuer


@pytest.fixture
def opened(store, issuer, gateway_ports):
    """Opens a house whose provider is the toolkit."""

    def enter(*, acq=None, **environment):
        settings = {"AUTHPROXY__REKONO__STEP_UP_BY": "always", **environment}
        return house_of(
            issuer,
            store,
            gateway_ports.pop(),
            secret=SECRET,
            required_claims="tax_number,name",
            acq=acq,
            **settings,
        )

    return enter


REPORT = "/izpis/2026/11?" + "&".join(
    f"filter%5B{number}%5D.prodajno_mesto={number * 7919:07}" for number in range(52)
)


@pytest.mark.parametrize(
    ("authentication", "header"), [("client_secret_post", ""), ("client_secret_basic", "Basic")]
)
async def test_a_person_signs_in_and_the_portal_knows_who_it_is(opened, issuer, authentication, header):
    async with opened(AUTHPROXY__REKONO__CLIENT_AUTHENTICATION=authentication) as house:
        ana = Guest("ana", house)
        page = await ana.signs_in(house.acq + REPORT)
        assert (page.status, page.url) == (200, house.acq + REPORT)
        headers = await ana.headers_at(house.acq)
        assert (headers["x-auth-subject"], headers["x-auth-name"], headers["x-auth-email"]) == (
            "1",
            "Ana Nov%C3%A1k",
            "ana@example.si",
        )
        assert (headers["x-auth-tax-number"], headers["x-auth-level"]) == ("99990008", "20")
        assert headers["x-auth-step-up"].startswith("rekono")
        assert (ana.sent["code_challenge_method"], ana.sent["max_age"], len(ana.sent["nonce"])) == (
            "S256",
            "300",
            43,
        )
        asked = await Administrator(issuer).asked()
        assert [one["authorization"] for one in asked if one["path"] == "/o/token/"][-1] == header
        assert asked[-1] == {"method": "GET", "path": "/o/userinfo/", "authorization": "Bearer"}


async def test_a_refused_consent_signs_nobody_in(opened):
    async with opened() as house:
        ana = Guest("ana", house)
        page = await ana.signs_in(house.acq + "/", consents=False)
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "consent_refused" in page.text


async def test_a_person_without_a_tax_number_is_refused_here_too(opened):
    async with opened() as house:
        eva = Guest("eva", house)
        page = await eva.signs_in(house.acq + "/")
        assert (page.status, eva.ticket(house.acq)) == (403, None)
        assert "tax_number_missing" in page.text


@pytest.mark.parametrize("authentication", ["client_secret_post", "client_secret_basic"])
async def test_a_secret_that_it_does_not_know_is_told_apart_from_its_being_away(opened, authentication):
    async with opened(
        AUTHPROXY__REKONO__CLIENT_SECRET="another", AUTHPROXY__REKONO__CLIENT_AUTHENTICATION=authentication
    ) as house:
        ana = Guest("ana", house)
        page = await ana.signs_in(house.acq + "/")
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "provider_refused" in page.text
        assert "does not accept this relying party" in house.audit


async def test_an_id_token_that_is_signed_with_the_secret_of_the_client_is_not_believed(opened):
    async with opened(AUTHPROXY__REKONO__CLIENT_ID="symmetric") as house:
        ana = Guest("ana", house)
        page = await ana.signs_in(house.acq + "/")
        assert (page.status, ana.ticket(house.acq)) == (502, None)
        assert "provider_answer_invalid" in page.text


async def test_whoever_has_signed_in_there_long_ago_is_asked_for_the_password_though_it_knows_no_max_age(
    opened, issuer
):
    async with opened() as house:
        ana = Guest("ana", house)
        assert (await ana.signs_in(house.b2b + "/")).status == 200
        await Administrator(issuer).says("aged?name=ana&seconds=7200")
        refused = await ana.signs_in(house.acq + "/izpis/2026/11")
        assert (refused.status, ana.ticket(house.acq)) == (403, None)
        assert "proof_too_old" in refused.text
        form = next(form for form in refused.forms if "anew" in form.fields)
        question = await ana.walk(await ana.browser.submit(refused, form), stop=asks_for_the_password)
        assert asks_for_the_password(question)
        assert ana.sent["prompt"] == "login"
        page = await ana.walk(question)
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")


@contextlib.asynccontextmanager
async def signed_in_long_ago(opened, issuer):
    """Ana and the house, where a proof may be a minute old."""
    routes = [{"path": "/izpis", "step_up": {"methods": ["rekono"], "max_age": "1m"}}]
    async with opened(acq={"routes": routes}) as house:
        ana = Guest("ana", house)
        assert (await ana.signs_in(house.b2b + "/")).status == 200
        await Administrator(issuer).says("aged?name=ana&seconds=200")
        assert (await ana.signs_in(house.acq + "/")).status == 200
        yield ana, house


async def test_a_proof_that_has_grown_old_is_renewed_by_the_password_and_by_nothing_less(opened, issuer):
    async with signed_in_long_ago(opened, issuer) as (ana, house):
        assert "prompt" not in ana.sent  # for a sign-in it is not too old yet
        question = await ana.asked_for_the_password_at(house.acq + "/izpis/2026/11")
        assert ana.sent["prompt"] == "login"
        page = await ana.walk(question)
        assert (page.status, page.url) == (200, house.acq + "/izpis/2026/11")


async def test_another_person_cannot_prove_it_in_their_place(opened, issuer):
    async with signed_in_long_ago(opened, issuer) as (ana, house):
        ana.email = "bor"
        page = await ana.signs_in(house.acq + "/izpis/2026/11")
        assert page.status == 403
        assert "step_up_by_another" in page.text


async def test_signing_out_asks_there_ends_both_sessions_and_leads_back(opened):
    async with opened() as house:
        ana = Guest("ana", house)
        await ana.signs_in(house.acq + "/")
        question = await ana.signs_out(house.acq)
        assert "Confirm Logout requested by Gateway" in question.text
        back = await ana.browser.submit(question, question.forms[0], {"allow": "Logout"})
        assert back.location.startswith(f"{house.acq}/.authproxy/logout?state=")
        assert (await ana.browser.follow(back)).status == 200
        await ana.asked_for_the_password_at(house.b2b + "/")


async def test_whoever_stays_signed_in_there_is_signed_out_here_all_the_same_and_asked_for_the_password_next_time(
    opened,
):
    async with opened() as house:
        ana = Guest("ana", house)
        await ana.signs_in(house.acq + "/")
        question = await ana.signs_out(house.acq)
        await ana.browser.submit(question, question.forms[0])
        await ana.asked_for_the_password_at(house.acq + "/")


async def test_a_replaced_signing_key_is_found(opened, issuer):
    async with opened() as house:
        assert (await Guest("ana", house).signs_in(house.acq + "/")).status == 200
        await Administrator(issuer).says("rotate")
        assert (await Guest("ana", house).signs_in(house.acq + "/")).status == 200


IN_DOUBT = """
local found = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
    if redis.call('TYPE', key).ok == 'hash' then found = found + redis.call('HEXISTS', key, 'asked') end
end
return found
"""
"""How many refresh tokens have been sent, and their answers have not been kept yet. The clock must not move
meanwhile."""


@pytest.mark.parametrize(("name", "end"), [("cene", "forget"), ("dana", "delete")])
async def test_an_account_whose_tokens_are_gone_there_is_signed_out_here(opened, issuer, store, name, end):
    async with opened(AUTHPROXY__REKONO__RECHECK_EVERY="60s") as house:
        guest = Guest(name, house)
        assert (await guest.signs_in(house.acq + "/")).status == 200

        async def redeemed():
            return len([one for one in await Administrator(issuer).asked() if one["path"] == "/o/token/"])

        before = await redeemed()
        for number in range(
            1, 3
        ):  # its refresh tokens are good once, and the whole family is over when one is used again
            house.clock.advance(seconds=70)
            assert (await guest.opens(house.acq + "/")).status == 200

            async def has_refreshed(number=number):
                return (
                    await redeemed() == before + number and store.command("EVAL", IN_DOUBT, "0") == b":0\r\n"
                )

            await until(has_refreshed)
        await Administrator(issuer).says(f"{end}?name={name}")
        house.clock.advance(seconds=70)

        async def is_over():
            return (
                await guest.is_led_away_from(house.acq + "/")
                and "refresh token: invalid_grant" in house.audit
            )

        await until(is_over)
        ended = [
            event
            for line in house.audit.splitlines()
            if (event := json.loads(line)).get("reason") == "account_withdrawn"
        ]
        assert [event["detail"] for event in ended] == ["refresh token: invalid_grant"]
