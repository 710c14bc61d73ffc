"""Chromium as a person uses it, with an ear for what it complains about and where it goes."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit

from aiohttp import ClientSession, ClientTimeout
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, CDPSession, Page, async_playwright, expect

from tests.support.sandbox import RunningSandbox
from tests.support.words import SLOVENE

PASSWORD = "Sandbox-2026!"
_PATIENCE_MS = 30_000
# Playwright's own five seconds are too few on a busy machine.
expect.set_options(timeout=_PATIENCE_MS)
_STOPS_OF_A_PAGE = 80
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


_SEEN = """() => {
    const telling = new Set(["class", "style", "type", "role", "hidden", "open", "disabled", "aria-invalid", "aria-current", "aria-pressed", "aria-expanded"]);
    // What is there for people to read, to send or to follow differs from page to page: of that it counts whether there is anything.
    const saying = new Set(["aria-label", "alt", "title", "placeholder", "value", "href", "src", "action", "content", "lang", "hreflang", "datetime"]);
    const places = new Set(), whole = [];
    const walk = (element, above) => {
        const attributes = [...element.attributes];
        const said = attributes.map(one => telling.has(one.name) ? `${one.name}=${one.value}` : one.name).sort();
        const place = `${above}/${element.localName}[${said}]`;
        places.add(place);
        const exact = attributes.map(one => `${one.name}=${saying.has(one.name) ? one.value.trim() !== "" : one.value}`).sort();
        whole.push(`${above}/${element.localName}[${exact}]`, [...element.childNodes].map(one => one.nodeType === 3 && one.data.trim() !== "").join());
        for (const child of element.children) walk(child, place);
    };
    walk(document.documentElement, "");
    const rules = [...document.styleSheets].map(sheet => [...sheet.cssRules].map(rule => rule.cssText).join());
    const looks = [matchMedia("(prefers-color-scheme: dark)").matches, innerWidth, rules];
    return [JSON.stringify([...looks, [...places].sort()]), JSON.stringify([...looks, whole, document.title !== ""])];
}"""


class LookedAt:
    """What axe has been asked about, by any worker of this run: one file for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def __contains__(self, kind: str) -> bool:
        return self._file(kind).exists()

    def add(self, kind: str) -> bool:
        """Whether nobody has added it before."""
        try:
            self._file(kind).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _file(self, kind: str) -> Path:
        return self._folder / hashlib.sha256(kind.encode()).hexdigest()


_passed: list[LookedAt] = []


def remember_in(folder: Path) -> None:
    """Where all workers note which pages have passed. To be said before the first page is looked at."""
    _passed[:] = [LookedAt(folder)]


_SETTLED = """async () => {
    await Promise.allSettled(document.getAnimations().map(one => one.finished));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


async def settled(page: Page) -> None:
    """Waits until running transitions have ended and the page has been painted, so that no colour is looked
    at halfway."""
    await page.evaluate(_SETTLED)


async def barriers_of(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong: by all its rules, or by those (or by the tags) that are named.

    Nine tenths of axe's time go into the contrast of colours, which is decided by style sheets, colour
    scheme, width, and the elements with their places: where all of these are as on a page whose contrast was
    enough, it is not measured again. All other rules look at elements and attributes as well, and at whether
    there is a text, not at its words: where all of that is as on a page in which they have found nothing,
    they are not asked again. So of two pages that differ in their words only, as in two languages, axe looks
    at one, in whichever worker."""
    await settled(page)
    painted, whole = await page.evaluate(_SEEN)
    whole = f"{rules} {whole}"
    [passed] = _passed
    has_contrast = painted in passed
    is_known = rules == ("color-contrast",) or whole in passed
    if has_contrast and is_known:
        return []
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(AXE_SCRIPT)
    if not has_contrast:
        found = await _asked(page, {"runOnly": ["color-contrast"]})
        if found:
            return found
        passed.add(painted)
    if is_known:
        return []
    found = await _asked(
        page, {"rules": {"color-contrast": {"enabled": False}}} | ({"runOnly": list(rules)} if rules else {})
    )
    if not found:
        passed.add(whole)
    return found


