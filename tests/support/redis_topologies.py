"""Several real servers that make up one store: a primary with replicas and Sentinels, or a cluster. All of them
listen on loopback, and end with the block."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from authproxy.storage.redis import rights
from authproxy.storage.redis.connection import RedisConnection, SeveralServers
from tests.support.ports import free_port
from tests.support.redis_server import GENEROUS, RedisServer
from tests.support.relayed_network import OUTSIDE, Network

SERVICE = "bank"
USER, PASSWORD, SENTINEL_PASSWORD = "gateway", "of-the-store", "of-the-sentinels"
DOWN_AFTER = 1000
"""Milliseconds after which a Sentinel or a node counts another server as down."""
_WITHIN = 30.0
_OF_OTHERS = "of-other-users"
# A test compares these with the lines in deploy/redis/README.md.
OTHER_USERS = (
    "user replica on {password} +psync +replconf +ping",
    (
        "user sentinel on {password} &* +multi +exec +replicaof +slaveof +config|rewrite +client|setname +client|kill "
        "+role +info +ping +publish +subscribe"
    ),
)
READS = {
    "get",
    "hget",
    "hmget",
    "hgetall",
    "hkeys",
    "hlen",
    "exists",
    "lrange",
    "zrange",
    "scard",
    "eval",
    "scan",
}
"""What a primary never passes on to its replicas."""
SENTINEL_USER = "user gateway on {password} +sentinel|get-master-addr-by-name +sentinel|master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of the servers and Sentinels. `authority` is whom they trust."""

    certificate: Path
    key: Path
    authority: Path


class Node(RedisServer):
    """One of several servers. With `has_users`, the gateway, replicas and Sentinels have only the rights that the
    documents give them, and the default user is off. With a `network`, the others reach it over lines that can
    be cut."""

    def __init__(
        self,
        *options: str,
        program: str = "redis-server",
        tls: Tls | None = None,
        has_users: bool = False,
        network: Network | None = None,
        is_clustered: bool = False,
    ) -> None:
        super().__init__(*options, program=program, tls=tls and (tls.certificate, tls.key))
        self.source = OUTSIDE if network is None else network.address()
        """The address from which it speaks."""
        self.announced = self.port if network is None else network.relay_to(self.source, self.port)
        """The port by which the others and the gateways know it."""
        self.bus = 0
        """The same for the bus of a cluster."""
        if network is not None:
            self.options += ["--bind-source-addr", self.source]
        if is_clustered:
            port = self.bus = free_port()
            self.options += ["--cluster-enabled", "yes", "--cluster-port", str(port)]
            if network is not None:
                self.bus = network.relay_to(self.source, port)
                announced = "--cluster-announce-tls-port" if tls else "--cluster-announce-port"
                self.options += ["--cluster-announce-ip", OUTSIDE, announced, str(self.announced)]
                self.options += ["--cluster-announce-bus-port", str(self.bus)]
        elif network is not None:
            self.options += ["--replica-announce-ip", OUTSIDE, "--replica-announce-port", str(self.announced)]
        if tls is not None:
            self.options += ["--tls-ca-cert-file", str(tls.authority), "--tls-replication", "yes"]
            self.options += ["--tls-cluster", "yes"] if is_clustered else []
        if has_users:
            self._have_users()

    def _have_users(self) -> None:
        file = self.directory / "users.acl"
        lines = [rights.acl_file(USER).replace("#<sha256 of the password>", _hashed(PASSWORD))]
        lines += [f"{line.format(password=_hashed(_OF_OTHERS))}\n" for line in OTHER_USERS]
        file.write_text("".join([*lines, f"user admin on {_hashed(_OF_OTHERS)} ~* &* +@all\n"]))
        self.options += ["--aclfile", str(file), "--masteruser", "replica", "--masterauth", _OF_OTHERS]
        self.administrator = ("admin", _OF_OTHERS)

    def denials(self) -> list[str]:
        """What users were refused because they lack the right."""
        return [entry["object"] for entry in asked(self, "ACL", "LOG")]

    def commands(self) -> set[str]:
        """What it has carried out for anybody, its primary included."""
        lines = self.command("INFO", "commandstats").decode().splitlines()
        return {
            line.partition(":")[0].removeprefix("cmdstat_") for line in lines if line.startswith("cmdstat_")
        }


