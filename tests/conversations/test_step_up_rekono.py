"""A fresh proof by signing in again at Rekono: from the place that demands it, by way of the provider, back
to the place; and everything that may come back instead."""

from __future__ import annotations

import json

import pytest

from tests.support.gateway import ANA, CVETKA, TICKET

PLACE = "/vnos"
ROUTES = [
    {"path": "/vnos", "step_up": {"methods": ["rekono"], "max_age": "5m"}},
    {"path": "/prejeto", "level": 20, "step_up": {"methods": ["rekono"], "max_age": "5m"}},
]
FORM = {
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Accept": "text/html",
}
ACQ = {"idle": "30m", "routes": ROUTES}


@pytest.fixture
async def house(houses):
    async with houses(acq=ACQ) as opened:
        yield opened


@pytest.fixture
async def ana(house):
    """Signed in six minutes ago."""
    person = house.person()
    await person.signs_in(house.acq + "/")
    house.clock.advance(minutes=6)
    return person


async def asked(person, place):
    """The page where the person chooses how to prove themselves."""
    page = await person.opens(place)
    assert page.is_redirect, page.text
    return await person.browser.follow(page)


async def at_rekono(person, place):
    """The provider's first page after the click."""
    page = await asked(person, place)
    [form] = [form for form in page.forms if ("method", "rekono") in form.buttons]
    answer = await person.browser.submit(page, form, {"method": "rekono"})
    while answer.is_redirect:
        answer = await person.browser.follow(answer)
    return answer


def back(answer):
    return answer.is_redirect and "/callback/rekono" in answer.location


async def whoami(person, origin):
    return (await person.browser.fetch(f"{origin}/.authproxy/session")).json


async def test_whoever_signs_in_again_comes_to_the_place_under_a_new_ticket(house, ana):
    before, old = await whoami(ana, house.acq), ana.ticket(house.acq)
    page = await ana.walk(await at_rekono(ana, house.acq + PLACE + "?znesek=10"))
    assert (page.status, page.url) == (200, house.acq + PLACE + "?znesek=10")

    after = await whoami(ana, house.acq)
    assert ana.ticket(house.acq) != old
    assert {name: after[name] for name in ("subject", "level", "method", "expires_at")} == {
        name: before[name] for name in ("subject", "level", "method", "expires_at")
    }
    [issued], [approved] = house.events("challenge.issued"), house.events("challenge.approved")
    assert (issued["method"], approved["method"], approved["person"]) == (
        "rekono",
        "rekono",
        issued["person"],
    )
    assert approved["session"] != issued["session"]
    assert len(house.events("session.started")) == 1


async def test_rekono_asks_for_the_password_though_it_knows_the_browser(house, ana):
    page = await at_rekono(ana, house.acq + PLACE)
    assert any("password" in form.inputs for form in page.forms)


async def test_the_old_ticket_opens_nothing_any_more(house, ana):
    old = ana.ticket(house.acq)
    await ana.walk(await at_rekono(ana, house.acq + PLACE))
    thief = house.person().browser
    thief.cookies.put(house.acq, TICKET, old)
    assert (await thief.fetch(house.acq + "/")).status == 401


async def test_the_proof_is_worth_five_minutes(house, ana):
    await ana.walk(await at_rekono(ana, house.acq + PLACE))
    house.clock.advance(minutes=4, seconds=30)
    assert (await ana.opens(house.acq + PLACE)).status == 200
    house.clock.advance(seconds=40)
    assert (await ana.opens(house.acq + PLACE)).is_redirect
    assert (await ana.opens(house.acq + "/")).status == 200


async def test_somebody_elses_account_proves_nothing_and_changes_nothing(house, ana):
    before = ana.ticket(house.acq)
    page = await at_rekono(ana, house.acq + PLACE)
    ana.email = CVETKA
    refused = await ana.walk(page)
    assert (refused.status, refused.heading) == (403, "Istovetnost je potrdil nekdo drug")
    ana.email = ANA
    assert ana.ticket(house.acq) == before
    assert (await ana.opens(house.acq + "/")).status == 200
    assert (await ana.opens(house.acq + PLACE)).is_redirect
    [event] = house.events("challenge.refused")
    assert (event["reason"], event["method"], event["session"] is not None) == (
        "step_up_by_another",
        "rekono",
        True,
    )


