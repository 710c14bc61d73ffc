"""Every page that stands at an address of its own, at the gateway and in the sandbox, by a list: free of
barriers in both languages, light and dark, not wider than 320 pixels, within its budget, and asking nobody
else. Pages within a flow are looked at by the walks."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.newcomers import settled
from tests.support.steps import signs_in_with_the_mouse, tolerates, weighed

pytestmark = pytest.mark.asyncio(loop_scope="session")
BUDGET = 30 * 1024
REKONO, PHONE, OUTBOX, START = 8081, 8082, 8083, 8088
GATEWAY_PAGES = {
    "/izpis/2026/11": "Choose how to sign in",
    "/.authproxy/login?rt=/izpis/2026/11": "Choose how to sign in",
    "/.authproxy/login?after=sign-out": "Choose how to sign in",
    "/.authproxy/login?rt=/vnos&lost=0123abcd": "Choose how to sign in",
    f"/.authproxy/login?rt=/vnos&held={'h' * 43}": "Choose how to sign in",
    "/.authproxy/logout": "You are signed out",
    "/.authproxy/callback/rekono": "This sign-in cannot be found",
    "/.authproxy/nothing": "The page cannot be found",
}
GATEWAY_PAGES_OF_THE_SIGNED_IN = {
    "/.authproxy/session": "Your session",
    "/.authproxy/session?said=extended": "Your session",
    "/.authproxy/logout": "Sign out?",
    "/.authproxy/logout?everywhere=yes": "Sign out everywhere?",
    "/.authproxy/session?said=method-added": "Your session",
    "/.authproxy/step-up?c=nothing": "This confirmation is over",
    "/.authproxy/step-up/send?held=nothing": "The data that you wanted to send are no longer kept",
}
SANDBOX_PAGES = {
    (REKONO, "/"): "Identity provider of the sandbox",
    (REKONO, "/IdP-RM-Front/chooselogin/rekono.htm"): "Sign in to your Rekono account",
    (REKONO, "/IdP-RM-Front/register/start.htm"): "Create a Rekono account",
    (REKONO, "/IdP-RM-Front/register/start.htm?from=phone"): "Create a Rekono account",
    (REKONO, "/IdP-RM-Front/reset/start.htm"): "Forgot the password?",
    (REKONO, "/nothing"): "The page cannot be found",
    (PHONE, "/"): "Accounts",
    (PHONE, "/accounts/new"): "Add an account",
    (PHONE, "/settings"): "Settings",
    (PHONE, "/pin"): "Set a PIN",
    (PHONE, "/links/new"): "Link the phone",
    (OUTBOX, "/"): "Messages that arrived",
    (OUTBOX, "/?to=%2B38640123456"): "Messages that arrived",
    (START, "/"): "What runs where",
}
LOOKS = pytest.mark.parametrize("locale", ["sl-SI", "en-GB"])
SANDBOX_LOOKS = pytest.mark.parametrize(
    "locale", ["sl-SI", pytest.param("en-GB", marks=pytest.mark.rehearsal)]
)


async def opens_each(person, pages, *, budget=None):
    """Address and heading of each; what is wrong with them. What the outbox shows, and so its weight, is not
    for it to say."""
    faults = []
    for url, heading in pages.items():
        async with weighed(person.page) as arrived:
            await person.page.goto(url)
        await expect(person.page.locator("h1:visible")).to_have_text(person.say(heading))
        assert await person.page.locator("html").get_attribute("lang") == person.language
        faults += [f"{url}: {fault}" for fault in await person.faults()]
        assert arrived, url
        if budget is not None and sum(arrived) > budget:
            faults.append(f"{url}: {sum(arrived)} bytes")
    tolerates(person, 400, 401, 403, 404, 410)
    return faults


@LOOKS
async def test_the_gateways_pages_for_those_who_are_not_signed_in(visitor, sandbox, locale):
    person = await visitor(locale=locale)
    pages = {f"{sandbox.portal('acq')}{path}": heading for path, heading in GATEWAY_PAGES.items()}
    pages[f"http://nikogar.localhost:{8080 + sandbox.offset}/"] = "There is no portal at this address"
    assert await opens_each(person, pages, budget=BUDGET) == []


@LOOKS
async def test_the_gateways_pages_for_the_signed_in(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    await signs_in_with_the_mouse(person, someone, f"{sandbox.portal('acq')}/")
    pages = {
        f"{sandbox.portal('acq')}{path}": heading for path, heading in GATEWAY_PAGES_OF_THE_SIGNED_IN.items()
    }
    assert await opens_each(person, pages, budget=BUDGET) == []


@SANDBOX_LOOKS
async def test_the_sandboxs_pages(visitor, sandbox, locale):
    person = await visitor(locale=locale)
    assert (
        await opens_each(
            person,
            {f"{sandbox.local(port)}{path}": heading for (port, path), heading in SANDBOX_PAGES.items()},
        )
        == []
    )


@SANDBOX_LOOKS
async def test_a_message_of_the_outbox_on_its_own_page(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    await person.page.goto(f"{sandbox.local(OUTBOX)}/?to={someone.email}")
    await person.page.locator("ol.messages h2 a").first.click()
    await person.page.wait_for_url("**/messages/*")
    assert await person.faults() == []
    assert await person.page.locator("html").get_attribute("lang") == person.language


@SANDBOX_LOOKS
async def test_portals_without_the_gateway_refuse_on_a_page(visitor, sandbox, locale):
    person = await visitor(locale=locale)
    for number in range(8101, 8107):
        answer = await person.page.goto(f"http://127.0.0.1:{number + sandbox.offset}/")
        assert answer is not None
        assert answer.status == 403
        assert await person.faults() == []
    person.complaints.clear()  # Chromium itself tells the console of every page that answers 403
