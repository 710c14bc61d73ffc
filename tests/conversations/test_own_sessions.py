"""What a person does with their sessions on the gateway's page, and with the script that portals may
include."""

from __future__ import annotations

import re

from tests.support.waiting import until

SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
FORM = "application/x-www-form-urlencoded"


async def session(person, portal):
    return await person.browser.fetch(f"{portal}/.authproxy/session")


async def extended(person, portal):
    headers = {**SCRIPT, "Content-Type": FORM}
    return await person.browser.request(
        "POST", f"{portal}/.authproxy/session/extend", headers=headers, body=b""
    )


async def presses(person, page, marked):
    """The button of the form in which the field or button `marked` stands."""
    for form in page.forms:
        if marked in form.buttons:
            return await person.browser.submit(page, form, dict([marked]))
        if marked in form.fields.items():
            return await person.browser.submit(page, form, {})
    raise AssertionError(f"no form with {marked}")


async def test_extending_keeps_an_idle_person_signed_in_until_the_absolute_end(houses):
    async with houses(
        environment={"AUTHPROXY__SESSIONS__ABSOLUTE": "13m", "AUTHPROXY__SESSIONS__IDLE": "5m"}
    ) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        ends_at = (await session(ana, house.acq)).json["expires_at"]
        for _ in range(3):
            house.clock.advance(minutes=4)
            answer = await extended(ana, house.acq)
            assert (answer.status, answer.json["expires_at"]) == (200, ends_at)
        assert answer.json["seconds_left"] <= 60
        house.clock.advance(minutes=1)
        assert (await extended(ana, house.acq)).status == 401


async def test_signing_out_everywhere_ends_the_sessions_at_every_portal(house, ana):
    other = house.person()
    await ana.signs_in(house.acq + "/")
    await other.signs_in(house.b2b + "/")
    question = await ana.opens(f"{house.acq}/.authproxy/logout?everywhere=yes&lang=sl")
    assert "Želite končati vse seje?" in question.text

    done = await presses(ana, question, ("everywhere", "yes"))
    assert done.location.startswith(f"{house.issuer}endsession?")
    done = await ana.opens(f"{house.acq}/.authproxy/logout?lang=sl")

    assert "Vse vaše seje so končane, na vseh portalih in v vseh brskalnikih." in done.text
    await until(lambda: is_out(other, house.b2b))
    assert await is_out(ana, house.acq)
    assert house.audit.count('"session.revoked"') == 1
    assert house.audit.count('"session.ended"') == 1


async def is_out(person, portal):
    return (await session(person, portal)).status == 401


async def test_ending_all_other_sessions_leaves_this_one(house, ana):
    others = [house.person(), house.person()]
    await ana.signs_in(house.acq + "/")
    for other in others:
        await other.signs_in(house.b2b + "/")
    page = await ana.opens(f"{house.acq}/.authproxy/session?lang=sl")
    assert "Imate še 2 drugi seji." in page.text

    back = await ana.browser.follow(await presses(ana, page, ("which", "others")))

    assert "Vaše druge seje so končane." in back.text
    assert "Drugje niste prijavljeni." in back.text
    assert [await is_out(other, house.b2b) for other in others] == [True, True]


async def test_after_a_time_out_the_chooser_says_what_has_happened(house, ana):
    await ana.signs_in(house.acq + "/")
    house.clock.advance(minutes=5, seconds=1)

    page = await ana.browser.follow(await ana.opens(f"{house.acq}/izpis/2026/11"))

    assert "Seja je potekla. Prosimo, prijavite se znova." in page.text
    assert re.search(r'<span class="path">/izpis/2026/11</span>', page.text)
