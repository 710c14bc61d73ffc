"""Settings are taken over while the gateway runs: `authproxy reload`, SIGHUP and changed files, at a real process
under load, with one process and with two workers.

`RELOADS=50 .venv/bin/pytest tests/faults/test_reload.py -n 0 -s -k load` reloads so often while 10,000 requests
are sent at 200 a second, and prints the outcomes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import socket
import ssl
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import trustme
import yaml

from authproxy.assertions import keys
from tests.support.gateway import TICKET, open_house
from tests.support.http_client import Browser
from tests.support.ports import free_port
from tests.support.questions import proof, question
from tests.support.redis_server import RedisServer
from tests.support.sandbox import ROOT, listens, served
from tests.support.waiting import until
from tests.support.workers import open_files_of, workers_of

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.asyncio(loop_scope="module")]
RELOADS = int(os.environ.get("RELOADS", "5"))
REQUESTS = 10_000 if RELOADS >= 50 else 300
A_SECOND = 200
CLIENTS = 8
PATIENCE = 60.0


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[1, 2], ids=["one process", "two workers"]
)
async def process(store, request):
    """A house and its gateway, for all tests of a form. Each test begins with sound settings in use."""
    server = {"workers": request.param}
    async with open_house(store.url, has_gateway=False, sections={"server": server}) as house:
        house.sound = house.settings_file.read_text()
        async with served(house.settings_file, house.folder, port=house.ports["gateway"]) as running:
            await until(lambda: is_ready(house), within=PATIENCE)
            yield house, running


@pytest_asyncio.fixture(loop_scope="module")
async def house(process):
    house, running = process
    yield house
    assert running.process.returncode is None, running.errors
    house.settings_file.write_text(house.sound)
    house.settings_file.chmod(0o600)
    await reloads(house, running)


@pytest.fixture
def running(process):
    return process[1]


async def is_ready(house):
    try:
        return (await Browser().fetch(f"{house.management}/readyz")).status == 200
    except OSError:
        return False


def change(house, **sections):
    """Sections of the settings file, changed by functions."""
    written = yaml.safe_load(house.settings_file.read_text())
    for name, changed in sections.items():
        changed(written[name])
    house.settings_file.write_text(yaml.safe_dump(written))


def deny(path):
    return lambda portals: portals["acq"].update(routes=[{"path": path, "access": "deny"}])


async def reload(house):
    """Exit code, and what the command said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "authproxy",
        "reload",
        "-c",
        str(house.settings_file),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


async def reload_by_signal(house, running):
    """Status and detail afterwards."""
    before = await settings_check(house)
    running.process.send_signal(signal.SIGHUP)
    return await next_reload(house, before)


async def reloads(house, running):
    status, detail = await reload_by_signal(house, running)
    assert status == "ok", detail


async def next_reload(house, before):
    async def has_changed():
        return await settings_check(house) != before

    await until(has_changed, within=PATIENCE)
    return await settings_check(house)


async def settings_check(house):
    answer = await Browser().fetch(f"{house.management}/readyz")
    check = answer.json["checks"]["settings"]
    return check["status"], check["detail"]


