"""What one of several workers may take, so that all together take no more than the settings allow."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Final

from authproxy.settings.schema import (
    LimitSettings,
    PassingLimitSettings,
    PortalSettings,
    RequestRateSettings,
    Settings,
)

COUNTED: Final = (
    "connections",
    "connections_per_address",
    "connections_per_session",
    "upstream_connections",
    "upstream_streams",
)
"""The limits that every worker counts for itself."""


def share(settings: Settings, workers: int) -> Settings:
    """The settings of one worker: of everything that workers count, an equal part, rounded up. So 0, which
    means no limit for most of them, stays 0."""
    limits = settings.server.limits
    rates = limits.per_minute
    counted = {name: _part(getattr(limits, name), workers) for name in COUNTED}
    per_minute = RequestRateSettings(
        **{rate.name: _part(getattr(rates, rate.name), workers) for rate in fields(rates)}
    )
    shared: LimitSettings = replace(limits, **counted, per_minute=per_minute)
    portals = {name: _of_portal(portal, workers) for name, portal in settings.portals.items()}
    return replace(settings, server=replace(settings.server, limits=shared), portals=portals)


def _of_portal(portal: PortalSettings, workers: int) -> PortalSettings:
    routes = tuple(replace(route, limits=_passing(route.limits, workers)) for route in portal.routes)
    return replace(portal, limits=_passing(portal.limits, workers), routes=routes)


def _passing(limits: PassingLimitSettings, workers: int) -> PassingLimitSettings:
    most = limits.upstream_connections
    return limits if most is None else replace(limits, upstream_connections=_part(most, workers))


def _part(whole: int, workers: int) -> int:
    return -(-whole // workers)


FIRST_PAUSE: Final = timedelta(milliseconds=100)
LONGEST_PAUSE: Final = timedelta(seconds=30)


def pause_after(deaths_in_a_row: int) -> timedelta:
    """How long a place stays empty after its worker has died for the first, second … time in a row."""
    return min(FIRST_PAUSE * (1 << min(deaths_in_a_row - 1, 16)), LONGEST_PAUSE)
