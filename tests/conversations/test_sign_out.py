"""Sign-out: here first, then at the provider, and a page that says what has ended."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import TICKET
from tests.support.http_client import Browser

NO_SESSION = "nimate odprte seje"
ENDED = "Vaša seja na portalu »ACQ« je končana"
IF_CONFIRMED = "Če ste se odjavili tudi iz računa Rekono"
MAY_GO_ON = "V računu Rekono ste morda še prijavljeni."


async def signs_out(person, portal):
    confirmation = await person.opens(f"{portal}/.authproxy/logout")
    form = next(form for form in confirmation.forms if form.action.startswith(f"{portal}/.authproxy/logout"))
    return await person.browser.submit(confirmation, form)


def holding(ticket, url):
    browser = Browser()
    browser.cookies.put(url, TICKET, ticket)
    return browser


async def test_signing_out_ends_the_session_before_the_provider_is_told(house, ana):
    await ana.signs_in(house.acq + "/")
    ticket = ana.ticket(house.acq)
    page = await signs_out(ana, house.acq)
    assert (page.status, ana.ticket(house.acq)) == (303, None)
    assert {value.partition("=")[0] for value in page.all("set-cookie") if "Max-Age=0" in value} == {
        "__Host-authproxy",
        "__Host-authproxy-flow",
    }
    assert (await holding(ticket, house.acq).fetch(f"{house.acq}/api/jaz")).json["reason"] == "session_ended"
    assert not any("endsession" in asked for asked in house.provider.asked)
    assert "session.ended" in house.audit


async def test_a_second_gateway_knows_at_once(house, ana):
    await ana.signs_in(house.acq + "/")
    witness = holding(ana.ticket(house.acq), house.acq)

    async def is_refused():
        return (await witness.navigate(f"{house.acq}/api/jaz", port=elsewhere)).status == 303

    async with house.second_gateway() as elsewhere:
        for _ in range(3):  # the second gateway has it in its near cache now
            assert (await witness.navigate(f"{house.acq}/api/jaz", port=elsewhere)).status == 200
        await signs_out(ana, house.acq)
        await house.at_once(is_refused)


async def test_the_browser_goes_to_the_provider_and_comes_back_to_a_page_that_says_what_has_ended(house, ana):
    await ana.signs_in(house.acq + "/")
    onward = await signs_out(ana, house.acq)
    place, _, query = onward.location.partition("?")
    asked_for = dict(parse_qsl(query))
    assert (onward.status, place) == (303, f"{house.issuer}endsession")
    assert set(asked_for) == {"client_id", "id_token_hint", "post_logout_redirect_uri", "state"}
    asked = await ana.browser.follow(onward)
    assert asked.status == 200
    approval = next(form for form in asked.forms if ("approve", "true") in form.buttons)
    back = await ana.browser.submit(asked, approval, {"approve": "true"})
    assert back.location == f"{house.acq}/.authproxy/logout?state={asked_for['state']}"
    last = await ana.browser.follow(back)
    assert (last.status, ENDED in last.text, IF_CONFIRMED in last.text, NO_SESSION in last.text) == (
        200,
        True,
        True,
        False,
    )


async def test_whoever_stays_signed_in_at_the_provider_is_asked_there_before_they_come_in_again(house, ana):
    await ana.signs_in(house.acq + "/")
    asked = await ana.browser.follow(await signs_out(ana, house.acq))
    denial = next(form for form in asked.forms if ("deny", "true") in form.buttons)
    back = await ana.walk(await ana.browser.submit(asked, denial, {"deny": "true"}))
    assert (ENDED in back.text, IF_CONFIRMED in back.text) == (True, True)

    chooser = await ana.walk(await ana.opens(house.acq + "/"), stop=lambda answer: answer.status == 200)
    at_provider = await ana.walk(chooser, stop=lambda answer: 'name="password"' in answer.text)
    assert at_provider.url.startswith(f"http://localhost:{house.ports['provider']}/")
    sent = next(
        one.location
        for one in reversed(ana.browser.history)
        if one.is_redirect and "/authorize?" in one.location
    )
    assert dict(parse_qsl(urlsplit(sent).query))["prompt"] == "login"
    assert (await ana.walk(at_provider)).status == 200
    # That was asked once. Elsewhere in this browser, and from now on here, the session at the provider does.
    assert ana.browser.cookies.get(house.acq, "__Host-authproxy-left") is None


async def test_a_sign_out_at_one_portal_asks_for_nothing_at_another(house, ana):
    await ana.signs_in(house.acq + "/")
    await signs_out(ana, house.acq)
    await ana.signs_in(house.b2b + "/")
    sent = next(
        one.location
        for one in reversed(ana.browser.history)
        if one.is_redirect and "/authorize?" in one.location
    )
    assert "prompt" not in dict(parse_qsl(urlsplit(sent).query))


async def test_where_the_settings_send_nobody_to_the_provider_the_page_says_that_its_session_may_go_on(
    houses,
):
    async with houses(environment={"AUTHPROXY__REKONO__LOGOUT_METHOD": "none"}) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        page = await signs_out(ana, house.acq)
        assert (page.status, ENDED in page.text, MAY_GO_ON in page.text) == (200, True, True)
        assert not any("endsession" in asked for asked in house.provider.asked)


async def test_asking_for_the_sign_out_page_changes_nothing(house, ana):
    await ana.signs_in(house.acq + "/")
    for _ in range(2):
        page = await ana.opens(f"{house.acq}/.authproxy/logout")
        assert (page.status, page.all("set-cookie")) == (200, [])
    assert (await ana.opens(house.acq + "/")).status == 200


async def test_signing_out_twice_tells_the_truth(house, ana):
    await ana.signs_in(house.acq + "/")
    confirmation = await ana.opens(f"{house.acq}/.authproxy/logout")
    form = next(form for form in confirmation.forms if form.action.startswith(house.acq))
    await ana.browser.submit(confirmation, form)
    again = await ana.browser.submit(confirmation, form)
    assert again.status == 200
    assert NO_SESSION in again.text
    assert "id_token_hint" not in again.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://b2b.localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_another_site_signs_nobody_out(house, ana, headers):
    await ana.signs_in(house.acq + "/")
    for place in ("logout", "session/end"):
        answer = await ana.browser.post(f"{house.acq}/.authproxy/{place}", {}, headers=headers)
        assert (answer.status, answer.all("set-cookie")) == (403, [])
    assert (await ana.opens(house.acq + "/")).status == 200


async def test_while_the_provider_is_away_signing_out_works_here(house, ana):
    await ana.signs_in(house.acq + "/")
    await house.provider.stop()
    page = await signs_out(ana, house.acq)
    assert (page.status, ana.ticket(house.acq)) == (
        303,
        None,
    )  # its metadata is known: the browser may find it awake
    assert await list_sessions(house.settings) == []
