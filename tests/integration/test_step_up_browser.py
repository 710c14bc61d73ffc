"""Fresh proofs in a real browser, in both languages, with and without a script: every page, and the way from
one to the next."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from authproxy.access.decision import Reason
from authproxy.flows.step_up.method_changes import ChangeDemand
from authproxy.flows.step_up.outcomes import NotProved
from tests.support.page_checks import everything_but_our_own, faults_of, signed_in
from tests.support.pages import NOW, TICKET, PagesFixture, front, running_pages
from tests.support.step_up_script import CODE, HELD, NEW_TICKET, OFFERS, a_form

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]
PAYMENT = re.compile(r"https?://[^/]+/pay(?:\?|$)")
CHOICE = "step-up?rt=/pay&for=payments"


async def visitor(
    chromium: Browser,
    port: int,
    *,
    language: str = "en",
    width: int = 1280,
    scheme: str = "light",
    has_script: bool = True,
) -> Page:
    context = await chromium.new_context(
        locale=language,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        java_script_enabled=has_script,
    )
    await signed_in(context, port)
    page = await context.new_page()
    # The portal's own answer to what was proved.
    await page.route(
        PAYMENT,
        lambda route: route.fulfill(body="<!doctype html><title>Paid</title>", content_type="text/html"),
    )
    return page


def place(port: int, path: str) -> str:
    return f"http://acq.localhost:{port}/.authproxy/{path}"


async def every_page(house: PagesFixture, page: Page, port: int) -> AsyncIterator[str]:
    """Stops at each page of a fresh proof, and says which it is."""
    step_ups, enrolling = house.step_ups, house.enrolling
    step_ups.again_in = timedelta(seconds=40)
    for name, path in (("choice", CHOICE), ("lost", f"{CHOICE}&lost=yes"), ("kept", f"{CHOICE}&held={HELD}")):
        await page.goto(place(port, path))
        yield name
    for is_first in (True, False):
        step_ups.change = ChangeDemand(methods=("totp",), max_age=timedelta(minutes=5), is_first=is_first)
        await page.goto(place(port, "step-up?rt=/.authproxy/session&for=:totp"))
        yield "the first method" if is_first else "another method"
    step_ups.offers = ()
    await page.goto(place(port, "step-up?rt=/.authproxy/session&for=:totp"))
    yield "no method of one's own"
    step_ups.offers, step_ups.change = OFFERS, None
    for method in ("sms", "totp", "recovery", "push"):
        await page.goto(place(port, CHOICE))
        await page.click(f"button[value={method}]")
        await page.locator("form input[name=c]").first.wait_for(state="attached")
        yield method
        if method == "sms":
            step_ups.tries_left = 2
            for said in ("code_wrong", "step_up_too_often", "sender_unavailable"):
                await page.goto(f"{page.url.partition('&said=')[0]}&said={said}")
                yield said
    house.held.kept[HELD] = a_form(files=("račun.pdf",), is_whole=False)
    await page.goto(place(port, f"step-up/send?held={HELD}"))
    yield "send"
    step_ups.offers, step_ups.lacking, step_ups.withheld = (
        (),
        ("sms", "totp", "rekono", "certificate"),
        ("push",),
    )
    await page.goto(place(port, CHOICE))
    yield "impossible"
    step_ups.offers, step_ups.blocked_until = OFFERS, NOW + timedelta(minutes=15)
    await page.goto(place(port, CHOICE))
    yield "blocked"
    for method in ("push", "totp", "recovery"):
        enrolling.enrols(method, "Anin telefon, ki ima zelo dolgo ime in ne" if method == "push" else "")
    for method in ("totp", "push", "recovery"):
        await page.goto(place(port, "session?said=method-added"))
        if method == "totp":
            yield "session"
        await page.click(f"button[value={method}]")
        await page.wait_for_url("**/session/methods*")
        yield f"add {method}"
    await page.goto(place(port, "session/methods/remove?id=push-1"))
    yield "removal"


@pytest.mark.parametrize(("width", "language", "scheme"), [(320, "sl", "dark"), (1280, "en", "light")])
async def test_every_page_of_a_proof_is_accessible_fits_its_window_and_breaks_no_policy(
    chromium, width, language, scheme
):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, language=language, width=width, scheme=scheme)
        complaints = everything_but_our_own(page, port)
        seen = []
        async for name in every_page(house, page, port):
            assert await page.locator("html").get_attribute("lang") == language, name
            assert await faults_of(page) == [], name
            seen.append(name)
        assert len(seen) == 21
        assert complaints == []


@pytest.mark.parametrize("has_script", [True, False])
@pytest.mark.parametrize("language", ["sl", "en"])
async def test_a_wrong_code_takes_the_focus_and_the_right_one_leads_back(chromium, language, has_script):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, language=language, has_script=has_script)
        await page.goto(place(port, CHOICE))
        await page.click("button[value=sms]")
        await expect(page.locator("#code")).to_be_focused()
        await page.keyboard.type("000 000")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#code")).to_be_focused()
        await page.keyboard.type(CODE)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"http://acq.localhost:{port}/pay")

        assert house.step_ups.typed == ["000 000", CODE]
        cookies = {
            cookie["name"]: cookie["value"]
            for cookie in await page.context.cookies(f"https://acq.localhost:{port}/")
        }
        assert cookies["__Host-authproxy"] == NEW_TICKET


@pytest.mark.parametrize("language", ["sl", "en"])
async def test_the_waiting_page_goes_on_by_itself_when_the_phone_has_approved(chromium, language):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, language=language)
        await page.goto(place(port, CHOICE))
        async with page.expect_response("**/step-up/status*") as first:
            await page.click("button[value=push]")
        assert await (await first.value).json() == {"state": "pending"}
        house.step_ups.phone = "approved"
        await page.wait_for_url(f"http://acq.localhost:{port}/pay")

        assert house.step_ups.typed == [""]


async def test_the_waiting_page_tells_by_itself_that_the_phone_has_refused(chromium):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port)
        await page.goto(place(port, CHOICE))
        await page.click("button[value=push]")
        house.step_ups.phone = "refused"
        await expect(page.locator("h1:visible")).to_have_text(
            "The confirmation was refused on the phone", timeout=10_000
        )


async def test_without_a_script_the_waiting_page_loads_itself_anew_and_one_button_goes_on(chromium):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, has_script=False)
        await page.goto(place(port, CHOICE))
        await page.click("button[value=push]")
        await expect(page.get_by_role("status")).to_contain_text("We are waiting for your phone.")
        house.step_ups.phone = "approved"
        await expect(page.get_by_role("status")).to_have_text("Your phone has answered.", timeout=15_000)
        assert house.step_ups.typed == []
        await page.get_by_role("button", name="Continue").click()
        await page.wait_for_url(f"http://acq.localhost:{port}/pay")


async def test_without_a_script_the_loading_is_stopped_by_a_link(chromium):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, has_script=False)
        await page.goto(place(port, CHOICE))
        await page.click("button[value=push]")
        await page.get_by_role("link", name="Stop that").click()
        await page.wait_for_url("**calm=yes**")
        assert await page.locator("meta[http-equiv=refresh]").count() == 0
        assert await page.get_by_role("link", name="Slovenščina").get_attribute("href") is not None
        await page.get_by_role("link", name="Slovenščina").click()
        assert await page.locator("meta[http-equiv=refresh]").count() == 0
        assert len(house.step_ups.asked) == 1


async def test_the_back_button_after_a_proof_ends_in_a_page_that_helps(chromium):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port)
        await page.goto(place(port, CHOICE))
        await page.click("button[value=totp]")
        await page.fill("#code", CODE)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"http://acq.localhost:{port}/pay")
        house.step_ups.standing_fails = NotProved(
            reason=Reason.CHALLENGE_OVER, return_to="/pay", session=house.step_ups.session
        )
        await page.go_back()
        await expect(page.locator("h1:visible")).to_have_text("This confirmation is over")
        await page.get_by_role("link", name="Begin again").click()
        await expect(page.locator("h1")).to_have_text("Choose how to sign in")


@pytest.mark.parametrize("language", ["sl", "en"])
async def test_what_was_kept_goes_to_the_portal_as_one_field_of_one_form(chromium, language):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, language=language)
        house.held.kept[HELD] = a_form()
        await page.goto(place(port, f"step-up/send?held={HELD}&rt=/orders"))
        async with page.expect_request(PAYMENT) as sent:
            await page.get_by_role(
                "button", name="Send" if language == "en" else "Pošlji", exact=True
            ).click()
        request = await sent.value

        assert (request.method, request.url) == ("POST", f"http://acq.localhost:{port}/pay?now=1")
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.post_data == f"authproxy-held={HELD}"


async def test_a_method_is_added_by_keyboard_alone(chromium):
    async with running_pages() as house, front(house) as port:
        page = await visitor(chromium, port, language="sl")
        await page.goto(place(port, "session"))
        await page.get_by_label("Ime telefona").fill("Moj telefon")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/session/methods")
        await page.get_by_label("Koda, ki jo zdaj prikazuje aplikacija").fill("1")
        await page.keyboard.press("Enter")
        await expect(page.locator(".error:visible")).to_be_focused()
        await page.get_by_role("link", name="English").click()
        assert await page.locator(".qr:visible use").evaluate("node => node.getBBox().width") > 20
        await page.get_by_label("Code that the application shows now").fill(CODE)
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("status")).to_have_text("The way to confirm has been added.")
        assert [enrolment.method for enrolment in house.enrolling.enrolments] == ["totp"]
        assert (await page.context.cookies(f"https://acq.localhost:{port}/"))[0]["value"] == TICKET
