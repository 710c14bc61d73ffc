"""Runs both commands of README.md and judges them; `make rehearsal` calls it in a bare Debian. Needs only
Python.

`make demo` gets Ctrl-C once every address that it prints has answered. `make test` is run once with each
argument of this command as its options.
"""

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
        # A process group of its own, as a shell makes one. It must not ignore Ctrl-C, even if this script was
        # started in the background.
        process = subprocess.Popen(
            ["make", "demo"],  # noqa: S607
            cwd=CHECKOUT,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        log_file = Path(log.name)
        try:
            _until(
                lambda: process.poll() is not None or _READY in log_file.read_text("utf-8"),
                within=STARTS_WITHIN,
                missing="its greeting",
            )
            if process.poll() is not None:
                raise Failed(f"make demo ended with {process.returncode}:\n{log_file.read_text('utf-8')}")
            addresses = re.findall(r"https?://[^\s,`)]+", log_file.read_text("utf-8"))
            for address in addresses:
                _until(partial(_answers, address), within=ANSWERS_WITHIN, missing=address)
            started_at = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            process.wait(ENDS_WITHIN)
            stopped_after = time.monotonic() - started_at
            if "Traceback" in log_file.read_text("utf-8"):
                raise Failed(f"make demo ended with a traceback:\n{log_file.read_text('utf-8')}")
            still_answering = [address for address in addresses if _answers(address)]
            if still_answering:
                raise Failed(f"still answers after Ctrl-C: {still_answering}")
            return f"{len(addresses)} addresses answered; ended {stopped_after:.1f} s after Ctrl-C"
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


def _answers(address: str) -> bool:
    """Whether the address answers with anything but a server error. `*.localhost` is this machine, whatever
    the resolver says."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    connected = address.replace(host, "127.0.0.1", 1) if host.endswith(".localhost") else address
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked), _Unfollowed()
    )
    try:
        with opener.open(
            urllib.request.Request(connected, headers={"Host": parts.netloc}),  # noqa: S310
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
        *((f"make test {options}".rstrip(), partial(tests, options)) for options in sys.argv[1:] or [""]),
    ):
        sys.stdout.write(f"── {name}\n")
        started_at = time.monotonic()
        try:
            verdict = f"ok: {step()}"
        except Failed as error:
            failed, verdict = True, f"FAILED: {error}"
        sys.stdout.write(f"   {name}: {time.monotonic() - started_at:.0f} s, {verdict}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
