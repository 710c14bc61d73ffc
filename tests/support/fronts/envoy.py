"""Envoy, which asks the gateway with `ext_authz`."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "envoy"
_PORTAL = "portal.example.yaml"
_SIX_PORTALS = "six-portals.example.yaml"
_PROGRAM = str(Path(sysconfig.get_path("scripts")) / "envoy")
"""From a wheel of the development requirements."""


class Envoy:
    name = dialect = "envoy"
    program = _PROGRAM
    cannot: Mapping[str, str] = {}
    differs: Mapping[str, str] = {}

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration

    def version(self) -> str:
        said = subprocess.run([_PROGRAM, "--version"], capture_output=True, text=True, check=True, timeout=30)
        found = re.search(r"/(\d+\.\d+\.\d+)/", said.stdout)
        assert found, said
        return found[1]

    def files(self) -> dict[str, str]:
        pages = {f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").glob("*.lua")}
        return {self._configuration: (_FOLDER / self._configuration).read_text()} | pages

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        pages = places.folder / "authproxy"
        pages.mkdir()
        for name, text in files.items():
            (places.folder / name).write_text(text)
        text = filled(
            files[self._configuration],
            {
                "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {places.port}",
                # Envoy leaves a second between its last byte and the end of a connection.
                "codec_type: AUTO": "codec_type: AUTO\n                delayed_close_timeout: 0.02s",
                "address: 0.0.0.0, port_value: 80": "address: 127.0.0.1, port_value: 0",
                'h3=":443"': f'h3=":{places.port}"',
                "/etc/envoy/authproxy": str(pages),
                "path: /run/authproxy/edge.sock": f"path: {places.gateway}",
            },
        )
        for example, real in (
            (r"/etc/ssl/[a-z]+\.example\.si\.pem", str(places.chain)),
            (r"/etc/ssl/private/[a-z]+\.example\.si\.key", str(places.key)),
            (r"/etc/authproxy/acnlb\.pem", str(places.chain)),
            (r"(?<=address: 127\.0\.0\.1, port_value: )900\d", str(places.portal)),
        ):
            text = re.sub(example, real, text)
        for example, real in places.hosts.items():
            text = text.replace(f"https://{example}", f"https://{real}:{places.port}").replace(example, real)
        configuration = places.folder / self._configuration
        configuration.write_text(text)
        command = [
            *(_PROGRAM, "-c", str(configuration), "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "warning"),
        ]
        with running(command, places) as log:
            yield log


FRONT = Envoy(_PORTAL)
SIX = Envoy(_SIX_PORTALS)


def signing(gateway: int, key: Path) -> dict[str, str]:
    """The shipped files as README.md says for a gateway on another machine."""
    files = FRONT.files()
    readme = (_FOLDER / "README.md").read_text()
    [script] = re.findall(r"```yaml\n( +- name: authproxy\.question\n.*?)```", readme, re.DOTALL)
    socket, cookie = "pipe: {path: /run/authproxy/edge.sock}", "                          - {exact: cookie}\n"
    question = "                  - name: envoy.filters.http.ext_authz\n"
    edits = {
        socket: f"socket_address: {{address: 127.0.0.1, port_value: {gateway}}}",
        cookie: cookie + "                          - {exact: x-authproxy-question}\n",
        question: script + question,
    }
    for old, new in edits.items():
        assert files[_PORTAL].count(old) == 1, old
        files[_PORTAL] = files[_PORTAL].replace(old, new)
    files[_PORTAL] = f"# {socket}\n{files[_PORTAL]}"
    example = "/etc/envoy/question.key"
    assert example in files["authproxy/question.lua"]
    files["authproxy/question.lua"] = files["authproxy/question.lua"].replace(example, str(key))
    return files