async def _asked(page: Page, options: dict[str, object]) -> list[str]:
    # Only findings leave the page: to carry all that axe has looked at out of it takes longer than to look.
    ask = (
        "options => axe.run(document, options).then(found => found.violations.flatMap(one => "
        "one.nodes.map(node => `${one.id}: ${node.target}`)))"
    )
    return list(await page.evaluate(ask, options | {"resultTypes": ["violations"]}))


WHOLE, SHELL = "chromium", "chromium-headless-shell"
"""The browser that people have, and the same engine without tabs, toolbars and settings: a fresh context
costs it a third of the time."""


class SharedChromium:
    """One Chromium for all tests of a process, because to start it takes longer than most tests. It is
    started when it is first needed, and again after it has ended. It belongs to the event loop in which it
    was started."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._running = AsyncExitStack()
        self._browser: Browser | None = None

    async def browser(self) -> Browser:
        if self._browser is None or not self._browser.is_connected():
            await self._running.aclose()
            playwright = await self._running.enter_async_context(async_playwright())
            self._browser = await playwright.chromium.launch(
                executable_path=shutil.which(self._program), args=_ARGUMENTS
            )
            self._running.push_async_callback(self._browser.close)
        return self._browser

    async def aclose(self) -> None:
        await self._running.aclose()


class Visitor:
    """A person before the sandbox, in a browser of their own."""

    def __init__(
        self,
        page: Page,
        sandbox: RunningSandbox,
        email: str,
        *,
        language: str = "sl",
        looked_at: LookedAt | None = None,
    ) -> None:
        self.page = page
        self.email = email
        self.language = language
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._sandbox = sandbox
        self._looked_at = looked_at
        self._devtools: CDPSession | None = None
        page.set_default_timeout(_PATIENCE_MS)
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.context.on("request", self._note)

    def _note(self, request) -> None:
        host = urlsplit(request.url).hostname or ""
        if host not in {"localhost", "127.0.0.1"} and not host.endswith(".localhost"):
            self.strangers.append(request.url)

    async def presses(self, selector: str) -> None:
        await self.page.locator(selector).first.click()

    async def proves_who_they_are(self, mode: str) -> None:
        """The provider's pages, from the password to the consent; `mode` is the provider's word for the
        means."""
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
            return (await self._fetched(f"{self._sandbox.local(8082)}/api/codes?email={quote(self.email)}"))[
                "code"
            ]
        phones = {
            "ana.novak@example.si": "+38640123456",
            "bor.kranjc@example.si": "+38640123457",
            "david.horvat@example.si": "+38640123459",
        }
        return await self.newest_code(phones[self.email])

    @staticmethod
    async def _fetched(url: str):
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
        """The page with this heading has arrived; of its kind it is the first, or free of barriers as the
        first one was."""
        await expect(self.page.locator("h1:visible")).to_have_text(self.say(heading))
        await self.page.wait_for_load_state()
        assert await self.page.locator("html").get_attribute("lang") == self.language
        kind = f"{self.language} {urlsplit(self.page.url).netloc} {await self.page.title()}"
        if self._looked_at is None or self._looked_at.add(kind):
            assert await self.faults() == [], self.page.url

    async def faults(self) -> list[str]:
        """What axe finds in light and dark, and whether the page is wider than a window of 320 pixels."""
        page = self.page
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found = await self.barriers()
        await page.emulate_media(color_scheme="dark")
        found += [f"dark: {barrier}" for barrier in await barriers_of(page, "color-contrast")]
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
        active = (await self._devtools.send("Runtime.evaluate", {"expression": "document.activeElement"}))[
            "result"
        ]
        told = await self._devtools.send(
            "Accessibility.getPartialAXTree", {"objectId": active["objectId"], "fetchRelatives": False}
        )
        return str(told["nodes"][0].get("name", {}).get("value", ""))

    async def reaches(self, name: str, *, backwards: bool = False) -> None:
        """By Tab alone to what is called so, unless the page has put the focus there; a name that ends with
        `…` goes on."""
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
        return list(await self._fetched(f"{self._sandbox.local(8083)}/api/messages?to={quote(to)}"))

    async def newest_code(self, to: str) -> str:
        """Of the last message to an address or a number."""
        text = (await self.messages(to))[0]["text"]
        return next(word for word in text.replace(".", " ").split() if len(word) == 6 and word.isdigit())

    async def barriers(self) -> list[str]:
        """What axe finds wrong with the page (WCAG 2.2 AA and its own rules)."""
        return await barriers_of(self.page)
