"""Every form in which a terminator of TLS passes a certificate on, as its product writes it, from the chooser
to the portal's page."""

from __future__ import annotations

import aiohttp
import pytest

from authproxy.certificates.presentation import TerminatorForm
from tests.support.certificate_host import ana, choosing
from tests.support.forwarded import written_by
from tests.support.gateway import TICKET
from tests.support.http_client import Browser
from tests.support.terminators import forwarding

PLACE = "/?izpis=2026-11"


async def way_of(house, browser):
    return (await choosing(browser, house.acq + PLACE)).location.replace("https:", "http:")


@pytest.mark.parametrize("form", TerminatorForm)
async def test_each_product_has_its_people_signed_in_and_who_goes_around_it_is_not_believed(
    certificate_houses, form
):
    async with certificate_houses(environment=forwarding(form)) as house:
        await house.enrols(ana(house.certificates))
        headers = written_by(form, house, "ana.novak")

        stranger = Browser()
        elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with (
            aiohttp.ClientSession(connector=elsewhere) as session,
            session.get(await way_of(house, stranger), headers=headers) as page,
        ):
            assert page.status == 403
            assert (await page.json(content_type=None))["reason"] == "untrusted_peer"

        browser = Browser()
        back = await browser.navigate(await way_of(house, browser), headers=headers)
        page = await browser.follow(await browser.follow(back))
        assert (page.status, page.url) == (200, house.acq + PLACE)
        assert (await browser.fetch(f"{house.acq}/.authproxy/session")).json["subject"] == "ana"
        assert stranger.cookies.get(house.acq, TICKET) is None


async def test_octets_that_are_no_text_are_refused_with_a_page(certificate_houses):
    async with certificate_houses(environment=forwarding(TerminatorForm.NGINX)) as house:
        browser = Browser()
        page = await browser.request(
            "GET",
            await way_of(house, browser),
            headers=[("X-SSL-Client-Cert", b"%41\xff"), ("X-SSL-Client-Verify", "SUCCESS")],
        )
        assert (page.status, page.json["reason"]) == (403, "certificate_unreadable")


@pytest.mark.parametrize("form", TerminatorForm)
async def test_a_field_that_a_product_has_appended_to_a_clients_own_signs_nobody_in(certificate_houses, form):
    """What happens where a terminator adds its field and leaves the client's in place."""
    async with certificate_houses(environment=forwarding(form)) as house:
        await house.enrols(ana(house.certificates))
        forged, own = written_by(form, house, "ana.novak"), written_by(form, house, "cvetka.zupan")
        name = next(iter(own))
        twice = [*forged.items(), (name, own[name])]
        joined = own | {name: f"{forged[name]},{own[name]}"}
        for headers in (twice, list(joined.items())):
            browser = Browser()
            page = await browser.request("GET", await way_of(house, browser), headers=headers)
            assert page.status in {400, 403}
            assert browser.cookies.get(house.acq, TICKET) is None
