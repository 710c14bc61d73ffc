"""Starts what `sign_ins.py` measures: a gateway at which people sign in, one that ends TLS itself, nginx that
does, and oauth2-proxy if it is installed."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from rivals import OAUTH2_PROXIES, Client, begin_oauth2_proxies
from sign_in import Person
from workshop import Workshop

from authproxy.assertions import keys
from authproxy.sandbox.accounts import PASSWORD
from authproxy.sandbox.certificate_sign_in import HOST_CERTIFICATE, HOST_KEY, certificate_of, host_certificate

_HERE = Path(__file__).parent
_HOLDER = "ana.novak"
_WITH_TLS = ("tls", "nginx")
_PLACES = (
    "origin",
    "redis",
    "provider",
    "phone",
    "outbox",
    "authority",
    "gateway",
    "gateway management",
    "gateway certificates",
    "tls management",
    *_WITH_TLS,
    *OAUTH2_PROXIES,
)


class Place(NamedTuple):
    """A program, and the address at which it answers `/1k` and `/100k` to people who have signed in."""

    pid: int
    url: str

    @property
    def host(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def local(self) -> str:
        """The same address without a name."""
        return f"{self.url.partition(':')[0]}://127.0.0.1:{self.url.rpartition(':')[2]}"


class Started(NamedTuple):
    """`oauth2_proxies` is empty if oauth2-proxy is not installed. `person` signs in with the provider, and
    `holder` with a certificate."""

    gateway: Place
    tls: Place
    nginx: Place
    oauth2_proxies: Mapping[str, Place]
    person: Person
    holder: Person


@contextmanager
def started(*, server_core: int, other_core: int, oauth2_proxy: Path) -> Iterator[Started]:
    """`oauth2_proxy` is where that program is, if it is installed."""
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-bench-")))
        bench = _Bench(folder, resources, places=_PLACES, server_core=server_core, other_core=other_core)
        bench.start_counterparts()
        yield bench.start_measured(oauth2_proxy)


class _Bench(Workshop):
    def public(self, place: str) -> str:
        plain = super().public(place)
        return plain.replace("http:", "https:") if place in _WITH_TLS else plain

    def start_counterparts(self) -> None:
        """Origin, store, provider, phone and certificate authority, whose CPU time is not counted."""
        for name in ("files", "body", "proxy", "fastcgi", "uwsgi", "scgi", "authority"):
            (self.folder / name).mkdir()
        for name, size in (("1k", 1024), ("100k", 100 * 1024)):
            (self.folder / "files" / name).write_bytes(b"x" * size)
        key = self.folder / "assertion.pem"
        key.write_bytes(keys.generate("ES256"))
        key.chmod(0o600)
        host_certificate(self.folder, now=datetime.now(UTC))
        self._secret = secrets.token_urlsafe(32)
        self._session_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._nginx("origin", "origin.conf", core=self.other_core)
        store = ["redis-server", "--port", str(self.ports["redis"]), "--bind", "127.0.0.1", "--save", ""]
        self.begin([*store, "--appendonly", "no"], core=self.other_core, place="redis")
        callbacks = {
            **{name: [f"{self.public(name)}/.authproxy/callback/rekono"] for name in ("gateway", "tls")},
            "rival": [f"{self.public(name)}/oauth2/callback" for name in OAUTH2_PROXIES],
        }
        clients = [
            {"id": name, "secret": self._secret, "redirect_uris": addresses}
            for name, addresses in callbacks.items()
        ]
        ports = [str(self.ports[name]) for name in ("provider", "phone", "outbox")]
        authority = [str(self.ports["authority"]), str(self.folder / "authority")]
        command = [sys.executable, str(_HERE / "provider.py"), *ports, json.dumps(clients), *authority]
        self.begin(command, core=self.other_core, place="provider")
        self.wait()

    def start_measured(self, oauth2_proxy: Path) -> Started:
        certificate = {
            "certificate_file": str(self.folder / HOST_CERTIFICATE),
            "key_file": str(self.folder / HOST_KEY),
        }
        running = {
            "gateway": self._gateway("gateway", server={}, sections={"acnlb": self._acnlb(certificate)}),
            "tls": self._gateway("tls", server={"tls": certificate}, sections={}),
            "nginx": self._nginx("nginx", "nginx-tls.conf", core=self.server_core),
        }
        if oauth2_proxy.exists():
            client = Client(self._issuer, "rival", self._secret)
            running |= begin_oauth2_proxies(self, client, str(oauth2_proxy))
        self.wait()
        self._enter_holder()
        places = {name: Place(pid, self.public(name)) for name, pid in running.items()}
        return Started(
            gateway=places["gateway"],
            tls=places["tls"],
            nginx=places["nginx"],
            oauth2_proxies={what: places[name] for name, what in OAUTH2_PROXIES.items() if name in places},
            person=self._person("rekono"),
            holder=self._person("acnlb"),
        )

    def _person(self, way: str) -> Person:
        # Whoever measures here does not have to know who answers.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        if way == "acnlb":
            tls.load_cert_chain(self.folder / "authority" / "private" / f"{_HOLDER}.pem")
        phone = f"http://localhost:{self.ports['phone']}"
        return Person("ana.novak@example.si", PASSWORD, phone=phone, way=way, tls=tls)

    def _enter_holder(self) -> None:
        """Enters the holder of the certificate in the register of people."""
        fingerprint = certificate_of(_HOLDER, self.folder / "authority").fingerprint(SHA256()).hex()
        people = self.folder / "people.csv"
        people.write_text(f"id;name;portals;certificates\nana;Ana Novak;*;{fingerprint}\n", encoding="utf-8")
        command = ["people", "import", str(people), "-c", str(self.folder / "gateway.yaml")]
        subprocess.run([sys.executable, "-m", "authproxy", *command], check=True, capture_output=True)

    @property
    def _issuer(self) -> str:
        return f"http://localhost:{self.ports['provider']}/openid-connect-server-webapp/"

    def _gateway(self, name: str, *, server: dict[str, object], sections: dict[str, object]) -> int:
        port = self.ports[name]
        settings = {
            "server": {
                "listen": [f"127.0.0.1:{port}"],
                "management": f"127.0.0.1:{self.ports[f'{name} management']}",
                # All of the load comes from one address.
                "limits": {"per_minute": {"sign_ins": 0, "callbacks": 0}},
                **server,
            },
            "store": {"url": f"redis://127.0.0.1:{self.ports['redis']}/0"},
            "sessions": {"keys": [self._session_key]},
            "assertions": {
                "issuer": f"http://localhost:{port}",
                "current_key_file": str(self.folder / "assertion.pem"),
            },
            "rekono": {
                "issuer": self._issuer,
                "client_id": name,
                "client_secret": self._secret,
                # The person signs in at the provider once, and not again during the run.
                "max_age": "8h",
                "step_up_by": "always",
            },
            "portals": {
                name: {
                    "name": name,
                    "url": self.public(name),
                    "upstream": self.local("origin"),
                    "required_claims": [],
                    "step_up": {"required": False},
                }
            },
            "telemetry": {"access_log": False, "audit_file": str(self.folder / f"{name}-audit.jsonl")},
            **sections,
        }
        file = self.folder / f"{name}.yaml"
        file.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        file.chmod(0o600)
        command = [sys.executable, "-m", "authproxy", "serve", "-c", str(file)]
        return self.begin(command, core=self.server_core, place=name)

    def _acnlb(self, certificate: dict[str, str]) -> dict[str, object]:
        port, authority = self.ports["gateway certificates"], f"http://localhost:{self.ports['authority']}"
        return {
            "url": f"https://localhost:{port}",
            "listen": f"127.0.0.1:{port}",
            "tls": certificate,
            "root_file": str(self.folder / "authority" / "root.pem"),
            "sub_ca_file": str(self.folder / "authority" / "sub.pem"),
            "revocation": {"allowed_hosts": [], "moved": {authority: authority}},
        }

    def _nginx(self, place: str, template: str, *, core: int) -> int:
        told = {"USER": f"user {self.user};" if self.user else ""}
        file = self.configured(template, template, told)
        command = ["nginx", "-p", str(self.folder), "-c", str(file), "-e", f"{place}-start.log"]
        return self.begin(command, core=core, place=place)
