"""A portal of which a part is on a server of its own, through a whole gateway."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.support.edge import Conversation, Counterpart
from tests.support.http_client import Browser
from tests.support.waiting import until


async def old_server(conversation: Conversation) -> None:
    """Leads everybody to a page of its own, under the name by which it was asked, and names itself in a
    cookie."""
    while True:
        head, _ = await conversation.read_request()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        host = fields[b"Host"]
        if b"/list" in head.split(b"\r\n", 1)[0]:
            await conversation.answer(b"the list")
        else:
            name = host.partition(b":")[0]
            own = b"Location: http://%s/reports/list\r\nSet-Cookie: REP=1; Domain=%s; Path=/reports\r\n"
            await conversation.answer(b"", status="302 Found", fields=own % (host, name))


@contextlib.asynccontextmanager
async def reporting(houses, **portal) -> AsyncIterator[tuple]:
    server = Counterpart(old_server)
    await server.listen()
    routes = [{"path": "/reports", "upstream": f"http://127.0.0.1:{server.port}"}]
    try:
        async with houses(acq={"routes": routes} | portal) as house:
            yield house, server
    finally:
        await server.close()


async def test_a_person_follows_the_redirect_of_a_server_that_knows_only_its_own_name(houses):
    async with reporting(houses, preserve_host=False) as (house, server):
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        led_on = await ana.opens(f"{house.acq}/reports")
        assert (led_on.status, led_on.location) == (302, f"{house.acq}/reports/list")
        answer = await ana.browser.follow(led_on)
        assert (answer.status, answer.text) == (200, "the list")
        first, second = server.heads
        host = f"\r\nHost: 127.0.0.1:{server.port}\r\n".encode()
        assert [head.partition(b" HTTP")[0] for head in (first, second)] == [
            b"GET /reports",
            b"GET /reports/list",
        ]
        assert [host in head + b"\r\n" for head in (first, second)] == [True, True]
        assert b"\r\nCookie: REP=1\r\n" in second
        assert b"\r\nX-Auth-Name: Ana Novak\r\n" in second
        assert (await ana.browser.fetch(f"{house.acq}/api/received")).status == 200
        assert len(server.heads) == 2


async def test_nobody_reaches_another_server_without_a_session(houses):
    async with reporting(houses) as (house, server):
        answer = await Browser().fetch(f"{house.acq}/reports/list", headers={"Accept": "application/json"})
        assert (answer.status, server.conversations) == (401, [])


async def test_a_path_that_two_servers_might_claim_reaches_neither(houses):
    async with reporting(houses) as (house, server):
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        for path in ("/reports;x=1", "/reports;x=1/list", "/reports/..;/list", "/.;/reports"):
            answer = await ana.browser.fetch(f"{house.acq}{path}")
            assert answer.status in {400, 403}, path
        assert server.conversations == []
        assert (await ana.browser.fetch(f"{house.acq}/reports/list;jsessionid=A")).text == "the list"


async def test_connections_of_another_server_have_a_line_of_their_own_in_the_metrics(houses):
    async with reporting(houses) as (house, server):
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        await ana.browser.fetch(f"{house.acq}/reports/list")

        async def is_counted() -> bool:
            text = (await Browser().fetch(f"{house.management}/metrics")).text
            line = 'authproxy_upstream_connections{portal="acq",route="/reports",state="idle"} 1.0'
            return line in text and 'portal="acq",route="",state="idle"' in text

        await until(is_counted)
        assert len(server.conversations) == 1
