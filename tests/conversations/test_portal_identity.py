"""What the portal receives: one identity, signed, in its own headers, and nothing that the client made up."""

from __future__ import annotations

import base64
import dataclasses
from urllib.parse import unquote

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from authproxy.sandbox.accounts import PASSWORD_HASH, Address, ProviderAccount
from tests.support.gateway import ANA
from tests.support.http_client import Browser

IDENTITY = {
    "X-Auth-Subject": "90342.KRZTQWMA",
    "X-Auth-Name": "Ana Novak",
    "X-Auth-Email": ANA,
    "X-Auth-Tax-Number": "99990008",
    "X-Auth-Method": "rekono",
    "X-Auth-Level": "20",
    "X-Auth-Roles": "-",
}
ZIVA = ProviderAccount(
    subject="90400.ZIVA",
    email="ziva@example.si",
    password_hash=PASSWORD_HASH,
    given_name="Živa",
    family_name="Čšđ",
    birthdate="1980-01-01",
    phone="+38640999999",
    level=20,
    tax_number="99990032",
    totp_secret=None,
    address=Address(street_address="Pot 1", locality="Koper", postal_code="6000"),
)


async def received(person, portal, *, headers=None):
    """Headers by lower-case name as the portal got them, and what it makes of the assertion."""
    answer = await person.browser.request(
        "GET", f"{portal}/api/received", headers=[("Accept", "text/html"), *(headers or [])]
    )
    assert answer.status == 200
    found = {}
    for name, value in answer.json["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found, answer.json["assertion"]


async def test_every_identity_header_arrives_once(house, ana):
    await ana.signs_in(house.acq + "/")
    found, verdict = await received(ana, house.acq)
    assert {name: found[name.lower()] for name in IDENTITY} == {
        name: [value] for name, value in IDENTITY.items()
    }
    for name in (
        "x-auth-step-up",
        "x-auth-assertion",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
        "traceparent",
    ):
        assert len(found[name]) == 1
        assert found[name][0] not in {"", "-"}
    assert (verdict["valid"], verdict["claims"]["email"], verdict["claims"]["tax_number"]) == (
        True,
        ANA,
        "99990008",
    )


async def test_what_the_client_makes_up_never_arrives(house, ana):
    await ana.signs_in(house.acq + "/")
    forged = [
        (name, "forged")
        for name in (
            *IDENTITY,
            "x_auth_level",
            "X-AUTH_ASSERTION",
            "X-Auth-Assertion",
            "X-Forwarded-User",
            "Remote-User",
            "X-Forwarded-Host",
        )
    ]
    found, verdict = await received(ana, house.acq, headers=[*forged, ("X-Forwarded-For", "203.0.113.9")])
    assert "forged" not in str(found)
    assert "203.0.113.9" not in str(found)
    assert verdict["valid"]


async def test_our_cookies_stay_with_us_and_the_portals_own_pass(house, ana):
    await ana.signs_in(house.acq + "/")
    ana.browser.cookies.put(house.acq, "JSESSIONID", "of the portal")
    found, _ = await received(ana, house.acq)
    assert found["cookie"] == ["JSESSIONID=of the portal"]
    page = await ana.opens(f"{house.acq}/piskotek")
    assert len(page.all("set-cookie")) == 1
    assert (await ana.opens(f"{house.acq}/piskotek")).status == 200
    assert ana.browser.cookies.get(house.acq, "acq_obiski") == "2"


async def test_the_assertion_is_signed_for_this_portal_and_a_minute(house, ana):
    await ana.signs_in(house.acq + "/")
    found, _ = await received(ana, house.acq)
    keys = KeySet.import_key_set((await Browser().fetch(f"{house.acq}/.authproxy/jwks.json")).json)
    token = jwt.decode(found["x-auth-assertion"][0], keys, algorithms=["ES256"])
    claims = token.claims
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == (
        house.settings.assertions.issuer,
        "acq",
        60,
    )
    assert (claims["level"], claims["method"], claims["name"]) == (20, "rekono", "Ana Novak")
    assert {"sub", "sid", "jti", "auth_time", "step_up"} <= set(claims)


async def test_an_assertion_is_used_for_half_its_life(house, ana):
    await ana.signs_in(house.acq + "/")

    async def assertion():
        found, verdict = await received(ana, house.acq)
        assert verdict["valid"]
        return found["x-auth-assertion"][0]

    first = await assertion()
    assert await assertion() == first
    house.clock.advance(seconds=31)
    second = await assertion()
    assert second != first
    house.clock.advance(seconds=31)
    assert await assertion() not in {first, second}


@pytest.mark.parametrize(
    ("encoding", "read"),
    [
        ("percent", unquote),
        ("ascii-fold", str),
        ("latin1", str),
        ("utf8", lambda value: value.encode("latin-1").decode()),
        ("base64", lambda value: base64.b64decode(value).decode()),
    ],
)
async def test_a_name_beyond_ascii_arrives_as_the_portal_wants_it(houses, encoding, read):
    names = {"name": "Remote-Name", "tax_number": "", "encoding": encoding}
    async with houses(acq={"headers": names}, more_people=[ZIVA]) as house:
        ziva = house.person(ZIVA.email)
        assert (await ziva.signs_in(house.acq + "/")).status == 200
        found, verdict = await received(ziva, house.acq, headers=[("Remote-Name", "forged")])
        expected = {"ascii-fold": "Ziva Csd", "latin1": "?iva ???"}.get(encoding, ZIVA.name)
        assert [read(value) for value in found["remote-name"]] == [expected]
        assert "x-auth-name" not in found
        assert "x-auth-tax-number" not in found
        assert verdict["claims"]["name"] == ZIVA.name


async def test_what_is_not_known_is_a_dash(houses):
    nameless = dataclasses.replace(ZIVA, email="brez@example.si", tax_number=None)
    async with houses(
        environment={"AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "name"}, more_people=[nameless]
    ) as house:
        person = house.person(nameless.email)
        assert (await person.signs_in(house.acq + "/")).status == 200
        found, verdict = await received(person, house.acq)
        assert found["x-auth-tax-number"] == ["-"]
        assert "tax_number" not in verdict["claims"]


async def test_our_own_place_is_never_the_portals(house, ana):
    await ana.signs_in(house.acq + "/")
    before = len(house.portal.asked)
    for path in (
        "/.authproxy/",
        "/.authproxy/api/received",
        "/.authproxy/static/../../api/jaz",
        "/.AUTHPROXY/x",
        "/.authproxy;x/login",
        "/.authproxy/auth/nginx",
    ):
        answer = await ana.browser.navigate(house.acq + path)
        assert answer.status in {400, 403, 404}, path
    assert len(house.portal.asked) == before


async def test_a_portal_that_is_away_is_named_as_such(house, ana):
    await ana.signs_in(house.acq + "/")
    await house.portal.stop()
    page = await ana.opens(house.acq + "/")
    assert (page.status, page.all("set-cookie")) == (502, [])
    assert "portal_unreachable" in page.text
    assert (await ana.browser.fetch(f"{house.acq}/api/jaz")).json["reason"] == "portal_unreachable"
    await house.portal.start()
    assert (await ana.opens(house.acq + "/")).status == 200


@pytest.mark.parametrize(
    ("preset", "subject", "email", "assertion"),
    [
        ("oauth2-proxy", "X-Forwarded-User", "X-Forwarded-Email", "X-Auth-Assertion"),
        ("authentik", "X-Authentik-Uid", "X-Authentik-Email", "X-Authentik-Jwt"),
        ("mod_auth_openidc", "OIDC_CLAIM_sub", "OIDC_CLAIM_email", "X-Auth-Assertion"),
    ],
)
async def test_a_portal_that_was_used_to_another_gateway_finds_its_headers_and_no_forged_ones(
    houses, preset, subject, email, assertion
):
    async with houses(acq={"headers": {"preset": preset}}) as house:
        ana = house.person()
        await ana.browser.navigate(house.acq + "/")
        await ana.signs_in(f"{house.acq}/api/received")
        forged = [
            (name, "forged")
            for name in (
                subject,
                subject.swapcase(),
                subject.replace("-", "_"),
                subject.replace("_", "-"),
                email,
                assertion,
            )
        ]
        found, _ = await received(ana, house.acq, headers=forged)
        assert "forged" not in str(found)
        assert (found[subject.lower()], found[email.lower()], len(found[assertion.lower()])) == (
            ["90342.KRZTQWMA"],
            [ANA],
            1,
        )
        assert "x-auth-subject" not in found


async def test_an_assertion_bound_to_its_request_names_method_and_url(houses):
    async with houses(acq={"binds_assertion": True}) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        seen = []
        for method in ("GET", "POST", "POST"):
            answer = await ana.browser.request(method, f"{house.acq}/api/received?q=1")
            claims = answer.json["assertion"]["claims"]
            assert (claims["htm"], claims["htu"]) == (method, f"{house.acq}/api/received")
            seen.append(claims["jti"])
        assert len(set(seen)) == 3
