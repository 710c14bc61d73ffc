"""The six portals, in the order of their ports, as `descriptions/` describes them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from authproxy.sandbox.portals.description import Description, described

PORTAL_IDS = ("acq", "b2b", "bips", "bws", "ecmsweb", "bankomati")


@cache
def portal(portal_id: str) -> Description:
    """Raises FileNotFoundError for an unknown portal."""
    file = files("authproxy.sandbox.portals") / "descriptions" / f"{portal_id}.yaml"
    return described(yaml.safe_load(file.read_text(encoding="utf-8")))


def portals() -> tuple[Description, ...]:
    return tuple(portal(portal_id) for portal_id in PORTAL_IDS)
