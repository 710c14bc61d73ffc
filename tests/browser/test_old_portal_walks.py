"""What old portals need of the gateway, walked through in Chromium at the sandbox with its own settings."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.languages import walked_in
from tests.support.newcomers import settled
from tests.support.steps import signs_in_with_the_mouse, tolerates

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def leaves_beside(person, portal):
    """Signs out in another tab, as far as the gateway's own page asks."""
    beside = await person.page.context.new_page()
    await beside.goto(f"{portal}/.authproxy/logout")
    await beside.locator("main form button").first.click()
    await beside.wait_for_url(lambda url: "endsession" in url)
    await beside.close()


@walked_in("sl-SI")
async def test_a_frameset_leads_out_of_itself_to_the_sign_in_and_is_whole_again_after_it(
    visitor, sandbox, locale
):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    page, portal = person.page, sandbox.portal("bips")
    place = f"{portal}/okvir"
    await signs_in_with_the_mouse(person, someone, place)
    assert ";jsessionid=" in page.frame("meni").url
    menu, content = (page.frame_locator(f"frame[name={name}]") for name in ("meni", "vsebina"))
    await expect(content.locator("h1")).to_have_text(person.say("Instant payments"))

    await page.context.clear_cookies(name="__Host-authproxy")
    await menu.get_by_role("link", name=person.say("Clearing runs")).click()
    await content.get_by_role("link", name=person.say("Continue in the whole window")).click()
    await person.stands_at("Choose how to sign in")
    assert page.frames == [page.main_frame]
    await signs_in_again(person, place)
    await menu.get_by_role("link", name=person.say("Clearing runs")).click()
    await expect(content.locator("h1")).to_have_text(person.say("Clearing runs"))

    await menu.get_by_role("link", name=person.say("Sign out")).click()
    await person.stands_at("Sign out?")
    assert page.frames == [page.main_frame]
    tolerates(person, 401)


async def signs_in_again(person, place):
    """At the chooser; the provider still knows the person."""
    await person.presses("main form button[name=method][value=rekono]")
    await person.page.wait_for_url(place)


@walked_in("en-GB")
async def test_a_monitoring_screen_lives_while_it_is_watched_and_ends_at_sign_out(visitor, sandbox, locale):
    for portal_id in ("bips", "bws"):
        someone, person = await settled(sandbox), await visitor(locale=locale)
        portal = sandbox.portal(portal_id)
        await signs_in_with_the_mouse(person, someone, f"{portal}/nadzor")
        screen = person.page.locator("#zaslon")
        await expect(screen.get_by_role("status")).to_have_text(person.say("Connected"))
        await expect(screen.locator("[data-of=stevilka]")).not_to_have_text("–")
        assert await person.faults() == []
        await leaves_beside(person, portal)
        await expect(screen.get_by_role("status")).to_have_text(
            person.say("The connection has ended. Reload the page.")
        )
        tolerates(person, 401)


@walked_in("en-GB")
async def test_a_windows_portal_from_its_open_page_to_its_administration(visitor, sandbox, locale):
    person, portal = await visitor(locale=locale), sandbox.portal("bws")
    page = person.page
    await page.goto(f"{portal}/pomoc")
    await expect(page.get_by_text(person.say("You are not signed in."))).to_be_visible()
    assert await page.locator("main img").evaluate("image => image.naturalWidth") > 0
    assert await person.faults() == []
    await page.get_by_role("link", name=person.say("To the portal")).click()
    await person.presses("main form button[name=method][value=rekono]")
    await person.proves_who_they_are("smslogin")
    await page.wait_for_url(f"{portal}/")
    await page.get_by_role("link", name=person.say("Help that is open to everybody")).click()
    await expect(page.get_by_text(person.say("You are signed in as Ana Novak."))).to_be_visible()

    await page.get_by_role("link", name=person.say("Search in code page 1250")).click()
    await page.get_by_label(person.say("Words to find")).fill("Počasi")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{portal}/isci?q=Po%E8asi")
    await expect(page.get_by_role("status")).to_contain_text(person.say("Looked for: Počasi. Rows: 1"))
    assert await person.faults() == []

    await page.get_by_role("link", name=person.say("Redirect to an inner name")).click()
    await page.wait_for_url(f"{portal}/storitve")

    await page.goto(f"{portal}/SKRBNISTVO./pravice.aspx")
    await expect(page.get_by_text(person.say("Your roles: skrbnik"))).to_be_visible()
    assert await person.faults() == []


@walked_in("sl-SI")
async def test_administration_is_not_open_to_somebody_without_the_role(visitor, sandbox, locale):
    someone, person = await settled(sandbox), await visitor(locale=locale)
    portal = sandbox.portal("bws")
    await signs_in_with_the_mouse(person, someone, f"{portal}/")
    for name in ("/Skrbnistvo/Pravice.aspx", "/skrbnistvo/PRAVICE.aspx"):
        await person.page.goto(f"{portal}{name}")
        await person.stands_at("This part of the portal is not open to you")
    tolerates(person, 403)
