"""A fresh proof by a client certificate: from the place that demands it to the host where certificates are
shown, and back."""

from __future__ import annotations

import pytest

from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from tests.support.certificate_host import ana, signs_in
from tests.support.gateway import ANA, CVETKA, TICKET, Person

PLACE = "/vnos"
BY_CERTIFICATE = {"path": "/vnos", "step_up": {"methods": ["certificate"], "max_age": "5m"}}
BY_ACCOUNT = {"path": "/prejeto", "step_up": {"methods": ["rekono"], "max_age": "5m"}}
ACQ = {"idle": "30m", "routes": [BY_CERTIFICATE, BY_ACCOUNT]}
ANY_LEVEL = {
    "AUTHPROXY__STEP_UP__LEVELS": '{"10": ["certificate"], "20": ["certificate"], "30": ["certificate"]}'
}


@pytest.fixture
async def house(certificate_houses):
    async with certificate_houses(acq=ACQ, environment=ANY_LEVEL) as opened:
        yield opened


def cvetka(house, **changes):
    listed = {
        "member_id": MemberId("cvetka"),
        "name": "Cvetka Zupan",
        "tax_number": TaxNumber("99990016"),
        "portals": ("*",),
        "certificates": (house.certificates.named("cvetka.zupan"),),
    }
    return ListedPerson(**listed | changes)


async def signed_in(house, email=CVETKA, *, shows="cvetka.zupan"):
    """Somebody who has signed in by their account, and whose browser can show a certificate."""
    person = Person(email, house, house.certificates.browser(shows))
    page = await person.signs_in(house.acq + "/")
    assert page.status == 200, page.text
    return person


async def to_certificate_host(browser, place):
    """From the place to the answer of the host where the certificate is shown."""
    page = await browser.navigate(place)
    while page.is_redirect:
        page = await browser.follow(page)
    [form] = [form for form in page.forms if ("method", "certificate") in form.buttons]
    return await browser.follow(await browser.submit(page, form, {"method": "certificate"}))


async def proves(browser, place):
    answer = await to_certificate_host(browser, place)
    while answer.is_redirect:
        answer = await browser.follow(answer)
    return answer


def ticket_of(house, browser):
    return browser.cookies.get(house.acq, TICKET)


async def test_a_certificate_of_the_same_person_leads_to_the_place_under_a_new_ticket(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house)
    old = person.ticket(house.acq)
    page = await proves(person.browser, house.acq + PLACE)
    assert (page.status, page.url) == (200, house.acq + PLACE)
    assert person.ticket(house.acq) != old
    me = (await person.browser.fetch(f"{house.acq}/.authproxy/session")).json
    assert (me["method"], me["level"]) == ("rekono", 30)
    [accepted], [approved] = house.events("certificate.accepted"), house.events("challenge.approved")
    assert (accepted["method"], approved["method"]) == ("certificate", "certificate")
    assert len(house.events("session.started")) == 1


async def test_it_is_asked_for_again_when_it_is_five_minutes_old(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house)
    await proves(person.browser, house.acq + PLACE)
    house.clock.advance(minutes=5, seconds=10)
    assert (await person.opens(house.acq + PLACE)).is_redirect
    assert (await proves(person.browser, house.acq + PLACE)).url == house.acq + PLACE


async def test_somebody_elses_certificate_proves_nothing_and_changes_nothing(house):
    await house.enrols(cvetka(house), ana(house.certificates))
    person = await signed_in(house, shows="ana.novak")
    before = person.ticket(house.acq)
    refused = await proves(person.browser, house.acq + PLACE)
    assert (refused.status, refused.heading, person.ticket(house.acq)) == (
        403,
        "Istovetnost je potrdil nekdo drug",
        before,
    )
    assert (await person.opens(house.acq + "/")).status == 200
    [event] = house.events("challenge.refused")
    assert (event["reason"], event["method"]) == ("step_up_by_another", "certificate")


async def test_a_certificate_that_nobody_has_registered_proves_nothing(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house, shows="ana.novak")
    refused = await proves(person.browser, house.acq + PLACE)
    assert refused.status == 403
    assert house.events("challenge.refused")[0]["reason"] == "certificate_unknown"