class Client:
    """A client that keeps its connection, as browsers and front proxies do."""

    def __init__(self, house, ticket, *, asks_as_nginx=False):
        self._house = house
        self._is_subrequest = asks_as_nginx
        authority = urlsplit(house.acq).netloc
        cookie = f"Host: {authority}\r\nCookie: {TICKET}={ticket}\r\n"
        self._common = cookie + (
            f"X-Original-URL: {house.acq}/api/jaz\r\nX-Original-Method: GET\r\n" if asks_as_nginx else ""
        )
        self.reader = self.writer = None
        self.connections = 0

    async def asks(self, target="/api/jaz", *, method="GET", more=""):
        """The status. Opens a connection only if there is none, or the answer before has closed it."""
        if self.writer is None:
            self.connections += 1
            self.reader, self.writer = (
                await asyncio.open_unix_connection(str(self._house.socket))
                if self._is_subrequest
                else await asyncio.open_connection("127.0.0.1", self._house.ports["gateway"])
            )
        target = "/.authproxy/auth/nginx" if self._is_subrequest else target
        self.writer.write(f"{method} {target} HTTP/1.1\r\n{self._common}{more}\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if "content-length:" in head:
            await self.reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        elif "transfer-encoding: chunked" in head:
            while (size := int(await self.reader.readuntil(b"\r\n"), 16)) > 0:
                await self.reader.readexactly(size + 2)
            await self.reader.readexactly(2)
        if "connection: close" in head:
            self.closes()
        return int(head.split()[1])

    def closes(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def test_changed_rules_hold_for_the_next_request_and_nobody_is_signed_out(house, running):
    person = await house.signed_in()
    clients = [Client(house, person.ticket(house.acq), asks_as_nginx=asks) for asks in (False, True)]
    assert [await client.asks() for client in clients] == [200, 200]

    change(house, portals=deny("/api"))
    code, said = await reload(house)
    assert (code, said.startswith("reload ")) == (0, True), said

    # On the same connections, and by the same session.
    assert [await client.asks() for client in clients] == [403, 403]
    assert [client.connections for client in clients] == [1, 1]
    assert await clients[0].asks("/prejeto") == 200
    assert await settings_check(house) == ("ok", said.strip())
    assert not house.events("gateway.stopped")
    assert house.events("settings.reloaded")
    for client in clients:
        client.closes()


async def test_a_file_with_an_error_changes_nothing_and_is_reported_with_its_line(house, running):
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq))
    sound = house.settings_file.read_text()
    house.settings_file.write_text(sound.replace("upstream:", "upstrem:"))
    line = 1 + sound[: sound.index("upstream:")].count("\n")

    code, said = await reload(house)
    assert code == 1
    assert f"{house.settings_file}:{line}: " in said
    status, detail = await settings_check(house)
    assert (status, detail in said) == ("warning", True)
    assert f"{house.settings_file}:{line}: " in running.output
    assert await client.asks() == 200

    house.settings_file.unlink()
    status, detail = await reload_by_signal(house, running)
    assert (status, "cannot be read" in detail) == ("warning", True)
    assert await client.asks() == 200

    house.settings_file.write_text(sound)
    house.settings_file.chmod(0o600)
    await reloads(house, running)
    assert (await client.asks(), client.connections) == (200, 1)
    client.closes()


async def test_what_fails_only_when_it_is_used_changes_nothing_either(house, running):
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq), asks_as_nginx=True)
    sound = house.settings_file.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        change(house, server=lambda server: server["listen"].append(f"127.0.0.1:{port}"))
        code, said = await reload(house)
        assert (code, f"127.0.0.1:{port} is taken by process {os.getpid()}" in said) == (1, True), said
    assert await client.asks() == 200
    assert house.socket.exists()
    # Logs still go where they went.
    assert f"127.0.0.1:{port} is taken" in running.output

    house.settings_file.write_text(sound)
    await reloads(house, running)
    assert (await client.asks(), client.connections) == (200, 1)
    client.closes()


async def test_listeners_come_and_go_and_the_others_stay(house, running):
    new = free_port()
    old, path = house.ports["gateway"], house.socket
    inode = path.stat().st_ino
    change(house, server=lambda server: server.update(listen=[f"127.0.0.1:{new}", f"unix:{path}"]))
    await reloads(house, running)
    assert listens(new)
    assert not listens(old)
    assert path.stat().st_ino == inode
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.close()

    other = house.folder / "other.sock"
    change(house, server=lambda server: server.update(listen=[f"127.0.0.1:{old}", f"unix:{other}"]))
    await reloads(house, running)
    assert (path.exists(), other.exists(), listens(old), listens(new)) == (False, True, True, False)
    assert not path.with_name(f"{path.name}.lock").exists()


