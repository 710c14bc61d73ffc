"""The phone and the confirmation window in Chromium: what the scripts do, what axe finds, and that everything
fits its window."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio

from authproxy.sandbox.accounts import PASSWORD
from tests.support.http_client import Browser
from tests.support.onepass_fixture import ANA, CVETKA, DAVID, running_onepass
from tests.support.page_checks import faults_of

pytestmark = [pytest.mark.needs("chromium-headless-shell"), pytest.mark.asyncio(loop_scope="session")]
NARROW, WIDE = (320, "sl", "light"), (1280, "en", "dark")


@pytest_asyncio.fixture(loop_scope="session")
async def house():
    async with running_onepass() as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def opens(chromium, house):
    """A tab of its own; at the end no tab may have complained, nor asked anybody but the sandbox."""
    contexts, complaints, strangers = [], [], []

    async def tab(**options):
        context = await chromium.new_context(**{"locale": "en-GB"} | options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                strangers.append(request.url) if not request.url.startswith("http://localhost:") else None
            ),
        )
        return page

    yield tab
    for context in contexts:
        await context.close()
    assert complaints == []
    assert strangers == []


async def gives_the_password(page, house, email=ANA):
    await page.goto(house.sign_in_url())
    await page.fill("[name=username]", email)
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator(".means").wait_for()


async def chooses(phone, house, number, action):
    """On the phone, as a thumb does it: the notification that it opens with, the number, the answer."""
    await phone.goto(house.phone.url)
    if number is not None:
        await phone.get_by_role("radio", name=number, exact=True).check()
    await phone.locator(f"button[value={action}]").click()
    await phone.locator(".said, .problem").first.wait_for()
    return (await phone.locator("main > .said, main > .problem").first.inner_text()).strip()


@pytest.mark.parametrize("language", ["sl", "en"])
async def test_an_account_is_activated_and_its_code_signs_in(opens, house, language):
    phone, tab = (
        await opens(locale=language, viewport={"width": 320, "height": 640}),
        await opens(locale=language),
    )
    await phone.goto(house.phone.url)
    await phone.locator("a[href='/accounts/new']").click()
    await phone.fill("#email", DAVID)
    await phone.keyboard.press("Enter")
    await phone.locator("#code").wait_for()
    await phone.fill("#code", await house.code_sent(DAVID))
    await phone.keyboard.press("Enter")
    await phone.fill("#pin", "2580")
    await phone.fill("#again", "2580")
    await phone.keyboard.press("Enter")
    await phone.locator(".card", has_text=DAVID).click()
    code = await phone.locator(".code").inner_text()

    await gives_the_password(tab, house, DAVID)
    await tab.locator("button[value=otplogin]").click()
    await tab.fill("#code", code)
    await tab.keyboard.press("Enter")
    await tab.wait_for_url(re.compile("confirm_access"))


async def test_the_page_goes_on_by_itself_once_the_phone_has_approved(opens, house):
    phone, tab = await opens(), await opens()
    await gives_the_password(tab, house)
    await tab.locator("button[value=pushlogin]").click()
    number = await tab.locator(".match").inner_text()
    assert (
        await chooses(phone, house, number, "approve") == "The sign-in is approved. Go back to the browser."
    )
    await tab.wait_for_url(re.compile("confirm_access"))


async def test_without_scripts_a_button_goes_on(opens, house):
    phone, tab = await opens(java_script_enabled=False), await opens(java_script_enabled=False)
    await gives_the_password(tab, house)
    await tab.locator("button[value=pushlogin]").click()
    await tab.locator("button[value=confirmed]").click()
    assert "not confirmed yet" in await tab.locator("#problem").inner_text()
    number = await tab.locator(".match").inner_text()
    assert (
        await chooses(phone, house, number, "approve") == "The sign-in is approved. Go back to the browser."
    )
    await tab.locator("button[value=confirmed]").click()
    await tab.wait_for_url(re.compile("confirm_access"))


@pytest.mark.parametrize(
    ("action", "on_the_phone", "in_the_browser"),
    [
        (
            "refuse",
            (
                "The sign-in is refused. If it was not you who was signing in, somebody knows your password: "
                "change it."
            ),
            "The sign-in was refused",
        ),
        (
            "approve",
            "The number was not the right one, so the sign-in is not approved.",
            "The wrong number was chosen",
        ),
    ],
)
async def test_a_refusal_and_a_wrong_number_end_the_wait_with_a_page_that_helps(
    opens, house, action, on_the_phone, in_the_browser
):
    phone, tab = await opens(), await opens()
    await gives_the_password(tab, house)
    await tab.locator("button[value=pushlogin]").click()
    [push] = await house.pushes(ANA)
    wrong = next(choice for choice in push["choices"] if choice != push["number"])
    assert await chooses(phone, house, wrong if action == "approve" else None, action) == on_the_phone
    await tab.get_by_role("heading", name=in_the_browser).wait_for()
    assert await faults_of(tab) == []
    await tab.locator("button[value=resend]").click()
    await tab.locator(".match").wait_for()


async def test_a_notification_appears_on_the_open_phone_without_a_reload(opens, house):
    phone = await opens()
    await phone.goto(house.phone.url)
    assert await phone.locator("a.push").count() == 0
    await phone.evaluate("window.stillTheSamePage = true")
    await house.asked_to_confirm(Browser())
    await phone.locator("a.push").wait_for()
    assert await phone.evaluate("window.stillTheSamePage")
    assert await phone.locator("#incoming[role=status] a.push").count() == 1


async def test_the_code_is_replaced_when_its_time_is_over_and_nothing_is_announced(opens, house):
    phone = await opens()
    await phone.clock.install(time=0)
    await phone.clock.pause_at(1_000)
    await phone.goto(f"{house.phone.url}/accounts/{house.installation(ANA).device_id}")
    first = await phone.locator(".code").inner_text()
    await phone.clock.run_for(5_000)
    assert await phone.locator("[role=timer] span").inner_text() == "13"
    assert await phone.locator("rect").get_attribute("width") == "13"
    house.clock.advance(seconds=18)
    await phone.clock.run_for(13_000)
    await phone.locator(".code", has_not_text=first).wait_for()
    assert re.fullmatch(r"\d{3} \d{3}", await phone.locator(".code").inner_text())
    await phone.clock.run_for(2_000)
    assert await phone.locator("[role=timer] span").inner_text() == "28"
    assert await phone.locator("rect").get_attribute("width") == "28"
    assert (
        await phone.locator(
            "#now[aria-live], #now [aria-live], #now [role=status], #now [role=alert]"
        ).count()
        == 0
    )


async def test_a_phone_that_locks_itself_shows_its_lock_to_the_open_page(opens, house):
    phone = await opens()
    await phone.goto(f"{house.phone.url}/pin")
    await phone.fill("#pin", "2580")
    await phone.fill("#again", "2580")
    await phone.keyboard.press("Enter")
    await phone.locator(".card").first.wait_for()
    house.clock.advance(minutes=10)
    await phone.wait_for_url(f"{house.phone.url}/unlock")


@pytest.mark.parametrize(
    ("width", "language", "scheme"), [NARROW, pytest.param(*WIDE, marks=pytest.mark.rehearsal)]
)
async def test_every_page_of_the_phone_is_accessible_and_fits_its_window(
    opens, house, width, language, scheme
):
    phone = await opens(locale=language, color_scheme=scheme, viewport={"width": width, "height": 640})
    device = house.installation(ANA).device_id

    async def is_fine(name):
        assert (name, await phone.locator("html").get_attribute("lang"), await faults_of(phone)) == (
            name,
            language,
            [],
        )

    await house.provider.stop()
    for path in ("/", f"/accounts/{device}/overview"):
        await phone.goto(f"{house.phone.url}{path}")
        assert await phone.locator(".problem").count() == 1
        await is_fine(f"{path}, provider away")
    await house.provider.start()
    await house.asked_to_confirm(Browser())
    [push] = await house.pushes(ANA)

    place_of_push = f"/accounts/{device}/pushes/{push['id']}"
    for path in (
        "/",
        "/accounts",
        "/accounts/new",
        f"/accounts/{device}",
        f"/accounts/{device}/overview",
        f"/accounts/{device}/remove",
        place_of_push,
        "/settings",
        "/pin",
    ):
        await phone.goto(f"{house.phone.url}{path}")
        await is_fine(path)
    await phone.goto(f"{house.phone.url}/accounts/new")
    await phone.fill("#email", DAVID)
    await phone.keyboard.press("Enter")
    await phone.locator("#code").wait_for()
    await is_fine("activation")
    await phone.fill("#code", "wrong")
    await phone.keyboard.press("Enter")
    await phone.locator("#problem").wait_for()
    await is_fine("activation, wrong code")
    await phone.goto(f"{house.phone.url}/pin")
    for pin, sign in (("1111", "#problem"), ("2580", ".said")):
        await phone.fill("#pin", pin)
        await phone.fill("#again", pin)
        await phone.keyboard.press("Enter")
        await phone.locator(sign).wait_for()
        await is_fine(f"PIN {pin}")
    await phone.goto(f"{house.phone.url}/settings")
    await phone.locator("form[action='/lock'] button").click()
    await phone.fill("#pin", "9999")
    await phone.keyboard.press("Enter")
    await phone.locator("#problem").wait_for()
    await is_fine("unlock, wrong PIN")
    await phone.goto(f"{house.phone.url}/reset")
    await is_fine("reset")
    await phone.locator("main form button").click()
    await phone.locator(".said").wait_for()
    await is_fine("an empty phone")


@pytest.mark.parametrize(
    ("width", "language", "scheme"), [pytest.param(*NARROW, marks=pytest.mark.rehearsal), WIDE]
)
async def test_every_page_of_the_confirmation_window_is_accessible_and_fits_its_window(
    opens, house, width, language, scheme
):
    tab = await opens(locale=language, color_scheme=scheme, viewport={"width": width, "height": 640})

    async def is_fine(name):
        assert (name, await tab.locator("html").get_attribute("lang"), await faults_of(tab)) == (
            name,
            language,
            [],
        )

    await gives_the_password(tab, house, CVETKA)
    await is_fine("choice")
    for mode in ("otplogin", "pushlogin"):
        await tab.locator(f"button[value={mode}]").click()
        await tab.locator(".match, #code").wait_for()
        await is_fine(mode)
        await tab.locator("button[value=options]").click()
        await tab.locator(".means").wait_for()
    await tab.locator("button[value=pushlogin]").click()
    await tab.locator("button[value=confirmed]").click()
    await tab.locator("#problem").wait_for()
    await is_fine("too early")
    for _ in range(3):
        await house.answers((await house.pushes(CVETKA))[0], "refuse")
        await tab.locator("button[value=resend]").wait_for()
        await is_fine("refused")
        await tab.locator("button[value=resend]").click()
        await tab.locator(".match, .problem").wait_for()
    await is_fine("too many")