async def test_a_certificate_that_does_not_hold_leads_back_to_the_choice_and_signs_nobody_out(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house)
    await house.certificates.revokes("cvetka.zupan")
    refused = await to_certificate_host(person.browser, house.acq + PLACE)
    assert (refused.status, refused.heading) == (403, "Vaš certifikat je preklican")
    [again] = [link for link in refused.links if "/.authproxy/step-up?" in link][:1]
    assert again.startswith(house.acq)
    assert any(("method", "certificate") in form.buttons for form in (await person.opens(again)).forms)
    assert (await person.opens(house.acq + "/")).status == 200
    assert house.events("certificate.refused")[0]["method"] == "certificate"
    assert house.events("sign_in.refused") == []


async def test_a_session_ends_with_a_certificate_that_has_proved_something_in_it(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house)
    await proves(person.browser, house.acq + PLACE)
    await house.gateway.certificates.look()
    assert (await person.browser.fetch(house.acq + "/")).status == 200

    await house.certificates.revokes("cvetka.zupan")
    house.clock.advance(minutes=6)
    await house.gateway.certificates.look()

    async def is_over():
        return (await person.browser.fetch(house.acq + "/")).status == 401

    await house.at_once(is_over)
    [event] = house.events("session.revoked")
    assert (event["by"], event["reason"], event["method"]) == ("authority", "certificate_revoked", "rekono")


async def test_a_certificate_shown_on_somebody_elses_way_proves_nothing_for_either(house):
    await house.enrols(cvetka(house), ana(house.certificates))
    person = await signed_in(house)
    page = await person.browser.follow(await person.opens(house.acq + PLACE))
    [form] = [form for form in page.forms if ("method", "certificate") in form.buttons]
    hop = await person.browser.submit(page, form, {"method": "certificate"})

    stranger = await signed_in(house, ANA, shows="ana.novak")
    shown = await stranger.browser.follow(hop)
    refused = await stranger.browser.follow(shown)
    assert (refused.status, refused.all("set-cookie")) == (400, [])
    # Whoever began it must not gain by what somebody else has shown either.
    assert (await person.opens(shown.location)).status in {303, 400}
    assert (await person.opens(house.acq + PLACE)).is_redirect
    assert house.events("challenge.approved") == []


async def test_whoever_signed_in_with_a_certificate_may_show_it_again_where_that_will_do(house):
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + "/")
    page = await proves(browser, house.acq + PLACE)
    assert (page.status, page.url) == (200, house.acq + PLACE)
    assert len(house.events("challenge.approved")) == 1


async def test_whoever_signed_in_with_a_certificate_proves_themselves_by_their_linked_account(house):
    await house.enrols(ana(house.certificates))
    await signed_in(house, ANA, shows="ana.novak")  # which links the account
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + "/")
    person = Person(ANA, house, browser)
    page = await person.walk(await person.opens(house.acq + "/prejeto"))
    assert (page.status, page.url) == (200, house.acq + "/prejeto")
    me = (await browser.fetch(f"{house.acq}/.authproxy/session")).json
    assert (me["method"], me["level"], me["subject"]) == ("acnlb", 20, "ana")


async def test_an_account_of_somebody_else_proves_nothing_for_whoever_signed_in_with_a_certificate(house):
    await house.enrols(ana(house.certificates), cvetka(house))
    await signed_in(house, ANA, shows="ana.novak")
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + "/")
    before = ticket_of(house, browser)
    other = Person(CVETKA, house, browser)
    refused = await other.walk(await other.opens(house.acq + "/prejeto"))
    assert (refused.status, ticket_of(house, browser)) == (403, before)
    assert house.events("challenge.refused")[0]["reason"] == "step_up_by_another"


async def test_what_took_too_long_proves_nothing(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house)
    shown = await to_certificate_host(person.browser, house.acq + PLACE)
    house.clock.advance(minutes=5, seconds=1)
    late = await person.browser.follow(shown)
    assert (late.status, house.events("challenge.refused")[0]["reason"]) == (400, "attempt_too_old")
    assert (await person.opens(house.acq + "/")).status == 200


async def test_a_way_back_that_was_used_goes_on_without_a_word(house):
    await house.enrols(cvetka(house))
    person = await signed_in(house)
    shown = await to_certificate_host(person.browser, house.acq + PLACE)
    await person.browser.follow(shown)
    ticket = person.ticket(house.acq)
    again = await person.browser.follow(shown)
    assert (again.status, again.location, person.ticket(house.acq)) == (303, house.acq + PLACE, ticket)
    assert len(house.events("challenge.approved")) == 1