class Sentinel(RedisServer):
    """Started from a file that it writes into."""

    def __init__(
        self,
        primary: Node,
        *lines: str,
        program: str = "redis-server",
        tls: Tls | None = None,
        has_users: bool = False,
        network: Network | None = None,
    ) -> None:
        super().__init__(program=program)
        self.source = OUTSIDE if network is None else network.address()
        self.file = self.directory / "sentinel.conf"
        configured = [
            *([f"port {self.port}"] if tls is None else ["port 0", f"tls-port {self.port}"]),
            f"bind {OUTSIDE}",
            f"unixsocket {self.socket}",
            f"dir {self.directory}",
            f"sentinel monitor {SERVICE} {OUTSIDE} {primary.announced} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}",
            f"sentinel failover-timeout {SERVICE} 5000",
            *lines,
        ]
        if tls is not None:
            configured += [f"tls-cert-file {tls.certificate}", f"tls-key-file {tls.key}"]
            configured += [f"tls-ca-cert-file {tls.authority}", "tls-auth-clients no", "tls-replication yes"]
        if has_users:
            configured += [
                f"sentinel auth-user {SERVICE} sentinel",
                f"sentinel auth-pass {SERVICE} {_OF_OTHERS}",
            ]
            configured.append(SENTINEL_USER.format(password=_hashed(SENTINEL_PASSWORD)))
        if network is not None:
            configured += [f"bind-source-addr {self.source}", f"sentinel announce-ip {OUTSIDE}"]
            configured.append(f"sentinel announce-port {self.port}")
        self.file.write_text("\n".join(configured) + "\n")
        self._command = [program, str(self.file), "--sentinel"]


@contextlib.asynccontextmanager
async def connected_as_user(store: Replicated | Clustered) -> AsyncIterator[RedisConnection]:
    """An empty store, as the user that has the gateway's rights and no other. Fails if it was refused one, or if a
    replica was asked anything that is no write of its primary."""
    for node in store.primaries:
        node.command("FLUSHALL")
    connection = RedisConnection(
        store.url,
        username=USER,
        password=PASSWORD,
        deadline=GENEROUS,
        several=SeveralServers(sentinel_username=USER, sentinel_password=SENTINEL_PASSWORD),
    )
    yield connection
    await connection.aclose()
    assert [node.denials() for node in store.nodes] == [[]] * len(store.nodes)
    assert not {command for replica in store.replicas for command in replica.commands()} & READS


class Replicated:
    """A primary, two replicas and three Sentinels."""

    def __init__(self, servers: list[Node], sentinels: list[Sentinel], scheme: str) -> None:
        self.servers = self.nodes = servers
        self.sentinels = sentinels
        self._scheme = scheme

    @property
    def url(self) -> str:
        hosts = ",".join(f"{OUTSIDE}:{sentinel.port}" for sentinel in self.sentinels)
        return f"{self._scheme}+sentinel://{hosts}/{SERVICE}/0"

    @property
    def primary(self) -> Node:
        """The one that most of the Sentinels name."""
        named = [port for sentinel in self.sentinels if (port := _named_by(sentinel)) is not None]
        port = max(set(named), key=named.count)
        return next(server for server in self.servers if server.announced == port)

    @property
    def primaries(self) -> list[Node]:
        return [self.primary]

    @property
    def replicas(self) -> list[Node]:
        primary = self.primary
        return [server for server in self.servers if server is not primary]

    @property
    def sources(self) -> list[str]:
        """From where all of them speak."""
        return [server.source for server in (*self.servers, *self.sentinels)]

    def has_decided(self, without: Node) -> bool:
        """Whether most Sentinels name another primary than this one."""
        named = [_named_by(sentinel) for sentinel in self.sentinels]
        return 2 * sum(port not in {None, without.announced} for port in named) > len(named)

    def mend(self) -> None:
        """Makes a second primary a replica, which takes the Sentinels a while."""
        primary = self.primary
        for server in self.replicas:
            if _facts(server)["role"] == "master":
                server.command("REPLICAOF", OUTSIDE, str(primary.announced))

    def is_whole(self) -> bool:
        """Whether there is one primary with two replicas."""
        with contextlib.suppress(redis.RedisError, OSError, StopIteration, ValueError):
            return self.primary.command("INFO", "replication").count(b"state=online") == 2 and all(
                _facts(replica).get("master_link_status") == "up" for replica in self.replicas
            )
        return False

    def whether_caught_up(self) -> Callable[[], bool]:
        """A question: whether both replicas have confirmed everything that the primary has now. What comes later
        does not count: writes, pings and confirmations never end, and may never be level."""
        written = _written(self.primary)
        return lambda: _confirmed_by(_facts(self.primary), 2, written)


