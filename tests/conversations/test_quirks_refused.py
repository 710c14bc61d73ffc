"""What the sandbox's provider can do wrong, and what becomes of the sign-in then: nobody comes in, the page
and the audit stream say why, and when the provider is itself again the next click works."""

from __future__ import annotations

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from authproxy.sandbox.identity_provider.openid.quirks import QUIRKS

PLACE = "/izpis/2026/11"

# Status and reason, and for whom the check is meant that must have found it out.
INVALID = (502, "provider_answer_invalid")
AWAY = (503, "provider_unavailable")
REFUSED = (403, "provider_refused")
UNKNOWN = (400, "attempt_unknown")
DATA_MISSING = (403, "personal_data_missing")
NO_TAX_NUMBER, WRONG_TAX_NUMBER, SHORT_TAX_NUMBER = (
    (403, "tax_number_missing"),
    (403, "tax_number_invalid"),
    (403, "tax_number_incomplete"),
)
CONTRADICTION = (403, "claims_contradict")
ENDS = {
    "wrong_iss": (*INVALID, "iss is not the configured issuer"),
    "iss_other_slash": (*INVALID, "iss is not the configured issuer"),
    "wrong_aud": (*INVALID, "aud is not exactly this client"),
    "aud_of_two": (*INVALID, "aud is not exactly this client"),
    "wrong_nonce": (*INVALID, "nonce is not the one of this sign-in"),
    "nonce_missing": (*INVALID, "nonce is not the one of this sign-in"),
    "wrong_sub": (*INVALID, "about another subject"),
    "userinfo_sub_differs": (*INVALID, "about another subject"),
    "alg_none": (*INVALID, "signed with another algorithm than RS256"),
    "alg_hs256_client_secret": (*INVALID, "signed with another algorithm than RS256"),
    "alg_hs256_public_key": (*INVALID, "signed with another algorithm than RS256"),
    "alg_es256": (*INVALID, "signed with another algorithm than RS256"),
    "exp_missing": (*INVALID, "exp is missing"),
    "exp_past": (*INVALID, "expired 1"),
    "iat_ahead": (*INVALID, "valid only in 3"),
    "auth_time_missing": (*INVALID, "auth_time is missing"),
    "auth_time_old": (403, "proof_too_old", "longer than max_age"),
    "code_too_long": (*INVALID, "no code, or none that RFC 6749 allows"),
    "code_reused": (*REFUSED, "400, invalid_grant: the code was refused"),
    "error_with_state": (*REFUSED, "authorization response: invalid_scope"),
    "error_without_state": (*UNKNOWN, None),
    "state_missing": (*UNKNOWN, None),
    "state_wrong": (*UNKNOWN, None),
    "access_denied": (403, "consent_refused", "access_denied"),
    "error_overloaded": (*AWAY, "temporarily_unavailable"),
    "token_500_html": (*AWAY, "token endpoint answered 500"),
    "token_huge": (*AWAY, "more than 262144 bytes"),
    "token_no_json": (*AWAY, "not JSON"),
    "token_wrong_type": (*AWAY, "something other than JSON"),
    "tax_number_missing": (*NO_TAX_NUMBER, None),
    "tax_number_seven_digits": (*SHORT_TAX_NUMBER, "a leading digit had been lost"),
    "tax_number_wrong_check_digit": (*WRONG_TAX_NUMBER, "the check digit"),
    "tax_number_full_width": (*WRONG_TAX_NUMBER, "eight digits"),
    "tax_numbers_differ": (*CONTRADICTION, "two different tax numbers"),
    "tax_number_differs_in_id_token": (*CONTRADICTION, "two different tax numbers"),
    "name_missing": (*DATA_MISSING, None),
    "name_with_controls": (*DATA_MISSING, None),
    "birthdate_missing": (*DATA_MISSING, None),
    "address_missing": (*DATA_MISSING, None),
}


def said(quirk: str) -> str:
    return QUIRKS[quirk].says


@pytest.mark.parametrize("quirk", ENDS, ids=said)
async def test_nobody_comes_in_where(house, ana, quirk):
    status, reason, found = ENDS[quirk]
    await house.quirk(quirk)

    page = await ana.signs_in(house.acq + PLACE)

    assert (page.status, ana.ticket(house.acq), page.all("set-cookie")) == (status, None, [])
    assert reason in page.text
    (event,) = house.events("sign_in.refused")
    assert event["reason"] == reason
    assert found is None or found in event["detail"]
    assert page.all("retry-after") == (["5"] if status == 503 else [])
    callback = next(
        one.url for one in reversed(ana.browser.history) if "/callback/rekono?" in one.url
    ).partition("?")[2]
    assert callback not in page.text
    for secret in (
        pair.partition("=")[2] for pair in callback.split("&") if pair.startswith(("code=", "state="))
    ):
        assert secret not in page.text + page.url + house.audit
    assert "99990008" not in page.text + house.audit
    assert await list_sessions(house.settings) == []

    await house.quirk(None)
    assert (await ana.signs_in(house.acq + PLACE)).url == house.acq + PLACE
    assert ana.ticket(house.acq) is not None


