"""The life of a gateway's process: a second start, signals at any moment, an end in order and in time, and
what a killed one leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import secrets
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import pytest
import yaml
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.cli import main
from tests.support.certificate_builder import Authority, at, pem
from tests.support.gateway import write_settings
from tests.support.http_client import Browser
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.sandbox import ROOT, listens
from tests.support.waiting import until

HINDERED = """
import concurrent.futures, gc, signal, sys, time
# A thread that asks a name server which never answers looks like this one.
concurrent.futures.ThreadPoolExecutor().submit(time.sleep, 600)
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(600))
def tell(*_):
    print("objects", gc.get_freeze_count(), len(gc.get_objects()), flush=True)
signal.signal(signal.SIGRTMIN, tell)
from authproxy.cli import main
main(["serve", "-c", sys.argv[1]])
"""
STARTS_WITHIN, GRACE = 30.0, 9.0


class Gateway:
    """A gateway by itself: its store is in the process, its provider and its portals are not there."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("gateway", "management", "provider", "acq", "b2b")}
        self.settings_file = write_settings(
            folder, self.ports, "memory://", secrets.token_urlsafe(32), {}, {}
        )
        self.socket = folder / "authproxy.sock"
        self.temporary = temporary

    def set(self, section: str, key: str, value: object) -> None:
        written = yaml.safe_load(self.settings_file.read_text())
        written.setdefault(section, {})[key] = value
        self.settings_file.write_text(yaml.safe_dump(written))

    @contextlib.asynccontextmanager
    async def running(self, *, is_ready: bool = True):
        with (self.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                HINDERED,
                str(self.settings_file),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )
        try:
            if is_ready:
                await self.is_up()
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def is_up(self) -> None:
        async def answers() -> bool:
            return self.socket.exists() and listens(self.ports["gateway"])

        await until(answers, within=STARTS_WITHIN)

    async def second_start(self) -> tuple[int | None, str]:
        """Exit code, and the last line of what it said; there is no more than findings before it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "authproxy",
            "serve",
            "-c",
            str(self.settings_file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )
        _, said = await process.communicate()
        *findings, last = said.decode().splitlines()
        assert all(": warning: " in line for line in findings), findings
        return process.returncode, last

    async def readiness(self) -> tuple[int, dict[str, str]]:
        answer = await Browser().fetch(f"http://127.0.0.1:{self.ports['management']}/readyz")
        return answer.status, {name: check["status"] for name, check in answer.json["checks"].items()}

    async def asks(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["gateway"])
        writer.write(f"GET / HTTP/1.1\r\nHost: acq.localhost:{self.ports['gateway']}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head

    async def begins(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A request that is never finished."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["gateway"])
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        return reader, writer

    def is_reached_by_socket(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0


@pytest.fixture
def gateway(tmp_path):
    # pytest's own folder may be too deep for a Unix socket in it, and the gateway would go elsewhere.
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as temporary:
        yield Gateway(tmp_path, Path(temporary))


async def test_a_second_start_harms_nobody_and_a_killed_one_leaves_nothing_behind(gateway):
    async with gateway.running() as first:
        assert await gateway.second_start() == (
            1,
            (
                f"authproxy cannot start: server.listen: 127.0.0.1:{gateway.ports['gateway']} is taken by "
                f"process {first.pid} (python)"
            ),
        )
        # The same socket beside other ports.
        own = gateway.settings_file.read_text()
        gateway.set("server", "listen", [f"unix:{gateway.socket}"])
        gateway.set("server", "management", f"unix:{gateway.folder / 'management.sock'}")
        code, said = await gateway.second_start()
        assert (code, f"server.listen: {gateway.socket} is taken by process {first.pid} (" in said) == (
            1,
            True,
        )
        assert not (gateway.folder / "management.sock").exists()
        gateway.settings_file.write_text(own)
        assert gateway.is_reached_by_socket()
        assert (await gateway.readiness())[1]["listener"] == "ok"
        gateway.socket.rename(gateway.folder / "elsewhere")
        assert (await gateway.readiness())[1]["listener"] == "failed"
        (gateway.folder / "elsewhere").rename(gateway.socket)
        first.kill()
        await first.wait()
    left = list(gateway.temporary.iterdir())
    assert len(left) == 1
    assert gateway.socket.exists()
    async with gateway.running() as second:
        assert gateway.is_reached_by_socket()
        assert not left[0].exists()
        second.terminate()
        assert await asyncio.wait_for(second.wait(), GRACE) == 0
    assert not gateway.socket.exists()
    assert list(gateway.temporary.iterdir()) == []


async def test_the_end_comes_in_order_and_in_time(gateway):
    """Not ready while everybody is served; then no listener, and what runs is finished or cut; the supervisor
    is answered all the time."""
    gateway.set("server", "timeouts", {"leave": "2s", "drain": "1s"})
    async with gateway.running() as process:
        reader, writer = await gateway.begins()
        assert b"connection: close" not in (await gateway.asks()).lower()
        began = time.monotonic()
        process.terminate()
        await until(lambda: has_status(gateway, 503))
        head = await gateway.asks()
        assert (head.startswith(b"HTTP/1.1 401 "), b"connection: close" in head.lower()) == (True, True)
        assert gateway.is_reached_by_socket()
        await until(lambda: refuses(gateway))
        assert time.monotonic() - began >= 2
        status, checks = await gateway.readiness()
        assert (status, checks["draining"], gateway.socket.exists()) == (503, "failed", False)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), GRACE) == b""
        writer.close()
        assert await asyncio.wait_for(process.wait(), GRACE) == 0
        assert time.monotonic() - began < 3 + GRACE


async def has_status(gateway, status):
    return (await gateway.readiness())[0] == status


async def refuses(gateway):
    return not listens(gateway.ports["gateway"])


async def test_a_second_signal_hastens_the_end_and_a_hangup_never_ends_anything(gateway):
    gateway.set("telemetry", "audit_file", None)
    async with gateway.running(is_ready=False) as process:
        # From its first instruction on; what has not begun yet, no program can ignore.
        await until(lambda: ignores_hangups(process.pid), within=STARTS_WITHIN)
        process.send_signal(signal.SIGHUP)
        await gateway.is_up()
        process.send_signal(signal.SIGHUP)
        reader, writer = await gateway.begins()
        process.terminate()
        await until(lambda: refuses(gateway))
        process.terminate()
        assert await asyncio.wait_for(process.wait(), GRACE) == 0
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


class Systemd:
    """The socket at which systemd hears from a service (sd_notify(3))."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(folder / "notify"))
        for name, value in (environment | {"NOTIFY_SOCKET": str(folder / "notify")}).items():
            monkeypatch.setenv(name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def hears(self) -> str:
        async with asyncio.timeout(STARTS_WITHIN):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 100)).decode()

    async def hears_until(self, last: str) -> list[str]:
        heard = []
        while (message := await self.hears()) != last:
            heard.append(message)
        return heard


