"""People who have just made an account at the sandbox's provider, each with a number of their own: nobody
uses up another's codes."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from urllib.parse import quote

from tests.support.http_client import Answer, Browser
from tests.support.onepass_fixture import arrived, pressed
from tests.support.sandbox import RunningSandbox

PASSWORD = "konj baterija sponka"
_COUNTER = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    email: str
    phone: str
    """As it is typed; `sent_to` is what messages are sent to."""
    tax_number: str
    given_name: str = "Žiga"
    family_name: str = "Šučur-Čeh"
    password: str = PASSWORD
    puk: str = ""

    @property
    def sent_to(self) -> str:
        return "+386" + self.phone.replace(" ", "")[1:]


def newcomer(**known: str) -> Newcomer:
    number = next(_COUNTER)
    return Newcomer(
        **{
            "email": f"prisla.{number}@example.si",
            "phone": f"040 2{number // 1000:02} {number % 1000:03}",
            "tax_number": _tax_number(number),
            **known,
        }
    )


def _tax_number(number: int) -> str:
    """The `number`th that has a check digit, of a range that nobody else here uses."""
    valid = (digits for digits in map(_with_check_digit, map(str, itertools.count(5_550_000))) if digits)
    return next(itertools.islice(valid, number, None))


def _with_check_digit(seven: str) -> str | None:
    rest = sum(int(digit) * weight for digit, weight in zip(seven, range(8, 1, -1), strict=True)) % 11
    return None if rest == 0 else f"{seven}{(11 - rest) % 10}"


async def settled(sandbox: RunningSandbox, **known: str) -> Newcomer:
    """An account with its data, made page by page as a person makes it, without a browser."""
    someone, browser = newcomer(**known), Browser(language="sl")
    page = await arrived(
        browser, await browser.navigate(f"{sandbox.local(8081)}/IdP-RM-Front/register/start.htm")
    )
    page = await pressed(
        browser, page, "phone", email=someone.email, password=someone.password, phone=someone.phone
    )
    page = await pressed(browser, page, "code", code=await _code(sandbox, browser, someone.email))
    page = await pressed(browser, page, "code", code=await _code(sandbox, browser, someone.sent_to))
    puk = re.search(r'class="puk"><strong>([\d ]+)<', page.text)
    assert puk is not None
    page = await pressed(browser, page, "saved", saved="yes")
    begin = next(form for form in page.forms if form.action.endswith("/account/begin"))
    page = await arrived(browser, await browser.submit(page, begin))
    page = await pressed(browser, page, "code", code=await _code(sandbox, browser, someone.email))
    page = await pressed(
        browser,
        page,
        "tax_number",
        given_name=someone.given_name,
        family_name=someone.family_name,
        tax_number=someone.tax_number,
        birthdate="1. 2. 1991",
        street_address="Čopova ulica 1",
        postal_code="1000",
        locality="Ljubljana",
        country="SI",
    )
    assert someone.tax_number in page.text
    page = await pressed(browser, page, "_csrf")
    assert "Podatki so shranjeni" in page.text
    return Newcomer(
        email=someone.email,
        phone=someone.phone,
        tax_number=someone.tax_number,
        given_name=someone.given_name,
        family_name=someone.family_name,
        puk=puk[1],
    )


async def _code(sandbox: RunningSandbox, browser: Browser, to: str) -> str:
    answer: Answer = await browser.request("GET", f"{sandbox.local(8083)}/api/messages?to={quote(to)}")
    found = re.search(r"(?<!\d)\d{6}(?!\d)", answer.json[0]["text"])
    assert found is not None
    return found[0]
