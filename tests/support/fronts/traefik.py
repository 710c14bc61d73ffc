"""Traefik, which serves the portal itself and asks the gateway with `forwardAuth`."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running
from tests.support.ports import free_port

_FOLDER = DEPLOY / "traefik"
_STATIC, _SHARED = "traefik.yaml", "authproxy/authproxy.yaml"
_PORTAL, _SIX_PORTALS = "portal.example.yaml", "six-portals.example.yaml"
_CERTIFICATES = "certificates.example.yaml"
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "traefik")
"""From a wheel of the development requirements."""
_KNOWS_WITHIN = 30.0
_END = "-----END CERTIFICATE-----\n"


class Traefik:
    name = dialect = "traefik"
    program = PROGRAM
    cannot: Mapping[str, str] = {
        "signed_question": "Traefik cannot compute an HMAC: it asks over loopback or from a trusted address.",
    }
    differs: Mapping[str, str] = {
        "same_target": "Traefik normalises `%c4` to `%C4` and `%7E` to `~` before it asks.",
    }

    def __init__(self, *portals: str) -> None:
        self._portals = portals

    def version(self) -> str:
        said = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, check=True, timeout=10)
        found = re.search(r"Version: +(\S+)", said.stdout)
        assert found, said
        return found[1]

    def files(self) -> dict[str, str]:
        shared = {
            f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").glob("*.yaml")
        }
        plugin = {
            str(file.relative_to(_FOLDER)): file.read_text()
            for file in (_FOLDER / "plugins-local").rglob("*")
            if file.is_file()
        }
        return {name: (_FOLDER / name).read_text() for name in (_STATIC, *self._portals)} | shared | plugin

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        page = free_port()
        own = {"127.0.0.1:8408": f"127.0.0.1:{free_port()}", "127.0.0.1:8409": f"127.0.0.1:{page}"}
        dynamic = places.folder / "dynamic"
        changed = {
            **files,
            _STATIC: filled(
                files[_STATIC],
                {
                    'address: ":443"': f"address: 127.0.0.1:{places.port}",
                    'address: ":80"': f"address: 127.0.0.1:{free_port()}",
                    "/etc/traefik/dynamic": str(dynamic),
                }
                | own,
            ),
            _SHARED: filled(files[_SHARED], {"127.0.0.1:8080": f"127.0.0.1:{places.gateway_port}"} | own),
        }
        for name in self._portals:
            changed[name] = _placed(files[name], places)
        for name, text in changed.items():
            is_dynamic = name.startswith("authproxy/") or name in self._portals
            file = dynamic / Path(name).name if is_dynamic else places.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        with running([PROGRAM, f"--configFile={_STATIC}"], places) as log:
            _wait_until_it_knows(places, page, log)
            yield log


def _placed(text: str, places: Places) -> str:
    for example, real in (
        (r"/etc/ssl/[a-z]+\.example\.si\.pem", str(places.chain)),
        (r"/etc/ssl/private/[a-z]+\.example\.si\.key", str(places.key)),
        (r"/etc/authproxy/acnlb\.pem", str(places.chain)),
        (r"127\.0\.0\.1:900\d", f"127.0.0.1:{places.portal}"),
    ):
        text = re.sub(example, real, text)
    for example, real in places.hosts.items():
        text = text.replace(f"https://{example}", f"https://{real}:{places.port}").replace(example, real)
    return text


def _wait_until_it_knows(places: Places, page: int, log: Log) -> None:
    """Traefik listens before it has read the dynamic files, and answers 404 or nothing until then. Its own page
    is asked, because the gateway runs in the loop that waits here."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    own = ssl.PEM_cert_to_DER_cert(places.chain.read_text().partition(_END)[0] + _END)
    deadline = time.monotonic() + _KNOWS_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", page), timeout=5) as asked:
            asked.sendall(b"GET / HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n")
            if b" 503 " in asked.recv(64):
                with (
                    socket.create_connection(("127.0.0.1", places.port), timeout=5) as plain,
                    tls.wrap_socket(plain, server_hostname=places.host) as shown,
                ):
                    if shown.getpeercert(binary_form=True) == own:
                        return
        time.sleep(0.02)
    raise RuntimeError(f"it knows no portal: {log.errors}")


FRONT = Traefik(_PORTAL)
SIX = Traefik(_SIX_PORTALS, _CERTIFICATES)
