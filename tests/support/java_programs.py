"""OpenID providers written by others in Java, which Maven fetches (`make setup`, `make foreign`), as programs
for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.support.http_client import Browser
from tests.support.waiting import until

FETCHED = Path(__file__).parent / "foreign_java" / "fetched"
STARTS_WITHIN = 100.0  # ten seconds of a core and more, which on a busy machine is a minute


def fetched(pattern: str) -> Path | None:
    """The file that Maven has fetched under such a name."""
    return next(FETCHED.glob(pattern), None)


@contextlib.asynccontextmanager
async def java_program(
    command: Sequence[str],
    folder: Path,
    *,
    discovery: str,
    environment: Mapping[str, str] | None = None,
    within: float = STARTS_WITHIN,
) -> AsyncIterator[None]:
    """Runs the command in the folder until its discovery document can be had, and ends it with everything
    that it has started."""
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )

    async def answers() -> bool:
        assert process.returncode is None, log.read_text(errors="replace")[-4000:]
        try:
            return (await Browser(patience=within).fetch(discovery)).status == 200
        except OSError:
            await asyncio.sleep(0.1)
            return False

    try:
        await until(answers, within=within)
        yield
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
