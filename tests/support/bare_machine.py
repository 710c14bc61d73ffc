"""A machine that deploy/debian-machine has started: another root of files, in namespaces of its own, with
systemd as process 1. A rehearsal shares only its network. Commands for operators are taken from READMEs and
typed into a terminal of the machine."""

from __future__ import annotations

import http.client
import os
import pty
import re
import select
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CHECKOUT = Path(__file__).parents[2]
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/srv",
}
_END_OF_INPUT = "\x04"
_WITHIN = 180.0
_STILL = 3.0


@dataclass(frozen=True)
class Machine:
    first: int
    """Its process 1, by its number here."""

    def does(self, command: str, *, fails: bool = False) -> str:
        """What the shell command prints, run as root on the machine."""
        done = subprocess.run(
            [*self._entering, "bash", "-euo", "pipefail", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_ENVIRONMENT,
            timeout=_WITHIN,
            check=False,
        )
        assert bool(done.returncode) == fails, f"{command}\nended with {done.returncode}: {done.stdout}"
        return done.stdout.strip()

    def types(self, commands: str, *answers: str) -> str:
        """What a terminal shows while the commands run, and each answer is typed when they wait for one."""
        process_id, terminal = pty.fork()
        if process_id == 0:
            os.execvpe("nsenter", [*self._entering, "bash", "-euo", "pipefail", "-c", commands], _ENVIRONMENT)
        left, shown, ends_at = list(answers), "", time.monotonic() + _WITHIN
        while time.monotonic() < ends_at:
            readable, _, _ = select.select([terminal], [], [], _STILL)
            if readable:
                try:
                    shown += os.read(terminal, 65536).decode(errors="replace")
                except OSError:  # the terminal was closed
                    break
            elif left:
                os.write(terminal, (left.pop(0) + "\n" + _END_OF_INPUT).encode())
        code = os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])
        assert (code, left) == (0, []), f"{commands}\nended with {code}: {shown}"
        return shown

    def file(self, path: str) -> Path:
        """The machine's file as this process sees it, also where a file system is mounted there alone."""
        return Path(f"/proc/{self.first}/root{path}")

    def has_started(self) -> None:
        until(lambda: self.does("systemctl is-system-running || true") in {"running", "degraded"})

    @property
    def _entering(self) -> list[str]:
        return ["nsenter", f"--target={self.first}", "--all", "--root", "--wd", "--"]


class Load:
    """Signed-in people who ask without a pause, over connections that are kept. `cookies` are by host; `page`
    is in each answer."""

    def __init__(
        self, port: int, cookies: Mapping[str, str], *, page: bytes, tls: bool = False, clients: int = 8
    ) -> None:
        self._port, self._page, self._is_tls = port, page, tls
        self._over = threading.Event()
        self.outcomes: Counter[str] = Counter()
        hosts = list(cookies)
        self._threads = [
            threading.Thread(target=self._asks, args=(host, cookies[host]), daemon=True)
            for host in (hosts[number % len(hosts)] for number in range(clients))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: self.outcomes.total() > len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(_WITHIN)

    @property
    def failed(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "200"}

    def _asks(self, host: str, cookie: str) -> None:
        connection = (
            http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=_WITHIN, context=ssl._create_unverified_context()
            )
            if self._is_tls
            else http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WITHIN)
        )
        while not self._over.is_set():
            try:
                connection.request("GET", "/", headers={"Host": host, "Cookie": cookie})
                answer = connection.getresponse()
                page = answer.read()
                outcome = f"{answer.status}{'' if self._page in page else ', another page'}"
            except (OSError, http.client.HTTPException) as failure:
                outcome = type(failure).__name__
                connection.close()
            self.outcomes[outcome] += 1
            time.sleep(0.002)


def until(condition: Callable[[], object], *, within: float = _WITHIN) -> float:
    """How long it took until the condition held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within:g} s"
        time.sleep(0.1)
    return time.monotonic() - began


def block(readme: str, *, about: str) -> str:
    """The first block of shell commands of a README that contains the text, in the checkout's folder."""
    text = (CHECKOUT / readme).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    found = [each for each in blocks if about in each]
    assert found, f"{readme} has no commands with {about!r}"
    return "cd /srv/authproxy\n" + str(found[0])


def replaced(text: str, *changes: tuple[str, str]) -> str:
    for pattern, instead in changes:
        text, count = re.subn(pattern, instead, text)
        assert count, f"there is no {pattern} any more"
    return text


def said(sentence: str) -> None:
    sys.stdout.write(f"   {sentence}\n")
    sys.stdout.flush()
