"""Chromium as a person uses it, with an ear for what it complains about and where it goes."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.sandbox import RunningSandbox

PASSWORD = "Sandbox-2026!"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


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

    def presses(self, selector: str) -> None:
        self.page.locator(selector).first.click()

    def proves_who_they_are(self, mode: str) -> None:
        """The provider's pages, from the password to the consent; `mode` is the provider's word for the means."""
        page = self.page
        page.fill("[name=username]", self.email)
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.locator(f"button[value={mode}]").first.click()
        page.locator("[autocomplete=one-time-code]").wait_for()
        page.fill("[autocomplete=one-time-code]", self.code(mode))
        page.keyboard.press("Enter")
        self.consents()

    def consents(self) -> None:
        """Where the provider asks; it asks each person once."""
        self.page.wait_for_url(lambda url: "confirm_access" in url or "localhost:%d" % (8080 + self._sandbox.offset) in url)
        if "confirm_access" in self.page.url:
            self.page.locator("button[name=user_oauth_approval][value=true]").click()

    def code(self, mode: str) -> str:
        if mode == "otplogin":
            return self._asked(f"{self._sandbox.local(8082)}/api/codes?email={quote(self.email)}")["code"]
        phones = {"ana.novak@example.si": "+38640123456", "bor.kranjc@example.si": "+38640123457", "david.horvat@example.si": "+38640123459"}
        newest = self._asked(f"{self._sandbox.local(8083)}/api/messages?to={quote(phones[self.email])}")[0]
        return next(word for word in newest["text"].replace(".", " ").split() if len(word) == 6 and word.isdigit())

    @staticmethod
    def _asked(url: str):
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def tabs_to(self, selector: str) -> None:
        """By the keyboard alone, and no further than a page has places to stop at."""
        for _ in range(40):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    def barriers(self) -> list[str]:
        """What axe finds wrong with the page (WCAG 2.2 AA and its own rules)."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]