@pytest.fixture
def shared_store(gateway):
    """A store that several workers can share."""
    with RedisServer() as server:
        gateway.set("store", "url", server.socket_url)
        yield


@pytest.mark.needs("redis-server")
@pytest.mark.usefixtures("shared_store")
@pytest.mark.parametrize("workers", [1, 2])
async def test_the_watchdog_of_systemd_is_fed_until_the_end(gateway, monkeypatch, workers):
    gateway.set("server", "workers", workers)
    with Systemd(gateway.temporary, monkeypatch, WATCHDOG_USEC="600000") as systemd:
        async with gateway.running() as process:
            assert [await systemd.hears() for _ in range(4)] == ["READY=1"] + ["WATCHDOG=1"] * 3
            _, unfinished = await gateway.begins()
            process.terminate()
            assert set(await systemd.hears_until("STOPPING=1")) <= {"WATCHDOG=1"}
            # While what has begun is finished, systemd must not take the gateway for one that hangs.
            assert await systemd.hears() == "WATCHDOG=1"
            unfinished.close()
            assert await asyncio.wait_for(process.wait(), GRACE) == 0


async def test_a_watchdog_for_another_process_is_left_to_that(gateway, monkeypatch):
    with Systemd(gateway.temporary, monkeypatch, WATCHDOG_USEC="600000", WATCHDOG_PID="1") as systemd:
        async with gateway.running() as process:
            assert await systemd.hears() == "READY=1"
            process.terminate()
            assert await systemd.hears() == "STOPPING=1"
            assert await asyncio.wait_for(process.wait(), GRACE) == 0


