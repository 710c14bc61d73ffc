"""deploy/portals/apache as a portal: the shipped file with the test's addresses, in a real Apache."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import trustme

from tests.support.portal_kits import KITS, Attempt, Publisher, running_publisher
from tests.support.ports import free_port

_MODULES = ("mpm_event", "authn_core", "authz_core", "authz_user", "headers", "alias", "auth_openidc")
_SERVER = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
Mutex file:{folder} default
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
User nobody
Group nogroup
AliasMatch ^ {folder}/page
"""


class ApachePortal:
    def __init__(self, port: int, publisher: Publisher, log: Path) -> None:
        self._port = port
        self.publisher = publisher
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def lets_in(self, attempt: Attempt) -> bool:
        """The page is a file, so that only GET has an answer. Others are refused when the file is reached."""
        status = self._status(attempt)
        assert status in {200, 405, 400, 401, 403, 431}, status
        return status in {200, 405}

    def _status(self, attempt: Attempt) -> int:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        ) as connection:
            connection.connect()
            head = [f"{attempt.method} {attempt.path} HTTP/1.1", "Host: localhost", "Content-Length: 0"]
            head += [f"X-Auth-Assertion: {field}" for field in attempt.fields]
            connection.sock.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
            with contextlib.closing(
                http.client.HTTPResponse(connection.sock, method=attempt.method)
            ) as answer:
                answer.begin()
                return answer.status


@contextlib.contextmanager
def running_apache(folder: Path, *, bound: bool) -> Iterator[ApachePortal]:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with running_publisher(tls) as publisher:
        shipped = (KITS / "apache" / "portal.example.conf").read_text()
        edits = [
            ("https://acq.example.si/.authproxy/jwks.json", publisher.address),
            ("# OIDCCABundlePath /etc/portal/ca.pem", f"OIDCCABundlePath {folder}/ca.pem"),
        ]
        if bound:
            edits += [("# Require expr", "Require expr")]
        for old, new in edits:
            assert old in shipped
            shipped = shipped.replace(old, new)
        port = free_port()
        (folder / "page").write_text("the portal")
        folder.chmod(0o755)
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES
        )
        (folder / "apache.conf").write_text(modules + _SERVER.format(folder=folder, port=port) + shipped)
        with subprocess.Popen(["apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"]) as process:
            try:
                _wait(port, process)
                yield ApachePortal(port, publisher, folder / "error.log")
            finally:
                process.terminate()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket
    import time

    for _ in range(600):
        assert process.poll() is None, "Apache has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("Apache does not listen")
