"""PURE: parsers of durations, days, sizes, keys and addresses in settings. No other form is accepted.

Every function takes the text of the file and returns a valid value, or raises ValueError with a sentence for
the operator. The sentence never repeats the text, which may be a secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import date, timedelta
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from urllib.parse import SplitResult, urlsplit

MANAGEMENT = "127.0.0.1:8090"
"""Where the management listener is, if the settings do not say it."""
KEY_SIZE = 32
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd])){1,5}", re.ASCII)
_DURATION_PART = re.compile(r"(?P<amount>[0-9.]+)(?P<unit>ms|[smhd])", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LONGEST = timedelta(days=3650)
_SIZE = re.compile(r"(?P<amount>\d{1,15})\s?(?P<unit>[KMG]i?B|B)?", re.ASCII)
_FACTORS = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_TCP = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)|(?P<name>localhost)):(?P<port>\d{1,5})", re.ASCII
)

_NAME_SERVER = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>\d{1,5})", re.ASCII)


def duration_of(value: object) -> timedelta:
    """`90s`, `1h30m`, `250ms`, or seconds as a bare number; never negative, at most ten years."""
    if isinstance(value, timedelta):
        return value
    text = _bare(value)
    if _SECONDS.fullmatch(text):
        text += "s"
    if not _DURATION.fullmatch(text):
        raise ValueError(
            "is not a duration; write `90s`, `15m`, `8h`, `1h30m`, `250ms`, or seconds as a number"
        )
    try:
        span = sum(
            (float(part["amount"]) * _UNITS[part["unit"]] for part in _DURATION_PART.finditer(text)),
            timedelta(),
        )
    except OverflowError:
        span = timedelta.max
    if span > _LONGEST:
        raise ValueError("is longer than ten years")
    return span


def day_of(value: object) -> date:
    """`2027-06-28`, and no other form of it."""
    if isinstance(value, date):
        return value
    text = _bare(value)
    try:
        # `fromisoformat` alone would also accept `20270628` and weeks.
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise ValueError("is no day of the calendar; write `2027-06-28`") from None


def bytes_of(value: object) -> int:
    """`32KiB`, `10MiB`, `1GB`, or bytes as a bare number."""
    match = _SIZE.fullmatch(_bare(value))
    if match is None:
        raise ValueError("is not a size; write `32KiB`, `10MiB`, `1GB`, or bytes as a number")
    return int(match["amount"]) * _FACTORS[match["unit"]]


def _bare(value: object) -> str:
    # `true` is an int in Python, and nobody means one second by it.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def key_of(text: str) -> bytes:
    """The 32 octets of a key, in hex, base64 or base64url (padding optional). Refuses a key that is not
    random."""
    octets, understood = _decoded(text.strip())
    if len(octets) != KEY_SIZE:
        raise ValueError(
            f"was understood as {understood} and is {len(octets)} bytes long, not {KEY_SIZE}; {_HOW}"
        )
    steps = {(later - earlier) % 256 for earlier, later in pairwise(octets)}
    # 32 random bytes repeat so much, or are all printable, less than once in 10^13 draws.
    if len(set(octets)) < 16 or len(steps) < 8 or all(0x20 <= octet < 0x7F for octet in octets):
        raise ValueError(
            f"was understood as {understood} and is not random (a pattern, or text that somebody typed); "
            f"{_HOW}"
        )
    return octets


_HOW = "make one with `openssl rand -base64 32`"


def _decoded(text: str) -> tuple[bytes, str]:
    # 64 hex digits would also be base64 of 48 bytes, which is too long for a key. So hex is tried first.
    if _HEXADECIMAL.fullmatch(text) and len(text) in {32, 48, 64, 96, 128}:
        return bytes.fromhex(text), "hex"
    understood = "base64url" if {"-", "_"} & set(text) else "base64"
    try:
        octets = base64.b64decode(
            text + "=" * (-len(text) % 4),
            altchars=b"-_" if understood == "base64url" else None,
            validate=True,
        )
    except (binascii.Error, ValueError):
        raise ValueError(f"is neither hex nor base64 nor base64url; {_HOW}") from None
    return octets, understood


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SocketPath:
    path: str


def listen_address(text: str) -> TcpAddress | SocketPath:
    """The address of a listener: `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:443`, `localhost:8080` or
    `unix:/run/authproxy/edge.sock`.

    Names other than `localhost` are refused: their address may change between two starts."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        # sockaddr_un has room for 107 bytes and a NUL (unix(7)).
        if not path.startswith("/") or len(path.encode()) > 107:
            raise ValueError("is not `unix:` with an absolute path of at most 107 bytes")
        return SocketPath(path)
    match = _TCP.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ValueError("is not `address:port`, `[address]:port` or `unix:/path` (ports 1 to 65535)")
    host = match["six"] or match["four"] or match["name"]
    if host != "localhost":
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(
                "names no IP address; write `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`"
            ) from None
    return TcpAddress(host, int(match["port"]))


def name_server(text: str) -> str:
    """The address of a name server: `10.1.2.3`, `10.1.2.3:5353`, `fd00::53` or `[fd00::53]:5353`."""
    match = _NAME_SERVER.fullmatch(text)
    try:
        ip_address(text if match is None else match["six"] or match["four"])
    except ValueError:
        raise ValueError("is no address of a name server") from None
    if match is not None and not 0 < int(match["port"]) < 65536:
        raise ValueError("has no port that exists")
    return text


def is_local(host: str | None) -> bool:
    """Whether a host is this machine, independently of the name service (RFC 6761 §6.3)."""
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return host is not None
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_rekonos_own(issuer: str) -> bool:
    """Whether an issuer is Rekono itself, or its stand-in on this machine in the sandbox and in tests."""
    url = url_of(issuer)
    if url is None:
        return False
    return url.hostname == "idp.rekono.si" or (
        is_local(url.hostname) and url.path.rstrip("/") == "/openid-connect-server-webapp"
    )


def url_of(text: str) -> SplitResult | None:
    """The parts of a URL; None if it is malformed. Reading `hostname` and `port` of the result never
    raises."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return None
    return url
