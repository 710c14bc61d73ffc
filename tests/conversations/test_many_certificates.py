"""Many people show their certificate in the same moment, and others work on in the portal."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from tests.support.certificate_host import choosing
from tests.support.http_client import Browser
from tests.support.sandbox import served

TRIES = 20
NAMES = ("ana.novak", "cvetka.zupan")
PATIENT = {"AUTHPROXY__STORE__DEADLINE": "3s"}
"""All these browsers, the authority, the provider and whatever else runs on this machine have a share of
the time that the store has."""


def listed(house, name):
    account = house.accounts.find(f"{name}@example.si")
    return ListedPerson(
        member_id=MemberId(name.partition(".")[0]),
        name=account.name,
        tax_number=TaxNumber(account.tax_number),
        email=account.email,
        portals=("*",),
        certificates=(house.certificates.named(name),),
    )


async def works_on(browser, page, done):
    """Opens the page again and again; how long each answer took."""
    loop, took = asyncio.get_running_loop(), []
    while not done.is_set():
        began = loop.time()
        assert (await browser.navigate(page)).status == 200
        took.append(loop.time() - began)
    return took


async def shows(browser, chosen):
    """From the click on the chooser to the page of the portal; who the portal is told that this is. Where too
    many come at once for this machine, the page says 503 and that one should try again: the certificate can
    be shown again then."""
    answer = chosen
    for _ in range(TRIES):
        while answer.is_redirect:
            answer = await browser.follow(answer)
        if answer.status != 503:
            break
        assert "retry-after" in dict(answer.headers)
        answer = await browser.navigate(answer.url)
    assert answer.status == 200, answer.text
    return (await browser.fetch(f"{answer.url}.authproxy/session")).json["subject"]


@pytest.mark.parametrize("at_once", [60, pytest.param(200, marks=pytest.mark.rehearsal)])
async def test_many_sign_ins_at_once_all_succeed_and_hold_up_nobody_in_the_portal(
    certificate_houses, at_once
):
    async with contextlib.AsyncExitStack() as resources:
        house = await resources.enter_async_context(
            certificate_houses(has_gateway=False, environment=PATIENT)
        )
        await house.enrols(*(listed(house, name) for name in NAMES))
        # A process of its own: what holds up the test's loop is not the gateway's doing.
        await resources.enter_async_context(
            served(
                house.settings_file,
                house.folder,
                port=house.ports["gateway"],
                environment=house.environment,
            )
        )
        somebody, page = house.person(), f"{house.acq}/"
        assert (await somebody.signs_in(page)).status == 200
        contexts = [house.certificates.browser(name).tls for name in NAMES]
        browsers = [Browser(tls=contexts[number % len(NAMES)], patience=60) for number in range(at_once)]
        chosen = await asyncio.gather(*(choosing(browser, page) for browser in browsers))

        done, began = asyncio.Event(), asyncio.get_running_loop().time()
        working = asyncio.ensure_future(works_on(somebody.browser, page, done))
        try:
            people = await asyncio.gather(
                *(shows(browser, answer) for browser, answer in zip(browsers, chosen, strict=True))
            )
        finally:
            done.set()
            took = await working
        lasted = asyncio.get_running_loop().time() - began

    assert [people.count(name) for name in ("ana", "cvetka")] == [at_once // 2] * 2
    # In shares of the whole: that holds on a slow machine, too.
    assert len(took) >= 10, took
    assert max(took) < lasted / 2, (took, lasted)
