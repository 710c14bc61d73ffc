"""Back-channel logout: the provider says from server to server who has signed out, and exactly those sessions
end, everywhere."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import websockets

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import TICKET
from tests.support.hostile_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    SUBJECT,
    HostileProvider,
    jws,
    rs,
    rsa_jwk,
    rsa_key,
)
from tests.support.http_client import Browser
from tests.support.waiting import PATIENCE

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
async def provider():
    """A provider that says `sid`, and whose tokens the test makes."""
    async with HostileProvider(datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def with_provider(houses, provider):
    settings = {
        "AUTHPROXY__REKONO__ISSUER": provider.issuer,
        "AUTHPROXY__REKONO__STEP_UP_BY": "always",
        "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID,
        "AUTHPROXY__REKONO__CLIENT_SECRET": CLIENT_SECRET,
        "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "tax_number,name",
        "AUTHPROXY__PORTALS__B2B__REQUIRED_CLAIMS": "tax_number,name",
    }
    return lambda **more: houses(environment={**settings, **more}, provider_is_up=False)


@pytest.fixture
async def house(with_provider):
    async with with_provider() as opened:
        yield opened


async def signed_in(provider, portal, *, sid=..., subject=SUBJECT):
    """Somebody's browser after a sign-in that the provider has done in its session `sid`."""
    browser = Browser()
    chooser = await browser.follow(await browser.navigate(portal + "/"))
    form = next(form for form in chooser.forms if ("method", "rekono") in form.buttons)
    asked = parse_qs(urlsplit((await browser.submit(chooser, form, {"method": "rekono"})).location).query)
    provider.claims |= {"nonce": asked["nonce"][0], "sid": sid, "sub": subject}
    provider.userinfo |= {"sub": subject}
    back = await browser.navigate(
        f"{portal}/.authproxy/callback/rekono?{urlencode({'code': 'c', 'state': asked['state'][0]})}",
        site="cross-site",
    )
    assert (back.status, back.location) == (303, portal + "/")
    assert await is_open(browser, portal)
    return browser


async def is_open(browser, portal, *, port=None):
    return (await browser.navigate(f"{portal}/api/jaz", port=port)).status == 200


def logout_token(provider, *, header=None, key=None, **claims):
    every = {
        "iss": provider.issuer,
        "aud": CLIENT_ID,
        "iat": provider.seconds,
        "exp": provider.seconds + 120,
        "jti": secrets.token_urlsafe(8),
        "events": {EVENT: {}},
        **claims,
    }
    said = {name: value for name, value in every.items() if value is not ...}
    return jws(
        {"alg": "RS256", "kid": "rsa1", "typ": "logout+jwt", **(header or {})}, said, rs(key or provider.key)
    )


async def told(portal, token, *, port=None):
    """What the gateway answers a provider's server: no cookie, no Origin, no Fetch Metadata."""
    body = urlencode({"logout_token": token}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "provider/1"}
    return await Browser().request(
        "POST", f"{portal}/.authproxy/backchannel-logout", headers=headers, body=body, port=port
    )


@pytest.mark.parametrize("store", ["redis", "memory"])
async def test_one_session_at_the_provider_ends_at_every_portal_and_the_other_browser_stays_signed_in(
    with_provider, provider, store
):
    async with with_provider(
        **({"AUTHPROXY__STORE__URL": "memory://"} if store == "memory" else {})
    ) as house:
        at_acq, at_b2b = (
            await signed_in(provider, house.acq, sid="office"),
            await signed_in(provider, house.b2b, sid="office"),
        )
        at_home = await signed_in(provider, house.acq, sid="home")
        answer = await told(house.b2b, logout_token(provider, sub=SUBJECT, sid="office"))
        assert (answer.status, answer.body, answer.header("cache-control"), answer.all("set-cookie")) == (
            200,
            b"",
            "no-store",
            [],
        )
        await house.at_once(lambda: are_over((at_acq, house.acq), (at_b2b, house.b2b)))
        assert await is_open(at_home, house.acq)
        page = await at_acq.navigate(house.acq + "/")
        assert (page.status, page.location.split("?")[0]) == (303, f"{house.acq}/.authproxy/login")
        [accepted] = house.events("provider_logout.accepted")
        assert accepted["detail"] == "2 ended, named by sid"
        assert {
            event["portal"] for event in house.events("session.revoked") if event["by"] == "provider"
        } == {"acq", "b2b"}


