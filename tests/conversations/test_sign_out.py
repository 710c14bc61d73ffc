"""Sign-out: here first, then at the provider, and a page that says what has ended."""

from __future__ import annotations

import pytest

from authproxy import bootstrap
from tests.support.gateway import TICKET, until
from tests.support.http_client import Browser

NO_SESSION = "nimate odprte seje"
MAYBE_AT_PROVIDER = "Pri Rekonu ste morda še prijavljeni"


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
    assert (page.status, ana.ticket(house.acq)) == (200, None)
    assert {value.partition("=")[0] for value in page.all("set-cookie") if "Max-Age=0" in value} == {"__Host-authproxy", "__Host-authproxy-flow"}
    assert (await holding(ticket, house.acq).fetch(f"{house.acq}/api/jaz")).json["reason"] == "session_ended"
    assert not any("endsession" in asked for asked in house.provider.asked)
    assert "session.ended" in house.audit


async def test_a_second_gateway_knows_within_a_second(house, ana):
    await ana.signs_in(house.acq + "/")
    witness = holding(ana.ticket(house.acq), house.acq)

    async def is_refused():
        return (await witness.navigate(f"{house.acq}/api/jaz", port=elsewhere)).status == 303

    async with house.second_gateway() as elsewhere:
        for _ in range(3):  # the second gateway has it in its near cache now
            assert (await witness.navigate(f"{house.acq}/api/jaz", port=elsewhere)).status == 200
        await signs_out(ana, house.acq)
        assert await until(is_refused) < 1.0


async def test_the_provider_is_told_by_a_form_and_leads_back_to_a_truthful_page(house, ana):
    await ana.signs_in(house.acq + "/")
    page = await signs_out(ana, house.acq)
    form = next(form for form in page.forms if form.action.startswith(house.issuer))
    assert form.method == "POST"
    assert set(form.fields) == {"id_token_hint", "post_logout_redirect_uri", "state"}
    assert f"form-action 'self' http://localhost:{house.ports['provider']}" in page.header("content-security-policy")
    asked = await ana.browser.follow(await ana.browser.submit(page, form))
    assert asked.status == 200
    approval = next(form for form in asked.forms if ("approve", "true") in form.buttons)
    back = await ana.browser.submit(asked, approval, {"approve": "true"})
    assert back.location == f"{house.acq}/.authproxy/logout?state={form.fields['state']}"
    last = await ana.browser.follow(back)
    assert last.status == 200
    assert NO_SESSION in last.text
    token = form.fields["id_token_hint"]
    assert not any(token[:40] in answer.url or token[:40] in str(answer.headers) for answer in ana.browser.history)


async def test_after_signing_out_only_here_the_page_says_that_the_provider_may_know_the_person_still(house, ana):
    await ana.signs_in(house.acq + "/")
    page = await signs_out(ana, house.acq)
    assert MAYBE_AT_PROVIDER in page.text


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
    [{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
     {"Sec-Fetch-Site": "same-site", "Origin": "http://b2b.localhost"}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
     {"Origin": "https://evil.example"}, {"Origin": "null"}],
)  # fmt: skip
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
    assert (page.status, ana.ticket(house.acq)) == (200, None)
    assert await bootstrap.list_sessions(house.settings) == []