async def test_a_crash_leaves_no_core_file_and_the_collector_looks_through_nothing_that_is_imported(gateway):
    """However large core files the system allows. The collector stops all requests while it looks."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    async with gateway.running() as process:
        [core] = [
            line.split()
            for line in Path(f"/proc/{process.pid}/limits").read_text().splitlines()
            if line.startswith("Max core file size")
        ]
        assert core[-3:] == ["0", "0", "bytes"]
        process.send_signal(signal.SIGRTMIN)
        await until(lambda: counted_objects(gateway))
        frozen, others = counted_objects(gateway)
        assert frozen > 50_000 > 10 * others


def counted_objects(gateway):
    """Frozen ones, and those that the collector looks through."""
    lines = [line.split() for line in (gateway.folder / "log").read_text().splitlines()]
    return next(([int(count) for count in line[1:]] for line in lines if line[:1] == ["objects"]), None)


async def ignores_hangups(process_id: int) -> bool:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines()
        if ":\t" in line
    )
    return bool(int(status["SigIgn"], 16) & 1 << signal.SIGHUP - 1)


async def test_a_process_in_which_everything_hangs_ends_nevertheless(gateway):
    gateway.set("server", "timeouts", {"drain": "2s"})
    async with gateway.running() as process:
        _, writer = await gateway.begins()
        process.terminate()
        await until(lambda: has_noticed(gateway))
        process.send_signal(signal.SIGUSR2)
        assert await asyncio.wait_for(process.wait(), 2 + GRACE) == 1
        writer.close()


async def has_noticed(gateway):
    return not gateway.socket.exists()


@pytest.fixture
def only_ours():
    """`serve` ignores SIGHUP in this process, too."""
    yield
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.usefixtures("only_ours")
@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("server", "listen", ["127.0.0.1:{taken}"], "server.listen: 127.0.0.1:{taken} is taken by process "),
        (
            "server",
            "management",
            "127.0.0.1:{taken}",
            "server.management: 127.0.0.1:{taken} is taken by process ",
        ),
        (
            "server",
            "listen",
            ["unix:{folder}/run/edge.sock"],
            "server.listen: {folder}/run/edge.sock: the folder {folder}/run is missing",
        ),
        (
            "server",
            "listen",
            ["unix:{folder}/authproxy.yaml"],
            "server.listen: {folder}/authproxy.yaml is there already and is no socket",
        ),
        (
            "server",
            "listen",
            ["192.0.2.1:8080"],
            "server.listen: 192.0.2.1:8080: this machine has no such address",
        ),
        (
            "server",
            "unix_socket_group",
            "nobody-has-it",
            "server.listen: {folder}/authproxy.sock: there is no group nobody-has-it",
        ),
    ],
)
def test_every_failure_to_start_is_one_line(gateway, section, key, value, said):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        known = {"taken": taken.getsockname()[1], "folder": gateway.folder}
        gateway.set(
            section,
            key,
            [each.format(**known) for each in value] if isinstance(value, list) else value.format(**known),
        )
        ended = CliRunner().invoke(main, ["serve", "-c", str(gateway.settings_file)])
    last = ended.stderr.splitlines()[-1]
    assert (ended.exit_code, last.startswith(f"authproxy cannot start: {said.format(**known)}")) == (
        1,
        True,
    ), ended.stderr
    assert "Traceback" not in ended.output


@pytest.mark.usefixtures("only_ours")
def test_a_certificate_that_no_browser_would_accept_is_refused_at_the_start(gateway):
    expired = Authority.root(start=at(-30), end=at(-1))
    certificate, key = gateway.folder / "own.pem", gateway.folder / "own.key"
    certificate.write_text(pem(expired.certificate))
    key.write_bytes(expired.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    gateway.set("server", "tls", {"certificate_file": str(certificate), "key_file": str(key)})
    ended = CliRunner().invoke(main, ["serve", "-c", str(gateway.settings_file)])
    last = ended.stderr.splitlines()[-1]
    assert (
        ended.exit_code,
        last.startswith(f"authproxy cannot start: server.tls.certificate_file: {certificate} expired at "),
    ) == (1, True), ended.stderr
