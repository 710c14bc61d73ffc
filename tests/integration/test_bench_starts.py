"""The benchmark starts, signs in everywhere and gets an answer from everything that it would measure. Never
how fast."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0

# One after the other: measurements take their ports from one small range, and nobody measures two things at once.
pytestmark = pytest.mark.needs("nginx", "redis-server")


async def what_it_says(*command: str) -> str:
    """What a measurement writes, if it ends well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode()


async def test_every_part_of_the_benchmark_starts_and_answers() -> None:
    said = await what_it_says("bench/run.py", "--check")
    answered = said.splitlines()
    for group in (
        "subrequest",
        "miss, subrequest",
        "proxy 1k",
        "miss, proxy 1k",
        "proxy 100k",
        "nginx asks, 1k",
    ):
        assert [
            line
            for line in answered
            if line.startswith(f"{group}: ") and "authproxy" in line and line.endswith("answers")
        ], said
    assert "crowd: it runs" in answered
    for rival in ("mod_auth_openidc", "oauth2-proxy", "caddy"):
        assert [line for line in answered if rival in line.replace("Caddy", "caddy")], (
            f"{rival} is neither measured nor said to be missing"
        )


@pytest.mark.rehearsal
@pytest.mark.needs("wrk")
async def test_the_measurement_of_sign_ins_signs_in_everywhere_and_resumes_sessions_of_tls() -> None:
    said = await what_it_says("bench/sign_ins.py", "--check")
    answered = said.splitlines()
    for what in (
        "sign-in with the provider",
        "sign-in with a certificate",
        "page: the session",
        "TLS, resumed handshake and 1 KB",
        "TLS, kept connection, 100 KB",
    ):
        assert f"{what}: authproxy answers" in answered, said
    assert [line for line in answered if "oauth2-proxy" in line], "neither measured nor said to be missing"


async def test_the_measurement_of_growth_sends_requests_of_all_kinds_and_reports_what_is_left() -> None:
    said = await what_it_says("bench/growth.py", "--requests", "100")
    *_, status = said.splitlines()
    for expected in ("200 ", "303 ", "400 ", "401 ", "403 "):
        assert expected in status, said
    assert "| 210 |" in said


async def test_a_benchmark_that_is_stopped_leaves_nothing_running(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "bench/run.py",
        "--check",
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        while not (started := _working_in(tmp_path)):
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        await process.communicate()

        while {pid for pid in started if Path(f"/proc/{pid}").exists()} or _working_in(tmp_path):
            await asyncio.sleep(0.02)
    assert process.returncode == 143
    assert not list(tmp_path.iterdir())


def _working_in(folder: Path) -> set[int]:
    """Processes whose working directory is below `folder`, as that of everything that the benchmark starts
    is."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if folder in (entry / "cwd").readlink().parents:
                    found.add(int(entry.name))
            except OSError:
                continue
    return found
