"""Several real servers that make up one store: a primary with replicas and Sentinels, or a cluster. All of them
listen on loopback, and end with the block."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import redis

from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

SERVICE = "bank"
_DOWN_AFTER = 1000
"""Milliseconds after which a Sentinel or a node counts another server as down."""
_WITHIN = 30.0


class Sentinel(RedisServer):
    """Started from a file that it writes into."""

    def __init__(self, primary: int, *lines: str, program: str = "redis-server") -> None:
        super().__init__(program=program)
        self.file = self.directory / "sentinel.conf"
        self.file.write_text(
            "\n".join(
                [
                    f"port {self.port}",
                    "bind 127.0.0.1",
                    f"unixsocket {self.socket}",
                    f"dir {self.directory}",
                    f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2",
                    f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER}",
                    f"sentinel failover-timeout {SERVICE} 5000",
                    *lines,
                ]
            )
            + "\n"
        )
        self._command = [program, str(self.file), "--sentinel"]


class Replicated:
    """A primary, two replicas and three Sentinels."""

    def __init__(self, servers: list[RedisServer], sentinels: list[Sentinel]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def primary(self) -> RedisServer:
        """The one that most of the Sentinels name."""
        named = [port for sentinel in self.sentinels if (port := _named_by(sentinel)) is not None]
        port = max(set(named), key=named.count)
        return next(server for server in self.servers if server.port == port)


@contextlib.contextmanager
def replicated(
    *options: str, sentinel_lines: tuple[str, ...] = (), program: str = "redis-server"
) -> Iterator[Replicated]:
    with contextlib.ExitStack() as running:
        first = running.enter_context(RedisServer(*options, program=program))
        replica_of = ("--replicaof", f"127.0.0.1 {first.port}")
        fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        servers = [first] + [
            running.enter_context(RedisServer(*options, *replica_of, *fast, program=program))
            for _ in range(2)
        ]
        _wait(lambda: b"connected_slaves:2" in first.command("INFO", "replication"))
        _wait(lambda: first.command("INFO", "replication").count(b"state=online") == 2)
        sentinels = [
            running.enter_context(Sentinel(first.port, *sentinel_lines, program=program)) for _ in range(3)
        ]
        for sentinel in sentinels:
            _wait(lambda sentinel=sentinel: _knows(sentinel, others=2, replicas=2))
        try:
            yield Replicated(servers, sentinels)
        finally:
            for one in (*servers, *sentinels):
                one.stop()


class Clustered:
    """Three primaries with a replica each."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def owner(self, slot: int) -> RedisServer:
        """The primary that has this slot, as most nodes see it."""
        seen = [port for node in self.nodes if (port := _owner_by(node, slot)) is not None]
        port = max(set(seen), key=seen.count)
        return next(node for node in self.nodes if node.port == port)

    def id_of(self, node: RedisServer) -> str:
        return str(asked(node, "CLUSTER", "MYID"))


@contextlib.contextmanager
def clustered(*options: str, program: str = "redis-server", nodes: int = 6) -> Iterator[Clustered]:
    with contextlib.ExitStack() as running:
        servers = [
            running.enter_context(
                RedisServer(
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    str(_DOWN_AFTER),
                    "--cluster-port",
                    str(free_port()),
                    "--repl-diskless-sync-delay",
                    "0",
                    *options,
                    program=program,
                )
            )
            for _ in range(nodes)
        ]
        try:
            _join(servers)
            yield Clustered(servers)
        finally:
            for server in servers:
                server.stop()


def _join(servers: list[RedisServer]) -> None:
    first, *others = servers
    for at, node in enumerate(servers[:3]):
        asked(node, "CLUSTER", "ADDSLOTSRANGE", 16384 * at // 3, 16384 * (at + 1) // 3 - 1)
        asked(node, "CLUSTER", "SET-CONFIG-EPOCH", at + 1)
    for at, node in enumerate(servers[3:]):
        asked(node, "CLUSTER", "SET-CONFIG-EPOCH", at + 4)
    bus = _bus_port(first)
    for node in others:
        asked(node, "CLUSTER", "MEET", "127.0.0.1", first.port, bus)
    for node in servers:
        _wait(lambda node=node: len(_nodes(node)) == len(servers))
    for at, replica in enumerate(servers[3:6]):
        primary = str(asked(servers[at], "CLUSTER", "MYID"))
        _wait(lambda replica=replica, primary=primary: _is_done(replica, "CLUSTER", "REPLICATE", primary))
    for node in servers:
        _wait(lambda node=node: b"cluster_state:ok" in node.command("CLUSTER", "INFO"))
    for replica in servers[3:6]:
        _wait(lambda replica=replica: b"master_link_status:up" in replica.command("INFO", "replication"))
    for node in servers:  # everybody knows who replicates whom
        _wait(lambda node=node: sum("slave" in line for line in _nodes(node)) == max(len(servers[3:6]), 0))


def _bus_port(node: RedisServer) -> int:
    return int(asked(node, "CONFIG", "GET", "cluster-port")["cluster-port"])


def _nodes(node: RedisServer) -> list[str]:
    return [line for line in node.command("CLUSTER", "NODES").decode().splitlines() if "connected" in line]


def asked(node: RedisServer, *words: Any) -> Any:
    with redis.Redis(unix_socket_path=str(node.socket), decode_responses=True, socket_timeout=5) as asked:
        return asked.execute_command(*words)


def _is_done(node: RedisServer, *words: Any) -> bool:
    with contextlib.suppress(redis.ResponseError):
        asked(node, *words)
        return True
    return False


def _named_by(sentinel: Sentinel) -> int | None:
    with contextlib.suppress(redis.RedisError, OSError):
        return int(asked(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
    return None


def _owner_by(node: RedisServer, slot: int) -> int | None:
    with contextlib.suppress(redis.RedisError, OSError, TypeError):
        answer = node.command("CLUSTER", "INFO")
        if b"cluster_state:ok" in answer:
            for line in _nodes(node):
                words = line.split()
                if "master" in words[2] and "fail" not in words[2] and any(map(_holds(slot), words[8:])):
                    return int(words[1].split("@")[0].rsplit(":", 1)[1])
    return None


def _holds(slot: int):
    def holds(span: str) -> bool:
        first, _, last = span.partition("-")
        return first.isdigit() and int(first) <= slot <= int(last or first)

    return holds


def _knows(sentinel: Sentinel, *, others: int, replicas: int) -> bool:
    facts = sentinel.command("INFO", "sentinel")
    return f"slaves={replicas},sentinels={others + 1}".encode() in facts


def _wait(condition: Any) -> None:
    ends = time.monotonic() + _WITHIN
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return
        if time.monotonic() > ends:
            raise RuntimeError("the servers do not come together")
        time.sleep(0.02)
