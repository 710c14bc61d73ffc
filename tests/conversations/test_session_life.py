"""How long a session lives, who can see it, and who can end it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import websockets

from authproxy.bootstrap.open_sessions import list_sessions, revoke_session, revoke_sessions_of_subject
from tests.support.gateway import DAVID, TICKET
from tests.support.waiting import PATIENCE, until


async def seconds_left(person, portal):
    return (await person.browser.fetch(f"{portal}/.authproxy/session")).json["seconds_left"]


async def is_open(person, portal):
    return (await person.browser.fetch(f"{portal}/api/jaz")).status == 200


async def after_activity(person, portal):
    """One request, and waiting for the idle clock to have heard of it (it is told beside the request)."""
    assert await is_open(person, portal)
    await until(lambda: is_fresh(person, portal))


async def is_fresh(person, portal):
    return await seconds_left(person, portal) > 290


async def test_a_session_ends_after_five_idle_minutes(house, ana):
    await ana.signs_in(house.acq + "/")
    house.clock.advance(minutes=4, seconds=50)
    assert await is_open(ana, house.acq)
    house.clock.advance(minutes=5, seconds=1)
    answer = await ana.opens(house.acq + "/")
    assert answer.status == 303
    assert answer.location.startswith(f"{house.acq}/.authproxy/login")


async def test_activity_keeps_a_session_alive_until_its_absolute_end(houses):
    async with houses(
        environment={"AUTHPROXY__SESSIONS__ABSOLUTE": "13m", "AUTHPROXY__SESSIONS__IDLE": "5m"}
    ) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        for _ in range(3):
            house.clock.advance(minutes=4)
            assert await is_open(ana, house.acq)
        house.clock.advance(minutes=1)
        assert not await is_open(ana, house.acq)


async def test_asking_for_the_session_does_not_keep_it_alive(house, ana):
    await ana.signs_in(house.acq + "/")
    left = []
    for _ in range(2):
        house.clock.advance(minutes=2)
        left.append(await seconds_left(ana, house.acq))
        assert (await ana.opens(f"{house.acq}/.authproxy/session")).status == 200
    assert left[0] <= 180
    assert left[1] <= 60
    house.clock.advance(minutes=1, seconds=1)
    assert (await ana.browser.fetch(f"{house.acq}/.authproxy/session")).status == 401


async def test_a_session_says_who_how_strong_and_until_when(house, ana):
    await ana.signs_in(house.acq + "/")
    said = (await ana.browser.fetch(f"{house.acq}/.authproxy/session")).json
    assert (said["name"], said["method"], said["level"], said["portal"]) == ("Ana Novak", "rekono", 20, "acq")
    started, ends = (datetime.fromisoformat(said[name]) for name in ("started_at", "expires_at"))
    assert (ends - started).total_seconds() == 8 * 3600
    await after_activity(ana, house.acq)


async def test_a_person_sees_and_ends_the_session_in_another_browser(house, ana):
    other = house.person()
    await ana.signs_in(house.acq + "/")
    await other.signs_in(house.b2b + "/")
    page = await ana.opens(f"{house.acq}/.authproxy/session")
    assert "Chrome, Linux" in page.text
    form = next(form for form in page.forms if any(name == "session_id" for name, _ in form.buttons))
    answer = await ana.browser.submit(page, form, dict(form.buttons))
    assert (answer.status, answer.location) == (303, f"{house.acq}/.authproxy/session?said=ended")
    assert not await is_open(other, house.b2b)
    assert await is_open(ana, house.acq)


async def test_nobody_ends_the_session_of_somebody_else(house, ana):
    david = house.person(DAVID)
    await ana.signs_in(house.acq + "/")
    await david.signs_in(house.acq + "/")
    theirs = (await david.browser.fetch(f"{house.acq}/.authproxy/session")).json["session_id"]
    page = await ana.opens(f"{house.acq}/.authproxy/session")
    assert theirs not in page.text
    ours = {"Sec-Fetch-Site": "same-origin", "Origin": house.acq}
    assert (
        await ana.browser.post(f"{house.acq}/.authproxy/session/end", {"session_id": theirs}, headers=ours)
    ).status == 303
    assert await is_open(david, house.acq)


async def test_a_revoked_session_is_over_at_once_and_its_web_socket_soon_after(house, ana):
    await ana.signs_in(house.acq + "/")
    socket = await websockets.connect(
        f"ws://acq.localhost:{house.ports['gateway']}/ws",
        host="127.0.0.1",
        port=house.ports["gateway"],
        origin=house.acq,
        additional_headers={"Cookie": f"{TICKET}={ana.ticket(house.acq)}"},
    )
    try:
        await socket.send("dober dan")
        assert await socket.recv() == "dober dan"
        (session,) = await list_sessions(house.settings)
        assert await revoke_session(house.settings, session.summary.session_id) == 1
        await house.at_once(lambda: is_over(ana, house.acq))
        async with asyncio.timeout(PATIENCE):
            await socket.wait_closed()
    finally:
        await socket.close()


async def is_over(person, portal):
    return not await is_open(person, portal)


async def test_all_sessions_of_a_person_end_and_nobody_elses(house, ana):
    again, david = house.person(), house.person(DAVID)
    await ana.signs_in(house.acq + "/")
    await again.signs_in(house.b2b + "/")
    await david.signs_in(house.acq + "/")
    assert await revoke_sessions_of_subject(house.settings, ana.account.subject) == 2
    await house.at_once(lambda: is_over(ana, house.acq))
    await house.at_once(lambda: is_over(again, house.b2b))
    assert await is_open(david, house.acq)
