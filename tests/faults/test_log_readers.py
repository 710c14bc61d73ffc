"""Whoever reads what the gateway writes may stop, go away or have no room: nothing that is served waits for
it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import TICKET, open_house
from tests.support.http_client import Browser
from tests.support.redis_server import RedisServer
from tests.support.sandbox import served
from tests.support.waiting import until

_SOON = 20.0


@pytest.fixture
async def house():
    """Its gateway is a process, which has nothing but standard output to write to."""
    sections = {"telemetry": {"audit_file": None, "access_log": True}, "server": {"timeouts": {"head": "1s"}}}
    async with open_house("memory://", has_gateway=False, sections=sections) as opened:
        yield opened


@contextlib.asynccontextmanager
async def read_by(house, reader):
    """The gateway as a process whose standard output `reader` reads, as in `serve | cat`."""
    with contextlib.closing(reader.stdin):
        listen = {"AUTHPROXY__SERVER__LISTEN": f"127.0.0.1:{house.ports['gateway']}"}
        async with served(
            house.settings_file,
            house.folder,
            port=house.ports["gateway"],
            output=reader.stdin,
            environment=listen,
        ) as running:
            yield running


@pytest.fixture
def cat():
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield reader
    reader.kill()
    reader.wait()


async def answers(house, requests):
    """How many of so many requests, sent at once on one connection, are answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
    try:
        writer.write(b"GET /x HTTP/1.1\r\nHost: acq.localhost:%d\r\n\r\n" % house.ports["gateway"] * requests)
        found = 0
        async with asyncio.timeout(_SOON):
            while found < requests:
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 401 "), head
                length = next(
                    line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                found += 1
        return found
    finally:
        writer.close()


async def ready(house):
    answer = await Browser().fetch(f"{house.management}/readyz")
    return answer.json["checks"]


async def metric(house, start):
    lines = (await Browser().request("GET", f"{house.management}/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


async def test_a_reader_that_has_stopped_stops_neither_requests_nor_sign_ins_nor_the_end(house, cat):
    async with read_by(house, cat) as running:
        os.kill(cat.pid, signal.SIGSTOP)
        assert await answers(house, 2000) == 2000
        assert (await Browser().fetch(f"{house.management}/healthz")).status == 200
        assert (await house.person().signs_in(house.acq + "/")).status == 200

        async def is_noticed():
            return (await ready(house))["log"]["status"] == "warning"

        await until(is_noticed)
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0


async def test_time_limits_and_pipelined_requests_go_on_though_the_reader_has_gone(house, cat):
    async with read_by(house, cat) as running:
        cat.kill()
        cat.wait()
        assert await answers(house, 2000) == 2000

        unfinished = [await asyncio.open_connection("127.0.0.1", house.ports["gateway"]) for _ in range(700)]
        for _, writer in unfinished:
            writer.write(b"GET /x HTTP/1.1\r\nHost: a")
        async with asyncio.timeout(_SOON):
            assert {(await reader.read())[:12] for reader, _ in unfinished} == {b"HTTP/1.1 408"}
        for _, writer in unfinished:
            writer.close()

        assert await metric(house, 'authproxy_log_lines_lost_total{stream="access"}') >= 2000
        assert await answers(house, 1) == 1
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0


async def test_a_disk_without_room_takes_lines_again_once_there_is_some(house, tmp_path):
    """A file that may not grow stands in for the disk (setrlimit(2)): nobody needs to mount anything for
    it."""
    log = tmp_path / "log"
    with log.open("ab") as output:
        async with served(
            house.settings_file, house.folder, port=house.ports["gateway"], output=output
        ) as running:
            limit(running, 4096)
            assert await answers(house, 500) == 500

            async def is_lost():
                return await metric(house, 'authproxy_log_lines_lost_total{stream="access"}') >= 400

            await until(is_lost)
            assert log.stat().st_size <= 4096
            limit(running, 1 << 30)

            async def is_told():
                await answers(house, 1)
                return "log.lines_lost" in log.read_text()

            await until(is_told)
    whole, torn = [], []
    for line in log.read_text().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn.append(line)
    assert len(torn) <= 1
    [told] = [line for line in whole if line["event"] == "log.lines_lost"]
    assert told["access"] >= 400


def limit(running, octets):
    subprocess.run(["prlimit", "--pid", str(running.process.pid), f"--fsize={octets}:"], check=True)


# The audit trail.


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest.fixture
async def strict_house(store):
    store.command("FLUSHALL")
    async with open_house(store.socket_url, sections={"telemetry": {"audit_required": True}}) as opened:
        yield opened


def fill_the_disk(house):
    audit = house.folder / "audit.log"
    audit.rename(house.folder / "audit.1")
    audit.symlink_to("/dev/full")
    house.gateway.outputs.reopen()


def make_room(house):
    (house.folder / "audit.log").unlink()
    house.gateway.outputs.reopen()


@pytest.mark.needs("redis-server")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
async def test_where_audit_events_are_required_nobody_is_let_in_that_none_is_written_of_and_nobody_is_signed_out(
    strict_house,
):
    house = strict_house
    bor = house.person()
    assert (await bor.signs_in(house.acq + "/")).status == 200
    ana = house.person()
    callback = await ana.goes_to_callback(house.acq + "/")

    fill_the_disk(house)
    page = await ana.browser.navigate(callback)
    assert (page.status, "audit_unavailable" in page.text) == (503, True)
    assert ana.ticket(house.acq) is None
    assert len(await list_sessions(house.settings)) == 1
    stranger = Browser()
    chooser = await stranger.navigate(house.acq + "/.authproxy/login")
    form = next(form for form in chooser.forms if ("method", "rekono") in form.buttons)
    assert (await stranger.submit(chooser, form, {"method": "rekono"})).status == 503
    assert (await bor.browser.fetch(house.acq + "/")).status == 200
    check = (await ready(house))["audit"]
    assert (check["status"], "nobody is let in" in check["detail"]) == ("failed", True)
    assert (await Browser().fetch(f"{house.management}/readyz")).status == 503
    assert await metric(house, "authproxy_audit_lost_total") >= 1

    make_room(house)

    async def is_well():
        return (await ready(house))["audit"]["status"] == "ok"

    await until(is_well)
    assert (await house.person().signs_in(house.acq + "/")).status == 200
    events = [json.loads(line) for line in house.audit.splitlines()]
    assert events[0]["event"] == "audit.resumed"
    assert events[0]["detail"].endswith(" events lost")
    assert "session.started" in {event["event"] for event in events}
    assert TICKET not in house.audit
