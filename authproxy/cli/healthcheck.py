"""`authproxy healthcheck`: asks the management listener of a running gateway whether it is well, for
supervisors of containers.

Of the settings it reads only the address of that listener, because an unfinished edit elsewhere in the file
says nothing about the running gateway.
"""

from __future__ import annotations

import http.client
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import click

from authproxy.cli.terminal import fail

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where to ask a listener on all addresses


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where to ask. `shown` is for the operator; `socket_path` is a Unix socket, None for TCP."""

    shown: str
    target: str = "/healthz"
    host: str = "localhost"
    port: int | None = None
    is_tls: bool = False
    socket_path: str | None = None

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.socket_path is not None:
            return _UnixConnection(self.socket_path, timeout)
        kind = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=timeout)


@click.command()
@click.option(
    "-c",
    "--config",
    envvar="AUTHPROXY_CONFIG",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The settings file, which says where the management listener is.",
)
@click.option("--url", help="Ask this instead, e.g. http://127.0.0.1:8090/readyz.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="Seconds to wait."
)
def healthcheck(config: Path | None, url: str | None, timeout: float) -> None:
    """Ask a running gateway whether it is well: exit code 0 or 1.

    Without settings the listener is looked for at its default address."""
    question = _by_url(url) if url is not None else question_by_settings(config)
    connection = question.connection(timeout)
    try:
        connection.request("GET", question.target)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        fail(f"{question.shown}: {error or type(error).__name__}")
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        fail(f"{question.shown}: {status}")
    click.echo(f"{question.shown}: {status}")


def _by_url(url: str) -> Question:
    from authproxy.settings.values import url_of

    parts = url_of(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError("--url is no http URL")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Question(
        shown=url, target=target, host=parts.hostname, port=parts.port, is_tls=parts.scheme == "https"
    )


def question_by_settings(config: Path | None) -> Question:
    from authproxy.settings.settings_file import management
    from authproxy.settings.values import SocketPath, listen_address

    try:
        text = management(config, os.environ)
        address = listen_address(text)
    except OSError as error:
        fail(f"{config}: cannot be read: {error.strerror}")
    except ValueError as error:
        fail(f"server.management: {error}")
    if isinstance(address, SocketPath):
        return Question(shown=text, socket_path=address.path)
    host = _ANY_ADDRESS.get(address.host, address.host)
    shown = (
        f"http://[{host}]:{address.port}/healthz" if ":" in host else f"http://{host}:{address.port}/healthz"
    )
    return Question(shown=shown, host=host, port=address.port)
