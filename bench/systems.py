"""Starts authproxy, nginx and the rivals, with everything that they need, for the length of a block."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import rivals
from measuring import Load, Row
from rivals import Client, Rivals
from sign_in import Person
from workshop import Workshop

from authproxy.assertions import keys
from authproxy.sandbox.accounts import PASSWORD

_HERE = Path(__file__).parent
_PROJECT = _HERE.parent
_GATEWAYS = (
    "authproxy",
    "authproxy_logging",
    "authproxy_missing",
    "authproxy_crowd",
    "authproxy_workers",
    "authproxy_asking",
    "authproxy_asking_too",
)
_PORTALS = (*_GATEWAYS, "nginx_asking")
_PLACES = (
    *_PORTALS,
    *(f"{name} management" for name in _GATEWAYS),
    "origin",
    "nginx",
    "nginx_logging",
    "nginx_keeping",
    "nginx_asking_rival",
    "redis",
    "provider",
    "phone",
    "outbox",
    *rivals.PLACES,
)
_NO_PLACE = Path("/nonexistent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    rows: tuple[Row, ...]
    """The first row of each group is authproxy's."""
    left_out: tuple[str, ...]
    """Why some rows are missing."""
    bench: Bench
    """Starts more, for measurements that need it."""
    person: Person


class Gateway(NamedTuple):
    """A gateway that answers at `address` for the portal with the public address `portal`."""

    address: tuple[str, int]
    portal: str
    pid: int
    person: Person
    store_url: str


@contextmanager
def started(*, server_core: int, other_core: int, installed: Path = _NO_PLACE) -> Iterator[Systems]:
    """All systems, signed in to and answering. `installed` is the folder with rivals that Debian does not
    have."""
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-bench-")))
        bench = Bench(folder, resources, server_core=server_core, other_core=other_core)
        bench.start_counterparts()
        yield bench.start_measured(installed)


@contextmanager
def gateway_alone(folder: Path, *, access_log: bool = True, under: Sequence[str] = ()) -> Iterator[Gateway]:
    """One gateway with its counterparts, started in `folder`, and a person who has signed in there. It asks
    the store about each request below `/strict`. It is run by the program `under`, if one is given."""
    with ExitStack() as resources:
        cores = sorted(os.sched_getaffinity(0))
        bench = Bench(folder, resources, server_core=cores[0], other_core=cores[-1])
        yield bench.start_gateway(access_log=access_log, under=under)


