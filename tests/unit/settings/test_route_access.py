"""Who may come in on a route, as the settings say it: what contradicts itself, what has no effect, and what
it comes to in the rules."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from authproxy.access.routes import Requirement
from authproxy.bootstrap.portals import portal_of
from authproxy.identity.assurance import Level


def with_route(**route):
    def spoil(settings):
        settings["portals"]["acq"] |= {"level": "20", "routes": [{"path": "/part"} | route]}

    return spoil


def routes(workshop, **route):
    reading = workshop.read(with_route(**route))
    assert not reading.findings
    settings = reading.settings.portals["acq"]
    return portal_of("acq", settings, ("rekono", "acnlb")).routes


def test_a_route_is_for_people_who_have_signed_in_unless_it_says_otherwise(workshop):
    assert [route.access for route in routes(workshop)] == ["required", "required"]
    assert [route.access for route in routes(workshop, access="deny")] == ["deny", "required"]


def test_a_public_route_demands_nothing_that_the_portal_demands_elsewhere(workshop):
    part, rest = routes(workshop, access="public")
    assert (part.access, part.requirement) == ("public", Requirement(methods=("rekono", "acnlb")))
    assert (rest.access, rest.requirement.level) == ("required", Level.MEDIUM)
    assert rest.requirement.step_up is not None


def test_networks_and_roles_are_each_one_set_of_which_one_member_is_enough(workshop):
    part, rest = routes(workshop, networks=["10.0.0.0/8", "fd00::/8", "192.0.2.7"], roles=["clerk", "boss"])
    assert part.requirement.networks == (
        frozenset({ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.7/32")}),
    )
    assert part.requirement.roles == (frozenset({"clerk", "boss"}),)
    assert (rest.requirement.networks, rest.requirement.roles) == ((), ())


@pytest.mark.parametrize(
    ("route", "key", "problem"),
    [
        ({"access": "open"}, "access", "is not valid"),
        ({"networks": []}, "networks", "is empty"),
        ({"roles": []}, "roles", "is empty"),
        ({"roles": ["head clerk"]}, "roles", "is not valid"),
        ({"roles": ["clerk,boss"]}, "roles", "is not valid"),
        ({"networks": ["office"]}, "networks[0]", "is no address and no network"),
        ({"networks": ["10.1.2.3/8"]}, "networks[0]", 'did you mean "10.0.0.0/8"?'),
        ({"networks": ["::ffff:10.0.0.0/104"]}, "networks[0]", "counts as IPv4"),
        ({"access": "public", "level": "20"}, "level", "contradicts `access: public`"),
        ({"access": "public", "roles": ["clerk"]}, "roles", "contradicts `access: public`"),
        ({"access": "public", "sign_in": ["rekono"]}, "sign_in", "contradicts `access: public`"),
        (
            {"access": "public", "required_claims": ["email"]},
            "required_claims",
            "contradicts `access: public`",
        ),
        ({"access": "public", "step_up": {"max_age": "5m"}}, "step_up", "contradicts `access: public`"),
    ],
)
def test_what_cannot_be_meant_is_an_error(workshop, route, key, problem):
    finding = workshop.finding(with_route(**route))
    assert (finding.severity, finding.key) == ("error", f"portals.acq.routes[0].{key}")
    assert problem in finding.problem


@pytest.mark.parametrize(
    ("route", "key", "problem"),
    [
        ({"path": "/", "access": "public"}, "access", "opens everything to everybody"),
        ({"path": "/**", "access": "public"}, "access", "opens everything to everybody"),
        ({"access": "deny", "level": "20"}, "level", "has no effect"),
        ({"access": "deny", "networks": ["10.0.0.0/8"]}, "networks", "has no effect"),
        ({"networks": ["0.0.0.0/0"]}, "networks[0]", "keeps nobody out"),
    ],
)
def test_what_is_in_vain_or_too_much_is_a_warning(workshop, route, key, problem):
    finding = workshop.finding(with_route(**route))
    assert (finding.severity, finding.key) == ("warning", f"portals.acq.routes[0].{key}")
    assert problem in finding.problem


def test_what_is_proposed_for_a_public_route_may_open_more_than_was_meant(workshop):
    for access, valid in (("required", "`/css`"), ("public", "`/css`, if everybody may see all of it")):
        assert workshop.finding(with_route(path="/css/*.css", access=access)).valid == valid


def test_a_public_route_may_repeat_that_it_needs_no_proof(workshop):
    assert routes(workshop, access="public", step_up={"required": False})[0].requirement.step_up is None


def test_roles_without_a_register_of_people_are_a_warning(workshop):
    def spoil(settings):
        with_route(roles=["clerk"])(settings)
        settings["store"] = {"url": "memory://"}

    found = {finding.key: finding for finding in workshop.read(spoil).findings}
    assert found["portals.acq.routes[0].roles"].problem.startswith("lets nobody in")


def test_a_public_part_of_a_portal_with_webdav_should_name_its_methods(workshop):
    def spoil(settings):
        with_route(access="public")(settings)
        settings["portals"]["acq"]["webdav"] = True

    finding = workshop.finding(spoil)
    assert (finding.severity, finding.key) == ("warning", "portals.acq.routes[0].methods")


@pytest.mark.parametrize(
    ("proxies", "is_warned_of"),
    [
        (["10.0.0.0/8"], True),
        (["192.0.2.1", "10.1.2.0/24"], True),
        (["0.0.0.0/0"], True),
        (["10.1.2.3"], False),
        (["fd00::/8"], False),
        (["192.168.0.0/16"], False),
        (["nothing"], False),
    ],
)
def test_networks_whose_addresses_are_believed_as_proxies_are_a_warning(workshop, proxies, is_warned_of):
    """A client there could write `X-Forwarded-For` itself."""

    def spoil(settings):
        with_route(networks=["10.1.0.0/16"])(settings)
        settings["server"] = {"listen": ["127.0.0.1:8080"], "trusted_proxies": proxies}

    found = [str(finding) for finding in workshop.read(spoil).findings]
    assert any("can name any other one as the client's" in finding for finding in found) is is_warned_of


@pytest.mark.parametrize(
    ("server", "is_warned_of"),
    [
        ({"listen": ["127.0.0.1:8080"]}, True),
        ({"listen": ["127.0.0.1:8080"], "trusted_proxies": ["127.0.0.1"]}, False),
        ({"listen": ["unix:/run/authproxy-edge.sock"]}, False),
    ],
)
def test_networks_where_every_client_has_the_address_of_the_proxy_are_a_warning(
    workshop, server, is_warned_of
):
    def spoil(settings):
        with_route(networks=["10.0.0.0/8"])(settings)
        settings["server"] = server

    found = [str(finding) for finding in workshop.read(spoil).findings]
    assert any("address of the front proxy" in finding for finding in found) is is_warned_of
