"""What people do on their way, as steps that walks share: by the keyboard alone, with every page looked at
that is stood at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, expect

from tests.support.browser import Visitor
from tests.support.newcomers import Newcomer
from tests.support.sandbox import RunningSandbox

PHONE = 8082


def tolerates(person: Visitor, *statuses: int) -> None:
    """Chromium itself tells the console of every page that answers so."""
    person.complaints[:] = [
        complaint
        for complaint in person.complaints
        if not any(f"status of {status}" in complaint for status in statuses)
    ]


@asynccontextmanager
async def weighed(page: Page) -> AsyncIterator[list[int]]:
    """Bytes that come over the wire for what the page loads, with nothing in the cache."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Network.enable")
    await devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    arrived: list[int] = []
    devtools.on("Network.loadingFinished", lambda loaded: arrived.append(loaded["encodedDataLength"]))
    yield arrived
    await devtools.detach()


async def chooses_rekono(person: Visitor, place: str) -> None:
    await person.page.goto(place)
    await person.stands_at("Choose how to sign in")
    await person.does("Sign in with a Rekono account")


async def gives_the_password(person: Visitor, someone: Newcomer) -> None:
    await person.stands_at("Sign in to your Rekono account")
    await person.sends(("E-mail address", someone.email), ("Password", someone.password))
    await person.stands_at("Confirm the sign-in")


async def answers_by_sms(person: Visitor, someone: Newcomer, *, key: str = "Enter") -> None:
    await person.does("SMS…", key=key)
    await person.stands_at("Enter the one-time password")
    await person.sends(("One-time password", await person.newest_code(someone.sent_to)))


async def allows(person: Visitor) -> None:
    await person.stands_at("Do you allow access to your data?")
    await person.does("I allow")


async def signs_in(person: Visitor, someone: Newcomer, place: str) -> None:
    """From the portal's address to its page, by SMS, for the first time."""
    await chooses_rekono(person, place)
    await gives_the_password(person, someone)
    await answers_by_sms(person, someone)
    await allows(person)
    await person.page.wait_for_url(place)


async def signs_in_with_the_mouse(person: Visitor, someone: Newcomer, place: str) -> None:
    """The same way where it is not what is looked at."""
    page = person.page
    await page.goto(place)
    await person.presses("main form button[name=method][value=rekono]")
    await page.fill("[name=username]", someone.email)
    await page.fill("[name=password]", someone.password)
    await page.keyboard.press("Enter")
    await page.locator("button[value=smslogin]").click()
    await page.locator("#code").wait_for()
    await page.fill("#code", await person.newest_code(someone.sent_to))
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "confirm_access" in url or url == place)
    if "confirm_access" in page.url:
        await page.locator("button[name=user_oauth_approval][value=true]").click()
    await page.wait_for_url(place)


async def signs_in_with_a_certificate(person: Visitor, place: str) -> None:
    """To the first page of the step-up, which a certificate alone never spares."""
    await person.page.goto(place)
    await person.stands_at("Choose how to sign in")
    await person.does("Sign in with an ACNLB certificate")
    await person.stands_at("Confirm your identity")


async def fills_in_an_enquiry(person: Visitor, reference: str, about: str) -> None:
    """At the BIPS portal, whose form asks for a proof."""
    await person.types("Reference of the payment", reference)
    await person.types("Explanation (optional)", about)
    await person.does("Send the enquiry")


async def proves_by_sms(person: Visitor, number: str, *, typed: str = "{0}{1}") -> None:
    await person.stands_at("Confirm your identity")
    await person.does("SMS")
    await person.stands_at("Enter the code from the text message")
    code = await person.newest_code(number)
    await person.sends(("Code", typed.format(code[:3], code[3:])))


_USED: set[str] = set()
"""Codes are good once, whoever asks for them: two tests may come in the same half minute."""
_A_STEP_AND_MORE = 45.0


async def code_on_the_phone(phone: Visitor, sandbox: RunningSandbox, name: str) -> str:
    """What the application shows at this moment, or, where a test has used that up already, at the next."""
    await phone.page.goto(f"{sandbox.local(PHONE)}/")
    await phone.stands_at("Accounts")
    await phone.does(f"{name} {phone.email}")
    await phone.stands_at(name)
    async with asyncio.timeout(_A_STEP_AND_MORE):
        while (code := (await phone.page.locator(".code").inner_text()).replace(" ", "")) in _USED:
            await asyncio.sleep(0.5)
            await phone.page.reload()
    _USED.add(code)
    return code


async def opens_the_notification(phone: Visitor, sandbox: RunningSandbox, *, of: str, heading: str) -> None:
    """It is what the phone opens with."""
    await phone.page.goto(f"{sandbox.local(PHONE)}/")
    await phone.stands_at(heading)
    assert of in await phone.page.locator("main").inner_text()


async def chooses_the_number(phone: Visitor, number: str) -> None:
    """Tab to the group, then the arrows: a group of radio buttons is one stop."""
    await phone.page.locator("header a[hreflang]").focus()
    await phone.page.keyboard.press("Tab")
    await phone.page.keyboard.press("Space")
    for _ in range(3):
        if await phone.focused() == number:
            break
        await phone.page.keyboard.press("ArrowDown")
    assert await phone.focused() == number
    assert await phone.page.get_by_role("radio", name=number, exact=True).is_checked()


async def says(person: Visitor, sentence: str) -> None:
    """On the phone, after something was done there."""
    await expect(person.page.locator("main > .said")).to_contain_text(person.say(sentence).rstrip("…"))


async def tells(person: Visitor, sentence: str) -> None:
    await expect(person.page.get_by_role("status").filter(has_text=person.say(sentence))).to_be_visible()
