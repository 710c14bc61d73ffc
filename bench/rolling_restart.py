"""Restarts two gateways in turn behind nginx under load, and prints how many requests failed. See
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


class Gateway:
    """A gateway without store, provider and portal, which answers every request by itself."""

    def __init__(self, folder: Path, *, leave: float) -> None:
        folder.mkdir()
        self.port, self._management = free_ports(2)
        self._file = folder / "authproxy.yaml"
        self._log = folder / "log"
        key = folder / "assertion.pem"
        key.touch(mode=0o600)
        key.write_bytes(keys.generate("ES256"))
        self._file.touch(mode=0o600)
        written = {
            "server": {
                "listen": [f"127.0.0.1:{self.port}"],
                "management": f"127.0.0.1:{self._management}",
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


def main() -> None:
    arguments = _arguments()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    with tempfile.TemporaryDirectory(prefix="authproxy-bench-") as name:
        folder = Path(name)
        gateways = [Gateway(folder / each, leave=arguments.leave) for each in ("first", "second")]
        [port] = free_ports(1)
        (folder / "t").mkdir()
        (folder / "nginx.conf").write_text(
            _NGINX.format(first=gateways[0].port, second=gateways[1].port, port=port, host=_HOST)
        )
        for gateway in gateways:
            gateway.start()
        nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            _until_listening(port)
            restarts, outcomes = _restarted_under_load(gateways, port, arguments.requests)
        finally:
            nginx.terminate()
            nginx.wait(_WITHIN)
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


def _restarted_under_load(gateways: list[Gateway], port: int, requests: int) -> tuple[int, Counter[str]]:
    over = threading.Event()
    loads = [Load(port, over) for _ in range(8)]
    for load in loads:
        load.start()
    restarts = 0
    for gateway in itertools.cycle(gateways):
        gateway.stop()
        gateway.start()
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
    parser.add_argument("--leave", type=float, default=0.0, help="server.timeouts.leave in seconds (0)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
