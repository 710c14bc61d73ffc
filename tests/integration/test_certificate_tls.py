"""The TLS of the certificate listener by itself, with an echo behind it: what it lets through, and what it
does not wait for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.certificates.presentation import presented
from authproxy.web.certificate_listener import tls
from authproxy.web.certificate_listener.tls import CERTIFICATES, TlsConnections
from tests.support.certificate_builder import Authority, der, ec_key, pem
from tests.support.waiting import PATIENCE

ROOT = Authority.root(key=ec_key())
SUB = ROOT.authority("Test SubCA", key=ec_key())
HOST_CA = trustme.CA()


class Echo(asyncio.Protocol):
    """Says back what it hears, and ends at `end`. Knows who has come in."""

    def __init__(self, seen):
        self.seen = seen

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append(transport.get_extra_info(CERTIFICATES))

    def data_received(self, data):
        if data == b"end":
            self.transport.write(b"ended")
            self.transport.close()
            self.transport.write(b"too late")
        else:
            self.transport.writelines([data, memoryview(b"!")])

    def connection_lost(self, exc):
        self.seen.append("gone")


@contextlib.asynccontextmanager
async def listening(folder, seen, **limits) -> AsyncIterator[int]:
    issued = HOST_CA.issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "host.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    context = tls.context(
        certificate_file=str(folder / "host.pem"),
        key_file=str(folder / "key.pem"),
        authorities=(ROOT.certificate, SUB.certificate),
    )
    connections = TlsConnections(context, lambda: Echo(seen), **limits)
    server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        connections.abort()


def holder(authority):
    """A person with a certificate of the authority that is valid for as long as the authority. OpenSSL looks
    at the real time."""
    key = ec_key()
    return Authority(authority.person(key=key, end=authority.certificate.not_valid_after_utc), key)


def with_chain_of(count):
    """A person, and so many certificates to be shown behind theirs."""
    return holder(SUB), *[SUB.certificate] * count


def showing(folder, who=None, *chain):
    context = ssl.create_default_context()
    HOST_CA.configure_trust(context)
    if who is not None:
        file = folder / "client.pem"
        file.write_bytes(
            who.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + "".join(map(pem, (who.certificate, *chain))).encode()
        )
        context.load_cert_chain(file)
    return context


async def connected(port, context):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")


async def ended(reader, writer):
    writer.write(b"end")
    said = await reader.read()
    writer.close()
    with contextlib.suppress(ssl.SSLError, OSError):
        await writer.wait_closed()
    return said


async def test_whatever_certificate_is_shown_reaches_the_application_unjudged(tmp_path):
    person, stranger, seen = holder(SUB), holder(Authority.root("Stranger", key=ec_key())), []
    async with listening(tmp_path, seen) as port:
        for who in (person, stranger, None):
            assert await ended(*await connected(port, showing(tmp_path, who))) == b"ended"
    shown = [each for each in seen if each != "gone"]
    assert shown == [(der(person.certificate),), (der(stranger.certificate),), ()]


async def test_of_a_long_chain_the_application_hears_enough_to_refuse_it(tmp_path):
    who, seen = with_chain_of(20), []
    async with listening(tmp_path, seen) as port:
        assert await ended(*await connected(port, showing(tmp_path, *who))) == b"ended"
    assert presented(*seen[0]).detail == "more than 5 certificates"


async def test_more_certificates_than_are_examined_at_all_end_the_handshake(tmp_path):
    who, seen = with_chain_of(120), []
    async with listening(tmp_path, seen) as port:
        with contextlib.suppress(ssl.SSLError, OSError):
            assert await ended(*await connected(port, showing(tmp_path, *who))) != b"ended"
    assert seen == []


async def test_much_is_carried_both_ways_in_pieces(tmp_path):
    async with listening(tmp_path, []) as port:
        reader, writer = await connected(port, showing(tmp_path))
        sent = bytes(1_000_000)
        writer.write(sent)
        received = bytearray()
        while received.count(0) < len(sent):
            received += await reader.read(65536)
        writer.close()
        assert set(received) == {0, ord("!")}


@pytest.mark.parametrize(
    "octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05rubbish", b"\x00" * 5000]
)
async def test_what_is_no_tls_is_closed(tmp_path, octets):
    seen = []
    async with listening(tmp_path, seen) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(octets)
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
    assert seen == []


async def test_a_handshake_that_does_not_go_on_is_ended(tmp_path):
    async with listening(tmp_path, [], handshake_for=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()


async def test_more_connections_than_the_limit_are_not_answered(tmp_path):
    async with listening(tmp_path, [], limit=1) as port:
        first = await connected(port, showing(tmp_path))
        with pytest.raises((ssl.SSLError, OSError)):
            await connected(port, showing(tmp_path))
        assert await ended(*first) == b"ended"
        second = await connected(port, showing(tmp_path))
        assert await ended(*second) == b"ended"


def test_the_loop_of_a_serving_gateway_carries_it_too(tmp_path):
    async def story():
        async with listening(tmp_path, []) as port:
            return await ended(*await connected(port, showing(tmp_path)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) == b"ended"


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    one, other = HOST_CA.issue_cert("localhost"), HOST_CA.issue_cert("localhost")
    one.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    other.cert_chain_pems[0].write_to_path(str(tmp_path / "host.pem"))
    with pytest.raises(ValueError, match="no certificate and its key"):
        tls.context(
            certificate_file=str(tmp_path / "host.pem"), key_file=str(tmp_path / "key.pem"), authorities=()
        )
