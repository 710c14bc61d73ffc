"""Caddy, which serves the portal itself and asks the gateway with `forward_auth`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "caddy"
_PORTAL = "portal.example.caddyfile"
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "caddy")
"""From a wheel of the development requirements."""


class Caddy:
    name = dialect = "caddy"
    program = PROGRAM
    cannot: Mapping[str, str] = {}
    differs: Mapping[str, str] = {}

    def version(self) -> str:
        said = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, check=True, timeout=10)
        return said.stdout.split()[0].removeprefix("v")

    def files(self) -> dict[str, str]:
        shared = {
            f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").glob("*.caddyfile")
        }
        return {_PORTAL: (_FOLDER / _PORTAL).read_text()} | shared

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        changed = {
            **files,
            _PORTAL: filled(
                files[_PORTAL],
                {
                    "acq.example.si {": f"https://{places.host}:{places.port} {{\n\tbind 127.0.0.1",
                    "/etc/ssl/acq.example.si.pem": str(places.chain),
                    "/etc/ssl/private/acq.example.si.key": str(places.key),
                    "127.0.0.1:9001": f"127.0.0.1:{places.portal}",
                    # The tests have no port 80 to redirect from.
                    "\tadmin off\n": "\tadmin off\n\tauto_https disable_redirects\n",
                },
            ),
            "authproxy/authproxy.caddyfile": filled(
                files["authproxy/authproxy.caddyfile"],
                {"unix//run/authproxy/edge.sock": f"unix/{places.gateway}"},
            ),
        }
        (places.folder / "authproxy").mkdir()
        for name, text in changed.items():
            (places.folder / name).write_text(text)
        home = str(places.folder)
        command = [PROGRAM, "run", "--config", _PORTAL, "--adapter", "caddyfile"]
        with running(command, places, os.environ | {"HOME": home, "XDG_DATA_HOME": home}) as log:
            yield log


FRONT = Caddy()
