"""How providers differ without being wrong: the sign-in succeeds, and the portal receives what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.sandbox.identity_provider.openid.quirks import QUIRKS
from tests.support.ports import free_port

ANA = {
    "x-auth-subject": "90342.KRZTQWMA",
    "x-auth-name": "Ana Novak",
    "x-auth-email": "ana.novak@example.si",
    "x-auth-tax-number": "99990008",
    "x-auth-level": "20",
}
# What the portal receives otherwise than usual.
RECEIVED = {
    "aud_of_one": {},
    "userinfo_jwt": {},
    "exp_far_future": {},
    "iat_ahead_a_little": {},
    "kid_missing": {},
    "two_keys": {},
    "code_odd": {},
    "code_long": {},
    "phone_missing": {},
    "full_name_missing": {},
    "email_missing": {"x-auth-email": "-"},
    "email_unverified": {"x-auth-email": "-"},
    "email_long": {"x-auth-email": "-"},
    "name_long": {"x-auth-name": ("%C5%BDiga " * 60).rstrip()},
    "tax_number_si_prefix": {},
    "tax_number_spaces": {},
    "tax_number_as_number": {},
    "tax_number_by_uri": {},
    "tax_number_in_id_token": {"x-auth-tax-number": "99990121"},
    "level_10": {"x-auth-level": "10"},
    "level_20": {},
    "level_30": {"x-auth-level": "30"},
    "level_absent": {"x-auth-level": "10"},
    "level_unknown": {"x-auth-level": "10"},
    "level_20_string": {},
    "level_20_uri": {},
    "level_20_in_acr": {},
    "level_differs": {"x-auth-level": "10"},
}


def said(quirk: str) -> str:
    return QUIRKS[quirk].says


async def received(person, portal):
    answer = await person.browser.request("GET", f"{portal}/api/received", headers={"Accept": "text/html"})
    assert answer.status == 200
    assert answer.json["assertion"]["valid"]
    return {name.lower(): value for name, value in answer.json["headers"] if name.lower() in ANA}


@pytest.mark.parametrize("quirk", RECEIVED, ids=said)
async def test_people_come_in_where(house, ana, quirk):
    await house.quirk(quirk)
    page = await ana.signs_in(f"{house.acq}/izpis/2026/11")
    assert (page.status, page.url) == (200, f"{house.acq}/izpis/2026/11")
    assert await received(ana, house.acq) == ANA | RECEIVED[quirk]


@pytest.mark.parametrize(
    "quirk", ["level_20", "level_30", "level_20_string", "level_20_uri", "level_20_in_acr"], ids=said
)
async def test_a_portal_that_demands_level_20_lets_people_in_where(houses, quirk):
    async with houses(acq={"level": 20}) as house:
        david = house.person("david.horvat@example.si")
        await house.quirk(quirk)
        assert (await david.signs_in(house.acq + "/")).status == 200


async def test_a_tax_number_within_an_object_is_found_by_a_name_with_dots(houses):
    async with houses(environment={"AUTHPROXY__REKONO__CLAIMS__TAX_NUMBER": "tax.value,taxnumber"}) as house:
        ana = house.person()
        await house.quirk("tax_number_nested")
        assert (await ana.signs_in(house.acq + "/")).status == 200
        assert (await received(ana, house.acq))["x-auth-tax-number"] == "99990008"


async def test_a_key_that_is_replaced_between_two_sign_ins_is_fetched(house, ana):
    assert (await ana.signs_in(house.acq + "/")).status == 200
    await house.quirk("kid_rotated")
    assert (await house.person("cvetka.zupan@example.si").signs_in(house.acq + "/")).status == 200


@pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash at its end", "without a slash at its end"])
async def test_an_issuer_is_taken_as_it_is_set(houses, slash):
    port = free_port()
    issuer = f"http://localhost:{port}/openid-connect-server-webapp{slash}"
    async with houses(ports={"provider": port}, environment={"AUTHPROXY__REKONO__ISSUER": issuer}) as house:
        ana = house.person()
        assert (await ana.signs_in(house.acq + "/")).status == 200
        assert house.issuer == issuer


async def signs_out(person, portal):
    confirmation = await person.opens(f"{portal}/.authproxy/logout")
    form = next(form for form in confirmation.forms if form.action.startswith(f"{portal}/.authproxy/logout"))
    return await person.browser.submit(confirmation, form)


async def test_a_provider_that_signs_out_without_asking_leads_straight_back(house, ana):
    await ana.signs_in(house.acq + "/")
    await house.quirk("endsession_at_once")
    answer = await ana.walk(await signs_out(ana, house.acq))
    assert (answer.status, answer.url.partition("?")[0]) == (200, f"{house.acq}/.authproxy/logout")


async def test_a_provider_that_takes_forms_gets_one_if_the_settings_say_so(houses):
    async with houses(environment={"AUTHPROXY__REKONO__LOGOUT_METHOD": "post"}) as house:
        for quirk in ("endsession_form", "endsession_form_only"):
            ana = house.person()
            await house.quirk(quirk)
            await ana.signs_in(house.acq + "/")
            page = await signs_out(ana, house.acq)
            form = next(form for form in page.forms if form.action.startswith(house.issuer))
            assert (form.method, set(form.fields)) == (
                "POST",
                {"client_id", "id_token_hint", "post_logout_redirect_uri", "state"},
            )
            asked = await ana.browser.follow(await ana.browser.submit(page, form))
            back = await ana.browser.follow(
                await ana.browser.submit(asked, asked.forms[0], {"approve": "true"})
            )
            assert (back.status, back.url) == (
                200,
                f"{house.acq}/.authproxy/logout?state={form.fields['state']}",
            )


async def test_a_token_with_the_name_of_somebody_in_it_stays_out_of_addresses(house, ana):
    await house.quirk("tax_number_in_id_token")
    await ana.signs_in(house.acq + "/")
    onward = await signs_out(ana, house.acq)
    assert "client_id=" in onward.location
    assert "id_token_hint" not in onward.location
    asked = await ana.browser.follow(onward)
    ended = await ana.browser.submit(asked, asked.forms[0], {"approve": "true"})
    assert not ended.is_redirect  # without the hint it leads nowhere
    assert ended.url.startswith(house.issuer)
    await house.quirk("endsession_client_id")
    assert (await ana.browser.navigate(onward.location)).location.startswith(
        f"{house.acq}/.authproxy/logout?state="
    )


async def test_without_a_place_to_sign_out_at_the_provider_only_the_session_here_ends(houses):
    async with houses(provider_is_up=False) as house:
        await house.provider.start()
        await house.quirk("end_session_missing")
        house.clock.advance(minutes=1)
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        page = await signs_out(ana, house.acq)
        assert (page.status, ana.ticket(house.acq)) == (200, None)
        assert not any(form.action.startswith(house.issuer) for form in page.forms)


def test_every_quirk_is_met_by_the_gateway_in_some_conversation():
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [quirk for quirk in QUIRKS if f'"{quirk}"' not in texts] == []
