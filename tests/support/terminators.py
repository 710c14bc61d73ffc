"""Real terminators of TLS with the shipped snippets in front of a gateway's certificate host: nginx, HAProxy,
Envoy, Caddy and Traefik."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import sysconfig
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import House, open_house
from tests.support.ports import free_port

_DEPLOY = Path(__file__).parents[2] / "deploy"
_ENVOY, _CADDY, _TRAEFIK = (
    str(Path(sysconfig.get_path("scripts")) / program) for program in ("envoy", "caddy", "traefik")
)
"""From wheels of the development requirements."""
_STARTS_WITHIN = 15.0
_NGINX = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    include authproxy/http.conf;
    include authproxy/pages.conf;
    include {snippet};
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminator:
    """`presented_by` is the setting that fits it, `replaced` gives what of the snippet is an example, and
    what a test puts there."""

    program: str
    presented_by: str
    snippet: str
    listens_on_socket: bool
    replaced: Callable[[_Places], Mapping[str, str]]
    command: Callable[[_Places, Path], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    folder: Path
    port: int
    gateway: str

    def file(self, name: str) -> str:
        return str(self.folder / name)


def _nginx_command(places: _Places, snippet: Path) -> Sequence[str]:
    folder = places.folder / "nginx"
    (folder / "temp").mkdir(parents=True)
    shutil.copytree(_DEPLOY / "nginx" / "authproxy", folder / "authproxy")
    # As root nginx would give its workers to a user who cannot open a test's socket.
    user = "user root root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, snippet=snippet))
    return ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]


NGINX = Terminator(
    program="nginx",
    presented_by="nginx",
    snippet="nginx/certificates.example.conf",
    listens_on_socket=True,
    replaced=lambda places: {
        "listen 443 ssl": f"listen 127.0.0.1:{places.port} ssl",
        "/etc/ssl/potrdila.example.si.pem": places.file("host.pem"),
        "/etc/ssl/private/potrdila.example.si.key": places.file("host.key"),
        "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
        "unix:/run/authproxy/certificates.sock": places.gateway,
    },
    command=_nginx_command,
)


def _envoy_command(_places: _Places, snippet: Path) -> Sequence[str]:
    return [
        *(_ENVOY, "-c", str(snippet), "--concurrency", "1"),
        *("--disable-hot-restart", "--log-level", "warning"),
    ]


_HAPROXYS_USER = {"    user haproxy\n    group haproxy\n": ""}
"""Who does not start as root cannot become another user."""

HAPROXY = Terminator(
    program="haproxy",
    presented_by="haproxy",
    snippet="haproxy/certificates.example.cfg",
    listens_on_socket=False,
    replaced=lambda places: {
        **_HAPROXYS_USER,
        "bind :443": f"bind 127.0.0.1:{places.port}",
        "/etc/haproxy/authproxy": str(_DEPLOY / "haproxy" / "authproxy"),
        "/etc/ssl/private/potrdila.example.si.pem": places.file("host-and-key.pem"),
        "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
        "127.0.0.1:8444": places.gateway,
    },
    command=lambda _places, snippet: ["haproxy", "-db", "-f", str(snippet)],
)


def _haproxy_command(places: _Places, snippet: Path) -> Sequence[str]:
    shutil.copytree(_DEPLOY / "haproxy" / "authproxy", places.folder / "authproxy")
    certificates = places.folder / "authproxy" / "certificates.list"
    own = places.file("host-and-key.pem")
    certificates.write_text(
        _filled(
            certificates.read_text(),
            {
                "/etc/ssl/private/portals.example.si.pem": own,
                "/etc/ssl/private/potrdila.example.si.pem": own,
                "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
                "potrdila.example.si": "localhost",
            },
        )
    )
    return ["haproxy", "-db", "-f", str(snippet)]


HAPROXY_WITH_PORTALS = Terminator(
    program="haproxy",
    presented_by="haproxy",
    snippet="haproxy/six-portals.example.cfg",
    listens_on_socket=False,
    replaced=lambda places: {
        **_HAPROXYS_USER,
        "bind :443": f"bind 127.0.0.1:{places.port}",
        "bind :80": f"bind unix@{places.file('plain.sock')}",
        "/etc/haproxy/authproxy": places.file("authproxy"),
        "potrdila.example.si": "localhost",
        "127.0.0.1:8444": places.gateway,
    },
    command=_haproxy_command,
)
ENVOY = Terminator(
    program="envoy",
    presented_by="envoy",
    snippet="envoy/certificates.example.yaml",
    listens_on_socket=False,
    replaced=lambda places: {
        "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {places.port}",
        "/etc/ssl/potrdila.example.si.pem": places.file("host.pem"),
        "/etc/ssl/private/potrdila.example.si.key": places.file("host.key"),
        "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
        "/etc/envoy/authproxy": str(_DEPLOY / "envoy" / "authproxy"),
        "port_value: 8444": f"port_value: {places.gateway.rpartition(':')[2]}",
    },
    command=_envoy_command,
)
ENVOY_WITH_PORTALS = Terminator(
    program="envoy",
    presented_by="envoy",
    snippet="envoy/six-portals.example.yaml",
    listens_on_socket=True,
    replaced=lambda places: {
        "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {places.port}",
        "address: 0.0.0.0, port_value: 80": "address: 127.0.0.1, port_value: 0",
        "/etc/ssl/portals.example.si.pem": places.file("host.pem"),
        "/etc/ssl/private/portals.example.si.key": places.file("host.key"),
        "/etc/ssl/potrdila.example.si.pem": places.file("host.pem"),
        "/etc/ssl/private/potrdila.example.si.key": places.file("host.key"),
        "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
        "/etc/envoy/authproxy": str(_DEPLOY / "envoy" / "authproxy"),
        "potrdila.example.si": "localhost",
        "/run/authproxy/certificates.sock": places.gateway.removeprefix("unix:"),
    },
    command=_envoy_command,
)


def _caddy_command(places: _Places, snippet: Path) -> Sequence[str]:
    shutil.copytree(_DEPLOY / "caddy" / "authproxy", places.folder / "authproxy")
    shared = places.folder / "authproxy" / "authproxy.caddyfile"
    example = "unix//run/authproxy/certificates.sock"
    shared.write_text(_filled(shared.read_text(), {example: places.gateway.replace("unix:", "unix/")}))
    return ["env", f"HOME={places.folder}", _CADDY, "run", "--config", str(snippet), "--adapter", "caddyfile"]


CADDY = Terminator(
    program="caddy",
    presented_by="rfc9440",
    snippet="caddy/certificates.example.caddyfile",
    listens_on_socket=True,
    replaced=lambda places: {
        "potrdila.example.si {": f"https://localhost:{places.port} {{\n\tbind 127.0.0.1",
        "admin off": "admin off\n\tauto_https disable_redirects",
        "/etc/ssl/potrdila.example.si.pem": places.file("host.pem"),
        "/etc/ssl/private/potrdila.example.si.key": places.file("host.key"),
        "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
    },
    command=_caddy_command,
)


def _traefik_command(places: _Places, snippet: Path) -> Sequence[str]:
    shipped, dynamic = _DEPLOY / "traefik", places.folder / "dynamic"
    shutil.copytree(shipped / "authproxy", dynamic)
    shutil.copytree(shipped / "plugins-local", places.folder / "plugins-local")
    shutil.copy(snippet, dynamic)
    own = {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (8408, 8409)}
    shared, static = dynamic / "authproxy.yaml", places.folder / "traefik.yaml"
    shared.write_text(_filled(shared.read_text(), own))
    at = {
        'address: ":443"': f"address: 127.0.0.1:{places.port}",
        'address: ":80"': f"address: 127.0.0.1:{free_port()}",
        "/etc/traefik/dynamic": str(dynamic),
    }
    static.write_text(_filled((shipped / "traefik.yaml").read_text(), at | own))
    # It looks for the plugin in its working directory.
    return ["env", f"--chdir={places.folder}", _TRAEFIK, f"--configFile={static}"]


TRAEFIK = Terminator(
    program="traefik",
    presented_by="traefik",
    snippet="traefik/certificates.example.yaml",
    listens_on_socket=False,
    replaced=lambda places: {
        "`potrdila.example.si`": "`localhost`",
        "/etc/ssl/potrdila.example.si.pem": places.file("host.pem"),
        "/etc/ssl/private/potrdila.example.si.key": places.file("host.key"),
        "/etc/authproxy/acnlb.pem": places.file("acnlb.pem"),
        "127.0.0.1:8444": places.gateway,
    },
    command=_traefik_command,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """A house whose certificate host is behind a terminator. `listen` is the gateway's own listener behind
    it, and all that the terminator writes is in `folder`."""

    house: House
    terminator: Terminator
    listen: str
    folder: Path
    _gateway: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_gateway(self) -> None:
        self.house.gateway = await self._gateway.enter_async_context(self.house.instance(self.house.settings))

    async def stop_gateway(self) -> None:
        self.house.gateway = None
        await self._gateway.aclose()

    @contextlib.asynccontextmanager
    async def without_gateway(self) -> AsyncIterator[None]:
        await self.stop_gateway()
        try:
            yield
        finally:
            await self.start_gateway()


@contextlib.asynccontextmanager
async def behind(
    terminator: Terminator, store_url: str, authority: Path, folder: Path
) -> AsyncIterator[Terminated]:
    """`authority` is the state of `make_authority`, `folder` an empty one."""
    listen = f"unix:{folder / 'gateway.sock'}" if terminator.listens_on_socket else f"127.0.0.1:{free_port()}"
    environment = forwarding(terminator.presented_by) | {"AUTHPROXY__ACNLB__LISTEN": listen}
    if terminator.listens_on_socket:
        environment["AUTHPROXY__ACNLB__TRUSTED_TERMINATORS"] = ""
    async with open_house(
        store_url, authority=authority, environment=environment, has_gateway=False
    ) as house:
        front = Terminated(house=house, terminator=terminator, listen=listen, folder=folder)
        await front.start_gateway()
        try:
            async with _running(terminator, house, folder, listen):
                yield front
        finally:
            await front.stop_gateway()


def forwarding(presented_by: str) -> dict[str, str]:
    """Settings of a gateway to which 127.0.0.1 forwards certificates in that form."""
    return {
        "AUTHPROXY__ACNLB__PRESENTED_BY": presented_by,
        "AUTHPROXY__ACNLB__TRUSTED_TERMINATORS": "127.0.0.1",
        "AUTHPROXY__ACNLB__TLS__CERTIFICATE_FILE": "",
        "AUTHPROXY__ACNLB__TLS__KEY_FILE": "",
    }


@contextlib.asynccontextmanager
async def _running(terminator: Terminator, house: House, folder: Path, listen: str) -> AsyncIterator[None]:
    places = _Places(folder=folder, port=house.certificates.port, gateway=listen)
    chain, key = (
        (house.certificates.folder.parent / "host.pem").read_text(),
        (house.certificates.folder.parent / "host.key").read_text(),
    )
    files = {
        "host.pem": chain,
        "host.key": key,
        "host-and-key.pem": chain + key,
        "acnlb.pem": (house.certificates.folder / "root.pem").read_text()
        + (house.certificates.folder / "sub.pem").read_text(),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    snippet = folder / Path(terminator.snippet).name
    snippet.write_text(_filled((_DEPLOY / terminator.snippet).read_text(), terminator.replaced(places)))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *terminator.command(places, snippet), stdout=log, stderr=log
        )
        try:
            await _listens(process, places)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 15)


def _filled(text: str, replaced: Mapping[str, str]) -> str:
    for example, real in replaced.items():
        assert example in text, f"the snippet no longer says {example}"
        text = text.replace(example, real)
    return text


async def _listens(process: asyncio.subprocess.Process, places: _Places) -> None:
    """Until it passes something on: Traefik listens before it has read its files, and then answers by itself."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    asks = f"GET / HTTP/1.1\r\nHost: localhost:{places.port}\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(_STARTS_WITHIN):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", places.port, ssl=tls, server_hostname="localhost"
                )
                writer.write(asks.encode())
                answer = await reader.read()
                writer.close()
                if answer and b"404 page not found" not in answer:
                    return
            assert process.returncode is None, (places.folder / "log").read_text()
            await asyncio.sleep(0.02)
