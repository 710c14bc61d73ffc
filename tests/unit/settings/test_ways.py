"""What the settings of a portal and its routes come to when requests are passed on."""

from __future__ import annotations

from functools import partial

import pytest

from authproxy.bootstrap.portals import portal_of
from authproxy.bootstrap.ways import connection_limits, ways
from authproxy.dns.resolver import Resolver
from authproxy.edge.rules.via import Via


def made(workshop, **portal):
    """The routes of the portal, the ways, and how many connections they may have."""

    def spoil(settings):
        settings["portals"]["acq"] |= portal

    reading = workshop.read(spoil)
    assert reading.settings is not None, [str(finding) for finding in reading.findings]
    of_portal, server = reading.settings.portals["acq"], reading.settings.server
    rules = portal_of("acq", of_portal, ("rekono",))
    found = ways(rules, of_portal, server, names=Resolver(), via=Via())
    return rules.routes, found, sorted(connection_limits(of_portal, server))


def test_a_plain_portal_has_one_way_with_the_limits_of_the_server(workshop):
    routes, (way,), limits = made(workshop, routes=[{"path": "/admin", "level": 20}])
    assert [(route.way, route.upstream) for route in routes] == [(0, ""), (0, "")]
    upstream = way.pool.upstream
    assert (upstream.host, upstream.port, way.host, way.scheme, way.name) == (
        "127.0.0.1", 9001, b"", b"http", "",
    )  # fmt: skip
    times = (way.limits.first_byte_timeout, way.limits.body_timeout, way.limits.whole_timeout)
    assert (times, way.limits.body_size, limits) == ((60.0, 60.0, 0.0), 0, [512])


def test_a_route_has_the_server_that_it_names(workshop):
    routes, (own, reports, files), limits = made(
        workshop,
        routes=[
            {"path": "/reports", "upstream": "http://localhost:9002"},
            {"path": "/admin"},
            {"path": "/files", "upstream": "unix:/run/files.sock"},
        ],
    )
    assert [(route.way, route.upstream) for route in routes] == [
        (1, "http://localhost:9002"), (0, ""), (2, "unix:/run/files.sock"), (0, ""),
    ]  # fmt: skip
    assert [way.name for way in (own, reports, files)] == ["", "/reports", "/files"]
    assert (reports.pool.upstream.host, reports.pool.upstream.port) == ("localhost", 9002)
    assert files.pool.upstream.unix_path == "/run/files.sock"
    assert limits == [512, 512, 512]


def test_routes_with_the_same_server_share_its_connections(workshop):
    routes, (own, first, second, third), limits = made(
        workshop,
        routes=[
            {"path": "/a", "upstream": "http://127.0.0.1:9002"},
            {"path": "/b", "upstream": "http://127.0.0.1:9002", "timeouts": {"first_byte": "2m"}},
            {"path": "/c", "upstream": "http://127.0.0.1:9001"},
        ],
    )
    assert first.pool is second.pool
    assert third.pool is own.pool
    assert (first.limits.first_byte_timeout, second.limits.first_byte_timeout) == (60.0, 120.0)
    assert [route.upstream for route in routes] == ["http://127.0.0.1:9002"] * 2 + ["", ""]
    assert limits == [512, 512]


def test_a_route_with_a_number_of_connections_has_them_for_itself(workshop):
    _, (own, slow, slower), limits = made(
        workshop,
        limits={"upstream_connections": 20},
        routes=[
            {"path": "/slow", "limits": {"upstream_connections": 4}},
            {"path": "/slower", "limits": {"upstream_connections": 4}},
        ],
    )
    assert len({own.pool, slow.pool, slower.pool}) == 3
    assert own.pool.upstream is slow.pool.upstream is slower.pool.upstream
    assert limits == [4, 4, 20]


def test_what_a_route_does_not_say_its_portal_says_and_otherwise_the_server(workshop):
    _, (own, way), _ = made(
        workshop,
        timeouts={"first_byte": "90s", "body": "30s", "connect": "2s"},
        limits={"body_size": "10MiB"},
        routes=[{"path": "/x", "timeouts": {"body": "5m", "whole": "1h"}, "limits": {"body_size": 0}}],
    )
    limits = own.limits
    assert (limits.first_byte_timeout, limits.body_timeout, limits.whole_timeout, limits.body_size) == (
        90.0, 30.0, 0.0, 10 * 1024 * 1024,
    )  # fmt: skip
    limits = way.limits
    assert (limits.first_byte_timeout, limits.body_timeout, limits.whole_timeout, limits.body_size) == (
        90.0, 300.0, 3600.0, 0,
    )  # fmt: skip
    assert own.pool is way.pool


