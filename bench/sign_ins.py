"""Measures sign-ins, pages, and TLS on the listener, and prints a Markdown table. See README.md."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import NamedTuple

_PROJECT = Path(__file__).parent.parent
# The checkout comes last, so that the code in PYTHONPATH is measured.
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

from measuring import Load, Round, cpu_seconds, measured  # noqa: E402
from sign_in import Person  # noqa: E402
from sign_in_systems import Place, Started, started  # noqa: E402
from versions import built, version  # noqa: E402

import authproxy.edge  # noqa: E402

_WARM_UP = 1.0
_CONNECTIONS = 32


class Row(NamedTuple):
    """What is done, by which program, and how to do it for some seconds."""

    what: str
    system: str
    pid: int
    turn: Callable[[float], Round]


def main() -> None:
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # started programs are ended, too
    # Servers are in /usr/sbin, which is not in the PATH of a Debian user.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    cores = sorted(os.sched_getaffinity(0))
    oauth2_proxy = arguments.rivals / "oauth2-proxy"
    with started(server_core=cores[0], other_core=cores[-1], oauth2_proxy=oauth2_proxy) as systems:
        rows = [row for row in _rows(systems, core=cores[-1]) if arguments.only in row.what]
        turns: list[list[Round]] = [[] for _ in rows]
        for row in rows:
            row.turn(0.1 if arguments.check else _WARM_UP)
        if arguments.check:
            print("\n".join(f"{row.what}: {row.system} answers" for row in rows))
        for number in range(0 if arguments.check else arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds} …", file=sys.stderr)
            for row, done in zip(rows, turns, strict=True):
                done.append(row.turn(arguments.seconds))
        if not arguments.check:
            _print(rows, turns, arguments, cores=len(cores))
    if not oauth2_proxy.exists():
        print(f"\nRows are missing: {oauth2_proxy} is not there (`make bench-rivals`).")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="start everything, do everything once, measure nothing"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds, in each of which every system has its turn (3)"
    )
    parser.add_argument("--seconds", type=int, default=3, help="length of a turn (3)")
    parser.add_argument("--only", default="", help="rows that contain this text")
    parser.add_argument(
        "--rivals",
        type=Path,
        default=_PROJECT / "build" / "rivals",
        help="folder with oauth2-proxy (build/rivals)",
    )
    return parser.parse_args()


def _rows(systems: Started, *, core: int) -> list[Row]:
    gateway, tls, nginx = systems.gateway, systems.tls, systems.nginx
    session = _session(systems.person, gateway)
    at_tls = _session(systems.person, tls)
    servers = (("authproxy", tls, at_tls), ("nginx `proxy_pass`", nginx, (f"Host: {nginx.host}",)))

    def asked(what: str, system: str, place: Place, target: str, headers: tuple[str, ...]) -> Row:
        load = Load(f"{place.local}{target}", headers)
        _check(place, target, headers)
        return Row(what, system, place.pid, partial(_asks, load, place.pid, core))

    def done(what: str, system: str, place: Place, act: Callable[[], None]) -> Row:
        return Row(what, system, place.pid, partial(_does, act, place.pid))

    def signs_in(person: Person, place: Place) -> Callable[[], None]:
        return partial(_signs_in, person, place)

    return [
        done("sign-in with the provider", "authproxy", gateway, signs_in(systems.person, gateway)),
        *(
            done("sign-in with the provider", name, place, signs_in(systems.person, place))
            for name, place in systems.oauth2_proxies.items()
        ),
        done("sign-in with a certificate", "authproxy", gateway, signs_in(systems.holder, gateway)),
        asked("page: ways to sign in", "authproxy", gateway, "/.authproxy/login?rt=/1k", (session[0],)),
        asked("page: the session", "authproxy", gateway, "/.authproxy/session", session),
        asked("style sheet", "authproxy", gateway, "/.authproxy/static/pages.css", (session[0],)),
        *(
            done(f"TLS, {kind} handshake and 1 KB", name, place, _Browser(place, headers, resumes=resumes))
            for kind, resumes in (("full", False), ("resumed", True))
            for name, place, headers in servers
        ),
        *(
            asked(f"TLS, kept connection, {size}", name, place, target, headers)
            for size, target in (("1 KB", "/1k"), ("100 KB", "/100k"))
            for name, place, headers in servers
        ),
    ]


def _check(place: Place, target: str, headers: tuple[str, ...]) -> None:
    """wrk counts redirects, too: without a valid session they would be measured."""
    told = dict(header.split(": ", 1) for header in headers)
    address = place.local.rpartition("/")[2]
    has_tls = place.url.startswith("https:")
    with closing(
        HTTPSConnection(address, context=_unchecked()) if has_tls else HTTPConnection(address)
    ) as connection:
        connection.request("GET", target, headers=told)
        if (status := connection.getresponse().status) != 200:
            raise RuntimeError(f"{place.url}{target.partition('?')[0]} answered {status}")


def _unchecked() -> ssl.SSLContext:
    """Whoever measures here does not have to know who answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _session(person: Person, place: Place) -> tuple[str, str]:
    """The headers of somebody who has signed in."""
    person.signs_in(f"{place.url}/1k")
    return f"Host: {place.host}", f"Cookie: {person.cookies(place.url)}"