async def test_the_management_listener_moves(house, running):
    old, new = house.ports["management"], free_port()
    change(house, server=lambda server: server.update(management=f"127.0.0.1:{new}"))
    try:
        house.ports["management"] = new
        running.process.send_signal(signal.SIGHUP)
        await until(lambda: is_ready(house), within=PATIENCE)
        await until(lambda: not listens(old), within=PATIENCE)
    finally:
        house.settings_file.write_text(house.sound)
        running.process.send_signal(signal.SIGHUP)
        house.ports["management"] = old
        await until(lambda: is_ready(house), within=PATIENCE)


async def test_a_download_and_a_web_socket_go_on(house, running):
    size = 16 * 1024 * 1024
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"], limit=4096)
    common = f"Host: {urlsplit(house.acq).netloc}\r\nCookie: {TICKET}={person.ticket(house.acq)}\r\n"
    writer.write(f"GET /prenos?bytes={size} HTTP/1.1\r\n{common}\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    key = base64.b64encode(bytes(16)).decode()
    socket_reader, socket_writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
    socket_writer.write(
        f"GET /ws HTTP/1.1\r\n{common}Origin: {house.acq}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert (await socket_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")

    await reloads(house, running)

    socket_writer.write(b"\x81\x82\0\0\0\0hi")
    frame = await socket_reader.readexactly(2)
    assert b"hi" in frame + await socket_reader.readexactly(frame[1] & 127)
    received = 0
    while received < size:
        received += len(await reader.read(65536)) or size * 2
    assert received == size
    # The connection of the download belongs to the gateway that answers now.
    change(house, portals=deny("/api"))
    await reloads(house, running)
    writer.write(f"GET /api/jaz HTTP/1.1\r\n{common}\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403")
    for each in (writer, socket_writer):
        each.close()
    client.closes()


async def test_what_outlives_the_time_to_drain_is_ended_in_order(house, running):
    change(house, server=lambda server: server.update(timeouts={"drain": "1s"}))
    await reloads(house, running)
    person = await house.signed_in()
    key = base64.b64encode(bytes(16)).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: {urlsplit(house.acq).netloc}\r\nOrigin: {house.acq}\r\n"
        f"Cookie: {TICKET}={person.ticket(house.acq)}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    await reloads(house, running)
    async with asyncio.timeout(PATIENCE):
        frame = await reader.readexactly(4)
    assert (frame[0], int.from_bytes(frame[2:], "big")) == (0x88, 1001)
    writer.close()


async def test_a_new_key_seals_and_the_one_before_still_opens(house, running):
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq))
    new = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    change(house, sessions=lambda sessions: sessions.update(keys=[new, *sessions["keys"]]))
    await reloads(house, running)
    assert await client.asks() == 200
    # The key before is dropped: its sessions end, and those under the new one go on.
    other = await house.signed_in()
    change(house, sessions=lambda sessions: sessions.update(keys=[new]))
    await reloads(house, running)
    assert await client.asks() in (303, 401)
    others = Client(house, other.ticket(house.acq))
    assert await others.asks() == 200
    for each in (client, others):
        each.closes()


