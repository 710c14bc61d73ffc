"""Screens that refresh themselves, over an event stream or a WebSocket: they end with their session, and keep
it alive where the portal wants that."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import websockets

from tests.support.gateway import TICKET
from tests.support.waiting import until

ALL = ["requests", "streams", "websocket_messages"]


async def seconds_left(person, portal):
    return (await person.browser.fetch(f"{portal}/.authproxy/session")).json["seconds_left"]


async def is_open(person, portal):
    return (await person.browser.fetch(f"{portal}/.authproxy/session")).status == 200


@contextlib.asynccontextmanager
async def event_stream(person, house, query="stevilo=1000&premor_ms=50"):
    """An open event stream; its reader, after the first event."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
        writer.write(
            f"GET /dogodki?{query} HTTP/1.1\r\nHost: {house.acq.removeprefix('http://')}\r\n"
            f"Cookie: {TICKET}={person.ticket(house.acq)}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readuntil(b"data: 1\n\n")
        yield reader
        writer.close()


def socket(person, house):
    return websockets.connect(
        f"ws://acq.localhost:{house.ports['gateway']}/ws",
        host="127.0.0.1",
        additional_headers={"Cookie": f"{TICKET}={person.ticket(house.acq)}"},
        proxy=None,
        ping_interval=None,
    )


async def signs_out(person, house):
    page = await person.opens(f"{house.acq}/.authproxy/logout")
    [form] = [form for form in page.forms if form.action.startswith(f"{house.acq}/.authproxy/logout")]
    await person.browser.submit(page, form)


async def becomes_idle(person, house):
    house.advance(minutes=5, seconds=1)


async def comes_to_its_absolute_end(person, house):
    house.advance(hours=8, seconds=1)


@pytest.mark.parametrize("ends", [signs_out, becomes_idle, comes_to_its_absolute_end])
async def test_an_event_stream_ends_with_its_session_within_seconds(house, ends):
    ana = await house.signed_in()
    async with event_stream(ana, house) as stream:
        await ends(ana, house)
        assert (await stream.read()).endswith(b"\r\n0\r\n\r\n")


async def test_a_screen_that_is_only_watched_is_signed_out_unless_the_portal_lists_it(house):
    ana = await house.signed_in()
    async with event_stream(ana, house) as stream:
        house.advance(minutes=4)
        await stream.readuntil(b"data: 60\n\n")  # about three seconds of real time: it has been looked at
        assert await seconds_left(ana, house.acq) <= 60


async def nothing_more():
    """The stream goes on by itself."""


async def keeps_alive(person, house, says=nothing_more):
    """Twice four minutes, with five idle minutes at most. `says` is what happens meanwhile."""
    for _ in range(2):
        house.advance(minutes=4)

        async def is_fresh():
            await says()
            return await seconds_left(person, house.acq) > 240

        await until(is_fresh, within=30)


async def test_an_event_stream_keeps_its_session_alive_while_something_comes(houses):
    async with houses(acq={"activity": ALL}) as house:
        ana = await house.signed_in()
        async with event_stream(ana, house):
            await keeps_alive(ana, house)
        house.advance(minutes=5, seconds=1)
        assert not await is_open(ana, house.acq)


async def test_a_silent_stream_keeps_nothing_alive(houses):
    async with houses(acq={"activity": ALL}) as house:
        ana = await house.signed_in()
        async with event_stream(ana, house, "stevilo=2&premor_ms=10000") as stream:
            house.advance(minutes=5, seconds=1)
            assert (await stream.read()).endswith(b"0\r\n\r\n")
        assert not await is_open(ana, house.acq)


async def test_a_socket_keeps_its_session_alive_by_messages_and_not_by_pings(houses):
    async with houses(acq={"activity": ALL}) as house:
        ana = await house.signed_in()
        async with socket(ana, house) as talking:

            async def says():
                await talking.send("still here")
                await talking.recv()

            await keeps_alive(ana, house, says)

        async with socket(ana, house) as silent:
            house.advance(minutes=5, seconds=1)

            async def is_cut():
                with contextlib.suppress(websockets.ConnectionClosed):
                    await silent.ping()
                    return False
                return True

            await until(is_cut, within=30)
        assert not await is_open(ana, house.acq)


async def test_not_even_a_listed_screen_outlives_the_absolute_end(houses):
    short = {"AUTHPROXY__SESSIONS__ABSOLUTE": "7m", "AUTHPROXY__SESSIONS__IDLE": "5m"}
    async with houses(acq={"activity": ALL}, environment=short) as house:
        ana = await house.signed_in()
        async with event_stream(ana, house) as stream:
            house.advance(minutes=4)

            async def is_fresh():
                return await seconds_left(ana, house.acq) > 120

            await until(is_fresh, within=30)
            house.advance(minutes=3)
            assert (await stream.read()).endswith(b"\r\n0\r\n\r\n")
