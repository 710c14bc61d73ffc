"""What a gateway imports: what its settings need, and all of it before it serves anybody. An interpreter of its
own runs each gateway, and tells what it has imported."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from tests.support.sandbox import ROOT

PROGRAM = """
import asyncio, json, os, sys
import authproxy.cli.serve, authproxy.bootstrap.process, uvloop
from authproxy.bootstrap.gateway import running
from authproxy.bootstrap.needed_modules import import_needed
from authproxy.settings.sources import load

settings = load(sys.argv[1], os.environ)
import_needed(settings)
before = set(sys.modules)

async def ask(address, target):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {target} HTTP/1.1\\r\\nHost: {sys.argv[2]}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 "), answer

async def main():
    async with running(settings) as gateway:
        for target in ("/", "/.authproxy/login", "/.authproxy/session", "/.authproxy/jwks.json"):
            await ask(gateway.addresses[0], target)
        await ask(gateway.management, "/readyz")
        await ask(gateway.management, "/metrics")

uvloop.run(main())
sys.stderr.write(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))
"""
MACHINERY = {"asn1crypto", "pyhanko_certvalidator", "OpenSSL"}
"""What judges client certificates beside `cryptography`."""


@pytest.fixture
def imported(tmp_path):
    """The packages that are imported with the settings of a house, and those that come later, while it starts
    and answers. Those of the standard library are left out."""

    async def told(house):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            str(house.settings_file),
            house.acq.removeprefix("http://"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **house.environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return [
            {module for module in modules if module.partition(".")[0] not in sys.stdlib_module_names}
            for modules in json.loads(errors)
        ]

    return told


async def test_a_gateway_without_certificates_imports_no_machinery_for_them(houses, imported):
    async with houses(has_gateway=False) as house:
        before, later = await imported(house)
    packages = {module.partition(".")[0] for module in before}
    assert "aiohttp" in packages
    assert packages & MACHINERY == set()
    assert later == set()


async def test_whatever_the_settings_need_is_imported_before_anybody_is_served(certificate_houses, imported):
    async with certificate_houses(has_gateway=False) as house:
        before, later = await imported(house)
    assert {module.partition(".")[0] for module in before} >= MACHINERY
    assert later == set()