@contextlib.contextmanager
def replicated(*options: str, sentinel_lines: tuple[str, ...] = (), **how: Any) -> Iterator[Replicated]:
    """`how` is as for `Node`."""
    fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
    with contextlib.ExitStack() as running:
        first = running.enter_context(Node(*options, *fast, **how))
        replica_of = ("--replicaof", f"{OUTSIDE} {first.announced}")
        servers = [first] + [
            running.enter_context(Node(*options, *fast, *replica_of, **how)) for _ in range(2)
        ]
        until_true(lambda: first.command("INFO", "replication").count(b"state=online") == 2)
        sentinels = [running.enter_context(Sentinel(first, *sentinel_lines, **how)) for _ in range(3)]
        for sentinel in sentinels:
            until_true(lambda sentinel=sentinel: _knows(sentinel, others=2, replicas=2))
        try:
            yield Replicated(servers, sentinels, "redis" if how.get("tls") is None else "rediss")
        finally:
            for one in (*servers, *sentinels):
                one.stop()


class Clustered:
    """Three primaries with a replica each. `add` starts further nodes."""

    def __init__(self, nodes: list[Node], scheme: str, add: Callable[[], Node]) -> None:
        self.nodes = nodes
        self.add = add
        self._scheme = scheme

    @property
    def url(self) -> str:
        hosts = ",".join(f"{OUTSIDE}:{node.announced}" for node in self.nodes[:6])
        return f"{self._scheme}+cluster://{hosts}"

    def owner(self, slot: int) -> Node:
        """The primary that has this slot, as most nodes see it."""
        seen = [port for node in self.nodes if (port := _owner_by(node, slot)) is not None]
        port = max(set(seen), key=seen.count)
        return next(node for node in self.nodes if node.announced == port)

    @property
    def primaries(self) -> list[Node]:
        return [node for node in self.nodes if _facts(node).get("role") == "master"]

    @property
    def replicas(self) -> list[Node]:
        return [node for node in self.nodes if _facts(node).get("role") == "slave"]

    def spans(self, node: Node) -> list[tuple[int, int]]:
        """The slots of a node."""
        return sorted((first, last) for first, last, port in _map_of(node) if port == node.announced)

    @property
    def sources(self) -> list[str]:
        return [node.source for node in self.nodes]

    def has_decided(self, without: Node) -> bool:
        """Whether the other nodes serve all slots without this one."""
        others = [node for node in self.nodes if node is not without]
        return all(self._is_served_without(node, without) for node in others)

    def is_whole(self) -> bool:
        """Whether all slots are served, every primary has its replica, and all nodes agree."""
        with contextlib.suppress(redis.RedisError, OSError, KeyError):
            maps = {_map_of(node) for node in self.nodes}
            return len(maps) == 1 and all(
                b"cluster_state:ok" in node.command("CLUSTER", "INFO")
                and (facts := _facts(node)).get("master_link_status", "up") == "up"
                and (facts["role"] == "slave" or facts["connected_slaves"] != "0")
                for node in self.nodes[:6]
            )
        return False

    def whether_caught_up(self) -> Callable[[], bool]:
        """A question: whether each replica has confirmed everything that its primary has now."""
        written = {node: _written(node) for node in self.primaries}
        return lambda: all(_has_its_replica(node, written[node]) for node in written)

    def id_of(self, node: Node) -> str:
        return str(asked(node, "CLUSTER", "MYID"))

    def open_slot(self, slot: int, source: Node, target: Node) -> None:
        """From now on, keys of the slot move one by one."""
        asked(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        asked(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))

    def move_keys(self, slot: int, source: Node, target: Node) -> None:
        while keys := asked(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            asked(source, "MIGRATE", OUTSIDE, target.announced, "", 0, 5000, "KEYS", *keys)

    def close_slot(self, slot: int, source: Node, target: Node) -> None:
        for node in (target, source):
            asked(node, "CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    def move_slot(self, slot: int, source: Node, target: Node) -> None:
        self.open_slot(slot, source, target)
        self.move_keys(slot, source, target)
        self.close_slot(slot, source, target)

    @staticmethod
    def _is_served_without(node: Node, fallen: Node) -> bool:
        with contextlib.suppress(redis.RedisError, OSError):
            if b"cluster_state:ok" not in node.command("CLUSTER", "INFO"):
                return False
            spans = _map_of(node)
            served = sum(last - first + 1 for first, last, _ in spans)
            return served == 16384 and fallen.announced not in {port for _, _, port in spans}
        return False


@contextlib.contextmanager
def clustered(*options: str, **how: Any) -> Iterator[Clustered]:
    """`how` is as for `Node`."""
    fast = ("--repl-diskless-sync-delay", "0", "--cluster-node-timeout", str(DOWN_AFTER))
    with contextlib.ExitStack() as running:

        def started() -> Node:
            return running.enter_context(Node(*fast, *options, is_clustered=True, **how))

        def add() -> Node:
            node = started()
            _meet(node, nodes[0])
            nodes.append(node)
            for each in nodes:
                until_true(lambda each=each: len(_nodes(each)) == len(nodes))
            until_true(lambda: b"cluster_state:ok" in node.command("CLUSTER", "INFO"))
            return node

        nodes = [started() for _ in range(6)]
        try:
            _join(nodes)
            yield Clustered(nodes, "redis" if how.get("tls") is None else "rediss", add)
        finally:
            for node in nodes:
                node.stop()


def _join(nodes: list[Node]) -> None:
    for at, node in enumerate(nodes[:3]):
        asked(node, "CLUSTER", "ADDSLOTSRANGE", 16384 * at // 3, 16384 * (at + 1) // 3 - 1)
    for at, node in enumerate(nodes):
        asked(node, "CLUSTER", "SET-CONFIG-EPOCH", at + 1)
    for node in nodes[1:]:
        _meet(node, nodes[0])
    for node in nodes:
        until_true(lambda node=node: len(_nodes(node)) == len(nodes))
    for at, replica in enumerate(nodes[3:]):
        primary = str(asked(nodes[at], "CLUSTER", "MYID"))
        until_true(
            lambda replica=replica, primary=primary: _is_done(replica, "CLUSTER", "REPLICATE", primary)
        )
    for node in nodes:
        until_true(lambda node=node: b"cluster_state:ok" in node.command("CLUSTER", "INFO"))
    for replica in nodes[3:]:
        until_true(lambda replica=replica: _facts(replica).get("master_link_status") == "up")
    for node in nodes:  # everybody knows who replicates whom
        until_true(lambda node=node: sum("slave" in line for line in _nodes(node)) == len(nodes[3:]))


def _meet(node: Node, other: Node) -> None:
    asked(node, "CLUSTER", "MEET", OUTSIDE, other.announced, other.bus)


def _nodes(node: RedisServer) -> list[str]:
    return [line for line in asked(node, "CLUSTER", "NODES", raw=True).splitlines() if " connected" in line]


def asked(node: RedisServer, *words: Any, raw: bool = False, is_moving: bool = False) -> Any:
    """With `raw`, as the server says it; with `is_moving`, about a key that is moving there."""
    user, password = node.administrator or (None, None)
    with redis.Redis(
        unix_socket_path=str(node.socket),
        decode_responses=True,
        socket_timeout=5,
        username=user,
        password=password,
        single_connection_client=True,
    ) as connection:
        if raw:
            connection.response_callbacks.clear()
        if is_moving:
            connection.execute_command("ASKING")
        return connection.execute_command(*words)


def until_true(condition: Callable[[], Any]) -> None:
    """Waits until the servers have come to that."""
    ends = time.monotonic() + _WITHIN
    while True:
        with contextlib.suppress(OSError, redis.RedisError):
            if condition():
                return
        if time.monotonic() > ends:
            raise RuntimeError("the servers do not come together")
        time.sleep(0.02)


def _map_of(node: RedisServer) -> frozenset[tuple[int, int, int]]:
    """Spans of slots, and the port of their primary."""
    return frozenset((span[0], span[1], span[2][1]) for span in asked(node, "CLUSTER", "SLOTS", raw=True))


def _hashed(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def _facts(node: RedisServer) -> dict[str, str]:
    lines = node.command("INFO", "replication").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _written(node: RedisServer) -> int:
    """How many bytes a primary has for its replicas."""
    return int(_facts(node)["master_repl_offset"])


def _confirmed_by(facts: dict[str, str], replicas: int, written: int) -> bool:
    """Whether so many replicas have confirmed so many bytes."""
    confirmed = [
        int(word.partition("=")[2])
        for name, told in facts.items()
        if re.fullmatch("slave[0-9]+", name)
        for word in told.split(",")
        if word.startswith("offset=")
    ]
    return sum(offset >= written for offset in confirmed) >= replicas


def _has_its_replica(node: RedisServer, written: int) -> bool:
    with contextlib.suppress(OSError):
        facts = _facts(node)
        return facts["role"] != "master" or _confirmed_by(facts, 1, written)
    return False


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


def _holds(slot: int) -> Callable[[str], bool]:
    def holds(span: str) -> bool:
        first, _, last = span.partition("-")
        return first.isdigit() and int(first) <= slot <= int(last or first)

    return holds


def _knows(sentinel: Sentinel, *, others: int, replicas: int) -> bool:
    facts = sentinel.command("INFO", "sentinel")
    return f"slaves={replicas},sentinels={others + 1}".encode() in facts