@pytest.mark.parametrize(
    ("quirk", "place", "status", "reason"),
    [
        ("auth_time_missing", PLACE, 403, "proof_too_old"),
        ("auth_time_old", PLACE, 403, "proof_too_old"),
        ("wrong_sub", PLACE, 502, "provider_answer_invalid"),
        ("wrong_nonce", PLACE, 502, "provider_answer_invalid"),
        ("level_10", "/prejeto", 403, "level_too_low"),
        ("tax_number_wrong_check_digit", PLACE, 403, "tax_number_invalid"),
        ("access_denied", PLACE, 403, "consent_refused"),
        ("error_overloaded", PLACE, 503, "provider_unavailable"),
        ("token_500_html", PLACE, 503, "provider_unavailable"),
    ],
)
async def test_what_rekono_does_wrong_proves_nothing_and_signs_nobody_out(
    house, ana, quirk, place, status, reason
):
    before = ana.ticket(house.acq)
    await house.quirk(quirk)
    refused = await ana.walk(await at_rekono(ana, house.acq + place))
    assert (refused.status, ana.ticket(house.acq)) == (status, before)
    [event] = house.events("challenge.refused")
    assert event["reason"] == reason
    assert house.events("sign_in.refused") == []

    await house.quirk(None)
    assert (await ana.opens(house.acq + "/")).status == 200
    assert (await ana.walk(await at_rekono(ana, house.acq + place))).url == house.acq + place


async def test_an_account_whose_level_has_fallen_still_proves_who_it_is_where_no_level_is_demanded(
    house, ana
):
    await house.quirk("level_10")
    page = await ana.walk(await at_rekono(ana, house.acq + PLACE))
    assert (page.status, page.url) == (200, house.acq + PLACE)
    assert (await whoami(ana, house.acq))["level"] == 20


async def test_a_sign_in_of_which_rekono_says_no_time_is_no_proof_and_one_that_is_asked_for_is(houses):
    routes = [{"path": PLACE, "step_up": {"methods": ["rekono"], "max_age": "10s"}}]
    async with houses(acq={"routes": routes}, environment={"AUTHPROXY__REKONO__MAX_AGE": "null"}) as house:
        ana = house.person()
        await ana.opens(await ana.goes_to_callback(house.acq + "/"))
        ana.browser.cookies.put(house.acq, TICKET, None)
        await ana.opens(
            await ana.goes_to_callback(house.acq + PLACE)
        )  # Rekono knows the browser and asks nobody
        assert (await whoami(ana, house.acq))["step_up"] == []
        assert (await ana.opens(house.acq + PLACE)).is_redirect

        page = await ana.walk(await at_rekono(ana, house.acq + PLACE))
        assert (page.status, page.url) == (200, house.acq + PLACE)
        assert [proof["method"] for proof in (await whoami(ana, house.acq))["step_up"]] == ["rekono"]


async def test_where_no_sign_in_is_a_proof_nobody_is_sent_to_rekono_for_one(houses):
    async with houses(environment={"AUTHPROXY__REKONO__STEP_UP_BY": "never"}) as house:
        ana = house.person()
        await ana.opens(await ana.goes_to_callback(house.acq + "/"))
        page = await asked(ana, house.acq + "/")
        assert not any(("method", "rekono") in form.buttons for form in page.forms)
        assert (page.status, "step_up_impossible" in page.text) == (403, True)


async def test_a_sign_in_without_the_words_that_count_proves_nothing_and_says_so(houses):
    async with houses(acq=ACQ, environment={"AUTHPROXY__REKONO__STEP_UP_BY": '{"amr": ["mfa"]}'}) as house:
        ana = house.person()
        await ana.opens(await ana.goes_to_callback(house.acq + "/"))
        refused = await ana.walk(await at_rekono(ana, house.acq + PLACE))
        assert (refused.status, refused.heading) == (403, "Prijava ne zadošča za potrditev istovetnosti")
        [event] = house.events("challenge.refused")
        assert (event["reason"], "rekono.step_up_by" in event["detail"]) == ("proof_too_weak", True)


async def test_of_two_tabs_the_first_to_come_back_counts_and_the_second_finds_its_way(house, ana):
    async def returning():
        return await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)

    first, second = await returning(), await returning()
    assert (await ana.walk(first)).url == house.acq + PLACE
    ticket = ana.ticket(house.acq)
    late = await ana.walk(second)
    assert (late.status, ana.ticket(house.acq)) == (401, ticket)
    [onward] = [link for link in late.links if "/.authproxy/login?rt=" in link][:1]
    assert (await ana.walk(await ana.opens(onward))).url == house.acq + PLACE
    assert len(house.events("challenge.approved")) == 1


async def test_the_same_answer_a_second_time_goes_on_and_adds_nothing(house, ana):
    returning = await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)
    await ana.walk(returning)
    ticket = ana.ticket(house.acq)
    again = await ana.opens(returning.location)
    assert (again.status, again.location, ana.ticket(house.acq)) == (303, house.acq + PLACE, ticket)
    assert len(house.events("challenge.approved")) == 1


async def test_an_answer_in_a_strangers_browser_helps_nobody(house, ana):
    returning = await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)
    stranger = house.person(CVETKA)
    await stranger.signs_in(house.acq + "/")
    before = stranger.ticket(house.acq)
    refused = await stranger.opens(returning.location)
    assert (refused.status, refused.all("set-cookie"), stranger.ticket(house.acq)) == (400, [], before)
    assert (await ana.opens(house.acq + PLACE)).is_redirect
    assert (await stranger.opens(house.acq + "/")).status == 200
    assert house.events("challenge.approved") == []