async def are_over(*signed_in_at):
    return not any([await is_open(browser, portal) for browser, portal in signed_in_at])


async def test_a_subject_without_a_sid_ends_all_of_its_sessions_and_nobody_elses(house, provider):
    hers = [await signed_in(provider, house.acq, sid=sid) for sid in ("office", "home", ...)]
    somebody = await signed_in(provider, house.acq, sid="office-2", subject="somebody else")
    assert (await told(house.acq, logout_token(provider, sub=SUBJECT))).status == 200
    await house.at_once(lambda: are_over(*((browser, house.acq) for browser in hers)))
    assert await is_open(somebody, house.acq)


async def test_a_sid_without_a_subject_ends_its_sessions(house, provider):
    office, home = (
        await signed_in(provider, house.acq, sid="office"),
        await signed_in(provider, house.acq, sid="home"),
    )
    assert (await told(house.acq, logout_token(provider, sid="office"))).status == 200
    await house.at_once(lambda: are_over((office, house.acq)))
    assert await is_open(home, house.acq)


async def test_a_session_that_began_without_a_sid_does_not_survive_its_person(house, provider):
    nameless = await signed_in(provider, house.acq)
    assert (await told(house.acq, logout_token(provider, sub=SUBJECT, sid="office"))).status == 200
    await house.at_once(lambda: are_over((nameless, house.acq)))


async def test_every_instance_knows_at_once_and_the_web_socket_closes(house, provider):
    browser = await signed_in(provider, house.acq, sid="office")
    async with house.second_gateway() as elsewhere:
        for _ in range(3):  # both have it in their near caches now
            assert await is_open(browser, house.acq)
            assert await is_open(browser, house.acq, port=elsewhere)
        socket = await websockets.connect(
            house.acq.replace("http:", "ws:") + "/ws",
            host="127.0.0.1",
            port=elsewhere,
            origin=house.acq,
            additional_headers={"Cookie": f"{TICKET}={browser.cookies.get(house.acq, TICKET)}"},
        )
        try:
            await socket.send("dober dan")
            assert await socket.recv() == "dober dan"
            assert (await told(house.b2b, logout_token(provider, sub=SUBJECT, sid="office"))).status == 200

            async def is_over_elsewhere():
                return not await is_open(browser, house.acq, port=elsewhere)

            await house.at_once(is_over_elsewhere)
            async with asyncio.timeout(PATIENCE):
                await socket.wait_closed()
        finally:
            await socket.close()


async def test_a_token_that_was_seen_on_its_way_signs_nobody_out_a_second_time(house, provider):
    await signed_in(provider, house.acq, sid="office")
    token = logout_token(provider, sub=SUBJECT)
    assert (await told(house.acq, token)).status == 200
    again = await signed_in(provider, house.acq, sid="office")
    for portal in (house.acq, house.b2b):
        answer = await told(portal, token)
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert await is_open(again, house.acq)


