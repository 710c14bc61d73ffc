"""Every kind of trouble with a store that we know, as something that can be done to a real `redis-server` or
to the proxy before it, and undone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from tests.support.ports import free_port
from tests.support.redis_server import FaultProxy, RedisServer
from tests.support.waiting import until


class Operator:
    """A connection that is open before the trouble begins, and stays so."""

    def __init__(self, server: RedisServer) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(5)
        self._connection.connect(str(server.socket))
        self.close = self._connection.close

    def says(self, *words: str) -> None:
        self._connection.sendall(
            f"*{len(words)}\r\n".encode() + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)
        )
        self._connection.recv(65536)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A server behind a proxy, and what has been started for a fault."""

    server: RedisServer
    proxy: FaultProxy
    advance: Callable[..., None]
    """Moves the clock of the gateways."""
    operators: list[Operator] = field(default_factory=list)
    background: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`keeps` is what the store has afterwards: "everything", "the snapshot" of the moment before the fault,
    or "nothing"."""

    name: str
    begin: Callable[[Trouble], Awaitable[None]]
    end: Callable[[Trouble], Awaitable[None]]
    keeps: str = "everything"
    ends_idleness: bool = True
    """Whether people become idle afterwards as ever."""
    prepare: Callable[[Trouble], Awaitable[None]] | None = None
    """Done before anybody signs in."""


def commanded(name, *begin, end):
    """Commands that make the trouble, and those that end it."""

    async def run(trouble, commands):
        for words in commands:
            trouble.server.command(*words)

    return Fault(name=name, begin=lambda trouble: run(trouble, begin), end=lambda trouble: run(trouble, end))


def configured(name, key, value, otherwise):
    return commanded(name, ("CONFIG", "SET", key, value), end=[("CONFIG", "SET", key, otherwise)])


def canned(name, octets):
    async def begin(trouble):
        await trouble.proxy.answer(octets)

    return Fault(name=name, begin=begin, end=behaves)


def proxied(name, begin):
    return Fault(name=name, begin=begin, end=behaves)


async def behaves(trouble):
    await trouble.proxy.pass_on()


async def refuse(trouble):
    await trouble.proxy.refuse()


async def swallow(trouble):
    trouble.proxy.swallow()


async def forget_connections(trouble):
    trouble.proxy.swallow_open_connections()


async def reset_at_once(trouble):
    trouble.proxy.reset_after(0)


async def reset_in_mid_answer(trouble):
    trouble.proxy.reset_after(7)


async def half_answers(trouble):
    await trouble.proxy.answer(b"*2\r\n$640\r\nabc")


async def slow(trouble):
    trouble.background.enter_context(trouble.proxy.far_away(1.5))


async def slow_but_in_time(trouble):
    trouble.background.enter_context(trouble.proxy.far_away(0.15))


async def quick_again(trouble):
    await trouble.background.aclose()
    await trouble.proxy.pass_on()


async def freeze(trouble):
    trouble.server.freeze()


async def thaw(trouble):
    trouble.server.thaw()


async def kill(trouble):
    trouble.server.kill()


async def start(trouble):
    trouble.server.start()


async def forget_everything_and_start(trouble):
    for path in trouble.server.directory.glob("appendonlydir/*"):
        path.unlink()
    trouble.server.start()


async def keep_snapshots_only(trouble):
    trouble.server.command("CONFIG", "SET", "appendonly", "no")


async def start_from_the_snapshot(trouble):
    trouble.server.start("--appendonly", "no")


async def run_a_script_without_end(trouble):
    trouble.server.command("CONFIG", "SET", "busy-reply-threshold", "50")
    _, writer = await asyncio.open_unix_connection(str(trouble.server.socket))
    writer.write(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
    trouble.background.callback(writer.close)
    await until(lambda: trouble.server.command("PING").startswith(b"-BUSY"))


async def end_the_script(trouble):
    trouble.server.command("SCRIPT", "KILL")
    await trouble.background.aclose()
    await until(lambda: trouble.server.command("PING").startswith(b"+PONG"))


async def set_back(trouble):
    trouble.advance(hours=-1)


async def nothing(trouble):
    """It stays as it is."""


def operator_of(trouble):
    if not trouble.operators:
        trouble.operators.append(Operator(trouble.server))
        trouble.background.callback(trouble.operators[0].close)
    return trouble.operators[0]


async def want_a_password(trouble):
    operator_of(trouble).says("CONFIG", "SET", "requirepass", "secret")
    operator_of(trouble).says("CLIENT", "KILL", "TYPE", "normal")


async def want_none(trouble):
    operator_of(trouble).says("ACL", "SETUSER", "default", "nopass")


async def take_no_more(trouble):
    operator_of(trouble).says("CONFIG", "SET", "maxclients", "1")
    operator_of(trouble).says("CLIENT", "KILL", "TYPE", "normal")


async def take_more(trouble):
    operator_of(trouble).says("CONFIG", "SET", "maxclients", "1000")


async def fail_to_save(trouble):
    (trouble.server.directory / "dump.rdb").mkdir()  # the new snapshot cannot take this place
    trouble.server.command("CONFIG", "SET", "save", "3600 1")
    trouble.server.command("BGSAVE")
    await until(lambda: b"rdb_last_bgsave_status:err" in trouble.server.command("INFO", "persistence"))


async def save_again(trouble):
    trouble.server.command("CONFIG", "SET", "save", "")
    (trouble.server.directory / "dump.rdb").rmdir()


async def lose_a_part_of_the_cluster(trouble):
    trouble.server.command("CLUSTER", "DELSLOTSRANGE", "0", "8191")


async def find_it_again(trouble):
    trouble.server.command("CLUSTER", "ADDSLOTSRANGE", "0", "8191")


async def form_a_cluster(trouble):
    trouble.server.stop()
    trouble.server.start(
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        str(free_port()),
        "--cluster-require-full-coverage",
        "no",
    )
    trouble.server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    await until(lambda: b"cluster_state:ok" in trouble.server.command("CLUSTER", "INFO"))


FAULTS = (
    proxied("connections are refused", refuse),
    proxied("questions are swallowed", swallow),
    proxied("a firewall has forgotten open connections", forget_connections),
    proxied("connections are reset instead of an answer", reset_at_once),
    proxied("connections are reset in the middle of an answer", reset_in_mid_answer),
    proxied("answers stop half way", half_answers),
    Fault(name="answers come too late", begin=slow, end=quick_again),
    Fault(name="answers come late but in time", begin=slow_but_in_time, end=quick_again),
    canned("somebody else answers", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    canned("zeros", bytes(64)),
    canned("octets that are no text", b"-\xff\xfe\r\n"),
    canned("numbers instead of fields", b"*2\r\n:1\r\n:2\r\n"),
    canned("nothing instead of fields", b"*-1\r\n"),
    canned("the answers of others", b"*2\r\n$3\r\nabc\r\n"),
    canned("LOADING", b"-LOADING Redis is loading the dataset in memory\r\n"),
    canned("MOVED", b"-MOVED 3999 127.0.0.1:6381\r\n"),
    canned("TRYAGAIN", b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"),
    Fault(name="BUSY: a script without end", begin=run_a_script_without_end, end=end_the_script),
    configured("OOM: out of memory", "maxmemory", "1", "0"),
    configured("NOREPLICAS: too few replicas", "min-replicas-to-write", "1", "0"),
    Fault(name="MISCONF: cannot save", begin=fail_to_save, end=save_again),
    commanded(
        "READONLY: has become a replica",
        ("REPLICAOF", "127.0.0.1", str(free_port())),
        end=[("REPLICAOF", "NO", "ONE")],
    ),
    commanded(
        "MASTERDOWN: a replica that must not be stale",
        ("CONFIG", "SET", "replica-serve-stale-data", "no"),
        ("REPLICAOF", "127.0.0.1", str(free_port())),
        end=[("REPLICAOF", "NO", "ONE")],
    ),
    Fault(
        name="CLUSTERDOWN: half of a cluster is gone",
        prepare=form_a_cluster,
        begin=lose_a_part_of_the_cluster,
        end=find_it_again,
    ),
    Fault(name="NOAUTH: wants a password", begin=want_a_password, end=want_none),
    commanded(
        "NOPERM: a right was taken away",
        ("ACL", "SETUSER", "default", "-hmget"),
        end=[("ACL", "SETUSER", "default", "+@all")],
    ),
    Fault(name="takes no more connections", begin=take_no_more, end=take_more),
    commanded("all connections are cut", ("CLIENT", "KILL", "TYPE", "normal"), end=[]),
    commanded("writes are held up", ("CLIENT", "PAUSE", "60000", "WRITE"), end=[("CLIENT", "UNPAUSE")]),
    Fault(
        name="the gateways' clock is set back by an hour", begin=set_back, end=nothing, ends_idleness=False
    ),
    Fault(name="frozen", begin=freeze, end=thaw),
    Fault(name="killed, and back with its append-only file", begin=kill, end=start),
    Fault(
        name="killed, and back with an old snapshot",
        prepare=keep_snapshots_only,
        begin=kill,
        end=start_from_the_snapshot,
        keeps="the snapshot",
    ),
    Fault(name="killed, and back with nothing", begin=kill, end=forget_everything_and_start, keeps="nothing"),
    replace(commanded("everything is deleted", ("FLUSHALL",), end=[]), keeps="nothing"),
)
