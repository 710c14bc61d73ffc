"""A message centre that others wrote (npm `smpp`), as a program of its own: what it was asked, and what it is
told to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

FOREIGN = Path(__file__).parent / "foreign_provider"


def is_installed() -> bool:
    return (FOREIGN / "node_modules" / "smpp").is_dir()


class ForeignMessageCentre:
    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._news = asyncio.Condition()
        self.port = port
        self.events: list[dict[str, Any]] = []

    def of(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == name]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.of("submit_sm")

    async def until(self, name: str, count: int = 1, *, within: float = 10.0) -> list[dict[str, Any]]:
        """The events of that name, as soon as there are so many."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: len(self.of(name)) >= count)
        return self.of(name)

    async def does(self, **order: Any) -> None:
        """`set`: how it answers from now on; `tell`: a command for whoever is connected; `drop`: it hangs
        up."""
        before = len(self.of("done"))
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.until("done", before + 1)

    async def die(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()


@contextlib.asynccontextmanager
async def message_centre(
    port: int, *, key: Path | None = None, certificate: Path | None = None
) -> AsyncIterator[ForeignMessageCentre]:
    order = {"port": port} | ({} if key is None else {"key": str(key), "cert": str(certificate)})
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOREIGN / "message_centre.mjs"),
        json.dumps(order),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    centre = ForeignMessageCentre(process, port)
    reading = asyncio.ensure_future(centre.read())
    try:
        await centre.until("listening", within=30)
        yield centre
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading
        # The transport of a killed process closes a turn later.
        await asyncio.sleep(0)
