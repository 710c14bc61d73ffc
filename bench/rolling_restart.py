"""Restarts two gateways in turn behind nginx or HAProxy under load, and prints how many requests failed. See
README.md."""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROJECT = Path(__file__).parent.parent
sys.path.append(str(_PROJECT))

import yaml  # noqa: E402
from ports import free_ports  # noqa: E402

from authproxy.assertions import keys  # noqa: E402

_HOST = "acq.localhost"
_WITHIN = 60.0
_NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
    upstream gateways {{
        server 127.0.0.1:{first} max_fails=0;
        server 127.0.0.1:{second} max_fails=0;
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateways;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host {host};
        }}
    }}
}}
"""


_HAPROXY = _PROJECT / "deploy/haproxy/gateways.example.cfg"
_HAPROXY_EXAMPLES = (
    "bind :443 ssl crt /etc/ssl/private/portals.pem ssl-min-ver TLSv1.2 alpn http/1.1",
    "server first 10.0.0.11:8080 port 8090",
    "server second 10.0.0.12:8080 port 8090",
    "    http-request set-header X-Forwarded-Proto https\n",
    "    user haproxy\n    group haproxy\n",
)
"""What in the file is an example: addresses, TLS, which these clients do not speak, and the user, whom only
root can become."""


class Gateway:
    """A gateway without store, provider and portal, which answers every request by itself."""

    def __init__(self, folder: Path, *, leave: float) -> None:
        folder.mkdir()
        self.port, self.management = free_ports(2)
        self._file = folder / "authproxy.yaml"
        self._log = folder / "log"
        key = folder / "assertion.pem"
        key.touch(mode=0o600)
        key.write_bytes(keys.generate("ES256"))
        self._file.touch(mode=0o600)
        written = {
            "server": {
                "listen": [f"127.0.0.1:{self.port}"],
                "management": f"127.0.0.1:{self.management}",
                "trusted_proxies": ["127.0.0.1"],
                "timeouts": {"leave": f"{leave:g}s", "drain": "10s"},
            },
            "store": {"url": "memory://"},
            "sessions": {"keys": [secrets.token_urlsafe(32)]},
            "assertions": {"issuer": "http://localhost:1", "current_key_file": str(key)},
            "rekono": {
                "issuer": "http://localhost:1/",
                "client_id": "bench",
                "client_secret": secrets.token_urlsafe(32),
                "step_up_by": "always",
            },
            "portals": {"acq": {"name": "ACQ", "url": f"http://{_HOST}", "upstream": "http://127.0.0.1:1"}},
            "telemetry": {"access_log": False},
        }
        self._file.write_text(yaml.safe_dump(written))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "authproxy", "serve", "-c", str(self._file)],
                stdout=log,
                stderr=log,
                cwd=_PROJECT,
            )
        _until_listening(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            if self._process.wait(_WITHIN) != 0:
                raise RuntimeError(self._log.read_text())


class Load(threading.Thread):
    """Sends requests over one connection until it must stop."""

    def __init__(self, port: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._over = over
        self.outcomes: Counter[str] = Counter()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WITHIN)
        for number in itertools.count():
            if self._over.is_set():
                return
            # Pages, and requests that the gateway refuses by itself. Every fifth is a form, which nginx does
            # not send twice.
            method, target = (
                ("POST", "/.authproxy/logout")
                if number % 5 == 0
                else ("GET", "/.authproxy/jwks.json" if number % 2 else "/")
            )
            try:
                connection.request(method, target, headers={"Origin": f"http://{_HOST}"})
                answer = connection.getresponse()
                answer.read()
                self.outcomes[str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as failure:
                self.outcomes[type(failure).__name__] += 1
                connection.close()
            time.sleep(0.002)


class Nginx:
    """nginx in front. It goes to the next server when a listener is closed."""

    def __init__(self, folder: Path, gateways: list[Gateway], port: int) -> None:
        (folder / "t").mkdir()
        (folder / "nginx.conf").write_text(
            _NGINX.format(first=gateways[0].port, second=gateways[1].port, port=port, host=_HOST)
        )
        self.command = ["nginx", "-p", str(folder), "-c", "nginx.conf"]

    def until_used(self, number: int) -> None:
        """Waits until the gateway gets requests again, as whoever restarts gateways must do."""


class Haproxy:
    """HAProxy in front, with the shipped file. It asks /readyz."""

    def __init__(self, folder: Path, gateways: list[Gateway], port: int) -> None:
        self._socket = folder / "haproxy.sock"
        written = _HAPROXY.read_text()
        lines = (
            f"bind 127.0.0.1:{port}",
            *(
                f"server {name} 127.0.0.1:{gateway.port} port {gateway.management}"
                for name, gateway in zip(("first", "second"), gateways, strict=True)
            ),
            "",
            "",
        )
        for example, line in zip(_HAPROXY_EXAMPLES, lines, strict=True):
            if example not in written:
                raise RuntimeError(f"{_HAPROXY} has no line any more: {example}")
            written = written.replace(example, line)
        file = folder / "haproxy.cfg"
        file.write_text(f"global\n    stats socket {self._socket} mode 600\n{written}")
        self.command = ["haproxy", "-db", "-f", str(file)]

    def until_used(self, number: int) -> None:
        """As that of nginx."""
        name = ("first", "second")[number]
        ends_at = time.monotonic() + _WITHIN
        while not self._is_up(name):
            if time.monotonic() > ends_at:
                raise RuntimeError(f"HAProxy does not use the {name} gateway again")
            time.sleep(0.05)

    def _is_up(self, name: str) -> bool:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._socket))
            asked.sendall(b"show servers state gateways\n")
            said = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        # Columns of version 1 of this answer: the name is the fourth, the state the sixth; 2 is "running".
        return any(
            line.split()[3] == name and line.split()[5] == "2" for line in said.splitlines()[2:] if line
        )


_PROXIES = {"nginx": Nginx, "haproxy": Haproxy}


def main() -> None:
    arguments = _arguments()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    with tempfile.TemporaryDirectory(prefix="authproxy-bench-") as name:
        folder = Path(name)
        gateways = [Gateway(folder / each, leave=arguments.leave) for each in ("first", "second")]
        [port] = free_ports(1)
        proxy = _PROXIES[arguments.proxy](folder, gateways, port)
        for gateway in gateways:
            gateway.start()
        with _running(proxy.command):
            _until_listening(port)
            for number in range(len(gateways)):
                proxy.until_used(number)
            restarts, outcomes = _restarted_under_load(gateways, proxy, port, arguments.requests)
        for gateway in gateways:
            gateway.stop()
    failed = sum(
        count for outcome, count in outcomes.items() if not outcome.isdecimal() or int(outcome) >= 500
    )
    print(
        f"{outcomes.total():,} requests, {restarts} restarts, {failed} failed: "
        f"{dict(sorted(outcomes.items()))}"
    )
    sys.exit(1 if failed else 0)


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(_WITHIN)


def _restarted_under_load(
    gateways: list[Gateway], proxy: Nginx | Haproxy, port: int, requests: int
) -> tuple[int, Counter[str]]:
    over = threading.Event()
    loads = [Load(port, over) for _ in range(8)]
    for load in loads:
        load.start()
    restarts = 0
    for number in itertools.cycle(range(len(gateways))):
        gateways[number].stop()
        gateways[number].start()
        proxy.until_used(number)
        restarts += 1
        if sum(load.outcomes.total() for load in loads) >= requests and restarts >= 2:
            break
    over.set()
    for load in loads:
        load.join(_WITHIN)
    return restarts, sum((load.outcomes for load in loads), Counter())


def _until_listening(port: int) -> None:
    ends_at = time.monotonic() + _WITHIN
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > ends_at:
            raise RuntimeError(f"nothing listens at {port}")
        time.sleep(0.05)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many requests (10000)")
    parser.add_argument("--proxy", choices=_PROXIES, default="nginx", help="what is in front (nginx)")
    parser.add_argument(
        "--leave", type=float, help="server.timeouts.leave in seconds (0 behind nginx, 5 behind HAProxy)"
    )
    arguments = parser.parse_args()
    if arguments.leave is None:
        arguments.leave = 5.0 if arguments.proxy == "haproxy" else 0.0
    return arguments


if __name__ == "__main__":
    main()