async def test_whoever_has_signed_in_as_somebody_else_meanwhile_gets_no_proof_of_the_first(house, ana):
    returning = await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)
    ana.browser.cookies.put(house.acq, TICKET, None)
    ana.browser.cookies.put(house.issuer, "JSESSIONID", None)
    other = house.person(CVETKA, browser=ana.browser)
    await other.walk(await other.opens(house.acq + "/"))
    ticket = other.ticket(house.acq)
    refused = await other.opens(returning.location)
    assert (refused.status, other.ticket(house.acq)) == (401, ticket)
    assert house.events("challenge.approved") == []


async def test_whoever_has_signed_out_meanwhile_stays_out(house, ana):
    returning = await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)
    page = await ana.opens(house.acq + "/.authproxy/logout")
    [form] = [form for form in page.forms if form.action.endswith("/.authproxy/logout")][:1]
    await ana.browser.submit(page, form)
    refused = await ana.opens(returning.location)
    assert (refused.status, ana.ticket(house.acq)) == (400, None)
    assert (await ana.browser.fetch(house.acq + "/")).status == 401
    assert len(house.events("session.started")) == 1


async def test_a_session_that_was_ended_from_elsewhere_does_not_come_back(house, ana):
    returning = await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)
    elsewhere = house.person()
    await elsewhere.signs_in(house.acq + "/")
    await elsewhere.browser.post(
        f"{house.acq}/.authproxy/session/end", {"which": "others"}, headers=FORM | {"Origin": house.acq}
    )
    refused = await ana.opens(returning.location)
    assert (refused.status, refused.heading, refused.all("set-cookie")) == (401, "Prosimo, prijavite se", [])
    assert (await ana.browser.fetch(house.acq + "/")).status == 401
    assert [event["reason"] for event in house.events("challenge.refused")] == ["session_ended"]


async def test_whoever_takes_too_long_is_told_so_and_can_try_again(house, ana):
    house.clock.advance(minutes=-1)
    returning = await ana.walk(await at_rekono(ana, house.acq + PLACE), stop=back)
    for _ in range(4):
        house.clock.advance(minutes=8)
        await ana.opens(house.acq + "/")
    late = await ana.opens(returning.location)
    assert (late.status, late.heading) == (400, "Čas za prijavo je potekel")
    [again] = [link for link in late.links if "/.authproxy/step-up?" in link][:1]
    assert any(("method", "rekono") in form.buttons for form in (await ana.opens(again)).forms)


async def test_what_was_sent_waits_for_the_proof_and_goes_to_the_portal_once(house, ana):
    answer = await ana.browser.post(house.acq + PLACE, {"znesek": "10"}, headers=FORM | {"Origin": house.acq})
    assert answer.is_redirect
    page = await ana.walk(answer)
    [send] = [form for form in page.forms if "authproxy-held" in form.fields]
    assert (send.action, f"POST {PLACE}" in house.portal.asked) == (house.acq + PLACE, False)
    await ana.browser.submit(page, send)
    assert house.portal.asked.count(f"POST {PLACE}") == 1
    await ana.browser.submit(page, send)
    assert house.portal.asked.count(f"POST {PLACE}") == 1


async def test_what_waits_is_still_there_after_a_proof_that_did_not_come_about(house, ana):
    await house.quirk("access_denied")
    refused = await ana.walk(
        await ana.browser.post(house.acq + PLACE, {"znesek": "10"}, headers=FORM | {"Origin": house.acq})
    )
    assert refused.status == 403
    await house.quirk(None)
    [again] = [link for link in refused.links if "/.authproxy/step-up?" in link and "held=" in link][:1]
    page = await ana.walk(await ana.opens(again))
    assert any("authproxy-held" in form.fields for form in page.forms)


async def test_a_route_with_an_essential_acr_takes_no_proof_without_it_though_its_person_has_just_signed_in(
    houses,
):
    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": ["20"]}}})
    strict = {"path": "/vnos", "step_up": {"methods": ["rekono"]}, "rekono_parameters": {"claims": claims}}
    async with houses(acq={"routes": [strict]}) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        refused = await ana.walk(await at_rekono(ana, house.acq + PLACE))
        assert refused.status == 403
        assert "essential_claim_missing" in refused.text
        assert (
            house.events("challenge.refused")[0]["detail"]
            == "the essential claim `acr` is not in the ID token with a value that was asked for"
        )
        assert (await ana.opens(house.acq + "/")).status == 200
        await house.quirk("level_20_in_acr")
        assert (await ana.walk(await at_rekono(ana, house.acq + PLACE))).url == house.acq + PLACE
        sent = [
            one.location for one in ana.browser.history if one.is_redirect and "/authorize?" in one.location
        ]
        assert ["claims=" in address for address in sent] == [False, True, True]
