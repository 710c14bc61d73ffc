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
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """`floors` is the lowest good version of each line that is looked after. `is_patched_elsewhere`:
    distributions mend old versions without another number, so the number alone proves nothing."""

    floors: tuple[str, ...]
    because: str
    is_patched_elsewhere: bool = False


FLOORS: Final[dict[str, Floors]] = {
    "traefik": Floors(
        floors=("2.11.52", "3.6.25", "3.7.10"),
        because="CVE-2026-67309 (the path that is asked about), CVE-2026-71326 (somebody else's identity)",
    ),
    "caddy": Floors(
        floors=("2.11.4",),
        because="CVE-2026-52845 (names with underscores), CVE-2026-30851 (headers of the client)",
    ),
    "envoy": Floors(
        floors=("1.37.6", "1.38.4"),
        because="CVE-2026-73511 and -73551 (paths with parameters), CVE-2026-73548 (hidden requests)",
    ),
    "nginx": Floors(
        floors=("1.30.2", "1.31.1"),
        because="CVE-2026-42945 and -9256 (rewrite), CVE-2026-42926 (hidden requests)",
        is_patched_elsewhere=True,
    ),
    "haproxy": Floors(
        floors=("2.4.24", "2.6.15", "2.7.10", "2.8.2"),
        because="CVE-2023-45539 (`#` in the path), CVE-2023-40225 (two readings of a body's length)",
        is_patched_elsewhere=True,
    ),
    "oauth2-proxy": Floors(floors=("7.15.2",), because="bypasses by path and header of 2026"),
    "authelia": Floors(floors=("4.39.20",), because="bypasses by path of 2026"),
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


def _number(version: str) -> Version | None:
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
