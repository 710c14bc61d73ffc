"""Starts the measured systems and everything that they need, in one temporary folder on free loopback ports,
for the length of a block."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from measuring import Load
from ports import free_ports
from sign_in import Person

from authproxy.assertions import keys
from authproxy.sandbox.accounts import PASSWORD

_HERE = Path(__file__).parent
_PROJECT = _HERE.parent
_APACHE_MODULES = Path("/usr/lib/apache2/modules")
_STARTS_WITHIN = 60.0
_PLACES = (
    "origin",
    "nginx",
    "nginx_logging",
    "nginx_asking",
    "authproxy",
    "authproxy_logging",
    "authproxy_workers",
    "authproxy_asking",
    "authproxy_asking_too",
    "authproxy management",
    "authproxy_logging management",
    "authproxy_workers management",
    "authproxy_asking management",
    "authproxy_asking_too management",
    "apache_shm",
    "apache_redis",
    "redis",
    "provider",
    "phone",
    "outbox",
)
_GATEWAYS = (
    "authproxy",
    "authproxy_logging",
    "authproxy_workers",
    "authproxy_asking",
    "authproxy_asking_too",
)
_PORTALS = (*_GATEWAYS, "nginx_asking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement: a request, and the processes whose CPU time counts."""

    name: str
    group: str
    url: str
    headers: tuple[str, ...] = ()
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    rows: tuple[Row, ...]
    left_out: str | None
    """Why some rows are missing."""


class Gateway(NamedTuple):
    """A gateway that answers at `address` for the portal with the public address `portal`."""

    address: tuple[str, int]
    portal: str
    pid: int
    person: Person
    store_url: str


def apache_is_there() -> bool:
    return shutil.which("apache2") is not None and (_APACHE_MODULES / "mod_auth_openidc.so").exists()


@contextmanager
def started(*, server_core: int, other_core: int) -> Iterator[Systems]:
    """All systems, signed in to and answering."""
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-bench-")))
        bench = _Bench(folder, resources, server_core=server_core, other_core=other_core)
        bench.start_counterparts()
        yield bench.start_measured()


class Several(NamedTuple):
    """Gateways with one store: alone, with two workers, and two that ask the store about every request. Each
    has a load that is its own."""

    alone: tuple[int, Load]
    workers: tuple[int, Load]
    asking: tuple[tuple[int, Load], tuple[int, Load]]
    store: int


@contextmanager
def several_started(*, server_core: int, other_core: int) -> Iterator[Several]:
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-bench-")))
        bench = _Bench(folder, resources, server_core=server_core, other_core=other_core)
        yield bench.start_several()


@contextmanager
def gateway_alone(folder: Path) -> Iterator[Gateway]:
    """One gateway with its counterparts, started in `folder`, and a person who has signed in there."""
    folder.chmod(0o755)
    with ExitStack() as resources:
        cores = sorted(os.sched_getaffinity(0))
        yield _Bench(folder, resources, server_core=cores[0], other_core=cores[-1]).start_gateway()


