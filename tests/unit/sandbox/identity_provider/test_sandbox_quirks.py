"""Every quirk changes what it says and nothing else, for the client it is switched on for."""

from __future__ import annotations

import asyncio
import re
import warnings
from pathlib import Path

import jwt
import pytest
from jwt.warnings import InsecureKeyLengthWarning

import authproxy.sandbox
from authproxy.sandbox.identity_provider.openid.quirks import QUIRKS, ActiveQuirks


async def switch(rekono, quirk: str, client_id: str = "gateway") -> int:
    async with rekono.http.post(
        f"{rekono.origin}/api/quirks", json={"client_id": client_id, "quirk": quirk}
    ) as response:
        return response.status


async def answered(rekono, visitor) -> tuple[dict, dict, dict]:
    """Header and claims of the ID token, and userinfo."""
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(max_age="300"))
    _, body = await rekono.redeemed(page.answer["code"])
    async with rekono.http.get(
        f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        userinfo = await response.json()
    return (
        jwt.get_unverified_header(body["id_token"]),
        jwt.decode(body["id_token"], options={"verify_signature": False}),
        userinfo,
    )


CHANGES = {
    "tax_number_missing": lambda header, claims, userinfo: "taxnumber" not in userinfo and "name" in userinfo,
    "name_missing": lambda header, claims, userinfo: "name" not in userinfo and "taxnumber" in userinfo,
    "level_absent": lambda header, claims, userinfo: "loa" not in userinfo,
    "level_20_string": lambda header, claims, userinfo: userinfo["loa"] == "20",
    "wrong_nonce": lambda header, claims, userinfo: claims["nonce"] != "n1",
    "wrong_aud": lambda header, claims, userinfo: claims["aud"] == "another-client",
    "exp_missing": lambda header, claims, userinfo: "exp" not in claims,
    "auth_time_missing": lambda header, claims, userinfo: "auth_time" not in claims,
    "alg_none": lambda header, claims, userinfo: header["alg"] == "none",
    "kid_rotated": lambda header, claims, userinfo: header["kid"] == "rsa2",
    "userinfo_sub_differs": lambda header, claims, userinfo: userinfo["sub"] != claims["sub"],
}


@pytest.mark.parametrize("quirk", sorted(CHANGES))
async def test_a_quirk_does_what_it_says_until_it_is_switched_off(rekono, visitor, clock, quirk):
    before = await answered(rekono, visitor)
    assert not CHANGES[quirk](*before)
    assert await switch(rekono, quirk) == 200
    assert CHANGES[quirk](*await answered_again(rekono, visitor))
    async with rekono.http.delete(f"{rekono.origin}/api/quirks") as response:
        assert response.status == 204
    assert CHANGES[quirk](*await answered_again(rekono, visitor)) == (quirk == "kid_rotated")


async def answered_again(rekono, visitor):
    page = await visitor.get(rekono.authorize_url(max_age="300"))
    _, body = await rekono.redeemed(page.answer["code"])
    async with rekono.http.get(
        f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        userinfo = await response.json()
    return (
        jwt.get_unverified_header(body["id_token"]),
        jwt.decode(body["id_token"], options={"verify_signature": False}),
        userinfo,
    )


TOKEN = {
    "iss": "http://idp/",
    "sub": "a1",
    "aud": "gateway",
    "nonce": "n1",
    "iat": 1000,
    "exp": 1600,
    "auth_time": 990,
}
USERINFO = {
    "sub": "a1",
    "loa": 20,
    "name": "Ana Novak",
    "given_name": "Ana",
    "family_name": "Novak",
    "birthdate": "1990-01-01",
    "address": {"locality": "Koper"},
    "email": "ana@example.si",
    "email_verified": True,
    "phone_number": "+38640123456",
    "phone_number_verified": True,
    "taxnumber": "99990008",
}
GONE = object()
DIFFERENCES = {
    "wrong_iss": ({"iss": "https://idp.example.com/openid-connect-server-webapp/"}, {}),
    "iss_other_slash": ({"iss": "http://idp"}, {}),
    "issuer_other_slash": ({"iss": "http://idp"}, {}),
    "wrong_aud": ({"aud": "another-client"}, {}),
    "aud_of_one": ({"aud": ["gateway"]}, {}),
    "aud_of_two": ({"aud": ["gateway", "another-client"]}, {}),
    "wrong_nonce": ({"nonce": "not-the-nonce-that-was-sent"}, {}),
    "nonce_missing": ({"nonce": GONE}, {}),
    "wrong_sub": ({"sub": "90399.SOMEBODY"}, {}),
    "userinfo_sub_differs": ({}, {"sub": "90399.SOMEBODY"}),
    "exp_missing": ({"exp": GONE}, {}),
    "exp_past": ({"exp": 880}, {}),
    "exp_far_future": ({"exp": 315_361_000}, {}),
    "iat_ahead": ({"iat": 4600}, {}),
    "iat_ahead_a_little": ({"iat": 1030}, {}),
    "auth_time_missing": ({"auth_time": GONE}, {}),
    "auth_time_old": ({"auth_time": -2600}, {}),
    "tax_number_missing": ({}, {"taxnumber": GONE}),
    "name_missing": ({}, {"name": GONE, "given_name": GONE, "family_name": GONE}),
    "full_name_missing": ({}, {"name": GONE}),
    "birthdate_missing": ({}, {"birthdate": GONE}),
    "address_missing": ({}, {"address": GONE}),
    "phone_missing": ({}, {"phone_number": GONE, "phone_number_verified": GONE}),
    "email_missing": ({}, {"email": GONE, "email_verified": GONE}),
    "email_unverified": ({}, {"email_verified": False}),
    "name_with_controls": ({}, {"name": "Ana\r\nX-Auth-Level: 30", "given_name": GONE, "family_name": GONE}),
    "name_long": ({}, {"name": "Žiga " * 1000}),
    "email_long": ({}, {"email": "a" * 5000 + "@example.si"}),
    "tax_number_si_prefix": ({}, {"taxnumber": "SI99990008"}),
    "tax_number_spaces": ({}, {"taxnumber": " 9999 0008 "}),
    "tax_number_as_number": ({}, {"taxnumber": 99990008}),
    "tax_number_seven_digits": ({}, {"taxnumber": 9990008}),
    "tax_number_wrong_check_digit": ({}, {"taxnumber": "99990009"}),
    "tax_number_full_width": ({}, {"taxnumber": "\uff19\uff19\uff19\uff19\uff10\uff10\uff10\uff18"}),
    "tax_number_in_id_token": ({"taxnumber": "99990121"}, {"taxnumber": GONE}),
    "tax_number_by_uri": ({}, {"taxnumber": GONE, "http://idp.rekono.si/openid/taxnumber": "99990008"}),
    "tax_number_nested": ({}, {"taxnumber": GONE, "tax": {"value": "99990008", "country": "SI"}}),
    "tax_numbers_differ": ({}, {"davcna_stevilka": "99990130"}),
    "tax_number_differs_in_id_token": ({"taxnumber": "99990121"}, {}),
    "level_10": ({}, {"loa": 10}),
    "level_20": ({}, {"loa": 20}),
    "level_30": ({}, {"loa": 30}),
    "level_absent": ({}, {"loa": GONE}),
    "level_unknown": ({}, {"loa": "gold"}),
    "level_20_string": ({}, {"loa": "20"}),
    "level_20_uri": ({}, {"loa": "http://eidas.europa.eu/LoA/substantial"}),
    "level_20_in_acr": ({"acr": "20"}, {"loa": GONE}),
    "level_differs": ({"acr": "10"}, {"loa": 30}),
}


def changed(claims: dict, changes: dict) -> dict:
    return {name: value for name, value in (claims | changes).items() if value is not GONE}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_changes_what_it_says_and_leaves_the_rest(quirk):
    id_token, userinfo = DIFFERENCES.get(quirk, ({}, {}))
    assert QUIRKS[quirk].id_token(dict(TOKEN)) == changed(TOKEN, id_token)
    assert QUIRKS[quirk].userinfo(dict(USERINFO)) == changed(USERINFO, userinfo)


def test_the_readme_names_every_quirk_once():
    readme = (Path(authproxy.sandbox.__file__).parent / "README.md").read_text()
    listed = re.findall(
        r"`([a-z0-9_]+)`", readme.partition("## Quirks")[2].partition("\n## ")[0].partition("|---|---|")[2]
    )
    assert sorted(listed) == sorted(QUIRKS)


def test_a_quirk_of_the_tax_number_gives_none_to_those_without():
    assert QUIRKS["tax_number_as_number"].userinfo({"sub": "a1"}) == {"sub": "a1"}


@pytest.mark.parametrize(
    ("quirk", "issuer"),
    [
        ("issuer_other_slash", "http://idp"),
        ("discovery_issuer_differs", "https://idp.example.com/openid-connect-server-webapp/"),
    ],
)
def test_discovery_shows_a_quirk_as_soon_as_it_is_on_for_one_client(quirk, issuer):
    active = ActiveQuirks()
    active.switch_on("other", quirk)
    assert active.discovery({"issuer": "http://idp/"}) == {"issuer": issuer}
    active.clear()
    assert active.discovery({"issuer": "http://idp/"}) == {"issuer": "http://idp/"}


def test_a_state_is_repeated_from_the_first_on_for_each_client_alone():
    active = ActiveQuirks()
    active.switch_on("gateway", "state_repeated")
    assert [active.response("gateway", {"state": state})["state"] for state in ("s1", "s2", "s3")] == [
        "s1",
        "s1",
        "s1",
    ]
    assert active.response("other", {"state": "s4"}) == {"state": "s4"}
    active.clear()
    active.switch_on("gateway", "state_repeated")
    assert active.response("gateway", {"state": "s5"}) == {"state": "s5"}


@pytest.mark.parametrize(
    ("quirk", "algorithm", "key_id"),
    [
        ("alg_hs256_client_secret", "HS256", "rsa1"),
        ("alg_hs256_public_key", "HS256", "rsa1"),
        ("alg_es256", "ES256", "ec1"),
        ("kid_missing", "RS256", None),
        ("two_keys", "RS256", "rsa2"),
    ],
)
async def test_an_id_token_can_be_signed_otherwise_and_its_header_says_so(
    rekono, visitor, quirk, algorithm, key_id
):
    await switch(rekono, quirk)
    header, claims, _ = await answered(rekono, visitor)
    assert (header["alg"], header.get("kid"), claims["aud"]) == (algorithm, key_id, "gateway")
    async with rekono.http.get(f"{rekono.issuer}jwk") as response:
        published = [key["kid"] for key in (await response.json())["keys"]]
    assert published == {"alg_es256": ["rsa1", "ec1"], "two_keys": ["rsa1", "rsa2"]}.get(quirk, ["rsa1"])


async def test_hs256_with_the_client_secret_is_a_true_signature(rekono, visitor):
    await switch(rekono, "alg_hs256_client_secret")
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(max_age="300"))
    _, body = await rekono.redeemed(page.answer["code"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        claims = jwt.decode(
            body["id_token"],
            "a secret & more",
            algorithms=["HS256"],
            audience="gateway",
            options={"verify_exp": False, "verify_iat": False},
        )
    assert claims["nonce"] == "n1"


async def test_userinfo_can_be_a_signed_jwt(rekono, visitor):
    await switch(rekono, "userinfo_jwt")
    page = await rekono.signed_in(visitor)
    _, body = await rekono.redeemed(page.answer["code"])
    async with rekono.http.get(
        f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        assert response.content_type == "application/jwt"
        claims = jwt.decode(await response.text(), options={"verify_signature": False})
    assert (claims["aud"], claims["email"]) == ("gateway", "ana.novak@example.si")


@pytest.mark.parametrize(
    ("quirk", "status", "content_type"),
    [
        ("token_huge", 200, "application/json"),
        ("token_no_json", 200, "application/json"),
        ("token_wrong_type", 200, "text/html"),
        ("code_reused", 400, "application/json"),
    ],
)
async def test_the_token_endpoint_can_answer_no_tokens(rekono, visitor, quirk, status, content_type):
    page = await rekono.signed_in(visitor)
    await switch(rekono, quirk)
    form = {
        "grant_type": "authorization_code",
        "code": page.answer["code"],
        "client_id": "gateway",
        "client_secret": "a secret & more",
    }
    async with rekono.http.post(f"{rekono.issuer}token", data=form) as response:
        assert (response.status, response.content_type) == (status, content_type)
        text = await response.text()
    assert "id_token" not in text
    assert (len(text) > 2_000_000) == (quirk == "token_huge")


@pytest.mark.parametrize(("quirk", "length"), [("code_odd", 48), ("code_long", 4096)])
async def test_codes_can_look_otherwise_and_are_redeemed_all_the_same(rekono, visitor, quirk, length):
    await switch(rekono, quirk)
    page = await rekono.signed_in(visitor)
    assert len(page.answer["code"]) == length
    status, body = await rekono.redeemed(page.answer["code"])
    assert (status, "access_token" in body) == (200, True)


@pytest.mark.parametrize(
    ("quirk", "answer"),
    [
        ("error_with_state", {"error": "invalid_scope", "state": "s1"}),
        ("error_without_state", {"error": "invalid_scope"}),
        ("error_overloaded", {"error": "temporarily_unavailable", "state": "s1"}),
    ],
)
async def test_errors_come_back_with_a_state_or_without(rekono, visitor, quirk, answer):
    await switch(rekono, quirk)
    came = (await visitor.get(rekono.authorize_url())).answer
    assert {name: value for name, value in came.items() if name != "error_description"} == answer


async def test_a_refusal_can_be_made_the_rule(rekono, visitor):
    await switch(rekono, "access_denied")
    assert (await visitor.get(rekono.authorize_url())).answer["error"] == "access_denied"


async def test_the_token_endpoint_can_break_down_with_a_page(rekono, visitor):
    page = await rekono.signed_in(visitor)
    await switch(rekono, "token_500_html")
    form = {
        "grant_type": "authorization_code",
        "code": page.answer["code"],
        "client_id": "gateway",
        "client_secret": "a secret & more",
    }
    async with rekono.http.post(f"{rekono.issuer}token", data=form) as response:
        assert (response.status, response.content_type) == (500, "text/html")


async def test_the_token_endpoint_can_keep_a_relying_party_waiting(rekono, visitor):
    page = await rekono.signed_in(visitor)
    await switch(rekono, "token_slow")
    form = {
        "grant_type": "authorization_code",
        "code": page.answer["code"],
        "client_id": "gateway",
        "client_secret": "a secret & more",
    }
    waiting = asyncio.ensure_future(rekono.http.post(f"{rekono.issuer}token", data=form))
    for _ in range(3):
        # Whoever asks later is answered meanwhile.
        assert (await visitor.get(rekono.authorize_url())).status < 400
    assert not waiting.done()
    waiting.cancel()


async def test_a_quirk_of_one_client_leaves_the_others_alone(rekono, visitor):
    await switch(rekono, "access_denied", client_id="other")
    assert (await visitor.get(rekono.authorize_url())).title.startswith("Prijava")


@pytest.mark.parametrize(
    "body",
    [
        {"client_id": "gateway", "quirk": "no_such"},
        {"client_id": "no_such", "quirk": "alg_none"},
        {"client_id": ["a"], "quirk": {}},
        {},
    ],
)
async def test_what_is_not_known_is_refused_with_the_list(rekono, body):
    async with rekono.http.post(f"{rekono.origin}/api/quirks", json=body) as response:
        assert response.status == 400
        assert (await response.json())["quirks"] == sorted(QUIRKS)


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [("{}", "text/plain", 415), ("{", "application/json", 400), ("[]", "application/json", 400)],
)
async def test_only_json_objects_are_read(rekono, data, content_type, status):
    async with rekono.http.post(
        f"{rekono.origin}/api/quirks", data=data, headers={"Content-Type": content_type}
    ) as response:
        assert response.status == status


async def test_every_quirk_is_listed_with_a_sentence(rekono):
    await switch(rekono, "alg_none")
    async with rekono.http.get(f"{rekono.origin}/api/") as response:
        listed = await response.json()
    assert listed["quirks"] == {name: quirk.says for name, quirk in QUIRKS.items()}
    assert len(set(listed["quirks"].values())) == len(QUIRKS)
    assert listed["active"] == {"gateway": ["alg_none"]}
