"""PURE: versions of front proxies with published faults by which their rules can be got around.

Only faults that change who gets in, or what the gateway is asked, count here. The table says of when it is;
look for newer advisories yourself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

AS_OF: Final = "2026-11-30"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_OF_DEBIAN: Final = re.compile(r"([\d.]+)-[\d.]+\+deb(\d+)u(\d+)")
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """`floors` is the lowest good version of each line that is looked after, `source` where that was read and
    of when it is. `mended` are packages of distributions, which mend old versions without another number, so
    that the number alone proves nothing."""

    floors: tuple[str, ...]
    because: str
    source: str
    mended: tuple[str, ...] = ()


FLOORS: Final[dict[str, Floors]] = {
    "traefik": Floors(
        floors=("2.11.62", "3.7.18"),
        because="CVE-2026-137481 (paths with parameters), CVE-2026-88011 (names with dots), "
        "CVE-2026-88008 (hidden requests), CVE-2026-67309 (the path that is asked about)",
        source="CVE records, 2026-11-26; release notes of 3.7.13",
    ),
    "caddy": Floors(
        floors=("2.11.4",),
        because="CVE-2026-52845 (names with underscores), CVE-2026-30851 (headers of the client)",
        source="GitHub advisories GHSA-f59h-q822-g45g, GHSA-7r4p-vjf4-gxv4; Go's list, 2026-11-05",
    ),
    "envoy": Floors(
        floors=("1.36.10", "1.37.6", "1.38.4", "1.39.1"),
        because="CVE-2026-73511 and -73551 (paths with parameters), CVE-2026-73548 (hidden requests)",
        source="GitHub advisory GHSA-m745-gh6x-349x; CVE records, 2026-09-22",
    ),
    "nginx": Floors(
        floors=("1.30.7", "1.31.9"),
        because="CVE-2026-123007 (code of a client, by HTTP/2), CVE-2026-95101 (hidden requests, by HTTP/3), "
        "CVE-2026-42945 and -9256 (code of a client, by `rewrite`)",
        source="F5's CVE records, 2026-11-18; nginx.org's advisories; changelog of Debian 12",
        mended=("1.22.1-9+deb12u11",),
    ),
    "haproxy": Floors(
        floors=("2.4.24", "2.6.25", "2.8.20", "3.0.19", "3.2.15", "3.3.15", "3.4.5"),
        because="CVE-2023-45539 (`#` in the path), CVE-2023-40225 (two readings of a body's length), "
        "CVE-2026-33555 and -90678 (hidden requests, by HTTP/3)",
        source="CVE records, 2026-10-18; HAProxy's release announcements, 2026-09-24; changelog of Debian 12",
        mended=("2.6.12-1+deb12u4",),
    ),
    "oauth2-proxy": Floors(
        floors=("7.15.2",), because="bypasses by path and header of 2026", source="Go's list, 2026-08-21"
    ),
    "authelia": Floors(
        floors=("4.39.20",), because="bypasses by path of 2026", source="Go's list, 2026-08-21"
    ),
}
"""By the name in `Server` or `Via`, in lower case."""


def stated(server: str) -> tuple[str, str]:
    """Program and version in a value such as `nginx/1.22.1`; empty for what is not there."""
    name, _, rest = server.strip().partition("/")
    found = _VERSION.match(rest)
    return name.split(" ")[0].lower(), found[0] if found else ""


def is_below(program: str, version: str) -> bool | None:
    """Whether the version is below the floor of its line; None if nothing is known of the program or the
    version. A line older than all floors is below, a newer one is not."""
    known, number = FLOORS.get(program), _number(version)
    if known is None or number is None:
        return None
    floors = [floor for text in known.floors if (floor := _number(text)) is not None]
    of_line = [floor for floor in floors if floor[:2] == number[:2]]
    return number < (of_line[0] if of_line else max(floors))


def is_mended(program: str, version: str) -> bool:
    """Whether the version is that of a distribution's package in which the faults are mended."""
    package = _OF_DEBIAN.match(version)
    if package is None or program not in FLOORS:
        return False
    mended = [found for text in FLOORS[program].mended if (found := _OF_DEBIAN.match(text)) is not None]
    return any(
        (package[1], package[2]) == (good[1], good[2]) and int(package[3]) >= int(good[3]) for good in mended
    )


def _number(version: str) -> Version | None:
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
