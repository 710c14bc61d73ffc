"""Sends mixed requests to one gateway and prints what they leave behind: its memory and descriptors, and the
store's keys and memory.

It does not judge: the operator sees whether the second half has added anything. See README.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_PROJECT = Path(__file__).parent.parent
sys.path[:] = [str(_PROJECT / "bench"), *sys.path, str(_PROJECT)]

import redis  # noqa: E402
from sign_in import Person  # noqa: E402
from systems import Gateway, gateway_alone  # noqa: E402

_SIGNS_OUT_EVERY = 500
_PATIENCE = 10.0


class Request(NamedTuple):
    """One kind of request; `weight` of a hundred requests are of this kind."""

    weight: int
    method: str
    target: str
    headers: dict[str, str]
    body: str | None = None


def main() -> None:
    arguments = _arguments()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-bench-")))
        gateway = resources.enter_context(gateway_alone(folder))
        store = resources.enter_context(redis.Redis.from_url(gateway.store_url))
        print("| requests | gateway MiB | descriptors | keys | store MiB |\n|---:|---:|---:|---:|---:|")
        answered: Counter[int] = Counter()
        for length in (arguments.requests // 10, arguments.requests, arguments.requests):
            answered.update(_sent(gateway, length))
            print(f"| {answered.total():,} | {_left(gateway.pid, store)} |", flush=True)
        print("\nstatus: " + ", ".join(f"{status} {count:,} ×" for status, count in sorted(answered.items())))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="requests in each of two halves (20000)")
    return parser.parse_args()


def _sent(gateway: Gateway, count: int) -> Iterator[int]:
    """Sends `count` requests in sequence over one connection, and yields the status of each."""
    person, portal = gateway.person, gateway.portal
    connection = HTTPConnection(*gateway.address, timeout=_PATIENCE)
    kinds = itertools.cycle(_mixed(person, portal))
    for number in range(count):
        if number % _SIGNS_OUT_EVERY == 0:
            person.signs_out(portal)
            person.signs_in(f"{portal}/1k")
            kinds = itertools.cycle(_mixed(person, portal))
        kind = next(kinds)
        connection.request(kind.method, kind.target, kind.body, kind.headers)
        answer = connection.getresponse()
        answer.read()
        yield answer.status
    connection.close()


def _mixed(person: Person, portal: str) -> list[Request]:
    """A hundred requests of all kinds, interleaved."""
    host = {"Host": urlsplit(portal).netloc}
    own = {**host, "Cookie": person.cookies(portal)}
    page = {**host, "Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    form = {
        **page,
        "Content-Type": "application/x-www-form-urlencoded",
        "Sec-Fetch-Site": "same-origin",
        "Origin": portal,
    }
    asked = {**own, "X-Original-URL": f"{portal}/1k", "X-Original-Method": "GET"}
    kinds = (
        Request(50, "GET", "/1k", own),
        Request(10, "GET", "/.authproxy/auth/nginx", asked),
        Request(6, "GET", "/100k", own),
        Request(4, "POST", "/1k", own, "x" * 2000),
        Request(5, "GET", "/1k", page),
        Request(4, "GET", "/1k", host),
        Request(4, "GET", "/.authproxy/login?rt=/1k", page),
        Request(3, "POST", "/.authproxy/login", form, "method=rekono&rt=%2F1k"),
        Request(2, "GET", "/.authproxy/callback/rekono?state=made-up&code=made-up", page),
        Request(4, "GET", "/.authproxy/session", {**own, "Accept": "application/json"}),
        Request(2, "GET", "/.authproxy/session", {**own, "Accept": "text/html"}),
        Request(2, "GET", "/.authproxy/jwks.json", host),
        Request(2, "GET", "/1k", {"Host": "nobody.example"}),
        Request(2, "GET", "/a/..%2fb", own),
    )
    return [
        kind for turn in range(max(kind.weight for kind in kinds)) for kind in kinds if turn < kind.weight
    ]


def _left(pid: int, store: redis.Redis) -> str:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    used = store.info("memory")["used_memory"] / 1024 / 1024
    return f"{resident:.1f} | {descriptors} | {store.dbsize()} | {used:.2f}"


if __name__ == "__main__":
    main()
