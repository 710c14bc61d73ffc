"""PURE: URLs of a store that name several servers: Sentinels, which know where the primary is, or nodes of a
cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

Address = tuple[str, int]
_SCHEME: Final = re.compile(r"(redis|valkey)(s?)\+(sentinel|cluster)")
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_DATABASE: Final = re.compile(r"\d{1,6}", re.ASCII)
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
"""What Sentinel allows in the name of a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """`username` and `password` are those of the store, not those of the Sentinels."""

    kind: Literal["sentinel", "cluster"]
    has_tls: bool
    servers: tuple[Address, ...]
    service: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def names_several(text: str) -> bool:
    """Whether this is meant as such a URL."""
    return _SCHEME.fullmatch(text.partition("://")[0]) is not None


def store_url(text: str) -> StoreUrl:
    """`redis+sentinel://[user:password@]host:port,host:port/service[/database]` or
    `redis+cluster://[user:password@]host:port,host:port`; `valkey` is the same as `redis`, and `rediss` and
    `valkeys` mean TLS. Raises ValueError with what is wrong, which repeats nothing secret."""
    # Not by `urlsplit`: its errors repeat parts of a password, and newer ones refuse several hosts.
    scheme, _, rest = text.partition("://")
    found = _SCHEME.fullmatch(scheme)
    if found is None:
        raise ValueError("is no URL of Sentinels or of a cluster")
    if "?" in rest or "#" in rest:
        raise ValueError("has an option, and such a URL has none")
    kind: Literal["sentinel", "cluster"] = "sentinel" if found[3] == "sentinel" else "cluster"
    place, _, path = rest.partition("/")
    credentials, at, hosts = place.rpartition("@")
    if "@" in credentials:
        raise ValueError("has more than one `@`: write `%40` for one in the password")
    username, has_password, password = credentials.partition(":")
    service, database = _path(kind, path)
    servers = tuple(_address(host, _PORTS[kind]) for host in hosts.split(","))
    if len(set(servers)) < len(servers):
        raise ValueError("names a server twice")
    return StoreUrl(
        kind=kind,
        has_tls=bool(found[2]),
        servers=servers,
        service=service,
        database=database,
        username=unquote(username) if at and username else None,
        password=unquote(password) if has_password else None,
    )


def _path(kind: str, path: str) -> tuple[str, int]:
    """The service and the number of the database."""
    parts = path.strip("/").split("/")
    if kind == "cluster":
        if parts != [""]:
            raise ValueError("names a database, and a cluster has only one")
        return "", 0
    if not _SERVICE.fullmatch(parts[0]):
        raise ValueError("names no service behind the hosts")
    if len(parts) > 2 or not all(_DATABASE.fullmatch(number) for number in parts[1:]):
        raise ValueError("names no database behind the service: it is not a number")
    return parts[0], int(parts[1]) if len(parts) == 2 else 0


def _address(text: str, default_port: int) -> Address:
    try:
        host, port = urlsplit(f"//{text}").hostname, urlsplit(f"//{text}").port
    except ValueError:
        raise ValueError("names a port that is no port") from None
    if not host or any(map(str.isspace, host)):
        raise ValueError("names no host")
    if port == 0:
        raise ValueError("names port 0")
    return host, default_port if port is None else port


def address_text(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
