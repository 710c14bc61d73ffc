"""HAProxy, which asks the gateway with a script in Lua."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "haproxy"
_PORTAL = "portal.example.cfg"
_SIX_PORTALS = "six-portals.example.cfg"
_CERTIFICATES = "authproxy/certificates.list"


class HAProxy:
    name = dialect = program = "haproxy"
    cannot: Mapping[str, str] = {
        "http3": "HAProxy has HTTP/3 only if it is built with QUIC, and Debian's 2.6 is not."
    }
    differs: Mapping[str, str] = {
        "trailers": "HAProxy refuses a body without a length (411): before 3.2 it cannot remove trailers.",
        "body_beside_question": "HAProxy refuses a body without a length (411).",
    }

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration

    def version(self) -> str:
        said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True, timeout=10)
        found = re.search(r"version (\d+\.\d+\.\d+)", said.stdout)
        assert found, said
        return found[1]

    def files(self) -> dict[str, str]:
        beside = {f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").iterdir()}
        return {self._configuration: (_FOLDER / self._configuration).read_text()} | beside

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        (places.folder / "authproxy").mkdir()
        changed = {
            name: filled(
                text,
                {
                    # That user cannot open a test's socket.
                    "    user haproxy\n    group haproxy\n": "",
                    "bind :443": f"bind 127.0.0.1:{places.port}",
                    "bind :80": f"bind unix@{places.folder / 'plain.sock'}",
                    "/etc/haproxy/authproxy": str(places.folder / "authproxy"),
                    "unix@/run/authproxy/edge.sock": f"unix@{places.gateway}",
                },
            )
            if name == self._configuration
            else text
            for name, text in files.items()
        }
        for name in (self._configuration, _CERTIFICATES):
            for example, real in (
                (r"/etc/ssl/private/[a-z]+\.example\.si\.pem", str(places.chain_and_key)),
                (r"/etc/authproxy/acnlb\.pem", str(places.chain)),
                (r"(?<= 127\.0\.0\.1:)900\d", str(places.portal)),
            ):
                changed[name] = re.sub(example, real, changed[name])
            for example, real in places.hosts.items():
                changed[name] = changed[name].replace(example, real)
        for name, text in changed.items():
            (places.folder / name).write_text(text)
        with running(["haproxy", "-db", "-f", str(places.folder / self._configuration)], places) as log:
            yield log


FRONT = HAProxy(_PORTAL)
SIX = HAProxy(_SIX_PORTALS)


def signing(gateway: int, key: Path) -> dict[str, str]:
    """The shipped files as README.md says for a gateway on another machine."""
    files = FRONT.files()
    files[_PORTAL], places = re.subn(
        r"(?m)^ *setenv AUTHPROXY_GATEWAY .*$",
        f"    # unix@/run/authproxy/edge.sock\n    setenv AUTHPROXY_GATEWAY ipv4@127.0.0.1:{gateway}\n"
        f"    setenv AUTHPROXY_QUESTION_KEY_FILE {key}",
        files[_PORTAL],
    )
    assert places == 1
    return files
