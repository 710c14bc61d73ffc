"""`authproxy store`: what an operator is told about the store."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from authproxy.cli import main
from authproxy.storage.redis import rights
from tests.support.people_desk import Desk
from tests.support.ports import free_port

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture
def desk(config):
    return Desk(config)


def changed(config, **store):
    settings = yaml.safe_load(config.read_text())
    settings["store"] |= store
    config.write_text(yaml.safe_dump(settings))


def test_everything_about_the_store_is_told_and_what_is_to_be_mended_ends_with_1(desk):
    rows = json.loads(desk.run_plain("store", "check", "--json", code=1).stdout)
    assert [row["check"] for row in rows if row["status"] == "warning"] == ["persistence"]
    assert {row["check"] for row in rows} == {
        "latency",
        "rights",
        "eviction",
        "memory",
        "persistence",
        "role",
        "clock",
    }
    table = desk.run_plain("store", "check", code=1).stdout.splitlines()
    assert table[0].split() == ["check", "status", "detail"]
    assert len(table) == len(rows) + 1


def test_a_store_with_nothing_to_mend_ends_with_0(desk, redis_server):
    redis_server.command("CONFIG", "SET", "appendonly", "yes")
    try:
        desk.run_plain("store", "check")
    finally:
        redis_server.command("CONFIG", "SET", "appendonly", "no")


def test_a_missing_right_is_one_row_and_no_log_line_stands_between_the_rows(desk, config, redis_server):
    redis_server.command(
        "ACL", "SETUSER", "weak", "reset", "on", ">a-weak-password", *rights.rules().split(), "-zrevrange"
    )
    (config.parent / "store-password").write_text("a-weak-password")
    (config.parent / "store-password").chmod(0o400)
    changed(config, username="weak", password_file=str(config.parent / "store-password"))
    answer = desk.run_plain("store", "check", "--json", code=1)
    [row] = [row for row in json.loads(answer.stdout) if row["check"] == "rights"]
    assert (row["status"], "+zrevrange" in row["detail"]) == ("warning", True)
    assert "a-weak-password" not in answer.output


def test_a_register_that_is_lost_is_told_here_as_in_readyz(desk, redis_server):
    desk.imported("ana;99990008;Ana Novak;;;acq;;\n")
    redis_server.command("DEL", "authproxy:{register}:register-people")
    rows = json.loads(desk.run_plain("store", "check", "--json", code=1).stdout)
    assert any(row["check"] == "gateway" and "register of people" in row["detail"] for row in rows)


def test_a_store_that_cannot_be_asked_is_one_line(desk, config):
    changed(config, url=f"redis://127.0.0.1:{free_port()}/0")
    answer = desk.run_plain("store", "check", code=1)
    assert (answer.stdout, answer.stderr) == ("", "the store cannot be reached: connection refused\n")


def test_a_store_in_memory_has_no_server_to_ask(desk, config):
    changed(config, url="memory://")
    assert "there is no server to ask" in desk.run_plain("store", "check", code=1).stderr


def test_the_rights_are_printed_for_a_user_of_any_name():
    printed = CliRunner().invoke(main, ["store", "acl", "--user", "prehod"])
    assert printed.stdout == rights.acl_file("prehod")


@pytest.mark.parametrize("name", ["", "two words", "a\nuser default on nopass +@all ~*", "a,b"])
def test_a_name_that_would_be_rules_of_its_own_is_refused(name):
    printed = CliRunner().invoke(main, ["store", "acl", "--user", name])
    assert (printed.exit_code, printed.stdout) == (2, "")