class Bench(Workshop):
    """authproxy, nginx, and what all systems need: origin, store and provider."""

    def __init__(self, folder: Path, resources: ExitStack, *, server_core: int, other_core: int) -> None:
        super().__init__(folder, resources, places=_PLACES, server_core=server_core, other_core=other_core)
        self.client_secret = secrets.token_urlsafe(32)
        self.session_key = secrets.token_bytes(32)
        self.store = 0
        """The process id of the store, when it has started."""

    def start_counterparts(self) -> None:
        """Starts origin, store and provider, whose CPU time is not counted among that of gateways."""
        files = self.folder / "files"
        files.mkdir()
        for name, size in (("tiny", 3), ("1k", 1024), ("100k", 100 * 1024)):
            (files / name).write_bytes(b"x" * size)
        for folder in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            (self.folder / folder).mkdir()
        self.nginx("origin", core=self.other_core)
        address = ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1"]
        self.store = self.begin(
            ["redis-server", *address, "--save", "", "--appendonly", "no"],
            core=self.other_core,
            place="redis",
        )
        callbacks = {
            "authproxy": [f"{self.public(name)}/.authproxy/callback/rekono" for name in _PORTALS],
            "rival": [
                *(f"{self.public(name)}/callback" for name in rivals.APACHES),
                *(f"{self.public(name)}/oauth2/callback" for name in rivals.OAUTH2_PROXIES),
            ],
        }
        clients = [
            {"id": name, "secret": self.client_secret, "redirect_uris": uris}
            for name, uris in callbacks.items()
        ]
        ports = [str(self.ports[name]) for name in ("provider", "phone", "outbox")]
        self.begin(
            [sys.executable, str(_HERE / "provider.py"), *ports, json.dumps(clients)],
            core=self.other_core,
            place="provider",
        )
        self.wait()

    def start_gateway(self, *, access_log: bool, under: Sequence[str]) -> Gateway:
        self.start_counterparts()
        person = self.prepared()
        pid = self.authproxy("authproxy", access_log=access_log, strict="/strict", under=under)
        self.wait()
        portal = self.public("authproxy")
        person.signs_in(f"{portal}/1k")
        return Gateway(("127.0.0.1", self.ports["authproxy"]), portal, pid, person, self.store_url)

    def start_measured(self, installed: Path) -> Systems:
        person = self.prepared()
        running = {
            # nginx has a portal of its own, because a portal's session and sign-in belong to one public
            # address.
            "authproxy": self.authproxy("authproxy", portals=("authproxy", "nginx_asking"), kept_for="3s"),
            "authproxy_logging": self.authproxy("authproxy_logging", access_log=True),
            "authproxy_missing": self.authproxy("authproxy_missing", near_cache_for="0s"),
        }
        shutil.copytree(_PROJECT / "deploy" / "nginx" / "authproxy", self.folder / "authproxy")
        http = self.folder / "authproxy" / "http.conf"
        shipped = http.read_text(encoding="utf-8")
        http.write_text(
            shipped.replace("unix:/run/authproxy/edge.sock", f"unix:{self.folder}/authproxy.sock"),
            encoding="utf-8",
        )
        cache = self.folder / "authproxy" / "cache.conf"
        kept = cache.read_text(encoding="utf-8").replace("/run/nginx-authproxy", f"{self.folder}/kept")
        cache.write_text(kept, encoding="utf-8")
        running["nginx"] = self.nginx("nginx", core=self.server_core)
        others = Rivals(self, Client(self.issuer, "rival", self.client_secret), installed)
        self.wait()
        rows = [*self._rows(running, person), *others.rows(person, running["nginx"])]
        return Systems(rows=tuple(rows), left_out=tuple(others.left_out), bench=self, person=person)

    def _rows(self, running: dict[str, int], person: Person) -> Iterator[Row]:
        def row(
            group: str,
            name: str,
            place: str,
            target: str,
            headers: Sequence[str] = (),
            *,
            size: int | None = None,
            of: Sequence[str],
        ) -> Row:
            pids = tuple(running[each] for each in of)
            load = Load(self.local(place, target), headers)
            return Row(name=name, group=group, load=load, size=size, pids=pids)

        session = {name: self.signed_in(person, name) for name in running if name != "nginx"}
        session["nginx_asking"] = self.signed_in(person, "nginx_asking")

        def subrequest(group: str, name: str) -> Row:
            headers = (*session[name], *self.asked_by_nginx(name))
            return row(group, "authproxy", name, "/.authproxy/auth/nginx", headers, of=[name])

        yield subrequest("subrequest", "authproxy")
        yield row("subrequest", "nginx `return 204`", "nginx", "/204", of=["nginx"])
        yield subrequest("miss, subrequest", "authproxy_missing")
        for group, name, kilobytes in (
            ("proxy 1k", "authproxy", 1),
            ("miss, proxy 1k", "authproxy_missing", 1),
            ("proxy 100k", "authproxy", 100),
            ("proxy 1k, access log", "authproxy_logging", 1),
        ):
            target, size = f"/{kilobytes}k", kilobytes * 1024
            yield row(group, "authproxy", name, target, session[name], size=size, of=[name])
            if name != "authproxy_missing":
                beside = "nginx_logging" if name == "authproxy_logging" else "nginx"
                yield row(group, "nginx `proxy_pass`", beside, target, size=size, of=["nginx"])
        group, name = "nginx asks, 1k", "nginx_asking"
        yield row(
            group, "nginx + authproxy", name, "/1k", session[name], size=1024, of=["nginx", "authproxy"]
        )
        # The same portal at another address of the same nginx, which keeps answers.
        yield row(
            group,
            "nginx + authproxy, kept answers",
            "nginx_keeping",
            "/1k",
            session[name],
            size=1024,
            of=["nginx", "authproxy"],
        )

    @property
    def store_url(self) -> str:
        return f"redis://127.0.0.1:{self.ports['redis']}/0"

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.ports['provider']}/openid-connect-server-webapp/"

    def prepared(self) -> Person:
        """Writes the key that signs assertions. Returns the person who signs in everywhere."""
        key = self.folder / "assertion.pem"
        key.write_bytes(keys.generate("ES256"))
        key.chmod(0o600)
        return Person("ana.novak@example.si", PASSWORD, phone=f"http://localhost:{self.ports['phone']}")

    def signed_in(self, person: Person, place: str) -> tuple[str, str]:
        """Signs the person in at a portal. Returns the headers of their requests there."""
        url = f"{self.public(place)}/1k"
        person.signs_in(url)
        return f"Host: {self.public(place).removeprefix('http://')}", f"Cookie: {person.cookies(url)}"

    def asked_by_nginx(self, place: str) -> tuple[str, str]:
        """The headers with which nginx asks about a request."""
        return f"X-Original-URL: {self.public(place)}/1k", "X-Original-Method: GET"

    def authproxy(
        self,
        name: str,
        *,
        portals: Sequence[str] = (),
        access_log: bool = False,
        workers: int = 1,
        strict: str | None = None,
        near_cache_for: str = "30s",
        kept_for: str = "0s",
        under: Sequence[str] = (),
    ) -> int:
        """Begins a gateway. Without `portals` it has one of its own name. Requests below the path `strict`
        ask the store every time."""
        port, management = self.ports[name], self.ports[f"{name} management"]
        settings = {
            "server": {
                "listen": [f"127.0.0.1:{port}", f"unix:{self.folder}/{name}.sock"],
                "unix_socket_mode": "666",
                "workers": workers,
                "management": f"127.0.0.1:{management}",
                "trusted_proxies": ["127.0.0.1/32"],
                "subrequests_kept_for": kept_for,
                # All of the load comes from one address.
                "limits": {"per_minute": {"sign_ins": 0, "callbacks": 0}},
            },
            "store": {"url": self.store_url, "near_cache_for": near_cache_for},
            "sessions": {"keys": [base64.b64encode(self.session_key).decode()]},
            "assertions": {
                "issuer": f"http://localhost:{port}",
                "current_key_file": str(self.folder / "assertion.pem"),
            },
            "rekono": {"issuer": self.issuer, "client_id": "authproxy", "client_secret": self.client_secret},
            "portals": {
                portal.replace("_", "-"): {
                    "name": portal,
                    "url": self.public(portal),
                    "upstream": self.local("origin"),
                    **({"routes": [{"path": strict, "strict": True}]} if strict else {}),
                }
                for portal in portals or (name,)
            },
            "telemetry": {"access_log": access_log, "audit_file": str(self.folder / f"{name}-audit.jsonl")},
        }
        file = self.folder / f"{name}.yaml"
        file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        file.chmod(0o600)
        command = [*under, sys.executable, "-m", "authproxy", "serve", "-c", str(file)]
        return self.begin(command, core=self.server_core, place=name)

    def nginx(self, name: str, *, core: int) -> int:
        user = f"user {self.user};" if self.user else ""
        file = self.configured(f"{name}.conf", f"{name}.conf", {"USER": user})
        command = ["nginx", "-p", str(self.folder), "-c", str(file), "-e", f"{name}-start.log"]
        return self.begin(command, core=core, place=name)
