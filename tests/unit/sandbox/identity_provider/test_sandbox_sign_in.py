"""The login window, the confirmation window and the hop back to the OpenID server."""

from __future__ import annotations

import re

import pytest

ANA, BOR, CVETKA, DAVID = (
    "ana.novak@example.si",
    "bor.kranjc@example.si",
    "cvetka.zupan@example.si",
    "david.horvat@example.si",
)


async def test_a_password_and_a_text_message_lead_back_with_a_code_and_the_state(rekono, visitor):
    page = await rekono.password_given(visitor)
    assert page.status == 200
    page = await visitor.submit(page, "_csrf", mode="smslogin")
    page = await visitor.submit(page, "code", code=await rekono.last_sms("+38640123456"))
    page = await visitor.submit(page, "request", user_oauth_approval="true")
    assert page.location.startswith("http://acq.localhost:8080/.authproxy/callback/rekono?")
    assert re.fullmatch("[A-Za-z0-9]{32}", page.answer["code"])
    assert page.answer["state"] == "s1"


async def test_a_onepass_code_leads_back_as_well(rekono, visitor):
    assert "code" in (await rekono.signed_in(visitor)).answer


@pytest.mark.parametrize(
    ("email", "sms", "otp"),
    [(ANA, True, True), (BOR, True, True), (CVETKA, False, True), (DAVID, True, False)],
)
async def test_the_confirmation_window_offers_what_the_level_and_the_enrolment_allow(
    rekono, visitor, email, sms, otp
):
    page = await rekono.password_given(visitor, email)
    assert ("smslogin" in page.text, "otplogin" in page.text) == (sms, otp)


async def test_a_means_that_is_not_offered_cannot_be_chosen_by_hand(rekono, visitor):
    page = await rekono.password_given(visitor, CVETKA)
    page = await visitor.submit(page, "_csrf", mode="smslogin")
    assert 'name="code"' not in page.text
    async with rekono.http.get(f"{rekono.outbox}/api/messages") as response:
        assert await response.json() == []


async def test_a_wrong_password_and_an_unknown_person_get_the_same_page(rekono, visitor):
    async def page_of(email):
        page = await visitor.get(rekono.authorize_url())
        page = await visitor.submit(page, "username", username=email, password="wrong")
        return page.status, re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", page.text).replace(email, "")

    assert await page_of(ANA) == await page_of("nobody@example.si")


@pytest.mark.parametrize("email", [ANA, "nobody@example.si"])
async def test_after_five_wrong_passwords_even_the_right_one_waits_a_quarter_of_an_hour(
    rekono, visitor, clock, email
):
    page = await visitor.get(rekono.authorize_url())
    for _ in range(5):
        page = await visitor.submit(page, "username", username=email, password="wrong")
        assert "15 min" not in page.text
    page = await visitor.submit(page, "username", username=email, password="Sandbox-2026!")
    assert "15 min" in page.text
    assert "smslogin" not in page.text
    clock.advance(minutes=15)
    page = await visitor.submit(page, "username", username=email.upper(), password="Sandbox-2026!")
    assert ("smslogin" in page.text) == (email == ANA)


async def test_a_code_by_sms_expires_after_five_minutes_and_a_new_one_can_be_had(rekono, visitor, clock):
    page = await visitor.submit(await rekono.password_given(visitor), "_csrf", mode="smslogin")
    old = await rekono.last_sms("+38640123456")
    clock.advance(minutes=5)
    page = await visitor.submit(page, "code", code=old)
    assert "Koda je potekla" in page.text
    page = await visitor.submit(page, "_csrf", mode="resend")
    page = await visitor.submit(page, "code", code=await rekono.last_sms("+38640123456"))
    assert page.title.startswith("Dovoljenje")


async def test_another_text_message_is_sent_after_a_minute_and_not_before(rekono, visitor, clock):
    page = await visitor.submit(await rekono.password_given(visitor), "_csrf", mode="smslogin")

    async def sent():
        async with rekono.http.get(f"{rekono.outbox}/api/messages") as response:
            return len(await response.json())

    assert "čez 60 s" in page.text
    clock.advance(seconds=59)
    page = await visitor.submit(page, "_csrf", mode="resend")
    assert await sent() == 1
    clock.advance(seconds=1)
    page = await visitor.submit(page, "_csrf", mode="resend")
    assert await sent() == 2
    page = await visitor.submit(page, "_csrf", mode="options")
    await visitor.submit(page, "_csrf", mode="smslogin")
    assert await sent() == 2


async def test_the_fifth_wrong_code_ends_the_attempt(rekono, visitor):
    page = await visitor.submit(await rekono.password_given(visitor), "_csrf", mode="smslogin")
    right = await rekono.last_sms("+38640123456")
    form_page = page
    for left in (4, 3, 2, 1):
        page = await visitor.submit(page, "code", code="000000" if right != "000000" else "000001")
        assert f"poskusov: {left}." in page.text
    page = await visitor.submit(page, "code", code="abc")
    assert page.status == 403
    page = await visitor.submit(form_page, "code", code=right)
    assert page.status == 403
    assert "Stran je potekla" in page.text


