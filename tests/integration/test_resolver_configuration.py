"""What /etc/resolv.conf says is done: each test runs in a process of its own, in whose view a file of the
test is mounted over the system's.

c-ares can be told to read another file, but pycares 5 frees the text of that path before c-ares reads it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 60
MOUNTED = (
    "unshare",
    "--mount",
    *(() if os.geteuid() == 0 else ("--map-root-user",)),
    "sh",
    "-ceu",
    'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"',
    "-",
)

pytestmark = pytest.mark.needs("unshare", "mount")

STORY = """
import asyncio, subprocess, sys
from pathlib import Path
from authproxy.dns.resolver import Resolver
from tests.support.name_server import name_server

file = Path(sys.argv[1])

async def story():
    async with name_server() as first, name_server() as second:
        names = Resolver()
        try:
            async with asyncio.timeout(30):
                await told(names, first, second)
        finally:
            await names.aclose()

"""


async def told(tmp_path: Path, story: str) -> str:
    """Runs `told(names, first, second)` where `file` is /etc/resolv.conf. Returns what it prints."""
    file = tmp_path / "resolv.conf"
    file.write_text("")
    script = tmp_path / "story.py"
    script.write_text(STORY + textwrap.dedent(story) + "\nasyncio.run(story())\n")
    process = await asyncio.create_subprocess_exec(
        *MOUNTED,
        str(file),
        sys.executable,
        str(script),
        str(file),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode().strip()


async def test_names_are_completed_as_containers_expect_it(tmp_path: Path) -> None:
    said = await told(
        tmp_path,
        """
        async def told(names, first, second):
            lines = (f"nameserver {first.address}", "search bank.svc.cluster.local svc.cluster.local", "options ndots:5 timeout:20", "")
            file.write_text("\\n".join(lines))
            first.records = {"redis.bank.svc.cluster.local": ["192.0.2.1"], "idp.example.si": ["192.0.2.2"]}
            print(await names.addresses("redis"), await names.addresses("idp.example.si"))
            print(*first.asked)
    """,
    )
    assert said.splitlines() == [
        "('192.0.2.1',) ('192.0.2.2',)",
        (
            "redis.bank.svc.cluster.local idp.example.si.bank.svc.cluster.local "
            "idp.example.si.svc.cluster.local idp.example.si"
        ),
    ]


@pytest.mark.parametrize(
    "changed", ["file.write_text(text)", "put_in_place(text)"], ids=["written again", "put in its place"]
)
async def test_another_name_server_is_asked_once_the_file_names_it(tmp_path: Path, changed: str) -> None:
    said = await told(
        tmp_path,
        f"""
        def put_in_place(text):
            new = file.with_suffix(".new")
            new.write_text(text)
            subprocess.run(["mount", "--bind", new, "/etc/resolv.conf"], check=True)

        async def told(names, first, second):
            file.write_text(f"nameserver {{first.address}}\\noptions timeout:20\\n")
            first.records = {{"portal.example": ["192.0.2.1"], "later.example": ["192.0.2.1"]}}
            second.records = {{"later.example": ["192.0.2.2"]}}
            print(await names.addresses("portal.example"))
            first.silent.add("slow.example")
            waiting = asyncio.ensure_future(names.addresses("slow.example"))
            while "slow.example" not in first.asked:
                await asyncio.sleep(0)
            text = f"nameserver {{second.address}}\\noptions timeout:20\\n"
            {changed}
            print(await names.addresses("later.example"))
            first.records["slow.example"] = ["192.0.2.3"]
            first.speak()
            print(await waiting)
    """,
    )
    assert said.splitlines() == ["('192.0.2.1',)", "('192.0.2.2',)", "('192.0.2.3',)"]