async def test_a_wrong_client_secret_is_told_as_that_and_not_as_silence(houses):
    async with houses(
        environment={"AUTHPROXY__REKONO__CLIENT_SECRET": "the-secret-of-another-gateway"}
    ) as house:
        ana = house.person()
        page = await ana.signs_in(house.acq + PLACE)
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "Rekono je prijavo zavrnil" in page.text
        assert "<code>invalid_client</code>" in page.text
        (event,) = house.events("sign_in.refused")
        assert (
            event["reason"],
            "401, invalid_client" in event["detail"],
            "rekono.client_secret" in event["detail"],
        ) == ("provider_refused", True, True)


async def test_a_provider_that_comes_back_with_an_error_of_its_own_is_quoted_nowhere(house, ana):
    callback = await ana.goes_to_callback(house.acq + PLACE)
    page = await ana.walk(
        await ana.opens(
            f"{callback.partition('?')[0]}?error=Ana_Novak&error_description=99990008&state={callback.partition('state=')[2]}"
        )
    )
    assert page.status == 403
    assert not any(word in page.text + house.audit for word in ("Ana_Novak", "99990008"))
    assert (
        house.events("sign_in.refused")[0]["detail"]
        == "authorization response: an error whose code is not registered"
    )


async def test_a_slow_token_endpoint_is_not_waited_for_longer_than_the_settings_say(houses):
    async with houses(environment={"AUTHPROXY__REKONO__TIMEOUT": "1s"}) as house:
        ana = house.person()
        await house.quirk("token_slow")
        page = await ana.signs_in(house.acq + PLACE)
        assert (page.status, page.header("retry-after"), ana.ticket(house.acq)) == (503, "5", None)
        assert house.events("sign_in.refused")[0]["detail"] == "token endpoint gave no answer within 1 s"
        assert f"{house.acq}/.authproxy/login?rt={PLACE}" in page.links


async def test_a_token_without_kid_means_no_key_where_there_are_two(house, ana):
    await house.quirk("two_keys")
    await house.quirk("kid_missing")
    house.clock.advance(hours=2)  # by then both keys are known
    page = await ana.signs_in(house.acq + PLACE)
    assert (page.status, ana.ticket(house.acq)) == (502, None)
    assert "no usable key of the provider" in house.events("sign_in.refused")[0]["detail"]


@pytest.mark.parametrize("quirk", ["level_10", "level_absent", "level_unknown", "level_differs"], ids=said)
async def test_a_portal_that_demands_level_20_keeps_people_out_where(houses, quirk):
    async with houses(acq={"level": 20}) as house:
        ana = house.person()
        await house.quirk(quirk)
        page = await ana.signs_in(house.acq + PLACE)
        assert (page.status, ana.ticket(house.acq)) == (403, None)
        assert "level_too_low" in page.text


async def test_a_state_that_comes_a_second_time_signs_nobody_in(house, ana):
    await house.quirk("state_repeated")
    assert (await ana.signs_in(house.acq + PLACE)).status == 200
    stranger = house.person()
    page = await stranger.signs_in(house.acq + PLACE)
    assert (page.status, stranger.ticket(house.acq)) == (400, None)
    assert "attempt_of_another_browser" in page.text

    ana.browser.cookies.put(house.acq, "__Host-authproxy", None)
    page = await ana.signs_in(house.acq + "/transakcije")
    assert (page.status, ana.ticket(house.acq)) == (400, None)
    assert "attempt_used" in page.text


@pytest.mark.parametrize(
    ("quirk", "hint"),
    [
        ("discovery_issuer_differs", "to the byte"),
        ("issuer_other_slash", "they differ in the slash at the end"),
    ],
)
async def test_a_gateway_that_finds_another_issuer_at_its_start_signs_nobody_in_and_says_why(
    houses, quirk, hint
):
    async with houses(provider_is_up=False) as house:
        await house.provider.start()
        await house.quirk(quirk)
        house.clock.advance(minutes=1)
        ana = house.person()
        page = await ana.signs_in(house.acq + PLACE)
        assert (page.status, page.header("retry-after"), page.all("set-cookie")) == (503, "5", [])
        assert "provider_unavailable" in page.text
        assert hint in (await ana.browser.request("GET", f"{house.management}/readyz")).text
        assert not any("/authorize" in asked for asked in house.provider.asked)
        await house.quirk(None)
        house.clock.advance(minutes=1)
        assert (await ana.signs_in(house.acq + PLACE)).status == 200


async def test_what_was_known_of_the_provider_does_while_its_discovery_is_wrong(house, ana):
    assert (await ana.signs_in(house.acq + PLACE)).status == 200
    await house.quirk("discovery_issuer_differs")
    house.clock.advance(hours=2)
    assert (await ana.signs_in(house.acq + PLACE)).status == 200
