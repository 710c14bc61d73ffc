"""Caddy, which serves the portal itself and asks the gateway with `forward_auth`."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "caddy"
_PORTAL = "portal.example.caddyfile"
_SIX_PORTALS = "six-portals.example.caddyfile"
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "caddy")
"""From a wheel of the development requirements."""


class Caddy:
    name = dialect = "caddy"
    program = PROGRAM
    cannot: Mapping[str, str] = {
        "signed_question": "Caddy cannot compute an HMAC: it asks over a Unix socket or from a trusted address.",
    }
    differs: Mapping[str, str] = {}

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration

    def version(self) -> str:
        said = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, check=True, timeout=10)
        return said.stdout.split()[0].removeprefix("v")

    def files(self) -> dict[str, str]:
        shared = {
            f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").glob("*.caddyfile")
        }
        return {self._configuration: (_FOLDER / self._configuration).read_text()} | shared

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        # The tests have no port 80 to redirect from.
        text = filled(
            files[self._configuration], {"\tadmin off\n": "\tadmin off\n\tauto_https disable_redirects\n"}
        )
        for example, real in (
            (r"^([a-z0-9.]+\.example\.si) \{", rf"https://\1:{places.port} {{\n\tbind 127.0.0.1"),
            (r"/etc/ssl/[a-z]+\.example\.si\.pem", str(places.chain)),
            (r"/etc/ssl/private/[a-z]+\.example\.si\.key", str(places.key)),
            (r"/etc/authproxy/acnlb\.pem", str(places.chain)),
            (r"127\.0\.0\.1:900\d", f"127.0.0.1:{places.portal}"),
        ):
            text = re.sub(example, real, text, flags=re.MULTILINE)
        for example, real in places.hosts.items():
            text = text.replace(example, real)
        changed = {
            **files,
            self._configuration: text,
            "authproxy/authproxy.caddyfile": filled(
                files["authproxy/authproxy.caddyfile"],
                {"unix//run/authproxy/edge.sock": f"unix/{places.gateway}"},
            ),
        }
        (places.folder / "authproxy").mkdir()
        for name, text in changed.items():
            (places.folder / name).write_text(text)
        home = str(places.folder)
        command = [PROGRAM, "run", "--config", self._configuration, "--adapter", "caddyfile"]
        with running(command, places, os.environ | {"HOME": home, "XDG_DATA_HOME": home}) as log:
            yield log


FRONT = Caddy(_PORTAL)
SIX = Caddy(_SIX_PORTALS)
