"""Measures how large a gateway is and what it costs to start: commands, start, memory, idle connections, and
sessions in the near cache. Prints Markdown tables. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

_PROJECT = Path(__file__).parent.parent
# The checkout comes last, so that the code in PYTHONPATH is measured.
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

from measuring import cpu_seconds  # noqa: E402
from ports import free_ports  # noqa: E402
from systems import Gateway, gateway_alone  # noqa: E402

import authproxy.edge  # noqa: E402
from authproxy.bootstrap.stores import open_stores_of_command  # noqa: E402
from authproxy.identity.assurance import AuthenticationEvent, Level  # noqa: E402
from authproxy.identity.person import Issuer, Person, Subject  # noqa: E402
from authproxy.identity.session import Session  # noqa: E402
from authproxy.identity.ticket import SessionTicket  # noqa: E402
from authproxy.settings.sources import load  # noqa: E402

_PATIENCE = 60.0
_CONNECTIONS_OF_AN_ADDRESS = 1000
_AT_A_TIME = 32
_ID_TOKEN = 700
"""Random bytes, as base64 as long as the provider's ID token."""


class Memory(NamedTuple):
    """KiB: resident, its fair part of what is shared, and what no other process shares."""

    rss: int
    pss: int
    private: int


def main() -> None:
    arguments = _arguments()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    made = "interpreted" if (authproxy.edge.__file__ or "").endswith(".py") else "compiled"
    print(f"authproxy {authproxy.__version__} ({made}), CPython {sys.version.split()[0]}\n")
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-bench-")))
        gateway = resources.enter_context(gateway_alone(folder))
        settings = json.loads((folder / "authproxy.yaml").read_text(encoding="utf-8"))
        _print_commands(folder / "authproxy.yaml", arguments.rounds)
        _print_starts(folder, settings, arguments.rounds)
        print(
            "| gateway | resident MB | with its part of what is shared | of its own |\n|---|---:|---:|---:|"
        )
        _print_memory("after a sign-in", _memory(gateway.pid))
        print()
        _print_connections(gateway, arguments.connections)
        _print_sessions(gateway, folder / "authproxy.yaml", arguments.sessions)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each command (5)")
    parser.add_argument("--connections", type=int, default=10_000, help="idle connections (10000)")
    parser.add_argument("--sessions", type=int, default=100_000, help="live sessions (100000)")
    return parser.parse_args()


def _print_commands(file: Path, rounds: int) -> None:
    """The median of the CPU time of a command."""
    print("| command | CPU seconds |\n|---|---:|")
    for command in (["--version"], ["healthcheck", "-c", str(file)], ["check-config", "-c", str(file)]):
        cpu = statistics.median(_run(command) for _ in range(rounds))
        print(f"| `authproxy {command[0]}` | {cpu:.2f} |")
    print()


def _run(command: list[str]) -> float:
    process = subprocess.Popen(
        [sys.executable, "-m", "authproxy", *command],
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"authproxy {' '.join(command)} failed")
    return used.ru_utime + used.ru_stime


def _print_starts(folder: Path, settings: dict[str, Any], rounds: int) -> None:
    """The median of what it takes until a client is answered, and of the memory then."""
    seconds, cpu, sizes = [], [], []
    for _ in range(rounds):
        began = time.monotonic()
        with _another(folder, settings, workers=1) as pid:
            seconds.append(time.monotonic() - began)
            cpu.append(cpu_seconds([pid]))
            sizes.append(_memory(pid))
    with _another(folder, settings, workers=2) as pid:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        workers = [_memory(int(child)) for child in children]
    print(
        f"ready after {statistics.median(seconds):.2f} s, {statistics.median(cpu):.2f} s of them CPU time\n"
    )
    print("| at the start | resident MB | with its part of what is shared | of its own |")
    print("|---|---:|---:|---:|")
    _print_memory("one process", Memory(*(int(statistics.median(each)) for each in zip(*sizes, strict=True))))
    for number, worker in enumerate(workers, start=1):
        _print_memory(f"worker {number} of {len(workers)}", worker)
    print()


