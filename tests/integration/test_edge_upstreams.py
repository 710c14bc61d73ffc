"""Portals over TCP, TLS and Unix sockets, and TLS on the listener."""

from __future__ import annotations

import ssl

import pytest
import trustme

from authproxy.edge.site import EdgeLimits
from authproxy.edge.upstream.pool import Upstream
from tests.support.edge import HOST, Conversation, request, running_edge

LOOPS = ("asyncio", "uvloop")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def server_side(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_portal_on_a_unix_socket_is_reached():
    async with running_edge(portal_unix=True, upstream=lambda _, path: Upstream(unix_path=str(path))) as edge:
        client = await edge.client()
        for _ in range(2):
            assert (await client.ask("POST /", "Content-Length: 2", body=b"hi")).status == 200
        assert len(edge.portal.conversations) == 1


async def test_a_portal_behind_tls_is_reached_and_its_connection_kept(authority):
    trust = client_side(authority)
    async with running_edge(
        portal_tls=server_side(authority, "portal.internal"),
        upstream=lambda port, _: Upstream(
            host="127.0.0.1", port=port, tls=trust, server_name="portal.internal"
        ),
    ) as edge:
        client = await edge.client()
        for size in (0, 10, 1_000_000):
            answer = await client.ask("POST /", f"Content-Length: {size}", body=b"x" * size)
            assert answer.status == 200
        assert len(edge.portal.conversations) == 1


async def test_a_portal_with_a_certificate_for_another_name_is_not_asked(authority):
    trust = client_side(authority)
    async with running_edge(
        portal_tls=server_side(authority, "somebody.else"),
        upstream=lambda port, _: Upstream(
            host="127.0.0.1", port=port, tls=trust, server_name="portal.internal"
        ),
    ) as edge:
        answer = await (await edge.client()).ask("GET /")
        assert (answer.status, b"portal_unreachable" in answer.body) == (502, True)
        assert edge.portal.received == b""


async def test_a_portal_with_a_certificate_of_a_stranger_is_not_asked(authority):
    trust = client_side(authority)
    async with running_edge(
        portal_tls=server_side(trustme.CA(), "portal.internal"),
        upstream=lambda port, _: Upstream(
            host="127.0.0.1", port=port, tls=trust, server_name="portal.internal"
        ),
    ) as edge:
        assert (await (await edge.client()).ask("GET /")).status == 502
        assert edge.portal.received == b""


async def test_a_portal_that_speaks_no_tls_is_502_in_time(authority):
    trust = client_side(authority)
    async with running_edge(
        upstream=lambda port, _: Upstream(
            host="127.0.0.1", port=port, tls=trust, server_name="portal.internal"
        ),
        connect_timeout=0.3,
    ) as edge:
        assert (await (await edge.client()).ask("GET /")).status in {502, 504}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_clients_come_in_over_tls(authority, version):
    trust = client_side(authority)
    trust.minimum_version = trust.maximum_version = version
    async with running_edge(listener_tls=server_side(authority, HOST), client_tls=trust) as edge:
        client = await edge.client()
        for size in (0, 10, 1_000_000):
            assert (await client.ask("POST /", f"Content-Length: {size}", body=b"x" * size)).status == 200
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert (await client.answer()).status == 400


async def test_limits_hold_over_tls(authority):
    async def script(conversation: Conversation) -> None:
        await conversation.read_request()

    limits = EdgeLimits(body_size=10, body_timeout=20)
    async with running_edge(
        script=script,
        listener_tls=server_side(authority, HOST),
        client_tls=client_side(authority),
        limits=limits,
    ) as edge:
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 5", body=b"1"))
        await edge.settled(lambda: edge.portal.received.endswith(b"\r\n\r\n1"))
        edge.pass_time(21)
        assert (await client.answer("POST")).status == 408
        client = await edge.client()
        await client.send(request("POST /", "Content-Length: 50", body=b"1" * 50))
        assert (await client.answer("POST")).status == 413
        edge.pass_time(3)
        await edge.settled(lambda: edge.listener.connection_count == 0)
