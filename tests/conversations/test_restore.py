"""The store is lost or set back, as deploy/redis/README.md rehearses it, and what an attacker could make of
that."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from authproxy.bootstrap.audited_register import audited_register
from authproxy.bootstrap.open_sessions import list_sessions, revoke_every_session, revoke_session
from tests.support.gateway import ANA, CVETKA, open_house
from tests.support.redis_server import RedisServer
from tests.support.sandbox import ROOT
from tests.support.step_up import PLACE, STEP_UP, answered, begun, landed, open_step_up_house, stepped_up
from tests.support.waiting import until


async def runs(house, *words):
    """A command as an operator runs it, in a process of its own; what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "authproxy",
        *map(str, words),
        "-c",
        str(house.settings_file),
        env={**os.environ, **house.environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return said.decode()


async def is_open(person, portal):
    return (await person.browser.navigate(f"{portal}/api/jaz")).status == 200


async def shows_code(house, person, code):
    """What comes of this code, typed where the portal demands a fresh proof."""
    return await answered(person, await begun(person, house.acq + PLACE, "totp"), code)


@pytest.fixture
async def house(redis_server):
    redis_server.command("FLUSHALL")
    async with open_step_up_house(redis_server.socket_url) as opened:
        yield opened


async def test_after_the_loss_of_the_whole_store_people_go_on_from_a_backup(house, redis_server):
    backup = house.folder / "people.backup"
    ana = await house.signed_in(ANA)
    used = house.app_code(ANA)
    assert stepped_up(await shows_code(house, ana, used))
    async with audited_register(house.settings) as register:
        assert await register.block("cvetka.zupan", "lost her telephone")
    await runs(house, "people", "export", "--backup", backup)

    redis_server.command("FLUSHALL")
    await until(lambda: "register-seen" in redis_server.command("KEYS", "*").decode())
    restored = await runs(house, "people", "import", backup, "--new-register", "--keep-methods")
    assert restored.startswith("2 added, 0 as they were, 0 blocked accounts, 2 with their methods")

    assert not await is_open(ana, house.acq)  # nobody is signed in by a backup
    ana = await house.signed_in(ANA)
    assert not stepped_up(await shows_code(house, ana, used))
    house.advance(seconds=90)
    page = await landed(ana, await shows_code(house, ana, house.app_code(ANA)))
    assert (page.status, STEP_UP in page.url) == (200, False)

    cvetka = house.person(CVETKA)
    assert (await cvetka.signs_in(house.acq + "/")).status == 403


async def test_a_session_that_comes_back_with_an_older_copy_of_the_store_ends_with_all_others():
    with RedisServer() as server:
        async with open_house(server.socket_url, has_gateway=False) as house:
            async with house.instance(house.settings):
                thief = await house.signed_in(ANA)
                server.command("SAVE")
                [session] = await list_sessions(house.settings)
                assert await revoke_session(house.settings, session.summary.session_id) == 1
                assert not await is_open(thief, house.acq)
            server.kill()
            server.start()
            async with house.instance(house.settings):
                assert await is_open(thief, house.acq)  # this is the attack: no gateway kept running
                assert await runs(house, "sessions", "revoke", "--all") == "1 ended\n"
                assert not await is_open(thief, house.acq)
                cvetka = await house.signed_in(CVETKA)
                assert await is_open(cvetka, house.acq)
            assert [await revoke_every_session(house.settings) for _ in range(2)] == [1, 0]
