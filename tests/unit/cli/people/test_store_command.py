"""`authproxy store`: what an operator is told about the store."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
import yaml
from click.testing import CliRunner

from authproxy.cli import main
from authproxy.storage.redis import rights
from tests.support.people_desk import Desk
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, fault_proxy

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


# What goes wrong at a server, each as one row or one line that says what to do.

PASSWORD = "a-password-of-tests"


@pytest.fixture(scope="module")
def own_server():
    with RedisServer(append_only=True) as server:
        yield server


@contextlib.contextmanager
def set_to(server, **options):
    """Sets options of the server, and sets them back."""
    before = {name: server.command("CONFIG", "GET", name).split(b"\r\n")[-2].decode() for name in options}
    for name, value in options.items():
        server.command("CONFIG", "SET", name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            server.command("CONFIG", "SET", name, value)


def told(desk, code=1):
    """The rows that are not `ok`."""
    rows = json.loads(desk.run_plain("store", "check", "--json", code=code).stdout)
    return {row["check"]: (row["status"], row["detail"]) for row in rows if row["status"] != "ok"}


def test_a_full_store_is_a_failure_and_says_what_to_raise(desk, config, own_server):
    changed(config, url=own_server.socket_url)
    desk.run_plain("store", "check")
    with set_to(own_server, maxmemory="1"):
        rows = told(desk)
    assert rows.keys() == {"memory", "gateway"}
    assert rows["gateway"] == (
        "failed",
        "the store refuses writes: out of memory (OOM): raise `maxmemory`",
    )


def test_a_store_that_may_evict_serves_people_and_is_a_warning(desk, config, own_server):
    changed(config, url=own_server.socket_url)
    with set_to(own_server, **{"maxmemory-policy": "allkeys-lru"}):
        assert {name: status for name, (status, _) in told(desk).items()} == {"eviction": "warning"}


def test_a_replica_that_is_named_by_mistake_is_a_failure(desk, config, own_server):
    changed(config, url=own_server.socket_url)
    own_server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    try:
        rows = told(desk)
    finally:
        own_server.command("REPLICAOF", "NO", "ONE")
    assert rows["role"][1] == "the store is a replica, which takes no writes: name the primary, or a Sentinel"
    status, detail = rows["gateway"]
    assert status == "failed"
    assert detail.endswith("it is a replica (READONLY): name the primary in `store.url`, or its Sentinels")


@pytest.mark.parametrize(
    ("rules", "given", "said"),
    [
        (
            (f">{PASSWORD}", "~*", "+@all"),
            "another-password",
            "the user name or the password (WRONGPASS): look at",
        ),
        ((f">{PASSWORD}", "~*", "+get"), PASSWORD, "lacks a right (`ping`): `authproxy store acl` prints"),
        (("nopass", "~*", "-@all"), "another-password", "lacks a right"),
    ],
    ids=["another password", "almost no right", "no right"],
)
def test_a_user_whom_the_store_does_not_let_in_is_one_line_without_a_password(
    desk, config, own_server, rules, given, said
):
    own_server.command("ACL", "SETUSER", "gateway", "reset", "on", *rules)
    (config.parent / "store-password").write_text(given)
    (config.parent / "store-password").chmod(0o400)
    changed(
        config,
        url=own_server.socket_url,
        username="gateway",
        password_file=str(config.parent / "store-password"),
    )
    answer = desk.run_plain("store", "check", code=1)
    assert (answer.stdout, answer.stderr.count("\n")) == ("", 1)
    assert said in answer.stderr
    assert given not in answer.output


def test_a_store_that_wants_a_password_says_where_it_goes(desk, config):
    with RedisServer("--requirepass", PASSWORD) as server:
        changed(config, url=server.socket_url)
        answer = desk.run_plain("store", "check", code=1)
    assert answer.stderr == "the store wants a password (NOAUTH): set `store.password_file`\n"


async def test_a_store_that_loads_its_data_is_one_line(desk, config, own_server):
    async with fault_proxy(own_server.port) as proxy:
        await proxy.answer(b"-LOADING Redis is loading the dataset in memory\r\n")
        changed(config, url=proxy.url)
        answer = await asyncio.to_thread(desk.run_plain, "store", "check", code=1)
    assert (answer.stdout, answer.stderr) == ("", "the store is still loading its data (LOADING)\n")


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
