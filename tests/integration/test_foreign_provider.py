"""The gateway between programs of others: the OpenID provider of npm `oidc-provider`, and a portal that is
forty lines of `http.server`.

Code with PKCE, nonce, `max_age` and `auth_time`, userinfo, the issuer in the response (RFC 9207), three ways
of client authentication, key rotation, RP-initiated logout, and back-channel logout.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from joserfc.jwk import RSAKey

from tests.conftest import IN_CI
from tests.support.gateway import Person, open_house
from tests.support.http_client import Browser
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.sandbox import listens
from tests.support.waiting import until

SUPPORT = Path(__file__).parents[1] / "support"
FOREIGN = SUPPORT / "foreign_provider"
CLIENT_ID, SECRET = "gateway", "a secret that the provider's form encoding must survive: +/% &"
ACCOUNTS = {
    "ana": {
        "name": "Ana Novák",
        "taxnumber": "99990008",
        "loa": "20",
        "birthdate": "1990-01-01",
        "email": "ana@example.si",
        "email_verified": True,
    },
    "eva": {"name": "Eva Brez", "loa": "20", "birthdate": "1990-01-01"},
}
pytestmark = [pytest.mark.needs("node", "redis-server")]


class Guest(Person):
    """Knows the pages of the foreign provider."""

    async def _filled(self, form, *, consents):
        if form.fields.get("prompt") == "login":
            return {"login": self.email, "password": "anything"}
        if form.fields.get("prompt") == "consent":
            return {}
        return {"method": "rekono"} if ("method", "rekono") in form.buttons else None


@contextlib.asynccontextmanager
async def program(*command, port, stdin=b""):
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_ENV": "test"},
    )
    try:
        process.stdin.write(stdin)
        process.stdin.close()
        await until(lambda: answers(process, port), within=30)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answers(process, port):
    assert process.returncode is None, (await process.stderr.read()).decode()
    return listens(port)


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture
def key(tmp_path):
    made = RSAKey.generate_key(2048, {"kid": "gateway-1", "use": "sig", "alg": "RS256"})
    (tmp_path / "client.pem").write_bytes(made.as_pem(private=True))
    (tmp_path / "client.pem").chmod(0o600)
    return SimpleNamespace(file=tmp_path / "client.pem", public=made.as_dict(private=False))


@pytest.fixture
async def opened(store, key):
    """Gives a house whose provider and whose portal are programs of others."""
    async with contextlib.AsyncExitStack() as resources:
        if not (FOREIGN / "node_modules" / "oidc-provider").is_dir():
            (pytest.fail if IN_CI else pytest.skip)("needs npm oidc-provider (make setup installs it)")

        async def enter(authentication="client_secret_post", *, settings=None, features=None, **registration):
            ports = {name: free_port() for name in ("gateway", "provider", "acq")}
            origin = f"http://acq.localhost:{ports['gateway']}"
            client = {
                "client_id": CLIENT_ID,
                "client_secret": SECRET,
                "token_endpoint_auth_method": authentication,
                "redirect_uris": [f"{origin}/.authproxy/callback/rekono"],
                "post_logout_redirect_uris": [f"{origin}/.authproxy/logout"],
                "backchannel_logout_uri": f"{origin}/.authproxy/backchannel-logout",
                "backchannel_logout_session_required": True,
                "jwks": {"keys": [key.public]},
                **registration,
            }
            said = json.dumps(
                {
                    "port": ports["provider"],
                    "clients": [client],
                    "accounts": ACCOUNTS,
                    "features": features or {},
                }
            ).encode()
            await resources.enter_async_context(
                program("node", str(FOREIGN / "provider.mjs"), port=ports["provider"], stdin=said)
            )
            portal = [
                str(SUPPORT / "plain_portal.py"),
                str(free_port()),
                f"http://127.0.0.1:{ports['gateway']}/.authproxy/jwks.json",
                f"http://localhost:{ports['gateway']}",
                "acq",
            ]
            await resources.enter_async_context(program(sys.executable, *portal, port=int(portal[1])))
            environment = {
                "AUTHPROXY__REKONO__ISSUER": f"http://localhost:{ports['provider']}",
                "AUTHPROXY__REKONO__STEP_UP_BY": "always",
                "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID,
                "AUTHPROXY__REKONO__CLIENT_SECRET": SECRET,
                "AUTHPROXY__REKONO__CLIENT_AUTHENTICATION": authentication,
                "AUTHPROXY__REKONO__SCOPES": "openid,profile,email",
                "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "tax_number,name",
                "AUTHPROXY__PORTALS__ACQ__UPSTREAM": f"http://127.0.0.1:{portal[1]}",
                **(settings or {}),
            }
            if authentication == "private_key_jwt":
                environment |= {
                    "AUTHPROXY__REKONO__CLIENT_KEY_FILE": str(key.file),
                    "AUTHPROXY__REKONO__CLIENT_KEY_ID": "gateway-1",
                }
            return await resources.enter_async_context(
                open_house(store.socket_url, environment=environment, provider_is_up=False, ports=ports)
            )

        yield enter


async def token_requests(house):
    asked = (await Browser().fetch(f"{house.issuer}/requests")).json
    return [one["authorization"] for one in asked if (one["method"], one["path"]) == ("POST", "/token")]


REPORT = "/izpis?" + "&".join(
    f"filter%5B{number}%5D.prodajno_mesto={number * 7919:07}" for number in range(52)
)
"""The longest that a place to return to may be, nearly: it travels in `state`."""


@pytest.mark.parametrize(
    ("authentication", "header", "place"),
    [
        ("client_secret_post", "", "/izpis?leto=2026"),
        ("client_secret_basic", "Basic", REPORT),
        ("private_key_jwt", "", "/izpis?leto=2026"),
    ],
)
async def test_a_foreign_provider_and_a_plain_portal_agree_on_who_somebody_is(
    opened, authentication, header, place
):
    house = await opened(authentication)
    ana = Guest("ana", house, Browser())
    page = await ana.signs_in(house.acq + place)
    assert (page.status, page.url) == (200, house.acq + place)
    assert (page.json["path"], page.json["tax_number"]) == (place, "99990008")
    claims = page.json["claims"]
    assert (claims["sub"], claims["name"], claims["email"], claims["level"]) == (
        "ana",
        "Ana Novák",
        "ana@example.si",
        20,
    )
    assert await token_requests(house) == [header]
    asked = parse_qs(
        urlsplit(
            next(one.location for one in ana.browser.history if one.is_redirect and "/auth?" in one.location)
        ).query
    )
    assert (asked["code_challenge_method"], asked["max_age"], asked["response_type"]) == (
        ["S256"],
        ["300"],
        ["code"],
    )
    assert asked["nonce"] != asked["state"]
    callback = next(one.url for one in ana.browser.history if "/callback/rekono" in one.url)
    assert parse_qs(urlsplit(callback).query)["iss"] == [house.issuer]


async def test_a_response_without_or_with_another_issuer_is_refused_before_the_code_is_sent(opened):
    house = await opened()
    for spoilt in (
        lambda callback: callback.partition("&iss=")[0],
        lambda callback: callback.replace("&iss=http%3A", "&iss=https%3A"),
    ):
        ana = Guest("ana", house, Browser())
        callback = await ana.goes_to_callback(house.acq + "/")
        assert "&iss=" in callback
        page = await ana.browser.navigate(spoilt(callback))
        assert (page.status, ana.ticket(house.acq)) == (502, None)
        assert "provider_answer_invalid" in page.text
    assert await token_requests(house) == []


async def test_a_replaced_signing_key_is_found(opened):
    house = await opened()
    assert (await Guest("ana", house, Browser()).signs_in(house.acq + "/")).status == 200
    assert (await Browser().request("POST", f"{house.issuer}/rotate")).status == 200
    assert (await Guest("ana", house, Browser()).signs_in(house.acq + "/")).status == 200


@pytest.mark.parametrize(("hint", "is_hinted"), [("auto", False), ("always", True)])
async def test_signing_out_reaches_the_provider_and_comes_back(opened, hint, is_hinted):
    # Its ID tokens have the tax number in them.
    house = await opened(settings={"AUTHPROXY__REKONO__LOGOUT_HINT": hint})
    ana = Guest("ana", house, Browser())
    await ana.signs_in(house.acq + "/")
    confirmation = await ana.opens(f"{house.acq}/.authproxy/logout")
    onward = await ana.browser.submit(
        confirmation, next(form for form in confirmation.forms if form.action.startswith(house.acq))
    )
    told = dict(parse_qsl(urlsplit(onward.location).query))
    assert ("id_token_hint" in told) is is_hinted
    question = await ana.browser.follow(onward)
    answered = await ana.browser.submit(question, question.forms[0], {"logout": "yes"})
    assert answered.location == f"{house.acq}/.authproxy/logout?state={told['state']}"
    assert (await ana.browser.follow(answered)).status == 200
    at_the_door = await ana.walk(
        await ana.opens(house.acq + "/"), stop=lambda answer: 'name="password"' in answer.text
    )
    assert at_the_door.url.startswith(house.issuer)


async def test_ending_the_session_at_the_provider_ends_ours_and_not_that_of_the_other_browser(opened):
    house = await opened()
    office, home = Guest("ana", house, Browser()), Guest("ana", house, Browser())
    for guest in (office, home):
        assert (await guest.signs_in(house.acq + "/")).status == 200
    question = await office.opens(f"{house.issuer}/session/end")
    await office.browser.submit(question, question.forms[0], {"logout": "yes"})

    async def is_over():
        return (await office.opens(house.acq + "/")).status == 303

    await house.at_once(is_over)
    assert (await home.opens(house.acq + "/")).status == 200
    assert '"detail": "1 ended, named by sid"' in house.audit


RECHECKED = {"AUTHPROXY__REKONO__RECHECK_EVERY": "60s"}
REFRESHING = {"grant_types": ["authorization_code", "refresh_token"]}


async def asked(house, path):
    return len(
        [
            one
            for one in (await Browser().fetch(f"{house.issuer}/requests")).json
            if (one["method"], one["path"]) == ("POST", path)
        ]
    )


async def test_an_account_that_the_provider_does_not_know_any_more_is_signed_out(opened):
    house = await opened(settings=RECHECKED, **REFRESHING)
    ana = Guest("ana", house, Browser())
    assert (await ana.signs_in(house.acq + "/")).status == 200
    for number in range(2, 4):  # its refresh tokens are good once
        house.clock.advance(seconds=70)
        assert (
            await ana.opens(house.acq + "/")
        ).status != 303  # it reaches the portal, whose clock is not ours

        async def has_refreshed(number=number):
            return await asked(house, "/token") == number

        await until(has_refreshed)
    assert (await Browser().request("POST", f"{house.issuer}/disable?id=ana")).status == 200
    house.clock.advance(seconds=70)

    async def is_over():
        return (await ana.opens(house.acq + "/")).status == 303

    await house.at_once(is_over)
    assert (
        '"reason": "account_withdrawn", "by": "provider", "operator": null, "detail": "refresh token: '
        'invalid_grant"' in house.audit
    )


async def test_signing_out_revokes_the_refresh_token(opened):
    house = await opened(
        "private_key_jwt", settings=RECHECKED, features={"revocation": {"enabled": True}}, **REFRESHING
    )
    ana = Guest("ana", house, Browser())
    await ana.signs_in(house.acq + "/")
    confirmation = await ana.opens(f"{house.acq}/.authproxy/logout")
    await ana.browser.submit(
        confirmation, next(form for form in confirmation.forms if form.action.startswith(house.acq))
    )

    async def is_revoked():
        return await asked(house, "/token/revocation") == 1

    await until(is_revoked)


async def test_a_person_without_a_tax_number_is_refused_here_too(opened):
    house = await opened()
    eva = Guest("eva", house, Browser())
    page = await eva.signs_in(house.acq + "/")
    assert (page.status, eva.ticket(house.acq)) == (403, None)
    assert "tax_number_missing" in page.text


async def test_the_plain_portal_lets_nobody_in_without_the_gateway(opened):
    house = await opened()
    upstream = house.settings.portals["acq"].upstream
    assert (await Browser().fetch(upstream + "/")).status == 403
    forged = {"X-Auth-Assertion": "eyJhbGciOiJub25lIn0.e30.", "X-Auth-Tax-Number": "99990008"}
    assert (await Browser().fetch(upstream + "/", headers=forged)).status == 403


TAX_NUMBER_IS_ANAS = json.dumps(
    {"id_token": {"taxnumber": {"essential": True, "value": "99990008"}, "loa": None, "name": None}}
)


async def test_a_provider_that_takes_pushed_requests_only_and_speaks_in_the_id_token_alone(opened):
    """PAR (RFC 9126), the claims parameter, and no userinfo."""
    house = await opened(
        features={
            "pushedAuthorizationRequests": {"enabled": True, "requirePushedAuthorizationRequests": True},
            "claimsParameter": {"enabled": True},
        },
        settings={
            "AUTHPROXY__REKONO__USERINFO": "off",
            "AUTHPROXY__REKONO__PARAMETERS": json.dumps({"claims": TAX_NUMBER_IS_ANAS}),
        },
    )
    ana = Guest("ana", house, Browser())
    page = await ana.signs_in(house.acq + "/izpis")
    assert (page.status, page.json["tax_number"], page.json["claims"]["level"]) == (200, "99990008", 20)
    address = next(
        one.location for one in ana.browser.history if one.is_redirect and "/auth?" in one.location
    )
    assert parse_qs(urlsplit(address).query).keys() == {"client_id", "request_uri"}
    asked = [(one["method"], one["path"]) for one in (await Browser().fetch(f"{house.issuer}/requests")).json]
    assert asked.count(("POST", "/request")) == 1
    assert ("GET", "/me") not in asked


async def test_signed_userinfo_is_believed_and_an_essential_value_that_does_not_come_back_is_not_forgiven(
    opened,
):
    other = json.dumps({"userinfo": {"taxnumber": {"essential": True, "value": "99990016"}}})
    house = await opened(
        features={"jwtUserinfo": {"enabled": True}, "claimsParameter": {"enabled": True}},
        userinfo_signed_response_alg="RS256",
        settings={
            "AUTHPROXY__PORTALS__ACQ__ROUTES": json.dumps(
                [{"path": "/drugi", "rekono_parameters": {"claims": other, "login_hint": "ana"}}]
            ),
        },
    )
    ana = Guest("ana", house, Browser())
    page = await ana.signs_in(house.acq + "/izpis")
    assert (page.status, page.json["tax_number"]) == (200, "99990008")
    somebody = Guest("ana", house, Browser())
    refused = await somebody.signs_in(house.acq + "/drugi/x")
    assert (refused.status, somebody.ticket(house.acq)) == (403, None)
    assert "essential_claim_missing" in refused.text
    assert "the essential claim `taxnumber` is not in userinfo with a value that was asked for" in house.audit
    address = next(
        one.location for one in somebody.browser.history if one.is_redirect and "/auth?" in one.location
    )
    assert parse_qs(urlsplit(address).query)["login_hint"] == ["ana"]