async def test_of_many_copies_at_once_one_counts(house, provider):
    await signed_in(provider, house.acq, sid="office")
    token = logout_token(provider, sub=SUBJECT)
    answers = await asyncio.gather(*(told(house.acq, token) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 7
    assert await list_sessions(house.settings) == []


async def test_what_is_not_the_providers_word_ends_nothing(house, provider):
    browser = await signed_in(provider, house.acq, sid="office")
    names = {"sub": SUBJECT, "sid": "office"}
    tokens = {
        "signature": logout_token(provider, key=rsa_key("thief"), **names),
        "algorithm": logout_token(provider, header={"alg": "none"}, **names),
        "iss": logout_token(provider, iss="https://evil.example/", **names),
        "aud": logout_token(provider, aud="another client", **names),
        "expired": logout_token(provider, exp=provider.seconds - 3600, **names),
        "issued": logout_token(provider, iat=provider.seconds - 3600, exp=provider.seconds + 3600, **names),
        "jti": logout_token(provider, jti=..., **names),
        "events": logout_token(provider, events=..., **names),
        "nonce": logout_token(provider, nonce="n", **names),
        "neither": logout_token(provider),
        "typed": logout_token(provider, header={"typ": "at+jwt"}, **names),
        "usable key": logout_token(provider, header={"kid": "rsa7"}, **names),
        "three parts": "<script>alert(1)</script>",
    }
    for found, token in tokens.items():
        answer = await told(house.acq, token)
        assert (answer.status, answer.header("cache-control"), answer.json["error"]) == (
            400,
            "no-store",
            "invalid_request",
        ), found
        assert found in answer.json["error_description"]
        assert not any(secret in answer.text for secret in (SUBJECT, "office", "<script"))
    assert await is_open(browser, house.acq)
    assert len(house.events("provider_logout.refused")) == len(tokens)
    assert SUBJECT not in house.audit


async def test_the_id_token_of_the_session_itself_ends_nothing(house, provider):
    browser = await signed_in(provider, house.acq, sid="office")
    answer = await told(house.acq, provider.id_token())
    assert (answer.status, "events" in answer.json["error_description"]) == (400, True)
    assert await is_open(browser, house.acq)


async def test_a_sid_and_a_subject_that_do_not_belong_together_end_nothing(house, provider):
    office = await signed_in(provider, house.acq, sid="office")
    somebody = await signed_in(provider, house.acq, sid="home", subject="somebody else")
    answer = await told(house.acq, logout_token(provider, sub=SUBJECT, sid="home"))
    assert (answer.status, "somebody else" in answer.json["error_description"]) == (400, True)
    assert await is_open(office, house.acq)
    assert await is_open(somebody, house.acq)


async def test_a_type_of_its_own_can_be_demanded(with_provider, provider):
    async with with_provider(AUTHPROXY__REKONO__LOGOUT_TOKENS="typed") as house:
        browser = await signed_in(provider, house.acq, sid="office")
        assert (
            await told(house.acq, logout_token(provider, header={"typ": "JWT"}, sid="office"))
        ).status == 400
        assert await is_open(browser, house.acq)
        assert (await told(house.acq, logout_token(provider, sid="office"))).status == 200


async def test_while_the_providers_keys_cannot_be_asked_the_answer_is_503_and_later_the_same_token_counts(
    house, provider
):
    browser = await signed_in(provider, house.acq, sid="office")
    new_key = rsa_key("second")
    token = logout_token(provider, header={"kid": "rsa2"}, key=new_key, sid="office")
    provider.always("jwk", status=503)
    answer = await told(house.acq, token)
    assert (answer.status, answer.header("retry-after"), answer.header("cache-control")) == (
        503,
        "5",
        "no-store",
    )
    assert await is_open(browser, house.acq)
    del provider.handlers["jwk"]
    provider.key, provider.header["kid"] = new_key, "rsa2"
    provider.jwks = [rsa_jwk(new_key, kid="rsa2")]
    house.clock.advance(minutes=1)
    assert (await told(house.acq, token)).status == 200
    await house.at_once(lambda: are_over((browser, house.acq)))


async def test_while_the_store_cannot_be_told_nothing_has_ended_and_nobody_says_so(
    house, provider, redis_server
):
    browser = await signed_in(provider, house.acq, sid="office")
    token = logout_token(provider, sid="office")
    redis_server.command("REPLICAOF", "127.0.0.1", "1")  # read-only: it answers, and keeps nothing
    try:
        assert (await told(house.acq, token)).status == 503
    finally:
        redis_server.command("REPLICAOF", "NO", "ONE")
    assert await is_open(browser, house.acq)
    assert (await told(house.acq, token)).status == 200
    await house.at_once(lambda: are_over((browser, house.acq)))


async def test_at_a_host_of_nobody_there_is_no_such_place(house, provider):
    elsewhere = f"http://unknown.localhost:{house.ports['gateway']}"
    assert (await told(elsewhere, logout_token(provider, sid="office"))).status == 403