async def test_the_key_of_a_front_proxy_changes_without_a_pause(house, running):
    old, new = os.urandom(32), os.urandom(32)
    file = house.folder / "subrequest-key"
    url = urlsplit(house.acq)

    async def is_heard(key):
        """Whether a front proxy at an address that is not listed may ask with this key."""
        line = proof("caddy", key, at=int(time.time()), host=url.netloc, target="/", cookie="")
        data = question("caddy", line, host=url.netloc, target="/", ticket=None)
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
        writer.write(data.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
        answer = await reader.read()
        writer.close()
        return b"no_session" in answer

    async def heard(*keys):
        file.write_text("\n".join(key.hex() for key in keys))
        file.chmod(0o600)
        await reloads(house, running)
        return [await is_heard(key) for key in (old, new)]

    change(house, server=lambda server: server.update(subrequest_key_file=str(file)))
    assert await heard(old) == [True, False]
    assert await heard(old, new) == [True, True]
    assert await heard(new) == [False, True]


async def test_sigusr1_reopens_the_audit_file_and_reads_no_settings(house, running):
    audit = house.folder / "audit.log"
    before = await settings_check(house)
    house.settings_file.write_text("half an edit: [")
    audit.rename(house.folder / "audit.log.1")
    running.process.send_signal(signal.SIGUSR1)
    await until(lambda: audit.exists() and not writers_of(running, house.folder / "audit.log.1"))
    await house.person().signs_in(house.acq + "/")
    assert "session.started" in audit.read_text()
    assert await settings_check(house) == before


async def test_the_audit_file_is_also_reopened_by_a_gateway_that_still_finishes_something(house, running):
    person = await house.signed_in()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"], limit=4096)
    with contextlib.closing(writer):
        writer.write(
            f"GET /prenos?bytes={64 * 1024 * 1024} HTTP/1.1\r\nHost: {urlsplit(house.acq).netloc}\r\n"
            f"Cookie: {TICKET}={person.ticket(house.acq)}\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        new = yaml.safe_load(house.sound)["server"]["workers"]
        await reloads(house, running)
        audit, rotated = house.folder / "audit.log", house.folder / "audit.log.1"

        # Those after the reload, and the one of those before it that still sends. Others before it have gone.
        await until(lambda: writers_of(running, audit) == new + 1, within=PATIENCE)
        audit.rename(rotated)
        running.process.send_signal(signal.SIGUSR1)
        await until(
            lambda: writers_of(running, audit) == new + 1 and not writers_of(running, rotated),
            within=PATIENCE,
        )


def writers_of(running, file):
    """In how many places the processes of the gateway have the file open."""
    processes = (running.process.pid, *workers_of(running.process))
    return sum(open_files_of(process_id).count(str(file)) for process_id in processes)


async def test_reloads_leave_nothing_behind(house, running):
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq))

    def has():
        folder = Path(f"/proc/{running.process.pid}")
        return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))

    for _ in range(2):  # the first ones fill pools and load modules
        await reloads(house, running)
        assert await client.asks() == 200
    before = has()
    for _ in range(RELOADS):
        await reloads(house, running)
        assert await client.asks() == 200
    # What the last reload has replaced takes a moment to go.
    await until(lambda: all(now <= then for now, then in zip(has(), before, strict=True)), within=PATIENCE)
    client.closes()


async def test_metrics_never_go_down(house, running):
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq))
    for _ in range(3):
        assert await client.asks() == 200
    names = ("authproxy_requests_total", "authproxy_near_cache_lookups_total", "process_cpu_seconds_total")
    for _ in range(2):
        before = [await total(house, name) for name in names]
        await reloads(house, running)
        assert await client.asks() == 200
        after = [await total(house, name) for name in names]
        assert after[0] > before[0] > 3
        assert all(later >= earlier for later, earlier in zip(after, before, strict=True))
        # A process is not counted twice because two gateways run in it.
        assert after[2] < before[2] + 60
    client.closes()


