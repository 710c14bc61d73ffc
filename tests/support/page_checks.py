"""What every page of ours is held to in Chromium: no barrier, nothing wider than the window, nothing that the
policy blocks."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page

from tests.support.browser import barriers_of
from tests.support.pages import TICKET


async def signed_in(context: BrowserContext, port: int, ticket: str = TICKET) -> None:
    await context.add_cookies(
        [
            {
                "name": "__Host-authproxy",
                "value": ticket,
                "url": f"https://acq.localhost:{port}/",
                "secure": True,
                "sameSite": "Lax",
                "httpOnly": True,
            }
        ]
    )


def everything_but_our_own(page: Page, port: int) -> list[str]:
    """Fills with what the page asks of others, what the policy blocks and what breaks in a script."""
    seen: list[str] = []
    page.on(
        "console",
        lambda message: seen.append(message.text) if "Content Security Policy" in message.text else None,
    )
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(f"http://acq.localhost:{port}/") else seen.append(request.url)
        ),
    )
    return seen


async def faults_of(page: Page) -> list[str]:
    """What axe finds, and what sticks out of the window."""
    faults = await barriers_of(page, "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
    if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        faults.append("wider than the window")
    return faults
