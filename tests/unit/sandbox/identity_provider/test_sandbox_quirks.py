"""Every quirk changes what it says and nothing else, for the client it is switched on for."""

from __future__ import annotations

import aiohttp
import jwt
import pytest

from authproxy.sandbox.identity_provider.openid.quirks import QUIRKS


async def switch(rekono, quirk: str, client_id: str = "gateway") -> int:
    async with rekono.http.post(f"{rekono.origin}/api/quirks", json={"client_id": client_id, "quirk": quirk}) as response:
        return response.status


async def answered(rekono, visitor) -> tuple[dict, dict, dict]:
    """Header and claims of the ID token, and userinfo."""
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(max_age="300"))
    _, body = await rekono.redeemed(page.answer["code"])
    async with rekono.http.get(f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}) as response:
        userinfo = await response.json()
    return jwt.get_unverified_header(body["id_token"]), jwt.decode(body["id_token"], options={"verify_signature": False}), userinfo


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
    async with rekono.http.get(f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}) as response:
        userinfo = await response.json()
    return jwt.get_unverified_header(body["id_token"]), jwt.decode(body["id_token"], options={"verify_signature": False}), userinfo


async def test_a_refusal_can_be_made_the_rule(rekono, visitor):
    await switch(rekono, "access_denied")
    assert (await visitor.get(rekono.authorize_url())).answer["error"] == "access_denied"


async def test_the_token_endpoint_can_break_down_with_a_page(rekono, visitor):
    page = await rekono.signed_in(visitor)
    await switch(rekono, "token_500_html")
    form = {"grant_type": "authorization_code", "code": page.answer["code"], "client_id": "gateway", "client_secret": "a secret & more"}
    async with rekono.http.post(f"{rekono.issuer}token", data=form) as response:
        assert (response.status, response.content_type) == (500, "text/html")


async def test_the_token_endpoint_can_keep_a_relying_party_waiting(rekono, visitor):
    page = await rekono.signed_in(visitor)
    await switch(rekono, "token_slow")
    form = {"grant_type": "authorization_code", "code": page.answer["code"], "client_id": "gateway", "client_secret": "a secret & more"}
    with pytest.raises(TimeoutError):
        await rekono.http.post(f"{rekono.issuer}token", data=form, timeout=aiohttp.ClientTimeout(total=0.3))


async def test_a_quirk_of_one_client_leaves_the_others_alone(rekono, visitor):
    await switch(rekono, "access_denied", client_id="other")
    assert (await visitor.get(rekono.authorize_url())).title.startswith("Prijava")


@pytest.mark.parametrize("body", [{"client_id": "gateway", "quirk": "no_such"}, {"client_id": "no_such", "quirk": "alg_none"}, {"client_id": ["a"], "quirk": {}}, {}])
async def test_what_is_not_known_is_refused_with_the_list(rekono, body):
    async with rekono.http.post(f"{rekono.origin}/api/quirks", json=body) as response:
        assert response.status == 400
        assert (await response.json())["quirks"] == sorted(QUIRKS)


@pytest.mark.parametrize(("data", "content_type", "status"), [("{}", "text/plain", 415), ("{", "application/json", 400), ("[]", "application/json", 400)])
async def test_only_json_objects_are_read(rekono, data, content_type, status):
    async with rekono.http.post(f"{rekono.origin}/api/quirks", data=data, headers={"Content-Type": content_type}) as response:
        assert response.status == status


async def test_every_quirk_is_listed_with_a_sentence(rekono):
    await switch(rekono, "alg_none")
    async with rekono.http.get(f"{rekono.origin}/api/") as response:
        listed = await response.json()
    assert listed["quirks"].keys() == QUIRKS.keys() == CHANGES.keys() | {"access_denied", "token_500_html", "token_slow"}
    assert listed["active"] == {"gateway": ["alg_none"]}