@contextmanager
def _another(folder: Path, settings: dict[str, Any], *, workers: int) -> Iterator[int]:
    """One more gateway with these settings, which answers; yields its process id."""
    listen, management = free_ports(2)
    server = settings["server"] | {
        "listen": [f"127.0.0.1:{listen}"],
        "management": f"127.0.0.1:{management}",
        "workers": workers,
    }
    file = folder / "another.yaml"
    file.write_text(json.dumps(settings | {"server": server}), encoding="utf-8")
    file.chmod(0o600)
    process = subprocess.Popen(
        [sys.executable, "-m", "authproxy", "serve", "-c", str(file)],
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(management):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the gateway did not start")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(_PROJECT)]
    # An installed gateway has its bytecode. Without it, a start would read and translate all sources.
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": ""}


def _memory(pid: int) -> Memory:
    summed = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    rows = {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB$", summed, re.MULTILINE)}
    return Memory(rows["Rss"], rows["Pss"], rows["Private_Clean"] + rows["Private_Dirty"])


def _print_memory(name: str, memory: Memory) -> None:
    print(f"| {name} |{''.join(f' {size * 1.024 / 1000:.1f} |' for size in memory)}")


def _print_connections(gateway: Gateway, count: int) -> None:
    """What each connection holds that has sent nothing yet, and that has been answered."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = _memory(gateway.pid).rss
    with ExitStack() as opened:
        connections = []
        for number in range(count):
            connection = opened.enter_context(socket.socket())
            connection.bind((f"127.0.1.{1 + number // _CONNECTIONS_OF_AN_ADDRESS}", 0))
            connection.connect(gateway.address)
            connections.append(connection)
        _answer_on(connections[-1])
        silent = _memory(gateway.pid).rss
        for connection in connections:
            _answer_on(connection)
        answered = _memory(gateway.pid).rss
    print("| idle connections | bytes for each |\n|---|---:|")
    print(f"| {count:,} that have sent nothing | {(silent - before) * 1024 // count:,} |")
    print(f"| {count:,} after a request | {(answered - before) * 1024 // count:,} |\n")


def _answer_on(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
    answer = connection.recv(65536)
    length = re.search(rb"\r\ncontent-length: *(\d+)", answer, re.IGNORECASE)
    while length is not None and len(answer.partition(b"\r\n\r\n")[2]) < int(length[1]):
        answer += connection.recv(65536)


def _print_sessions(gateway: Gateway, file: Path, count: int) -> None:
    """What each session holds that is asked for once, and how many of them are answered from memory then."""
    tickets = asyncio.run(_sessions_in(file, gateway.portal, count))
    before = _memory(gateway.pid).rss
    first = asyncio.run(_asked(gateway, tickets))
    after = _memory(gateway.pid).rss
    again = asyncio.run(_asked(gateway, tickets[-10_000:]))
    print("| sessions | bytes for each | resident MB | first question, µs | again, the last 10,000, µs |")
    print("|---:|---:|---:|---:|---:|")
    print(
        f"| {count:,} | {(after - before) * 1024 // max(1, count):,} | {after * 1.024 / 1000:.0f} "
        f"| {first:.0f} | {again:.0f} |"
    )


async def _sessions_in(file: Path, portal: str, count: int) -> list[str]:
    """So many sessions in the store, as if as many people had signed in; their tickets."""
    settings = load(file, {})
    now = datetime.now(UTC)
    idle_for = settings.sessions.idle
    portal_id = next(name for name, each in settings.portals.items() if each.url == portal)
    async with open_stores_of_command(settings) as stores:
        gate, tickets = asyncio.Semaphore(_AT_A_TIME), []

        async def store(number: int) -> None:
            ticket = SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))
            session = _session(ticket, number, portal_id, idle_for, now)
            async with gate:
                await stores.sessions.create(ticket, session, browser="Firefox, Windows", now=now)
            tickets.append(ticket.text)

        for begin in range(0, count, 1000):
            await asyncio.gather(*(store(number) for number in range(begin, min(begin + 1000, count))))
        return tickets


def _session(
    ticket: SessionTicket, number: int, portal_id: str, idle_for: timedelta, now: datetime
) -> Session:
    issuer = Issuer("http://localhost/")
    event = AuthenticationEvent(
        method="rekono", at=now, source=issuer, acr="20", amr=("pwd", "sms"), is_step_up=True
    )
    return Session(
        session_id=ticket.session_id,
        portal=portal_id,
        person=Person(
            issuer=issuer,
            subject=Subject(f"person-{number}"),
            name=f"Ana Novak {number}",
            email="a@example.si",
        ),
        method="rekono",
        level=Level.MEDIUM,
        events=(event,),
        started_at=now,
        expires_at=now + timedelta(hours=8),
        idle_for=idle_for,
        id_token=secrets.token_urlsafe(_ID_TOKEN),
    )


async def _asked(gateway: Gateway, tickets: list[str]) -> float:
    """Asks once about each of the sessions, as nginx does. The gateway's microseconds for each."""
    waiting = iter(tickets)
    before = cpu_seconds([gateway.pid])
    await asyncio.gather(*(_ask_on(gateway, waiting) for _ in range(_AT_A_TIME)))
    return (cpu_seconds([gateway.pid]) - before) / max(1, len(tickets)) * 1e6


async def _ask_on(gateway: Gateway, tickets: Iterator[str]) -> None:
    reader, writer = await asyncio.open_connection(*gateway.address)
    for ticket in tickets:
        writer.write(
            f"GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: any\r\nX-Original-URL: {gateway.portal}/1k\r\n"
            f"X-Original-Method: GET\r\nCookie: __Host-authproxy={ticket}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"a session was answered {head[:40]!r}")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length is not None:
            await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()


if __name__ == "__main__":
    main()
