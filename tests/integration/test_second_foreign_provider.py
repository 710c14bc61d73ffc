"""The gateway with Debian's Glewlwyd, an OpenID provider written in C: code with PKCE, nonce, userinfo, and
both kinds of logout.

It is older than some of the specifications: its logout tokens are those of a draft, and its ID tokens say
`auth_time` 0. What the gateway makes of both is tested here too.
"""

from __future__ import annotations

import contextlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support import glewlwyd
from tests.support.gateway import TICKET, open_house
from tests.support.glewlwyd import Guest
from tests.support.http_client import Browser
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

CLIENT_ID, SECRET = "gateway", "a-secret-of-good-length"
PEOPLE = {
    "ana": {"name": "Ana Novák", "email": "ana@example.si", "taxnumber": "99990008", "loa": "20"},
    "eva": {"name": "Eva Brez", "email": "eva@example.si", "loa": "20"},
}
# It ends no session without the ID token, in which the person's name is.
DRAFT = {
    "AUTHPROXY__REKONO__MAX_AGE": "null",
    "AUTHPROXY__REKONO__LOGOUT_TOKENS": "draft",
    "AUTHPROXY__REKONO__LOGOUT_HINT": "always",
}
pytestmark = [pytest.mark.needs("glewlwyd", "redis-server")]


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture
async def opened(store, tmp_path):
    """Gives a house whose provider is Glewlwyd, and that."""
    async with contextlib.AsyncExitStack() as resources:

        async def enter(**environment):
            ports = {name: free_port() for name in ("gateway", "provider")}
            origins = [f"http://{portal}.localhost:{ports['gateway']}" for portal in ("acq", "b2b")]
            client = {
                "client_id": CLIENT_ID,
                "client_secret": SECRET,
                "token_endpoint_auth_method": ["client_secret_post"],
                "redirect_uri": [f"{origin}/.authproxy/callback/rekono" for origin in origins],
                "post_logout_redirect_uri": f"{origins[0]}/.authproxy/logout",
                "backchannel_logout_uri": f"{origins[0]}/.authproxy/backchannel-logout",
                "backchannel_logout_session_required": "true",
            }
            provider = await resources.enter_async_context(
                glewlwyd.running(tmp_path, ports["provider"], client=client, people=PEOPLE)
            )
            settings = {
                "AUTHPROXY__REKONO__ISSUER": provider.issuer,
                "AUTHPROXY__REKONO__STEP_UP_BY": "always",
                "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID,
                "AUTHPROXY__REKONO__CLIENT_SECRET": SECRET,
                "AUTHPROXY__REKONO__SCOPES": "openid",
                "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "tax_number,name",
                "AUTHPROXY__PORTALS__B2B__REQUIRED_CLAIMS": "tax_number,name",
            }
            house = await resources.enter_async_context(
                open_house(
                    store.socket_url,
                    environment={**settings, **DRAFT, **environment},
                    provider_is_up=False,
                    ports=ports,
                )
            )
            return house, provider

        yield enter


REPORT = "/api/jaz?" + "&".join(
    f"filter%5B{number}%5D.prodajno_mesto={number * 7919:07}" for number in range(52)
)


async def signed_in(provider, *portals, name="ana"):
    guest = Guest(name, provider, Browser())
    for portal in portals:
        assert (await guest.signs_in(portal + "/api/jaz", CLIENT_ID)).status == 200
    return guest


async def is_open(guest, portal):
    return (await guest.browser.fetch(portal + "/api/jaz")).status == 200


async def asks_to_sign_out(guest, portal):
    """Signs out at the portal; the way to the provider."""
    confirmation = await guest.browser.navigate(f"{portal}/.authproxy/logout")
    form = next(form for form in confirmation.forms if form.action.startswith(f"{portal}/.authproxy/logout"))
    onward = await guest.browser.submit(confirmation, form)
    assert onward.status == 303
    return onward


async def test_a_long_place_travels_to_the_provider_and_back(opened):
    house, provider = await opened()
    page = await Guest("ana", provider, Browser()).signs_in(house.acq + REPORT, CLIENT_ID)
    assert (page.status, page.url) == (200, house.acq + REPORT)


async def test_a_person_signs_in_and_the_portal_knows_who_it_is(opened):
    house, provider = await opened()
    ana = await signed_in(provider, house.acq)
    session = (await ana.browser.fetch(f"{house.acq}/.authproxy/session")).json
    assert (session["name"], session["level"], session["portal"]) == ("Ana Novák", 20, "acq")
    page = await ana.browser.fetch(f"{house.acq}/api/jaz")
    assert "99990008" in page.text
    asked = parse_qs(
        urlsplit(
            next(
                one.location
                for one in ana.browser.history
                if one.is_redirect and "/api/oidc/auth?" in one.location
            )
        ).query
    )
    assert (asked["code_challenge_method"], asked["response_type"], len(asked["nonce"][0])) == (
        ["S256"],
        ["code"],
        43,
    )


async def test_ending_the_session_at_the_provider_ends_ours_at_every_portal_and_not_that_of_the_other_browser(
    opened,
):
    house, provider = await opened()
    office, home = await signed_in(provider, house.acq, house.b2b), await signed_in(provider, house.acq)
    # Glewlwyd knows no POST at its end-session endpoint, as Rekono's software does not.
    asked = await office.browser.follow(await asks_to_sign_out(office, house.acq))
    assert await is_open(office, house.b2b)
    assert (await office.ends(asked.location)).status == 200

    async def is_over():
        return not await is_open(office, house.b2b)

    await until(is_over)  # Glewlwyd tells its relying parties by a thread of its own
    assert await is_open(home, house.acq)
    accepted = next(
        event
        for line in house.audit.splitlines()
        if (event := json.loads(line))["event"] == "provider_logout.accepted"
    )
    assert accepted["detail"] == "1 ended, named by sid"


async def test_its_logout_tokens_are_those_of_a_draft_and_refused_unless_the_settings_say_so(opened):
    house, provider = await opened(AUTHPROXY__REKONO__LOGOUT_TOKENS="standard")
    ana = await signed_in(provider, house.acq, house.b2b)
    await ana.ends((await ana.browser.follow(await asks_to_sign_out(ana, house.acq))).location)

    async def is_refused():
        return "logout token: exp is missing or no time" in house.audit

    await until(is_refused)
    assert await is_open(ana, house.b2b)


async def test_a_person_who_cannot_prove_when_they_authenticated_is_refused_where_that_is_asked(opened):
    house, provider = await opened(AUTHPROXY__REKONO__MAX_AGE="5m")
    ana = Guest("ana", provider, Browser())
    page = await ana.signs_in(house.acq + "/", CLIENT_ID)
    assert (page.status, ana.browser.cookies.get(house.acq, TICKET)) == (403, None)
    assert "proof_too_old" in page.text


async def test_a_person_without_a_tax_number_is_refused_here_too(opened):
    house, provider = await opened()
    eva = Guest("eva", provider, Browser())
    page = await eva.signs_in(house.acq + "/", CLIENT_ID)
    assert (page.status, eva.browser.cookies.get(house.acq, TICKET)) == (403, None)
    assert "tax_number_missing" in page.text
