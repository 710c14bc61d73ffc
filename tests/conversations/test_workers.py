"""A gateway with two workers, as real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.gateway import TICKET
from tests.support.http_client import Browser
from tests.support.sandbox import ROOT, listens
from tests.support.waiting import until
from tests.support.workers import PATIENCE, TWO, readiness, serve, standing_still, two_workers, workers_of


@pytest.fixture
async def house(houses):
    async with houses(has_gateway=False, environment=TWO) as opened:
        yield opened


def is_running(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def asks(house, ticket):
    """The status of a page for this ticket, over a new connection."""
    browser = Browser()
    answer = await browser.request("GET", f"{house.acq}/api/jaz", headers={"Cookie": f"{TICKET}={ticket}"})
    return answer.status


async def test_a_session_lives_and_ends_in_all_workers(house):
    async with two_workers(house) as running:
        person = house.person()
        await person.signs_in(house.acq + "/")
        ticket = person.ticket(house.acq)
        one, other = workers_of(running.process)
        for stopped in (one, other):
            with standing_still(stopped):
                assert await asks(house, ticket) == 200
        with standing_still(one):
            page = await person.browser.navigate(f"{house.acq}/.authproxy/logout")
            form = next(form for form in page.forms if form.action.startswith(house.acq))
            await person.browser.submit(page, form)
            assert await asks(house, ticket) == 401
        with standing_still(other):
            await until(lambda: is_refused(house, ticket))
        for line in (house.folder / "audit.log").read_text().splitlines():
            json.loads(line)


async def is_refused(house, ticket):
    return await asks(house, ticket) == 401


async def test_a_killed_worker_is_replaced_and_the_other_one_serves_meanwhile(house):
    async with two_workers(house) as running:
        person = house.person()
        await person.signs_in(house.acq + "/")
        ticket = person.ticket(house.acq)
        counted = await house.metric("authproxy_requests_total")
        assert counted
        before = workers_of(running.process)
        os.kill(before[0], signal.SIGKILL)
        # Who connects now is served, by the other one or by the new one.
        for _ in range(20):
            assert await asks(house, ticket) == 200
        await until(lambda: serve(house, "2 of 2 serve; 1 have died"), within=PATIENCE)
        status, checks = await readiness(house)
        assert (status, checks["workers"]["status"]) == (200, "warning")
        after = workers_of(running.process)
        assert (len(after), set(before) & set(after)) == (2, {before[1]})
        assert await house.metric("authproxy_worker_deaths_total") == 1
        assert await house.metric("authproxy_workers ") == 2
        ended = [json.loads(line) for line in running.output.splitlines() if "worker.ended" in line]
        assert [event["cause"] for event in ended] == ["signal 9"]


async def test_metrics_are_those_of_all_workers_and_go_on_when_one_has_died(house):
    async with two_workers(house) as running:
        one, other = workers_of(running.process)
        for stopped, times in ((one, 3), (other, 4)):
            with standing_still(stopped):
                for _ in range(times):
                    assert await asks(house, "no-ticket") == 401
        assert await answered(house) == 7
        os.kill(one, signal.SIGKILL)
        await until(lambda: serve(house, "2 of 2 serve; 1 have died"), within=PATIENCE)
        assert await answered(house) == 7


async def answered(house):
    """Requests at portals."""
    lines = (await Browser().fetch(f"{house.management}/metrics")).text.splitlines()
    counted = [
        line for line in lines if line.startswith("authproxy_requests_total") and 'portal="acq"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


async def test_a_worker_that_stands_still_makes_the_gateway_unready(house):
    async with two_workers(house) as running:
        with standing_still(workers_of(running.process)[0]):
            status, checks = await readiness(house)
            assert (status, checks["workers_answer"]["status"]) == (503, "failed")
            assert (await Browser().fetch(f"{house.management}/healthz")).status == 200
        await until(lambda: is_ready(house))


@pytest.mark.rehearsal
@pytest.mark.timeout(300)
async def test_a_worker_that_hangs_is_killed_and_replaced(house):
    """It takes the half minute for which a worker may be silent."""
    async with two_workers(house) as running:
        hanging, other = workers_of(running.process)
        os.kill(hanging, signal.SIGSTOP)
        await until(lambda: serve(house, "2 of 2 serve; 1 have died"), within=4 * PATIENCE)
        after = workers_of(running.process)
        assert (hanging in after, other in after, len(after)) == (False, True, 2)
        [hangs] = [json.loads(line) for line in running.output.splitlines() if "worker.hangs" in line]
        assert hangs["pid"] == hanging


@pytest.mark.rehearsal
@pytest.mark.timeout(300)
async def test_a_reload_kills_a_worker_that_hangs_and_could_still_judge_by_the_old_settings(house):
    async with two_workers(house) as running:
        hanging, _ = workers_of(running.process)
        os.kill(hanging, signal.SIGSTOP)
        running.process.send_signal(signal.SIGHUP)
        await until(lambda: has_reloaded(house), within=4 * PATIENCE)
        assert not is_running(hanging)
        assert len(workers_of(running.process)) == 2


async def has_reloaded(house):
    return (await readiness(house))[1].get("settings", {}).get("detail", "").startswith("reload 1 at ")


async def is_ready(house):
    return (await readiness(house))[0] == 200


async def test_sigterm_to_everybody_lets_the_downloads_of_all_workers_finish(house):
    """As systemd sends it: to the parent and to every worker. Only the parent's second order would hurry."""
    size = 8 * 1024 * 1024
    async with two_workers(house) as running:
        person = house.person()
        await person.signs_in(house.acq + "/")
        downloads = []
        workers = workers_of(running.process)
        for stopped in workers:
            with standing_still(stopped):
                downloads.append(await begins_download(house, person.ticket(house.acq), size))
        for process_id in (*workers, running.process.pid):
            os.kill(process_id, signal.SIGTERM)
        await until(lambda: not listens(house.ports["gateway"]))
        status, checks = await readiness(house)
        assert (status, checks["draining"]["status"]) == (503, "failed")
        for reader, writer in downloads:
            received = 0
            while received < size:
                received += len(await reader.read(65536)) or size * 2
            assert received == size
            writer.close()
        assert await running.ends() == 0
        assert not any(map(is_running, workers))
        assert not house.socket.exists()
        events = [json.loads(line)["event"] for line in (house.folder / "audit.log").read_text().splitlines()]
        assert (events.count("gateway.started"), events.count("gateway.stopped")) == (2, 2)


