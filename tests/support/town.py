"""The whole sandbox in the test's own process, with its own settings and a clock that the test moves."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from pathlib import Path

from authproxy.sandbox import stack
from authproxy.sandbox.addresses import AUTHORITY_FOLDER
from tests.support.clock import Clock
from tests.support.gateway import ANA, Person, logging_put_back
from tests.support.http_client import Browser
from tests.support.redis_server import RedisServer
from tests.support.sandbox import free_offset


class Town:
    """A running sandbox, as people see it."""

    def __init__(self, sandbox: stack.Sandbox, clock: Clock, said: io.BytesIO) -> None:
        offset = sandbox.addresses.offset
        self.clock = clock
        self.accounts = sandbox.accounts
        self.settings_file = sandbox.settings_file
        self.folder = sandbox.settings_file.parent
        self.ports = {
            "gateway": 8080 + offset,
            "provider": 8081 + offset,
            "phone": 8082 + offset,
            "outbox": 8083 + offset,
        }
        self.addresses = sandbox.addresses
        self._audit = self.folder / "audit.log"
        self._said = said

    def person(self, email: str = ANA) -> Person:
        return Person(email, self, Browser())

    def url(self, portal_id: str, path: str = "/") -> str:
        return self.addresses.portal(portal_id) + path

    @property
    def written(self) -> str:
        """What the gateway has told about what happened: its log, which goes to standard output, and the
        audit stream."""
        return self._said.getvalue().decode() + self._audit.read_text()


@asynccontextmanager
async def running_town(redis_server: RedisServer, authority_state: Path) -> AsyncIterator[Town]:
    redis_server.command("FLUSHALL")
    clock, said = Clock(), io.BytesIO()
    async with AsyncExitStack() as resources:
        resources.enter_context(redirect_stdout(io.TextIOWrapper(said, write_through=True)))
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        # Keys of an authority take seconds to make; certificates that name the right address are made for
        # them anew.
        shutil.copytree(authority_state, folder / AUTHORITY_FOLDER)
        resources.enter_context(logging_put_back())
        running = await resources.enter_async_context(
            stack.running(
                port_offset=free_offset(),
                store_url=redis_server.socket_url,
                folder=folder,
                clock=clock,
                is_verbose=True,
            )
        )
        yield Town(running, clock, said)
