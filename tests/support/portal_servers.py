"""Kits of deploy/portals within real servers: the shipped files with the test's values. Their clock is the machine's."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import trustme

from tests.support.portal_kits import DRIVERS, KITS, Attempt, Publisher, running_publisher
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
_FPM = """
[global]
error_log = {folder}/fpm-global.log
[portal]
user = {user}
listen = {folder}/fpm.sock
pm = static
pm.max_children = 2
php_admin_value[auto_prepend_file] = {folder}/prepend.php
php_admin_value[error_log] = {folder}/php.log
"""
_NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/nginx-error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    large_client_header_buffers 8 32k;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {folder}/page.php;
            fastcgi_pass unix:{folder}/fpm.sock;
        }}
    }}
}}
"""
_IN_MONO = """
    <httpRuntime targetFramework="4.6.1" />
    <compilation><assemblies><clear /></assemblies></compilation>
    <httpHandlers><add verb="*" path="*" type="Page, AspNet" /></httpHandlers>
"""
_PAGE_PHP = """<?php
$roles = $_SERVER['AUTHPROXY_CLAIMS']->roles;
echo $_SERVER['REMOTE_USER'], ' ', $_SERVER['AUTHPROXY_CLAIMS']->sub, ' ',
    in_array('approver', $roles) ? 'true' : 'false', ' ', in_array('owner', $roles) ? 'true' : 'false';
"""


class ServedPortal:
    def __init__(self, port: int, publisher: Publisher, log: Path) -> None:
        self._port = port
        self.publisher = publisher
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def lets_in(self, attempt: Attempt) -> bool:
        """A page that is a file has an answer to GET only. Others are refused when the file is reached."""
        status, _ = self.answer(attempt)
        assert status in {200, 405, 400, 401, 403, 414, 431}, status
        return status in {200, 405}

    def answer(self, attempt: Attempt, *more: str) -> tuple[int, str]:
        """`more` are lines of the head."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        ) as connection:
            connection.connect()
            head = [f"{attempt.method} {attempt.path} HTTP/1.1", "Host: localhost", "Content-Length: 0"]
            head += [*(f"X-Auth-Assertion: {field}" for field in attempt.fields), *more]
            with contextlib.suppress(ConnectionError):  # some servers do not read what is too long
                connection.sock.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
            with contextlib.closing(
                http.client.HTTPResponse(connection.sock, method=attempt.method)
            ) as answer:
                try:
                    answer.begin()
                    return answer.status, answer.read().decode()
                except ConnectionError:
                    return 431, ""


@contextlib.contextmanager
def running_tomcat(folder: Path, *, bound: bool, version: int = 9) -> Iterator[ServedPortal]:
    """The filter, as its web.example.xml says. `folder` is empty."""
    classes = folder / "portal" / "WEB-INF" / "classes"
    classes.mkdir(parents=True)
    sources = []
    for file in (*sorted((KITS / "java").glob("*.java")), DRIVERS / "Container.java"):
        text = file.read_text()
        sources.append(copy := folder / file.name)
        copy.write_text(text if version < 10 else text.replace("import javax.", "import jakarta."))
    jars = ":".join(map(str, sorted(Path("/usr/share/java").glob(f"tomcat{version}-*[a-z].jar"))))
    subprocess.run(["javac", "-cp", jars, "-d", str(classes), *map(str, sources)], check=True)
    with running_publisher() as publisher:
        edits = [("https://acq.example.si/.authproxy/jwks.json", publisher.address)]
        if bound:
            edits += [("bound</param-name><param-value>false", "bound</param-name><param-value>true")]
        (folder / "portal" / "WEB-INF" / "web.xml").write_text(
            edited(KITS / "java" / "web.example.xml", edits)
        )
        port = free_port()
        command = ["java", "-cp", f"{jars}:{classes}", "Container", str(folder), str(port)]
        with _running(command, port, folder / "log"):
            yield ServedPortal(port, publisher, folder / "log")


@contextlib.contextmanager
def running_aspnet(folder: Path, *, bound: bool) -> Iterator[ServedPortal]:
    """The module, as its Web.example.config says, in Mono's ASP.NET. Mono knows `httpModules`, as
    IIS in Classic mode, and not the modules of IIS. OpenSSL stands in for Windows' CNG, as it does for Drive.cs."""
    (binaries := folder / "portal" / "bin").mkdir(parents=True)
    module = edited(KITS / "csharp" / "AssertionModule.cs", [("new AssertionCheck(", "new OpenSslCheck(")])
    (folder / "AssertionModule.cs").write_text(module)
    sources = [
        folder / "AssertionModule.cs",
        KITS / "csharp" / "AssertionCheck.cs",
        *(DRIVERS / name for name in ("OpenSslCheck.cs", "AspNet.cs")),
    ]
    references = [f"-r:System.{name}" for name in ("Core", "Web", "Web.Extensions", "Configuration")]
    subprocess.run(
        ["mcs", "-langversion:5", *references, f"-out:{folder}/AspNet.exe", *map(str, sources)], check=True
    )
    shutil.copy(folder / "AspNet.exe", binaries)
    with running_publisher() as publisher:
        edits = [
            ("https://acq.example.si/.authproxy/jwks.json", publisher.address),
            ('<httpRuntime targetFramework="4.6.1" />', _IN_MONO),
            (
                '<add name="assertion" type="AssertionModule" />',
                '<add name="assertion" type="AssertionModule, AspNet" />',
            ),
            ("C:\\inetpub\\logs\\authproxy.log", f"{folder}/refusals.log"),
        ]
        if bound:
            edits += [('"authproxy.bound" value="false"', '"authproxy.bound" value="true"')]
        config = edited(KITS / "csharp" / "Web.example.config", edits)
        (folder / "portal" / "Web.config").write_text(config)
        port = free_port()
        with _running(["mono", f"{folder}/AspNet.exe", str(folder), str(port)], port, folder / "log"):
            yield ServedPortal(port, publisher, folder / "refusals.log")


