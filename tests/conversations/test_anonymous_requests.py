"""What nobody in particular can make the gateway keep: nothing before a browser comes back, and then little
and not for long."""

from __future__ import annotations

import asyncio
import re

from tests.support.gateway import ANA, DAVID

STARTS = 250


def started(house, number):
    """The request of somebody who chooses Rekono, from an address of their own."""
    body = b"rt=%2Freports%3Fnumber%3D" + b"7" * 200 + b"&method=rekono"
    return (
        b"POST /.authproxy/login HTTP/1.1\r\nHost: acq.localhost:%d\r\nOrigin: %s\r\nX-Forwarded-For: "
        b"198.51.%d.%d\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
        % (house.ports["gateway"], house.acq.encode(), number // 250, number % 250, len(body), body)
    )


async def begin(house, numbers):
    """Starts over one connection, one after the other; the addresses at the provider where they lead."""
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    locations = []
    for number in numbers:
        writer.write(started(house, number))
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 303 "), head
        locations.append(re.search(r"Location: (\S+)", head)[1])
    writer.close()
    await writer.wait_closed()
    return locations


def number(redis_server, *command):
    """The answer to a command that is a number."""
    return int(redis_server.command(*command)[1:])


def keys(redis_server):
    """But for those of the gateway itself: one that it writes to see whether the store takes writes, and one
    that says which formats it writes."""
    return [
        key
        for key in re.findall(r"authproxy:\S+", redis_server.command("KEYS", "*").decode())
        if not key.endswith((":pulse", ":formats"))
    ]


def used_memory(redis_server):
    return int(re.search(rb"used_memory:(\d+)", redis_server.command("INFO", "memory"))[1])


async def test_any_number_of_starts_leaves_the_store_as_it_was_and_people_sign_in_meanwhile(
    house, redis_server
):
    await begin(house, range(20))
    assert keys(redis_server) == []
    place, memory = f"{house.acq}/izpis/2026/11", []
    for person in (
        house.person(ANA),
        house.person(DAVID),
    ):  # the first one makes Redis and its connections warm
        _, landed = await asyncio.gather(begin(house, range(STARTS)), person.signs_in(place))
        assert (landed.status, landed.url) == (200, place)
        memory.append(used_memory(redis_server))
    kinds = [key.rpartition(":")[2] for key in keys(redis_server)]
    assert (kinds.count("used-attempt"), kinds.count("session")) == (2, 2)
    assert len(kinds) < 20  # what belongs to two people who are signed in
    assert memory[1] - memory[0] < STARTS * 400  # two keys for each start took more than a kilobyte


async def test_whoever_comes_back_has_left_one_small_key_that_goes_by_itself(house, redis_server):
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    for location in await begin(house, range(3)):
        state = re.search(r"state=([^&]+)", location)[1]
        writer.write(
            b"GET /.authproxy/callback/rekono?code=c&state=%s HTTP/1.1\r\nHost: acq.localhost:%d\r\n"
            b"Cookie: __Host-authproxy-flow=%s\r\n\r\n" % (state.encode(), house.ports["gateway"], b"A" * 43)
        )
    for _ in range(3):  # the cookie is another browser's
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))
    writer.close()
    left = keys(redis_server)
    assert [key.rpartition(":")[2] for key in left] == ["used-attempt"] * 3
    for key in left:
        assert 0 < number(redis_server, "PTTL", key) <= 32 * 60 * 1000
        assert number(redis_server, "MEMORY", "USAGE", key) <= 160


async def test_what_comes_too_fast_from_one_address_is_told_to_wait_and_holds_up_no_other(houses):
    async with houses(environment={"AUTHPROXY__SERVER__LIMITS__PER_MINUTE__SIGN_INS": "2"}) as house:
        reader, writer = await asyncio.open_unix_connection(str(house.socket))

        async def answered(request):
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await reader.readexactly(int(re.search(r"Content-Length: (\d+)", head, re.IGNORECASE)[1]))
            return head

        heads = [await answered(started(house, 7)) for _ in range(3)]
        assert [head[9:12] for head in heads] == ["303", "303", "429"]
        assert "Retry-After: 30\r\n" in heads[2]
        assert (await answered(started(house, 8)))[9:12] == "303"
        house.clock.advance(seconds=30)
        assert (await answered(started(house, 7)))[9:12] == "303"
        writer.close()
