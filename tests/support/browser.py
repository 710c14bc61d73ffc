"""Chromium as a person uses it, with an ear for what it complains about and where it goes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

from aiohttp import ClientSession, ClientTimeout
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from tests.support.sandbox import RunningSandbox

PASSWORD = "Sandbox-2026!"
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

    def __init__(self, page: Page, sandbox: RunningSandbox, email: str) -> None:
        self.page = page
        self.email = email
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._sandbox = sandbox
        page.set_default_timeout(15_000)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.context.on("request", self._note)

    def _note(self, request) -> None:
        host = urlsplit(request.url).hostname or ""
        if host != "localhost" and not host.endswith(".localhost"):
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
        newest = (await self._asked(f"{self._sandbox.local(8083)}/api/messages?to={quote(phones[self.email])}"))[0]
        return next(word for word in newest["text"].replace(".", " ").split() if len(word) == 6 and word.isdigit())

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

    async def barriers(self) -> list[str]:
        """What axe finds wrong with the page (WCAG 2.2 AA and its own rules)."""
        found = (await Axe().run(self.page)).response["violations"]
        return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]
