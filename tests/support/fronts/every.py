"""The front proxies that the scenarios run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.fronts import caddy, envoy, haproxy, nginx, traefik
from tests.support.fronts.front import Front

FRONTS: tuple[Front, ...] = (nginx.FRONT, caddy.FRONT, traefik.FRONT, envoy.FRONT, haproxy.FRONT)
SIX: tuple[Front, ...] = (nginx.SIX, caddy.SIX, traefik.SIX, envoy.SIX, haproxy.SIX)
"""The same programs with the files for six portals."""
SIGNING: Mapping[str, tuple[Front, Callable[[int, Path], dict[str, str]]]] = {
    "nginx": (nginx.SIGNED, nginx.signing),
    "envoy": (envoy.FRONT, envoy.signing),
    "haproxy": (haproxy.FRONT, haproxy.signing),
}
"""Those that can sign their questions: the program, and its files for a gateway at a port and a key."""
