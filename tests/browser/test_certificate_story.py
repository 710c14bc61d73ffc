"""Signing in with a certificate in Chromium: the chooser, the certificate, the portal's page; and what is said when it is the wrong one."""

from __future__ import annotations

import re

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.support.tunnelling_proxy import tunnelling_proxy

BY_CERTIFICATE = "main form button[name=method][value=acnlb]"


@pytest.fixture
async def proxy():
    async with tunnelling_proxy() as url:
        yield url


@pytest.fixture
def certificate_visitor(visitor, sandbox, tmp_path, proxy):
    """A browser that shows the certificate of that name, as the authority gives it out for browsers; the host's own one is let pass."""

    async def visit(name, **options):
        origin = f"https://localhost:{8444 + sandbox.offset}"
        shown = {}
        if name is not None:
            async with ClientSession(timeout=ClientTimeout(10)) as session, session.get(f"{sandbox.local(8084)}/people/{name}.p12") as answer:
                assert answer.status == 200
                (tmp_path / f"{name}.p12").write_bytes(await answer.read())
            shown = {"client_certificates": [{"origin": origin, "pfxPath": tmp_path / f"{name}.p12", "passphrase": "sandbox"}],
                     "proxy": {"server": proxy}}  # fmt: skip
        return await visitor(ignore_https_errors=True, **shown, **options)

    return visit


async def test_the_address_alone_leads_to_the_portals(certificate_visitor, sandbox):
    person = await certificate_visitor(None, locale="en-GB")
    await person.page.goto(f"https://localhost:{8444 + sandbox.offset}/")
    assert await heading(person) == "Begin on the page of the portal"
    assert await person.barriers() == []
    await person.page.locator(f"main:visible a[href='{sandbox.portal('bws')}/']").click()
    await person.page.wait_for_url(re.compile(re.escape(f"{sandbox.portal('bws')}/.authproxy/login")))
    person.complaints.clear()  # that a page was answered 400 the console tells


async def heading(person):
    return await person.page.locator("h1:visible").inner_text()


@pytest.mark.parametrize(("locale", "said"), [("sl-SI", "certifikat ACNLB"), ("en-GB", "ACNLB certificate")])
async def test_from_a_deep_link_with_a_certificate(certificate_visitor, sandbox, locale, said):
    person = await certificate_visitor("ana.novak", locale=locale)
    page, place = person.page, f"{sandbox.portal('acq')}/izpis/2026/11?a=1"
    await page.goto(place)
    assert await person.barriers() == []
    await person.tabs_to(BY_CERTIFICATE)
    await page.keyboard.press("Enter")
    await page.wait_for_url(place)

    await page.goto(f"{sandbox.portal('acq')}/.authproxy/session")
    told = await page.locator("main").inner_text()
    assert "Ana Novak" in told
    assert said in told


REFUSED = {
    "erik.kos": ("Vaš certifikat je preklican", "Your certificate has been revoked"),
    "franc.golob": ("Vaš certifikat je potekel", "Your certificate has expired"),
    "gregor.zagar": ("Vaš certifikat ni vpisan v register", "Your certificate is not registered"),
    "seal": ("Ta certifikat pripada organizaciji", "This certificate belongs to an organisation"),
    None: ("Brskalnik ni predložil certifikata", "Your browser has shown no certificate"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_says_one_thing_to_do_and_leads_back(certificate_visitor, sandbox, name):
    person = await certificate_visitor(name, locale="sl-SI", viewport={"width": 320, "height": 800}, color_scheme="dark")
    page = person.page
    await page.goto(f"{sandbox.portal('b2b')}/transakcije")
    await person.presses(BY_CERTIFICATE)
    await page.get_by_role("heading", name=REFUSED[name][0]).wait_for()
    assert await person.barriers() == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.get_by_role("link", name="English").click()
    assert await heading(person) == REFUSED[name][1]

    await page.locator("main:visible a.button").first.click()
    await page.wait_for_url(re.compile(re.escape(f"{sandbox.portal('b2b')}/.authproxy/login?")))
    assert "transakcije" in page.url
    person.complaints.clear()  # that a page was answered 403 the console tells
