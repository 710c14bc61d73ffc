"""A reload at the edge: after it no request begins under the rules before, and no connection is lost, whatever a
client was doing at that moment."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from tests.support.edge import COOKIE, HOST, Conversation, RawClient, request, running_edge

DENIED = ("/api",)
REST = b"the rest"


class Downloads:
    """A portal that answers `/download` in two parts. The second one comes when `may_end` is set."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def __call__(self, conversation: Conversation) -> None:
        while True:
            head, _ = await conversation.read_request()
            if not head.startswith(b"GET /download"):
                await conversation.answer(b"fine")
                continue
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (5 + len(REST)))
            await conversation.say(b"begun")
            await self.may_end.wait()
            await conversation.say(REST)


async def downloading(client: RawClient) -> bytes:
    """Asks for the download, and returns what has come once its beginning has."""
    await client.send(request("GET /download"))
    come = b""
    while not come.endswith(b"begun"):
        come += await client.some()
    return come


async def test_after_two_reloads_during_a_download_the_next_request_is_judged_by_the_newest_rules():
    portal = Downloads()
    async with running_edge(script=portal) as edge:
        client, other = await edge.client(), await edge.client()
        come = await downloading(client)
        await edge.reloaded(closed=())
        await downloading(other)  # so that the listener in the middle is not over either
        await edge.reloaded(closed=DENIED)
        portal.may_end.set()
        client.unread(come)
        assert (await client.answer()).body.endswith(REST)
        assert (await client.ask("GET /api/accounts")).status == 403


async def test_a_download_arrives_whole_although_the_listener_after_it_is_over_already():
    portal = Downloads()
    async with running_edge(script=portal) as edge:
        client = await edge.client()
        come = await downloading(client)
        await edge.reloaded(closed=())
        between = await edge.reloaded(closed=DENIED)
        await between.finish(5)
        between.cut()
        portal.may_end.set()
        client.unread(come)
        assert (await client.answer()).body.endswith(REST)
        assert (await client.ask("GET /api/accounts")).status == 403
        assert (await client.ask("GET /other")).status == 200


@pytest.mark.parametrize("sent", [1, 25, -1], ids=["one byte", "a line", "all but one byte"])
async def test_a_request_whose_head_is_not_complete_at_the_reload_is_judged_by_the_new_rules(sent):
    async with running_edge() as edge:
        client = await edge.client()
        assert (await client.ask("GET /api/accounts")).status == 200
        asking = request("GET /api/accounts")
        await client.send(asking[:sent])
        (connection,) = edge.listener._connections
        await edge.settled(lambda: not connection.is_idle)
        await edge.reloaded(closed=DENIED)
        await client.send(asking[sent:])
        assert (await client.answer()).status == 403


@pytest.mark.parametrize("is_before", [True, False], ids=["before the reload", "after it"])
async def test_a_request_that_was_sent_behind_a_download_is_judged_by_the_new_rules(is_before):
    portal = Downloads()
    async with running_edge(script=portal) as edge:
        client = await edge.client()
        come = await downloading(client)
        (connection,) = edge.listener._connections
        asking = request("POST /api/accounts", "Content-Length: 4", body=b"body")
        if is_before:
            await client.send(asking)
            await edge.settled(lambda: bool(connection._queue))
        await edge.reloaded(closed=DENIED)
        if not is_before:
            await client.send(asking)
            await edge.settled(lambda: bool(connection._queue))
        portal.may_end.set()
        client.unread(come)
        assert (await client.answer()).body.endswith(REST)
        assert (await client.answer()).status == 403
        assert b"/api/accounts" not in edge.portal.received


async def test_what_stands_behind_a_download_at_the_reload_goes_on_if_the_new_rules_allow_it():
    portal = Downloads()
    async with running_edge(script=portal) as edge:
        client = await edge.client()
        come = await downloading(client)
        (connection,) = edge.listener._connections
        await client.send(request("POST /form", "Content-Length: 4", body=b"bo"))
        await edge.settled(lambda: bool(connection._queue))
        await edge.reloaded(closed=DENIED)
        portal.may_end.set()
        client.unread(come)
        await client.answer()
        await client.send(b"dy")
        assert (await client.answer("POST")).status == 200
        assert edge.portal.received.endswith(b"body")
        assert (await client.ask("GET /other")).status == 200


@pytest.fixture(scope="module")
def listener_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(HOST).configure_cert(context)
    return context


@pytest.mark.parametrize("sent", [0, 25])
async def test_where_clients_have_to_speak_tls_now_a_connection_without_it_asks_nothing_more(
    listener_tls, sent
):
    async with running_edge() as edge:
        client = await edge.client()
        assert (await client.ask("GET /")).status == 200
        asking = request("GET /second")
        await client.send(asking[:sent])
        (connection,) = edge.listener._connections
        await edge.settled(lambda: connection.is_idle is (sent == 0))
        await edge.reloaded(closed=(), tls=listener_tls)
        await client.send(asking[sent:])
        assert await client.everything() == b""
        assert b"/second" not in edge.portal.received


async def test_a_download_without_tls_arrives_whole_where_clients_have_to_speak_it_now(listener_tls):
    portal = Downloads()
    async with running_edge(script=portal) as edge:
        client = await edge.client()
        come = await downloading(client)
        (connection,) = edge.listener._connections
        await client.send(request("GET /second"))
        await edge.settled(lambda: bool(connection._queue))
        await edge.reloaded(closed=(), tls=listener_tls)
        portal.may_end.set()
        client.unread(come)
        assert (await client.answer()).body.endswith(REST)
        assert await client.everything() == b""
        assert b"/second" not in edge.portal.received


@pytest.mark.parametrize("reloads", [1, 2])
async def test_a_handshake_that_has_begun_is_finished_and_its_request_is_judged_by_the_new_rules(
    listener_tls, reloads
):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    async with running_edge(listener_tls=listener_tls, client_tls=tls) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        await edge.settled(lambda: edge.listener.connection_count == 1)
        endings = []
        for _ in range(reloads):
            before = await edge.reloaded(closed=DENIED, tls=listener_tls)
            endings.append(asyncio.create_task(before.finish(10)))
        await edge.settled(lambda: all(ending.done() for ending in endings[1:]))
        assert not endings[0].done()
        await writer.start_tls(tls, server_hostname=HOST)
        client = RawClient(reader, writer)
        assert (await client.ask("GET /api/accounts", cookie=COOKIE)).status == 403
        assert (await client.ask("GET /other")).status == 200
        await asyncio.gather(*endings)
        client.close()
