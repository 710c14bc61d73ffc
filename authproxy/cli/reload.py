"""`authproxy reload`: a running gateway takes over the settings as they are now, or says why not.

The gateway is the process that answers at `server.management`, as the kernel says it: nobody else can answer
for it. It gets SIGHUP, which only its own user and root may send. What came of it is in its `/readyz`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from pathlib import Path

import click

from authproxy.cli.healthcheck import Question, question_by_settings
from authproxy.cli.terminal import config_option, fail

_ASKED_EVERY = 0.05


@click.command()
@config_option
@click.option(
    "--timeout", type=click.FloatRange(1, 600), default=60.0, show_default=True, help="Seconds to wait."
)
def reload(config: Path, timeout: float) -> None:
    """Let a running gateway take over its settings as they are now.

    Settings with an error change nothing. Exit code 0: they are taken over; 1: they are not, and the settings
    before stay in use. The gateway reads the file that it was started with."""
    question = question_by_settings(config)
    before = _asked(question)
    if before is None:
        fail(f"{question.shown}: no gateway answers")
    process_id = _answering(question)
    if process_id is None:
        fail(f"{question.shown}: cannot see which process answers there: run this as its user or as root")
    try:
        os.kill(process_id, signal.SIGHUP)
    except OSError as error:
        fail(f"process {process_id}: {error.strerror}")
    ends_at = time.monotonic() + timeout
    while time.monotonic() < ends_at:
        now = _asked(question)
        if now is not None and now != before:
            status, detail = now
            if status != "ok":
                fail(detail)
            click.echo(detail)
            return
        time.sleep(_ASKED_EVERY)
    fail(f"{question.shown}: the gateway has not said within {timeout:g} s what came of it")


def _asked(question: Question) -> tuple[str, str] | None:
    """Status and detail of the last reload; None if nobody answers, or in a form that is not ours."""
    connection = question.connection(3.0)
    try:
        connection.request("GET", "/readyz")
        check = json.loads(connection.getresponse().read())["checks"]["settings"]
        return str(check["status"]), str(check["detail"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def _answering(question: Question) -> int | None:
    """The number of the process that answers; None if nobody does, or if we may not see it. It need not be
    the one that has opened the listener: that may be systemd."""
    from authproxy.edge.client import address_holders

    connection = question.connection(3.0)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        return None if connection.sock is None else address_holders.id_behind(connection.sock)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