@contextlib.contextmanager
def running_php_fpm(folder: Path, *, bound: bool) -> Iterator[ServedPortal]:
    """prepend.php with its settings.php, in php-fpm behind nginx."""
    for name in ("AssertionCheck.php", "prepend.php"):
        shutil.copy(KITS / "php" / name, folder)
    (folder / "page.php").write_text(_PAGE_PHP)
    with running_publisher() as publisher:
        edits = [
            ("https://acq.example.si/.authproxy/jwks.json", publisher.address),
            ("/var/lib/portal", str(folder)),
        ]
        if bound:
            edits += [("'bound' => false", "'bound' => true")]
        (folder / "settings.php").write_text(edited(KITS / "php" / "settings.php", edits))
        port = free_port()
        (folder / "fpm.conf").write_text(_FPM.format(folder=folder, user=getpass.getuser()))
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
        [program] = Path("/usr/sbin").glob("php-fpm*")
        fpm = [str(program), "-R", "-F", "-n", "-y", f"{folder}/fpm.conf"]
        nginx = ["nginx", "-c", f"{folder}/nginx.conf", "-p", str(folder)]
        with (
            _running(fpm, f"{folder}/fpm.sock", folder / "fpm.log"),
            _running(nginx, port, folder / "nginx.log"),
        ):
            yield ServedPortal(port, publisher, folder / "php.log")


@contextlib.contextmanager
def running_apache(folder: Path, *, bound: bool) -> Iterator[ServedPortal]:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with running_publisher(tls) as publisher:
        edits = [
            ("https://acq.example.si/.authproxy/jwks.json", publisher.address),
            ("# OIDCCABundlePath /etc/portal/ca.pem", f"OIDCCABundlePath {folder}/ca.pem"),
        ]
        if bound:
            edits += [("# Require expr", "Require expr")]
        shipped = edited(KITS / "apache" / "portal.example.conf", edits)
        port = free_port()
        (folder / "page").write_text("the portal")
        folder.chmod(0o755)
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES
        )
        (folder / "apache.conf").write_text(modules + _SERVER.format(folder=folder, port=port) + shipped)
        with _running(["apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"], port, folder / "log"):
            yield ServedPortal(port, publisher, folder / "error.log")


def edited(file: Path, edits: Iterable[tuple[str, str]]) -> str:
    """A shipped file with other values."""
    text = file.read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def _running(command: list[str], at: int | str, log: Path) -> Iterator[None]:
    """A server on a port or a socket until the block ends, with what it says in `log`."""
    with (
        log.open("wb") as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said) as process,
    ):
        try:
            _wait(at, process, log)
            yield
        finally:
            process.terminate()


def _wait(at: int | str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, log.read_text(errors="replace")
        family = socket.AF_UNIX if isinstance(at, str) else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family) as connection:
            connection.connect(at if isinstance(at, str) else ("127.0.0.1", at))
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))