async def total(house, name):
    lines = (await Browser().fetch(f"{house.management}/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_keys_of_assertions_and_the_level_of_logs_are_taken_over(house, running):
    jwks = f"{house.acq}/.authproxy/jwks.json"
    [before] = (await Browser().fetch(jwks)).json["keys"]
    new = house.folder / "new.pem"
    new.write_bytes(keys.generate("ES256"))
    new.chmod(0o600)
    change(
        house,
        assertions=lambda assertions: assertions.update(
            current_key_file=str(new), retiring_key_file=assertions["current_key_file"]
        ),
        telemetry=lambda telemetry: telemetry.update(log_level="warning"),
    )
    await reloads(house, running)
    published = (await Browser().fetch(jwks)).json["keys"]
    assert before in published
    assert len(published) == 2
    house.clock.advance(seconds=11)  # because the portal asks for keys at most every ten seconds
    person = await house.signed_in()
    assert "settings.reloaded" not in running.output.splitlines()[-1]
    # The portal checks the assertion by what is published.
    client = Client(house, person.ticket(house.acq))
    assert await client.asks() == 200
    client.closes()


async def test_the_listeners_certificate_is_taken_over(house, running):
    port = free_port()
    authority = trustme.CA()

    def shows(name):
        issued = authority.issue_cert(name)
        issued.private_key_pem.write_to_path(house.folder / f"{name}.key")
        (house.folder / f"{name}.key").chmod(0o600)
        (house.folder / f"{name}.pem").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        files = {
            "certificate_file": str(house.folder / f"{name}.pem"),
            "key_file": str(house.folder / f"{name}.key"),
        }
        return lambda server: server.update(listen=[f"127.0.0.1:{port}"], tls=files)

    context = ssl.create_default_context()
    authority.configure_trust(context)
    for name in ("one.localhost", "two.localhost"):
        change(house, server=shows(name))
        await reloads(house, running)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.close()


async def test_what_keeps_a_new_gateway_from_starting_is_reported_and_changes_nothing(house, running):
    endless = house.folder / "endless.log"
    if not endless.is_symlink():
        endless.symlink_to(endless)
    person = await house.signed_in()
    client = Client(house, person.ticket(house.acq))
    assert await client.asks() == 200
    change(house, telemetry=lambda telemetry: telemetry.update(audit_file=str(endless)), portals=deny("/api"))
    status, detail = await reload_by_signal(house, running)
    assert (status, f"telemetry.audit_file: {endless}: Too many" in detail) == ("warning", True), detail
    assert (await client.asks(), client.connections) == (200, 1)
    client.closes()


async def test_what_needs_a_restart_is_named_and_changes_nothing(house, running):
    for named, server, store in (
        ("store.url", {}, {"url": "memory://"}),
        ("server.unix_socket_mode", {"unix_socket_mode": "600"}, {}),
    ):
        house.settings_file.write_text(house.sound)
        change(
            house,
            server=lambda section, server=server: section.update(server, workers=1),
            store=lambda section, store=store: section.update(store),
            portals=deny("/api"),
        )
        status, detail = await reload_by_signal(house, running)
        assert (status, f": {named}: " in detail) == ("warning", True), detail


async def test_changed_files_are_taken_over_by_themselves_if_that_is_wanted(house, running):
    """As Kubernetes and certbot change them: what is named is a link, and the link is replaced."""
    folder, client = house.folder, Client(house, (await house.signed_in()).ticket(house.acq))
    for number in (1, 2):
        version = folder / f"version-{number}"
        version.mkdir(exist_ok=True)
        (version / "key.pem").write_bytes(keys.generate("ES256"))
        (version / "key.pem").chmod(0o600)
    link(folder / "..data", folder / "version-1")
    change(
        house,
        server=lambda server: server.update(reload_on_change=True),
        assertions=lambda assertions: assertions.update(retiring_key_file=str(folder / "..data" / "key.pem")),
    )
    before = await reload_by_signal(house, running)
    jwks = f"{house.acq}/.authproxy/jwks.json"
    published = (await Browser().fetch(jwks)).json
    link(folder / "..data", folder / "version-2")
    before = await next_reload(house, before)
    assert before[0] == "ok"
    assert (await Browser().fetch(jwks)).json != published

    half = house.settings_file.read_text()[:-20] + "\n  nonsense: ["
    house.settings_file.write_text(half)
    before = await next_reload(house, before)
    assert before[0] == "warning"
    assert await client.asks() == 200
    house.settings_file.write_text(house.sound)
    change(
        house,
        server=lambda server: server.update(reload_on_change=True),
        portals=deny("/api"),
    )
    assert (await next_reload(house, before))[0] == "ok"
    assert (await client.asks(), client.connections) == (403, 1)
    client.closes()


def link(path, target):
    new = path.with_name("new-link")
    new.symlink_to(target)
    new.replace(path)


async def test_reloads_under_load_fail_no_request_and_sign_nobody_out(house, running):
    person = await house.signed_in()
    ticket = person.ticket(house.acq)
    outcomes: Counter[str] = Counter()
    over = asyncio.Event()

    async def load(number):
        """Every other client asks as nginx does; a third of the others open a connection for each request."""
        client = Client(house, ticket, asks_as_nginx=bool(number % 2))
        loop, began, sent = asyncio.get_running_loop(), asyncio.get_running_loop().time(), 0
        while not over.is_set():
            try:
                async with asyncio.timeout(PATIENCE):
                    outcomes[str(await client.asks())] += 1
            except (OSError, EOFError) as failure:
                outcomes[type(failure).__name__] += 1
                client.closes()
            if number % 6 == 0:
                client.closes()
            sent += 1
            with contextlib.suppress(TimeoutError):  # at the pace of `A_SECOND`
                await asyncio.wait_for(over.wait(), max(0, began + sent * CLIENTS / A_SECOND - loop.time()))
        client.closes()

    loads = [asyncio.create_task(load(number)) for number in range(CLIENTS)]
    for number in range(RELOADS):
        await until(lambda part=(number + 1) / RELOADS: outcomes.total() >= REQUESTS * part, within=600)
        await reloads(house, running)
    over.set()
    await asyncio.gather(*loads)
    print(f"\n{outcomes.total():,} requests, {RELOADS} reloads: {dict(outcomes)}")
    assert outcomes == {"200": outcomes.total()}
    assert person.ticket(house.acq) == ticket


@pytest_asyncio.fixture(loop_scope="module")
async def closed_house(store):
    async with open_house(store.url, has_gateway=False) as house:
        yield house


async def test_sessions_in_memory_are_not_thrown_away(closed_house):
    house = closed_house
    change(house, store=lambda store: store.update(url="memory://"))
    async with served(house.settings_file, house.folder, port=house.ports["gateway"]):
        person = await house.signed_in()
        client = Client(house, person.ticket(house.acq))
        change(
            house,
            server=lambda server: server.update(workers=2),
            store=lambda section: section.update(url="redis://127.0.0.1:1"),
        )
        code, said = await reload(house)
        assert (code, "server.workers: " in said, await client.asks()) == (1, True, 200)
        change(house, server=lambda server: server.update(workers=1))
        code, said = await reload(house)
        assert (code, "memory://" in said, await client.asks()) == (1, True, 200)
        client.closes()


async def test_the_command_says_that_no_gateway_runs(closed_house):
    code, said = await reload(closed_house)
    assert (code, "no gateway answers" in said) == (1, True)


async def test_the_number_of_workers_changes_and_a_worker_that_dies_meanwhile_spoils_nothing(closed_house):
    house = closed_house
    change(house, server=lambda server: server.update(workers=2))
    async with served(house.settings_file, house.folder, port=house.ports["gateway"]) as running:
        await until(lambda: is_ready(house), within=PATIENCE)
        client = Client(house, (await house.signed_in()).ticket(house.acq))
        for number in (3, 1):
            change(house, server=lambda server, number=number: server.update(workers=number))
            await reloads(house, running)
            assert await workers(house) == f"{number} of {number} serve"
            assert (await client.asks(), client.connections) == (200, 1)
            # Nothing is left of those before.
            await until(lambda number=number: len(workers_of(running.process)) == number, within=PATIENCE)
        # The one worker is killed when the reload has begun.
        [only] = workers_of(running.process)
        client.closes()
        before = await settings_check(house)
        running.process.send_signal(signal.SIGHUP)
        os.kill(only, signal.SIGKILL)
        assert (await next_reload(house, before))[0] == "ok"
        assert await client.asks() == 200
        client.closes()


async def workers(house):
    answer = await Browser().fetch(f"{house.management}/readyz")
    return answer.json["checks"]["workers"]["detail"]


async def test_sigterm_during_a_reload_ends_everything(closed_house):
    house = closed_house
    change(house, server=lambda server: server.update(workers=2))
    async with served(house.settings_file, house.folder, port=house.ports["gateway"]) as running:
        await until(lambda: is_ready(house), within=PATIENCE)
        old = workers_of(running.process)
        running.process.send_signal(signal.SIGHUP)
        await until(lambda: len(workers_of(running.process)) > 2, within=PATIENCE)
        everybody = {*old, *workers_of(running.process)}
        running.process.terminate()
        assert await running.ends() == 0
        assert not [process_id for process_id in everybody if Path(f"/proc/{process_id}").exists()]
        assert not house.socket.exists()
