"""HAProxy, which asks the gateway with a script in Lua."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "haproxy"
_PORTAL = "portal.example.cfg"
_CERTIFICATES = "authproxy/certificates.list"


class HAProxy:
    name = dialect = program = "haproxy"
    cannot: Mapping[str, str] = {}
    differs: Mapping[str, str] = {
        "trailers": "refuses a body without a length (411), because it cannot remove trailers before 3.2",
        "body_beside_question": "refuses a body without a length (411)",
    }

    def version(self) -> str:
        said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True, timeout=10)
        found = re.search(r"version (\d+\.\d+\.\d+)", said.stdout)
        assert found, said
        return found[1]

    def files(self) -> dict[str, str]:
        beside = {f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").iterdir()}
        return {_PORTAL: (_FOLDER / _PORTAL).read_text()} | beside

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        (places.folder / "authproxy").mkdir()
        changed = {
            **files,
            _PORTAL: filled(
                files[_PORTAL],
                {
                    "bind :443": f"bind 127.0.0.1:{places.port}",
                    "bind :80": f"bind unix@{places.folder / 'plain.sock'}",
                    "/etc/haproxy/authproxy": str(places.folder / "authproxy"),
                    "acq.example.si": places.host,
                    "unix@/run/authproxy/edge.sock": f"unix@{places.gateway}",
                    "127.0.0.1:9001": f"127.0.0.1:{places.portal}",
                },
            ),
            _CERTIFICATES: filled(
                files[_CERTIFICATES],
                {
                    "/etc/ssl/private/acq.example.si.pem": str(places.chain_and_key),
                    "/etc/ssl/private/potrdila.example.si.pem": str(places.chain_and_key),
                    "/etc/authproxy/acnlb.pem": str(places.chain),
                    "acq.example.si": places.host,
                },
            ),
        }
        for name, text in changed.items():
            (places.folder / name).write_text(text)
        with running(["haproxy", "-db", "-f", str(places.folder / _PORTAL)], places) as log:
            yield log


FRONT = HAProxy()
