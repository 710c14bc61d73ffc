"""A reload at the host for client certificates: whoever is choosing one goes on, and nobody is judged by the rules
before it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from tests.faults.test_reload import PATIENCE, reload_by_signal
from tests.support.certificate_host import make_authority
from tests.support.gateway import TICKET, open_house
from tests.support.redis_server import RedisServer
from tests.support.sandbox import served
from tests.support.waiting import until
from tests.support.workers import readiness

pytestmark = pytest.mark.needs("redis-server")
DOWNLOAD = 64 * 1024 * 1024
ASKS = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    state = tmp_path_factory.mktemp("authority")
    make_authority(state)
    return state


@pytest.fixture(
    params=[
        pytest.param("1", id="one process"),
        pytest.param("2", id="two workers", marks=pytest.mark.rehearsal),
    ]
)
async def running(request, authority):
    with RedisServer() as store:
        async with open_house(store.url, authority=authority, has_gateway=False) as house:
            given = house.environment | {"AUTHPROXY__SERVER__WORKERS": request.param}
            async with served(
                house.settings_file, house.folder, port=house.ports["gateway"], environment=given
            ) as process:
                await until(lambda: is_ready(house), within=PATIENCE)
                yield house, process


async def is_ready(house):
    return (await readiness(house))[0] == 200


class Visitor:
    """A browser without a certificate at the host, which does one step after the other."""

    def __init__(self, house):
        self._house = house
        self._come, self._go = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context()
        house.certificates.server_ca.configure_trust(context)
        self._tls = context.wrap_bio(self._come, self._go, server_hostname="localhost")

    async def connects(self):
        """Until the host has answered, and asks for a certificate."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._house.certificates.port)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._writer.write(self._go.read())
        await self._hears()

    async def chooses(self):
        await self._done(self._tls.do_handshake)

    async def asks(self):
        """The first line of the answer; empty if the host has closed."""
        self._tls.write(ASKS)
        self._writer.write(self._go.read())
        answer = b""
        with contextlib.suppress(ConnectionError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while b"\r\n\r\n" not in answer:
                answer += await self._received()
            size = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(answer.partition(b"\r\n\r\n")[2]) < size:
                answer += await self._received()
        return answer.partition(b"\r\n")[0]

    async def _received(self):
        """Raises ConnectionError if the host has closed in order."""
        received = await self._done(lambda: self._tls.read(65536))
        if not received:
            raise ConnectionError
        return received

    async def _done(self, step):
        while True:
            try:
                outcome = step()
            except ssl.SSLWantReadError:
                self._writer.write(self._go.read())
                await self._hears()
            else:
                self._writer.write(self._go.read())
                return outcome

    async def _hears(self):
        async with asyncio.timeout(PATIENCE):
            come = await self._reader.read(65536)
        self._come.write(come) if come else self._come.write_eof()

    def leaves(self):
        self._writer.close()


async def test_whoever_is_choosing_a_certificate_at_a_reload_goes_on(running):
    house, process = running
    visitor = Visitor(house)
    await visitor.connects()
    assert (await reload_by_signal(house, process))[0] == "ok"
    await visitor.chooses()
    assert (await visitor.asks()).startswith(b"HTTP/1.1 ")
    visitor.leaves()


async def test_a_connection_that_was_kept_asks_nobody_from_before_the_reload(running):
    house, process = running
    person = await house.signed_in()
    # A download keeps the gateway from before the reload.
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"], limit=4096)
    writer.write(
        f"GET /prenos?bytes={DOWNLOAD} HTTP/1.1\r\nHost: acq.localhost:{house.ports['gateway']}\r\n"
        f"Cookie: {TICKET}={person.ticket(house.acq)}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    visitor = Visitor(house)
    await visitor.connects()
    await visitor.chooses()
    assert (await visitor.asks()).startswith(b"HTTP/1.1 ")
    assert (await reload_by_signal(house, process))[0] == "ok"
    assert await visitor.asks() == b""
    visitor.leaves()
    # The gateway from before is still there: it cuts nobody's download.
    assert b"content-length: %d\r\n" % DOWNLOAD in head.lower()
    left = DOWNLOAD
    while left:
        left -= len(await reader.read(65536)) or left + 1
    assert left == 0
    writer.close()


@pytest.fixture
async def house(authority):
    with RedisServer() as store:
        async with open_house(store.url, authority=authority) as house:
            yield house


async def test_whoever_has_connected_when_the_certificate_listener_ends_is_answered(house):
    visitor = Visitor(house)
    await visitor.connects()
    await visitor.chooses()
    ending = asyncio.ensure_future(house.gateway.certificate_listener.stop())
    await asyncio.sleep(0)
    assert (await visitor.asks()).startswith(b"HTTP/1.1 ")
    await ending
    visitor.leaves()


async def test_whoever_has_connected_when_the_management_listener_ends_is_answered(house):
    reader, writer = await asyncio.open_connection(*house.gateway.management)
    ending = asyncio.ensure_future(house.gateway.stop_management())
    await asyncio.sleep(0)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    await ending
    writer.close()
