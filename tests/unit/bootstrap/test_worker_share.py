"""What one of several workers may take."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.bootstrap.worker_share import COUNTED, pause_after, share
from authproxy.settings.schema import PassingLimitSettings
from authproxy.settings.sources import load
from tests.support.gateway import write_settings


@pytest.fixture
def settings(tmp_path):
    ports = {name: 1000 + at for at, name in enumerate(("gateway", "management", "provider", "acq", "b2b"))}
    return load(write_settings(tmp_path, ports, "redis://127.0.0.1", "s" * 32, {}, {}), {})


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_all_workers_together_take_what_the_settings_allow(settings, workers):
    limits, part = settings.server.limits, share(settings, workers).server.limits
    for name in COUNTED:
        whole, each = getattr(limits, name), getattr(part, name)
        assert whole <= each * workers < whole + workers, name
    for kind in ("sign_ins", "callbacks", "logout_tokens", "codes", "machines"):
        whole, each = getattr(limits.per_minute, kind), getattr(part.per_minute, kind)
        assert whole <= each * workers < whole + workers, kind


def test_no_limit_stays_no_limit_and_one_stays_one(settings):
    limits = replace(settings.server.limits, connections_per_address=0, upstream_connections=1)
    part = share(replace(settings, server=replace(settings.server, limits=limits)), 4).server.limits
    assert (part.connections_per_address, part.upstream_connections) == (0, 1)


def test_connections_of_a_portal_and_of_a_route_are_shared_out_and_nothing_else_changes(settings):
    acq = settings.portals["acq"]
    acq = replace(acq, limits=PassingLimitSettings(upstream_connections=10, body_size=7))
    settings = replace(settings, portals={**settings.portals, "acq": acq})
    shared = share(settings, 4)
    assert shared.portals["acq"] == replace(
        acq, limits=PassingLimitSettings(upstream_connections=3, body_size=7)
    )
    assert shared.portals["b2b"] == settings.portals["b2b"]
    assert replace(shared, server=settings.server, portals=settings.portals) == settings


def test_pauses_double_up_to_half_a_minute():
    assert [pause_after(deaths) / timedelta(seconds=1) for deaths in (1, 2, 3, 9, 10, 1000)] == [
        0.1,
        0.2,
        0.4,
        25.6,
        30,
        30,
    ]