def _signs_in(person: Person, place: Place) -> None:
    """Signs in with a new browser. At the provider, the person is signed in already. Raises RuntimeError if
    anything else than the file is the end."""
    person.forgets(place.url)
    person.signs_in(f"{place.url}/1k")


class _Browser:
    """Opens a connection with TLS for each request."""

    def __init__(self, place: Place, headers: tuple[str, ...], *, resumes: bool) -> None:
        self._port = int(place.url.rpartition(":")[2])
        self._request = "\r\n".join(("GET /1k HTTP/1.1", *headers, "", "")).encode()
        self._resumes = resumes
        self._tls = _unchecked()
        self._before: ssl.SSLSession | None = None

    def __call__(self) -> None:
        with (
            socket.create_connection(("127.0.0.1", self._port), timeout=10) as plain,
            self._tls.wrap_socket(plain, session=self._before if self._resumes else None) as connection,
        ):
            connection.sendall(self._request)
            answer = connection.recv(16384)
            while len(answer.partition(b"\r\n\r\n")[2]) < 1024:
                piece = connection.recv(16384)
                if not piece:
                    break
                answer += piece
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"port {self._port} answered {answer[:15]!r}")
            if connection.session_reused != (self._resumes and self._before is not None):
                raise RuntimeError(f"port {self._port}: TLS sessions are not resumed as they should be")
            self._before = connection.session


def _does(act: Callable[[], None], pid: int, seconds: float) -> Round:
    """Does something again and again, one after the other."""
    before, begun, count = cpu_seconds([pid]), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds or not count:
        act()
        count += 1
    return Round(count, cpu_seconds([pid]) - before, passed)


def _asks(load: Load, pid: int, core: int, seconds: float) -> Round:
    return measured([load], [pid], core=core, seconds=max(int(seconds), 1), connections=_CONNECTIONS)


def _print(
    rows: Sequence[Row], turns: Sequence[Sequence[Round]], arguments: argparse.Namespace, *, cores: int
) -> None:
    made = "interpreted" if (authproxy.edge.__file__ or "").endswith(".py") else "compiled"
    programs = [version(name) for name in ("nginx", "wrk", "redis-server")]
    programs += [built(arguments.rivals / "oauth2-proxy"), ssl.OPENSSL_VERSION]
    programs += [f"{platform.system()} {platform.machine()}", f"{cores} cores"]
    command = " ".join(["bench/sign_ins.py", *sys.argv[1:]])
    print(f"{datetime.now(UTC):%Y-%m-%d}, `{command}`: authproxy {authproxy.__version__} ({made}), ", end="")
    print(", ".join(["CPython " + platform.python_version(), *filter(None, programs)]))
    print(f"{arguments.rounds} rounds of {arguments.seconds} s, times per CPU-second\n")
    medians = [statistics.median(each.per_cpu_second for each in done) for done in turns]
    ours = {row.what: median for row, median in zip(rows, medians, strict=True) if row.system == "authproxy"}
    print("| what | system | median | min | max | ms of CPU | authproxy is |")
    print("|---|---|---:|---:|---:|---:|---|")
    for row, median, done in zip(rows, medians, turns, strict=True):
        every = [each.per_cpu_second for each in done]
        ratio = "" if row.system == "authproxy" else f"{ours[row.what] / median:.2f} ×"
        numbers = " | ".join(f"{number:,.0f}" for number in (median, min(every), max(every)))
        print(f"| {row.what} | {row.system} | {numbers} | {1000 / median:.2f} | {ratio} |")


if __name__ == "__main__":
    main()