class _Bench:
    def __init__(self, folder: Path, resources: ExitStack, *, server_core: int, other_core: int) -> None:
        self._folder = folder
        self._resources = resources
        self._server_core = server_core
        self._other_core = other_core
        self._ports = dict(zip(_PLACES, free_ports(len(_PLACES)), strict=True))
        self._secret = secrets.token_urlsafe(32)
        self._user = "www-data" if os.geteuid() == 0 else None
        self._issuer = f"http://localhost:{self._ports['provider']}/openid-connect-server-webapp/"
        # Servers that start as root change to another user.
        folder.chmod(0o755)

    def start_counterparts(self) -> int:
        """Starts origin, store and provider, whose CPU time is not counted among that of gateways. Returns
        the process id of the store."""
        files = self._folder / "files"
        files.mkdir()
        for name, size in (("tiny", 3), ("1k", 1024), ("100k", 100 * 1024)):
            (files / name).write_bytes(b"x" * size)
        for folder in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            (self._folder / folder).mkdir()
        self._nginx("origin", core=self._other_core, place="origin")
        store = self._run(
            [
                "redis-server",
                "--port",
                str(self._ports["redis"]),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            core=self._other_core,
            place="redis",
        )
        clients = [
            {
                "id": "authproxy",
                "secret": self._secret,
                "redirect_uris": [f"{self._portal(name)}/.authproxy/callback/rekono" for name in _PORTALS],
            },
            {
                "id": "apache",
                "secret": self._secret,
                "redirect_uris": [
                    f"http://localhost:{self._ports[name]}/callback"
                    for name in ("apache_shm", "apache_redis")
                ],
            },
        ]
        ports = [str(self._ports[name]) for name in ("provider", "phone", "outbox")]
        self._run(
            [sys.executable, str(_HERE / "provider.py"), *ports, json.dumps(clients)],
            core=self._other_core,
            place="provider",
        )
        return store

    def start_several(self) -> Several:
        store = self.start_counterparts()
        person = self._prepared()

        def gateway(name: str, *, workers: int = 1, asks_every_time: bool = False) -> tuple[int, Load]:
            pid = self._authproxy(
                name, portals=(name,), access_log=False, workers=workers, asks_every_time=asks_every_time
            )
            portal = self._portal(name)
            headers = (f"Host: {_host(portal)}", self._signed_in(person, f"{portal}/1k"))
            return pid, Load(self._local(name, "/1k"), headers)

        return Several(
            alone=gateway("authproxy"),
            workers=gateway("authproxy_workers", workers=2),
            asking=(
                gateway("authproxy_asking", asks_every_time=True),
                gateway("authproxy_asking_too", asks_every_time=True),
            ),
            store=store,
        )

    def start_gateway(self) -> Gateway:
        self.start_counterparts()
        person = self._prepared()
        pid = self._authproxy("authproxy", portals=("authproxy",), access_log=True)
        portal = self._portal("authproxy")
        person.signs_in(f"{portal}/1k")
        return Gateway(
            ("127.0.0.1", self._ports["authproxy"]),
            portal,
            pid,
            person,
            f"redis://127.0.0.1:{self._ports['redis']}/0",
        )

    def _prepared(self) -> Person:
        """Writes the key that signs assertions. Returns the person who signs in everywhere."""
        key = self._folder / "assertion.pem"
        key.write_bytes(keys.generate("ES256"))
        key.chmod(0o600)
        return Person("ana.novak@example.si", PASSWORD, phone=f"http://localhost:{self._ports['phone']}")

    def start_measured(self) -> Systems:
        person = self._prepared()
        rows = [*self._gateways_and_nginx(person)]
        if apache_is_there():
            rows += self._apaches(person)
        return Systems(
            rows=tuple(rows),
            left_out=None if apache_is_there() else "Apache with mod_auth_openidc is not installed",
        )

    def _gateways_and_nginx(self, person: Person) -> Iterator[Row]:
        # nginx has a portal of its own, because a portal's session and sign-in belong to one public address.
        quiet = self._authproxy("authproxy", portals=("authproxy", "nginx_asking"), access_log=False)
        logging = self._authproxy("authproxy_logging", portals=("authproxy_logging",), access_log=True)
        shutil.copytree(_PROJECT / "deploy" / "nginx" / "authproxy", self._folder / "authproxy")
        http = self._folder / "authproxy" / "http.conf"
        shipped = http.read_text(encoding="utf-8")
        http.write_text(
            shipped.replace("unix:/run/authproxy/edge.sock", f"unix:{self._folder}/authproxy.sock"),
            encoding="utf-8",
        )
        nginx = self._nginx("nginx", core=self._server_core, place="nginx")

        session = {
            name: (f"Host: {_host(self._portal(name))}", self._signed_in(person, f"{self._portal(name)}/1k"))
            for name in ("authproxy", "authproxy_logging", "nginx_asking")
        }
        own = session["authproxy"]
        question = (*own, f"X-Original-URL: {self._portal('authproxy')}/1k", "X-Original-Method: GET")
        place = self._local("authproxy", "/.authproxy/auth/nginx")
        yield Row(name="authproxy", group="subrequest", url=place, headers=question, pids=(quiet,))
        yield Row(
            name="nginx `return 204`", group="subrequest", url=self._local("nginx", "/204"), pids=(nginx,)
        )
        for size in ("1k", "100k"):
            yield Row(
                name="authproxy",
                group=f"proxy {size}",
                url=self._local("authproxy", f"/{size}"),
                headers=own,
                pids=(quiet,),
            )
            yield Row(
                name="nginx `proxy_pass`",
                group=f"proxy {size}",
                url=self._local("nginx", f"/{size}"),
                pids=(nginx,),
            )
        group, place = "proxy 1k, access log", self._local("authproxy_logging", "/1k")
        yield Row(
            name="authproxy", group=group, url=place, headers=session["authproxy_logging"], pids=(logging,)
        )
        yield Row(
            name="nginx `proxy_pass`", group=group, url=self._local("nginx_logging", "/1k"), pids=(nginx,)
        )
        place = self._local("nginx_asking", "/1k")
        yield Row(
            name="nginx + authproxy",
            group="nginx asks, 1k",
            url=place,
            headers=session["nginx_asking"],
            pids=(nginx, quiet),
        )

    def _apaches(self, person: Person) -> Iterator[Row]:
        for cache, what in (
            ("shm", "Apache + mod_auth_openidc, shared memory"),
            ("redis", "Apache + mod_auth_openidc, Redis"),
        ):
            place = f"apache_{cache}"
            pid = self._apache(cache, place)
            base = f"http://localhost:{self._ports[place]}"
            headers = (f"Host: {_host(base)}", self._signed_in(person, f"{base}/tiny"))
            yield Row(
                name=what, group="subrequest", url=self._local(place, "/tiny"), headers=headers, pids=(pid,)
            )
            if cache == "shm":
                yield Row(
                    name=what,
                    group="proxy 1k",
                    url=self._local(place, "/proxied/1k"),
                    headers=headers,
                    pids=(pid,),
                )
                yield Row(
                    name=what,
                    group="proxy 100k",
                    url=self._local(place, "/proxied/100k"),
                    headers=headers,
                    pids=(pid,),
                )
                yield Row(
                    name=what,
                    group="nginx asks, 1k",
                    url=self._local(place, "/proxied/1k"),
                    headers=headers,
                    pids=(pid,),
                )

    def _signed_in(self, person: Person, url: str) -> str:
        person.signs_in(url)
        return f"Cookie: {person.cookies(url)}"

    def _portal(self, place: str) -> str:
        return f"http://bench-{place.replace('_', '-')}.localhost:{self._ports[place]}"

    def _local(self, place: str, target: str) -> str:
        return f"http://127.0.0.1:{self._ports[place]}{target}"

    # Starting programs.

    def _authproxy(
        self,
        name: str,
        *,
        portals: Sequence[str],
        access_log: bool,
        workers: int = 1,
        asks_every_time: bool = False,
    ) -> int:
        port, management = self._ports[name], self._ports[f"{name} management"]
        settings = {
            "server": {
                "listen": [f"127.0.0.1:{port}", f"unix:{self._folder}/{name}.sock"],
                "unix_socket_mode": "666",
                "workers": workers,
                "management": f"127.0.0.1:{management}",
                "trusted_proxies": ["127.0.0.1/32"],
                "limits": {"per_minute": {"sign_ins": 0, "callbacks": 0}},
            },  # all of the load comes from one address
            "store": {"url": f"redis://127.0.0.1:{self._ports['redis']}/0"},
            "sessions": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
            "assertions": {
                "issuer": f"http://localhost:{port}",
                "current_key_file": str(self._folder / "assertion.pem"),
            },
            "rekono": {"issuer": self._issuer, "client_id": "authproxy", "client_secret": self._secret},
            "portals": {
                portal.replace("_", "-"): {
                    "name": portal,
                    "url": self._portal(portal),
                    "upstream": self._local("origin", ""),
                    **({"routes": [{"path": "/", "strict": True}]} if asks_every_time else {}),
                }
                for portal in portals
            },
            "telemetry": {"access_log": access_log, "audit_file": str(self._folder / f"{name}-audit.jsonl")},
        }
        file = self._folder / f"{name}.yaml"
        file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        file.chmod(0o600)
        return self._run(
            [sys.executable, "-m", "authproxy", "serve", "-c", str(file)], core=self._server_core, place=name
        )

    def _nginx(self, name: str, *, core: int, place: str) -> int:
        user = f"user {self._user};" if self._user else ""
        file = self._configured(f"{name}.conf", f"{name}.conf", {"USER": user})
        return self._run(
            ["nginx", "-p", str(self._folder), "-c", str(file), "-e", f"{name}-start.log"],
            core=core,
            place=place,
        )

    def _apache(self, cache: str, place: str) -> int:
        told = {
            "USER": f"User {self._user}\nGroup {self._user}" if self._user else "",
            "CACHE": cache,
            "PORT": str(self._ports[place]),
            "MODULES": str(_APACHE_MODULES),
            "SECRET": self._secret,
            "PASSPHRASE": secrets.token_urlsafe(32),
            "ISSUER": self._issuer,
        }
        file = self._configured("apache.conf", f"apache-{cache}.conf", told)
        return self._run(["apache2", "-DFOREGROUND", "-f", str(file)], core=self._server_core, place=place)

    def _configured(self, template: str, name: str, told: Mapping[str, str]) -> Path:
        values = (
            {place.upper(): str(port) for place, port in self._ports.items()}
            | {"FOLDER": str(self._folder)}
            | dict(told)
        )
        text = (_HERE / "configurations" / template).read_text(encoding="utf-8")
        file = self._folder / name
        file.write_text(re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text), encoding="utf-8")
        return file

    def _run(self, command: list[str], *, core: int, place: str) -> int:
        """Starts a program on a core and waits until it listens. The end of the block ends it, by its id."""
        output = self._resources.enter_context((self._folder / f"{place}.out").open("wb"))
        # The checkout comes last, so that the code in PYTHONPATH is measured.
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(_PROJECT)]
        with _undisturbed():
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *command],
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
            self._resources.callback(_end, process)
        deadline = time.monotonic() + _STARTS_WITHIN
        while not _answers(self._ports[place]):
            if process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            # Somebody else might have answered at this port, and the program has ended for that reason.
            if process.poll() is None:
                return process.pid
        raise RuntimeError(
            f"{command[0]} did not start: "
            f"{(self._folder / f'{place}.out').read_text(errors='replace')[-2000:]}"
        )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Blocks signals that end this process: between the start of a program and its registration for the end,
    a signal would leave the program behind."""
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: noted.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in noted:
            signal.raise_signal(number)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(5)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _host(url: str) -> str:
    return url.removeprefix("http://")
