"""Runs the first commands of README.md to their end, as `make rehearsal` does in a bare Debian. Needs nothing
but Python.

`make demo` runs until every place that it prints answers, and then gets Ctrl-C; `make test` gets the options
that are given."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).parents[1]
STARTS_WITHIN, ANSWERS_WITHIN, ENDS_WITHIN = 900.0, 30.0, 30.0
_READY = "Ctrl-C stops everything."


class Failed(Exception):  # noqa: N818
    """One step did not end as it should. The message is for the person who reads the log."""


def demo() -> str:
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as log:
        # A group of its own, as a shell makes one, that does not ignore Ctrl-C even if we were started in the
        # background.
        process = subprocess.Popen(
            ["make", "demo"],  # noqa: S607
            cwd=CHECKOUT,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        said = Path(log.name)
        try:
            _until(
                lambda: process.poll() is not None or _READY in said.read_text("utf-8"),
                within=STARTS_WITHIN,
                missing="its greeting",
            )
            if process.poll() is not None:
                raise Failed(f"make demo ended with {process.returncode}:\n{said.read_text('utf-8')}")
            places = re.findall(r"https?://[^\s,`)]+", said.read_text("utf-8"))
            for place in places:
                _until(partial(_answers, place), within=ANSWERS_WITHIN, missing=place)
            began = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            process.wait(ENDS_WITHIN)
            ended = time.monotonic() - began
            if "Traceback" in said.read_text("utf-8"):
                raise Failed(f"make demo ended with a traceback:\n{said.read_text('utf-8')}")
            left = [place for place in places if _answers(place)]
            if left:
                raise Failed(f"still answers after Ctrl-C: {left}")
            return f"{len(places)} places answered; ended {ended:.1f} s after Ctrl-C"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def tests(options: str) -> str:
    command = ["make", "test", *([f"OPTIONS={options}"] if options else [])]
    with subprocess.Popen(  # noqa: S603
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        last = ""
        for line in process.stdout or ():
            sys.stdout.write(line)
            last = line.strip("= \n") or last
    if process.returncode:
        raise Failed(f"make test ended with {process.returncode}: {last}")
    return last


def _until(condition: Callable[[], bool], *, within: float, missing: str) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{missing} did not come within {within:.0f} s")
        time.sleep(0.2)


def _answers(place: str) -> bool:
    """Whether anything but a server's error comes from there. `*.localhost` is this machine, whatever the
    resolver says of it."""
    parts = urlsplit(place)
    host = parts.hostname or ""
    address = place.replace(host, "127.0.0.1", 1) if host.endswith(".localhost") else place
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked), _Unfollowed()
    )
    try:
        with opener.open(
            urllib.request.Request(address, headers={"Host": parts.netloc}),  # noqa: S310
            timeout=5,
        ) as answer:
            return bool(answer.status < 500)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code < 500
    except OSError:
        return False


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object) -> None:
        return None


def main() -> int:
    failed = False
    for name, step in (
        ("make demo", demo),
        ("make test", lambda: tests(sys.argv[1] if len(sys.argv) > 1 else "")),
    ):
        sys.stdout.write(f"── {name}\n")
        began = time.monotonic()
        try:
            verdict = f"ok: {step()}"
        except Failed as error:
            failed, verdict = True, f"FAILED: {error}"
        sys.stdout.write(f"   {name}: {time.monotonic() - began:.0f} s, {verdict}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