async def test_wrong_codes_count_for_the_account_and_not_only_for_one_attempt(
    rekono, visitor, another_visitor
):
    page = await visitor.submit(await rekono.password_given(visitor), "_csrf", mode="smslogin")
    for _ in range(4):
        page = await visitor.submit(page, "code", code="wrong")
    other = await another_visitor.submit(
        await rekono.password_given(another_visitor), "_csrf", mode="smslogin"
    )
    other = await another_visitor.submit(other, "code", code="wrong")
    assert "15 min" in other.text
    page = await visitor.submit(page, "code", code=await rekono.last_sms("+38640123456"))
    assert page.status == 403


async def test_a_onepass_code_signs_in_once(rekono, visitor, another_visitor):
    await rekono.signed_in(visitor)
    page = await rekono.confirmed(another_visitor)
    assert "Koda ni pravilna" in page.text


async def test_a_code_may_be_pasted_with_blanks(rekono, visitor):
    page = await visitor.submit(await rekono.password_given(visitor), "_csrf", mode="otplogin")
    code = rekono.one_time_code(ANA)
    page = await visitor.submit(page, "code", code=f" {code[:3]} {code[3:]}\N{NO-BREAK SPACE}")
    assert page.title.startswith("Dovoljenje")


async def test_a_form_without_the_value_that_the_page_carried_goes_nowhere(rekono, visitor):
    page = await visitor.get(rekono.authorize_url())
    page = await visitor.submit(page, "username", _csrf="guessed", username=ANA, password="Sandbox-2026!")
    assert page.status == 403


async def test_a_form_of_one_browser_is_worth_nothing_in_another(rekono, visitor, another_visitor):
    page = await visitor.get(rekono.authorize_url())
    await another_visitor.get(rekono.authorize_url())
    page = await another_visitor.submit(page, "username", username=ANA, password="Sandbox-2026!")
    assert page.status == 403


async def test_the_confirmation_form_needs_the_password_first(rekono, visitor):
    page = await visitor.get(rekono.authorize_url())
    form = page.form("username")
    page = await visitor.post(
        f"{rekono.origin}/IdP-RM-Front/chooselogin/options.htm",
        {"_csrf": form.fields["_csrf"], "mode": "smslogin"},
    )
    assert page.status == 403


async def test_the_hop_is_good_once_and_only_in_the_browser_that_began(rekono, visitor, another_visitor):
    page = await visitor.submit(await rekono.password_given(visitor), "_csrf", mode="otplogin")
    form = page.form("code")
    async with visitor.session.post(
        f"{rekono.origin}{form.action}",
        data=form.fields | {"code": rekono.one_time_code(ANA)},
        allow_redirects=False,
    ) as response:
        hop = f"{rekono.origin}{response.headers['Location']}"
    await another_visitor.get(rekono.authorize_url())
    assert (await another_visitor.get(hop)).status == 400
    assert (await visitor.get(hop)).status == 400


async def test_the_front_page_sign_in_ends_on_the_dashboard(rekono, visitor):
    page = await rekono.password_given(visitor, url=f"{rekono.origin}/IdP-RM-Front/chooselogin/rekono.htm")
    page = await visitor.submit(page, "_csrf", mode="otplogin")
    page = await visitor.submit(page, "code", code=rekono.one_time_code(ANA))
    assert page.status == 200
    assert page.title.startswith("Nadzorna plošča")
    assert "99990008" not in page.text


async def test_pages_speak_english_when_it_is_chosen_or_preferred(rekono, visitor):
    page = await visitor.get(rekono.authorize_url())
    assert '<html lang="sl">' in page.text
    async with rekono.http.get(
        f"{rekono.origin}/", headers={"Accept-Language": "en-GB,en;q=0.9,sl;q=0.5"}
    ) as response:
        assert '<html lang="en">' in await response.text()
    page = await visitor.get(f"{page.url}&lang=en")
    assert '<html lang="en">' in page.text
    page = await visitor.submit(page, "username", username=ANA, password="Sandbox-2026!")
    assert "Confirm the sign-in" in page.text


async def test_an_sms_gateway_that_is_down_is_said_and_another_way_stays_open(rekono, visitor):
    page = await rekono.password_given(visitor)
    await rekono.outbox_stops()
    page = await visitor.submit(page, "_csrf", mode="smslogin")
    assert "ni bilo mogoče poslati" in page.text
    page = await visitor.submit(page, "_csrf", mode="otplogin")
    page = await visitor.submit(page, "code", code=rekono.one_time_code(ANA))
    assert page.title.startswith("Dovoljenje")


async def test_every_answer_forbids_scripts_frames_and_caches(rekono, visitor):
    for page in [
        await visitor.get(rekono.authorize_url()),
        await visitor.get(f"{rekono.origin}/nothing-here"),
    ]:
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert "<script" not in page.text


async def test_no_page_shows_a_password_a_secret_or_a_whole_tax_number(rekono, visitor):
    pages = [await visitor.get(f"{rekono.origin}/"), await rekono.password_given(visitor)]
    pages.append(await visitor.submit(pages[-1], "_csrf", mode="otplogin"))
    pages.append(await visitor.submit(pages[-1], "code", code=rekono.one_time_code(ANA)))
    for page in pages:
        for secret in (
            "Sandbox-2026!",
            "a secret &amp; more",
            "99990008",
            "+38640123456",
            rekono.accounts.find(ANA).totp_secret,
        ):
            assert secret not in page.text
