"""PURE: which rights the gateway's user needs in the store, and how each of them is tried.

`authproxy store acl`, `deploy/redis/users.acl` and the README of `storage/` are made from these tables. A test
compares the tables with the commands in the code, so a command that is new cannot be forgotten here.
"""

from __future__ import annotations

from typing import Final

from authproxy.storage.redis import keys as keyspace
from authproxy.storage.redis.answer_shapes import Command

CHANNEL: Final = "__redis__:invalidate"
"""On which the server tells what has changed (CLIENT TRACKING)."""
KEYS: Final = f"{keyspace.PREFIX.partition('{')[0]}*"
_DIGEST: Final = "#<sha256 of the password>"

ON_A_CONNECTION_OF_ITS_OWN: Final[tuple[tuple[str, Command], ...]] = (
    ("ping", ("PING",)),
    ("select", ("SELECT", 0)),
    ("client|id", ("CLIENT", "ID")),
    ("client|tracking", ("CLIENT", "TRACKING", "OFF")),
    ("subscribe", ("SUBSCRIBE", CHANNEL)),
)
"""Rights whose trial changes the connection: each is tried on one that is closed afterwards."""


def trials(name: str) -> tuple[tuple[str, Command], ...]:
    """Every other right, and a command that shows whether it is there. They are sent in this order. They write
    only keys that `name` names and that nobody else uses, and delete them at the end; if that right is
    missing, the keys expire within a minute."""
    text, fields, members, moments, items, other = (
        f"{keyspace.PREFIX}trial}}:{name}:{kind}" for kind in ("text", "hash", "set", "zset", "list", "other")
    )
    return (
        ("get", ("GET", text)),
        ("set", ("SET", text, "1", "PX", 60_000)),
        ("hget", ("HGET", fields, "field")),
        ("hset", ("HSET", fields, "field", "1")),
        ("hmget", ("HMGET", fields, "field")),
        ("hgetall", ("HGETALL", fields)),
        ("hincrby", ("HINCRBY", fields, "field", 1)),
        ("hdel", ("HDEL", fields, "none")),
        ("hkeys", ("HKEYS", fields)),
        ("hlen", ("HLEN", fields)),
        ("sadd", ("SADD", members, "1")),
        ("scard", ("SCARD", members)),
        ("srem", ("SREM", members, "none")),
        ("srandmember", ("SRANDMEMBER", members, 1)),
        ("sunionstore", ("SUNIONSTORE", other, members)),
        ("rename", ("RENAME", other, members)),
        ("persist", ("PERSIST", members)),
        ("del", ("DEL", other)),
        ("exists", ("EXISTS", text)),
        ("pexpire", ("PEXPIRE", fields, 60_000)),
        ("time", ("TIME",)),
        ("info", ("INFO", "server")),
        ("role", ("ROLE",)),
        ("cluster|info", ("CLUSTER", "INFO")),
        ("cluster|slots", ("CLUSTER", "SLOTS")),
        ("cluster|shards", ("CLUSTER", "SHARDS")),
        ("asking", ("ASKING",)),
        ("wait", ("WAIT", 0, 1)),
        ("eval", ("EVAL", "return 1", 1, text)),
        ("scan", ("SCAN", 0, "MATCH", text, "COUNT", 1)),
        ("zadd", ("ZADD", moments, 1, "1")),
        ("zrange", ("ZRANGE", moments, 0, 0)),
        ("zrevrange", ("ZREVRANGE", moments, 0, 0)),
        ("zremrangebyscore", ("ZREMRANGEBYSCORE", moments, 2, 3)),
        ("rpush", ("RPUSH", items, "1", "2")),
        ("lpop", ("LPOP", items)),
        ("llen", ("LLEN", items)),
        ("ltrim", ("LTRIM", items, 0, 0)),
        ("lrange", ("LRANGE", items, 0, 0)),
        *(("pexpire", ("PEXPIRE", key, 60_000)) for key in (members, moments, items)),
        ("del", ("DEL", text, fields, members, moments, items, other)),
    )


def commands() -> tuple[str, ...]:
    """The names of all commands, as rules of an ACL have them after the `+`."""
    every = (*ON_A_CONNECTION_OF_ITS_OWN, *trials(""))
    return tuple(dict.fromkeys(right for right, _ in every))


def rules() -> str:
    """What the user may do, as the end of a line of an ACL file."""
    return " ".join((f"~{KEYS}", f"&{CHANNEL}", *(f"+{command}" for command in commands())))


def acl_file(user: str) -> str:
    """The two lines of the file that `aclfile` names in the server's configuration. The password's digest is
    left open. The default user keeps its rights because Redis 7.0 replays its append-only file as that
    user."""
    return f"user default off ~* &* +@all\nuser {user} on {_DIGEST} {rules()}\n"
