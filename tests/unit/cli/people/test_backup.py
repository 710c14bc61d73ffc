"""What deploy/README.md says about backups: a store is lost, and comes back from a copy of its append-only
file."""

from __future__ import annotations

import base64
import json
import os
import shutil

import pytest
import yaml

from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.machine_client import key_id_of
from tests.support.people_desk import ANA, ANAS, CVETKA, Desk
from tests.support.redis_server import RedisServer
from tests.support.session_builders import NOW

pytestmark = pytest.mark.needs("redis-server")
STRANGER = ("https://idp.example/", "stranger")


@pytest.fixture
def desk(config):
    return Desk(config)


def leads_to(config, server):
    settings = yaml.safe_load(config.read_text())
    settings["store"]["url"] = server.socket_url
    config.write_text(yaml.safe_dump(settings))


def filled(desk):
    """People, blocks, methods, recovery codes and an API key; the name of the key."""
    desk.imported(ANA, CVETKA)
    desk.run("block", "cvetka", "--reason", "lost her telephone")
    desk.run("block", "--subject", *STRANGER)

    async def enrol(opened):
        await opened.enrolments.add(
            ANAS, Enrolment(enrolment_id="app", method="totp", label="Telefon", enrolled_at=NOW)
        )
        await opened.enrolments.put_recovery(ANAS, ["a", "b"])
        assert await opened.enrolments.spend_recovery(ANAS, "a")

    desk.in_store(enrol)
    return key_id_of(desk.run_plain("machines", "add", "uvoz", "--portal", "acq").stdout.strip())


def saved(server, folder):
    """A copy of the append-only file of a server that runs."""
    server.command("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
    shutil.copytree(server.directory / "appendonlydir", folder / "appendonlydir")
    return folder / "appendonlydir"


def test_everything_that_is_nowhere_else_comes_back(desk, config, tmp_path):
    with RedisServer(append_only=True) as lost:
        leads_to(config, lost)
        key_id = filled(desk)
        backup = saved(lost, tmp_path)
    restored = RedisServer(append_only=True)
    shutil.copytree(backup, restored.directory / "appendonlydir")
    with restored:
        leads_to(config, restored)
        desk.run_plain("store", "check")
        assert [(row["id"], row["blocked"]) for row in json.loads(desk.run("list", "--json").stdout)] == [
            ("ana", False),
            ("cvetka", True),
        ]
        assert desk.shown("cvetka")["reason"] == "lost her telephone"
        [account] = json.loads(desk.run("list", "--blocked-accounts", "--json").stdout)
        assert account["subject"] == "stranger"
        methods = json.loads(desk.run("methods", "ana", "list", "--json").stdout)
        assert "app" in [method["id"] for method in methods["methods"]]
        assert methods["recovery_codes_left"] == 1
        assert not desk.in_store(lambda opened: opened.enrolments.spend_recovery(ANAS, "a"))
        [key] = json.loads(desk.run_plain("machines", "list", "--json").stdout)
        assert key["id"] == key_id


def test_a_backup_without_the_keys_says_nothing_and_lets_nobody_in(desk, config, tmp_path):
    with RedisServer(append_only=True) as lost:
        leads_to(config, lost)
        filled(desk)
        backup = saved(lost, tmp_path)
    for content in backup.iterdir():
        octets = content.read_bytes()
        assert not any(
            name in octets
            for name in (b"Ana Novak", b"99990008", b"40123456", b"stranger", b"uvoz", b"Telefon")
        )
    restored = RedisServer(append_only=True)
    shutil.copytree(backup, restored.directory / "appendonlydir")
    (config.parent / "session-keys").write_text(base64.b64encode(os.urandom(32)).decode())
    with restored:
        leads_to(config, restored)
        refused = desk.run("list", code=1)
        assert "does not open with `sessions.keys`" in refused.stderr