async def begins_download(house, ticket, size):
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"], limit=4096)
    writer.write(
        f"GET /prenos?bytes={size} HTTP/1.1\r\nHost: {urlsplit(house.acq).netloc}\r\nCookie: "
        f"{TICKET}={ticket}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    return reader, writer


async def test_a_second_signal_cuts_what_runs_in_all_workers(house):
    async with two_workers(house) as running:
        workers = workers_of(running.process)
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        running.process.terminate()
        await until(lambda: not listens(house.ports["gateway"]))
        running.process.terminate()
        assert await running.ends() == 0
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert not any(map(is_running, workers))


@pytest.mark.rehearsal
async def test_a_worker_that_hangs_at_the_end_keeps_no_address(house):
    async with two_workers(house) as running:
        workers = workers_of(running.process)
        with standing_still(workers[0]):
            running.process.terminate()
            await until(lambda: is_draining(house))
            running.process.terminate()
            assert await running.ends() == 0
            assert not any(map(is_running, workers))
            assert not listens(house.ports["gateway"])


async def is_draining(house):
    return "draining" in (await readiness(house))[1]


async def test_workers_end_when_their_parent_is_killed_and_everything_can_be_taken_over(house):
    async with two_workers(house) as running:
        workers = workers_of(running.process)
        running.process.kill()
        await until(lambda: not any(map(is_running, workers)), within=PATIENCE)
        assert not listens(house.ports["gateway"])
    async with two_workers(house):
        assert await asks(house, "no-ticket") == 401


async def test_sigusr1_goes_on_in_a_new_audit_file_in_all_workers(house):
    audit = house.folder / "audit.log"
    async with two_workers(house) as running:
        audit.rename(house.folder / "audit.log.1")
        running.process.send_signal(signal.SIGUSR1)
        await until(audit.exists)
        for stopped in workers_of(running.process):
            with standing_still(stopped):
                await house.person().signs_in(house.acq + "/")
        assert audit.read_text().count("session.started") == 2
        assert "session.started" not in (house.folder / "audit.log.1").read_text()


async def test_what_keeps_a_worker_from_starting_is_one_line_and_leaves_no_process(house):
    endless = house.folder / "endless.log"
    endless.symlink_to(endless)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "authproxy",
        "serve",
        "-c",
        str(house.settings_file),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **TWO, "AUTHPROXY__TELEMETRY__AUDIT_FILE": str(endless)},
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().splitlines()[-1] == (
        f"authproxy cannot start: telemetry.audit_file: {endless}: Too many levels of symbolic links"
    )
    assert not listens(house.ports["gateway"])
    assert not house.socket.exists()


ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[2]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "edge"}
from authproxy.cli import main
main(["serve", "-c", sys.argv[1]])
"""


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_nobody_is_refused_while_a_gateway_with_a_socket_of_systemd_is_restarted(house, workers):
    with socket.create_server(("127.0.0.1", house.ports["gateway"])) as listening:
        for _ in range(2):
            # Whoever connects while no gateway is there waits for the next one.
            reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
            writer.write(f"GET /api/jaz HTTP/1.1\r\nHost: {urlsplit(house.acq).netloc}\r\n\r\n".encode())
            with (house.folder / "stderr").open("wb") as stderr:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-c",
                    ACTIVATED,
                    str(house.settings_file),
                    str(listening.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=stderr,
                    cwd=ROOT,
                    env={**os.environ, "AUTHPROXY__SERVER__WORKERS": workers},
                    pass_fds=(listening.fileno(),),
                )
            try:
                async with asyncio.timeout(PATIENCE):
                    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
                writer.close()
                await until(lambda: is_ready(house), within=PATIENCE)
                process.terminate()
                async with asyncio.timeout(PATIENCE):
                    assert await process.wait() == 0
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


async def test_systemd_hears_from_the_parent_that_the_gateway_runs(house):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setblocking(False)
        systemd.bind(str(house.folder / "notify.sock"))

        async def hears():
            async with asyncio.timeout(PATIENCE):
                return (await asyncio.get_running_loop().sock_recv(systemd, 4096)).decode()

        told = {"NOTIFY_SOCKET": str(house.folder / "notify.sock"), "WATCHDOG_USEC": "600000"}
        async with two_workers(house, **told) as running:
            assert [await hears() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
            running.process.send_signal(signal.SIGHUP)
            while (said := await hears()) == "WATCHDOG=1":
                pass
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[0-9]+", said)
            while (said := await hears()) == "WATCHDOG=1":
                pass
            assert said == "READY=1"
            running.process.terminate()
            while (said := await hears()) != "STOPPING=1":
                assert said == "WATCHDOG=1"
            assert await running.ends() == 0
