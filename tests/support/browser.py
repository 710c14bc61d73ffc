"""Chromium as a person uses it, with an ear for what it complains about and where it goes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

from aiohttp import ClientSession, ClientTimeout
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, CDPSession, Page, async_playwright, expect

from tests.support.sandbox import RunningSandbox
from tests.support.words import SLOVENE

PASSWORD = "Sandbox-2026!"
_PATIENCE_MS = 30_000
_STOPS_OF_A_PAGE = 80
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """A person before the sandbox, in a browser of their own."""

    def __init__(self, page: Page, sandbox: RunningSandbox, email: str, *, language: str = "sl", looked_at: set[str] | None = None) -> None:
        self.page = page
        self.email = email
        self.language = language
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._sandbox = sandbox
        self._looked_at = set() if looked_at is None else looked_at
        self._devtools: CDPSession | None = None
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.context.on("request", self._note)

    def _note(self, request) -> None:
        host = urlsplit(request.url).hostname or ""
        if host not in {"localhost", "127.0.0.1"} and not host.endswith(".localhost"):
            self.strangers.append(request.url)

    async def presses(self, selector: str) -> None:
        await self.page.locator(selector).first.click()

    async def proves_who_they_are(self, mode: str) -> None:
        """The provider's pages, from the password to the consent; `mode` is the provider's word for the means."""
        page = self.page
        await page.fill("[name=username]", self.email)
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator(f"button[value={mode}]").first.click()
        await page.locator("[autocomplete=one-time-code]").wait_for()
        await page.fill("[autocomplete=one-time-code]", await self.code(mode))
        await page.keyboard.press("Enter")
        await self.consents()

    async def consents(self) -> None:
        """Where the provider asks; it asks each person once."""
        gateway = f"localhost:{8080 + self._sandbox.offset}/"
        await self.page.wait_for_url(lambda url: "confirm_access" in url or gateway in url)
        if "confirm_access" in self.page.url:
            await self.page.locator("button[name=user_oauth_approval][value=true]").click()

    async def code(self, mode: str) -> str:
        if mode == "otplogin":
            return (await self._asked(f"{self._sandbox.local(8082)}/api/codes?email={quote(self.email)}"))["code"]
        phones = {"ana.novak@example.si": "+38640123456", "bor.kranjc@example.si": "+38640123457", "david.horvat@example.si": "+38640123459"}
        return await self.newest_code(phones[self.email])

    @staticmethod
    async def _asked(url: str):
        async with ClientSession(timeout=ClientTimeout(10)) as session, session.get(url) as answer:
            return await answer.json()

    async def tabs_to(self, selector: str) -> None:
        """By the keyboard alone, and no further than a page has places to stop at."""
        for _ in range(40):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    def say(self, english: str) -> str:
        """What stands on the pages in this person's language; names are the same in both."""
        return english if self.language == "en" else SLOVENE.get(english, english)

    async def stands_at(self, heading: str) -> None:
        """The page with this heading has arrived; of its kind it is the first, or free of barriers as the first one was."""
        await expect(self.page.locator("h1:visible")).to_have_text(self.say(heading), timeout=_PATIENCE_MS)
        await self.page.wait_for_load_state()
        assert await self.page.locator("html").get_attribute("lang") == self.language
        kind = f"{self.language} {urlsplit(self.page.url).netloc} {await self.page.title()}"
        if kind not in self._looked_at:
            self._looked_at.add(kind)
            assert await self.faults() == [], self.page.url

    async def faults(self) -> list[str]:
        """What axe finds in light and dark, and whether the page is wider than a window of 320 pixels."""
        page = self.page
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found = await self.barriers()
        await page.emulate_media(color_scheme="dark")
        dark = await page.evaluate("axe.run(document, {runOnly: ['color-contrast']})")
        found += [f"dark: {node['target']}" for one in dark["violations"] for node in one["nodes"]]
        window = page.viewport_size
        await page.set_viewport_size({"width": 320, "height": 640})
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append("wider than 320 pixels")
        if window is not None:
            await page.set_viewport_size(window)
        return found

    async def focused(self) -> str:
        """The name of what has the focus, as Chromium tells it to a screen reader."""
        if self._devtools is None:
            self._devtools = await self.page.context.new_cdp_session(self.page)
        active = (await self._devtools.send("Runtime.evaluate", {"expression": "document.activeElement"}))["result"]
        told = await self._devtools.send("Accessibility.getPartialAXTree", {"objectId": active["objectId"], "fetchRelatives": False})
        return str(told["nodes"][0].get("name", {}).get("value", ""))

    async def reaches(self, name: str, *, backwards: bool = False) -> None:
        """By Tab alone to what is called so, unless the page has put the focus there; a name that ends with `…` goes on."""
        wanted, passed = self.say(name), [await self.focused()]
        while passed[-1] != wanted and not (wanted.endswith("…") and passed[-1].startswith(wanted[:-1])):
            if len(passed) > _STOPS_OF_A_PAGE:
                raise AssertionError(f"the keyboard does not reach {wanted!r} but {passed}")
            await self.page.keyboard.press("Shift+Tab" if backwards else "Tab")
            passed.append(await self.focused())

    async def does(self, name: str, *, key: str = "Enter") -> None:
        await self.reaches(name)
        await self.page.keyboard.press(key)

    async def types(self, name: str, text: str) -> None:
        await self.reaches(name)
        await self.page.keyboard.insert_text(text)

    async def sends(self, *typed: tuple[str, str]) -> None:
        """Fields by their labels, in the order of the page, then Enter."""
        for label, text in typed:
            await self.types(label, text)
        await self.page.keyboard.press("Enter")

    async def messages(self, to: str) -> list[dict[str, str]]:
        """What has arrived at an address or a number, newest first."""
        return list(await self._asked(f"{self._sandbox.local(8083)}/api/messages?to={quote(to)}"))

    async def newest_code(self, to: str) -> str:
        """Of the last message to an address or a number."""
        text = (await self.messages(to))[0]["text"]
        return next(word for word in text.replace(".", " ").split() if len(word) == 6 and word.isdigit())

    async def barriers(self) -> list[str]:
        """What axe finds wrong with the page (WCAG 2.2 AA and its own rules)."""
        found = (await Axe().run(self.page)).response["violations"]
        return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]