def test_the_name_in_a_certificate_is_that_of_one_server(workshop):
    _, (own, other), _ = made(
        workshop,
        upstream="https://10.0.0.5",
        upstream_tls={"server_name": "portal.bank.si"},
        routes=[{"path": "/x", "upstream": "https://reports.bank.si"}],
    )
    assert own.pool.upstream.server_name == "portal.bank.si"
    assert other.pool.upstream.server_name is None


def test_without_the_public_host_every_server_gets_its_own(workshop):
    _, (own, other), _ = made(
        workshop,
        preserve_host=False,
        routes=[{"path": "/x", "upstream": "http://localhost:9002"}],
    )
    assert (own.host, other.host) == (b"127.0.0.1:9001", b"localhost:9002")
    for way, said in ((own, b"http://127.0.0.1:9001/y"), (other, b"http://localhost:9002/y")):
        fields = way.pool.addresses.in_fields([(b"Location", said)])
        assert fields == [(b"Location", b"https://acq.example.si/y")]


def test_addresses_are_looked_at_only_where_they_may_be_wrong(workshop):
    _, (way,), _ = made(workshop)
    assert way.pool.addresses is not None  # https outside, http inside
    _, (way,), _ = made(workshop, upstream="https://127.0.0.1:9001")
    assert way.pool.addresses is None
    _, (way,), _ = made(workshop, url="http://acq.localhost")
    assert way.pool.addresses is None


@pytest.mark.parametrize(
    ("route", "at", "problem"),
    [
        ({"upstream": "http://10.0.0.9:9002"}, "upstream", "plain text"),
        ({"upstream": "https://bad..host:9002"}, "upstream", "is no URL of a server"),
        ({"upstream": "unix:/run/authproxy-edge.sock"}, "upstream", "is the gateway itself"),
        ({"upstream": "9002"}, "upstream", "is not valid"),
        ({"upstream": "http://a/b"}, "upstream", "is not valid"),
        ({"timeouts": {"first_byte": 0}}, "timeouts.first_byte", "is nothing at all"),
        ({"timeouts": {"head": "5s"}}, "timeouts.head", "unknown key"),
        ({"limits": {"upstream_connections": 0}}, "limits.upstream_connections", "is less than 1"),
    ],
)
def test_what_cannot_be_meant_is_found(workshop, route, at, problem):
    finding = workshop.finding(lambda s: s["portals"]["acq"].update(routes=[{"path": "/x"} | route]))
    assert problem in str(finding)
    assert f"portals.acq.routes.0.{at}" in str(finding) or f"portals.acq.routes[0].{at}" in str(finding)


def test_plain_text_that_the_portal_allows_is_allowed_for_its_routes(workshop):
    routes = [{"path": "/x", "upstream": "http://10.0.0.9:9002"}]
    reading = workshop.read(lambda s: s["portals"]["acq"].update(routes=routes, allows_plaintext=True))
    assert reading.findings == ()


def test_a_report_that_would_be_cut_before_its_first_byte_is_a_warning(workshop):
    def spoil(settings, **more):
        settings["server"]["timeouts"] = {"whole": "1m"}
        settings["portals"]["acq"]["routes"] = [{"path": "/x", "timeouts": {"first_byte": "5m"} | more}]

    finding = workshop.finding(spoil)
    assert (finding.key, finding.severity) == ("portals.acq.routes[0].timeouts.first_byte", "warning")
    assert "has no effect" in finding.problem
    for whole in ("10m", 0):
        assert workshop.read(partial(spoil, whole=whole)).findings == ()


def test_no_limit_for_the_whole_is_no_mistake(workshop):
    reading = workshop.read(lambda s: s["portals"]["acq"].update(timeouts={"whole": 0}))
    assert reading.findings == ()


def test_faults_are_tolerated_in_the_answers_of_every_server_of_the_portal_and_by_default_of_none(workshop):
    routes = [
        {"path": "/reports", "upstream": "http://localhost:9002"},
        {"path": "/x", "upstream": "unix:/run/x"},
    ]
    _, found, _ = made(workshop, routes=routes)
    assert [way.pool.tolerated for way in found] == [None] * 3
    _, found, _ = made(workshop, routes=routes, tolerates=["bare_lf", "control_characters"])
    assert [way.pool.tolerated for way in found] == [{"bare_lf", "control_characters"}] * 3
