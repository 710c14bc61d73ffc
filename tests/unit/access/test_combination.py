"""Several routes as one. Whoever meets the combined demand meets each of them."""

from __future__ import annotations

import ast
import dataclasses
from datetime import timedelta

import pytest

from authproxy.access.combination import combined
from authproxy.access.provider_demand import ProviderDemand, provider_demand
from authproxy.access.routes import MachineDemand, Requirement, Route, StepUp
from authproxy.identity.assurance import Level
from tests.support.own_tests import PACKAGE

SOURCE = PACKAGE / "access" / "combination.py"
MINUTE = timedelta(minutes=1)


def route(name="r", *, strict=False, provider=None, **demand) -> Route:
    return Route(
        name=name,
        path=f"/{name}",
        requirement=Requirement(**demand),
        strict=strict,
        provider_demand=provider_demand([provider or {}]),
    )


@pytest.mark.parametrize("made", [Route, Requirement, StepUp, ProviderDemand])
def test_every_field_has_a_rule_for_combining(made):
    calls = [
        call
        for call in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == made.__name__
    ]
    assert len(calls) == 1
    missing = {field.name for field in dataclasses.fields(made)} - {key.arg for key in calls[0].keywords}
    assert missing == set(), f"combination.py says nothing about these fields of {made.__name__}"


def test_the_highest_level_all_claims_and_the_common_ways_to_sign_in_count():
    both = combined(
        [
            route("a", level=Level.HIGH, claims=("email", "name"), methods=("rekono", "acnlb")),
            route("b", level=Level.LOW, claims=("name", "address"), methods=("acnlb",), strict=True),
        ]
    )
    assert both.requirement == Requirement(
        level=Level.HIGH, claims=("email", "name", "address"), methods=("acnlb",)
    )
    assert (both.name, both.path, both.methods, both.strict) == ("a + b", "/a + /b", (), True)
    assert [part.name for part in both.parts] == ["a", "b"]


@pytest.mark.parametrize(
    ("accesses", "both"),
    [
        (("required", "required"), "required"),
        (("public", "required"), "required"),
        (("required", "public"), "required"),
        (("public", "public"), "public"),
        (("public", "deny"), "deny"),
        (("required", "deny"), "deny"),
        (("public", "required", "deny"), "deny"),
    ],
)
def test_a_path_is_public_only_if_every_reading_is_and_closed_if_one_is(accesses, both):
    routes = [dataclasses.replace(route(str(at)), access=access) for at, access in enumerate(accesses)]
    assert combined(routes).access == both


def test_what_a_public_route_says_about_people_does_not_stand_in_the_way():
    public = dataclasses.replace(route("a", methods=("rekono",), level=Level.HIGH), access="public")
    other = route("b", methods=("acnlb",), networks=(frozenset({"n"}),))
    for routes in ([public, other], [other, public]):
        assert combined(routes).requirement == other.requirement


def test_a_closed_route_closes_even_what_nobody_could_meet():
    closed = dataclasses.replace(route("a", methods=("rekono",)), access="deny")
    assert combined([closed, route("b", methods=("acnlb",))]).access == "deny"


def test_networks_and_roles_of_each_route_must_hold():
    inside, office = frozenset({"inside"}), frozenset({"office"})
    public = dataclasses.replace(route("p", networks=(office,)), access="public")
    both = combined(
        [
            route("a", networks=(inside,), roles=(frozenset({"clerk"}),)),
            route("b", roles=(frozenset({"head"}), frozenset({"clerk"}))),
            public,
        ]
    )
    assert both.requirement.networks == (inside, office)
    assert both.requirement.roles == (frozenset({"clerk"}), frozenset({"head"}))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (None, MachineDemand(tokens=True, keys=True), None),
        (
            MachineDemand(tokens=True, keys=True, scopes=("a",)),
            MachineDemand(tokens=True, scopes=("b",)),
            MachineDemand(tokens=True, scopes=("a", "b")),
        ),
        (None, None, None),
    ],
)
def test_programs_may_come_in_where_all_routes_let_them(one, other, both):
    for first, second in ((one, other), (other, one)):
        found = combined([route(machines=first), route(machines=second)]).requirement.machines
        assert found is both or dataclasses.replace(found, scopes=tuple(sorted(found.scopes))) == both


def test_routes_with_different_servers_are_not_combined():
    elsewhere = dataclasses.replace(route("a"), upstream="http://10.0.0.2", way=1)
    assert combined([elsewhere, route("b")]) is None
    same = dataclasses.replace(route("b"), upstream="http://10.0.0.2", way=2)
    assert combined([elsewhere, same]).upstream == "http://10.0.0.2"


def test_no_common_way_to_sign_in_is_refused():
    assert combined([route(methods=("rekono",)), route(methods=("acnlb",))]) is None


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (None, None, None),
        (StepUp(), None, StepUp()),
        (StepUp(max_age=5 * MINUTE), StepUp(max_age=MINUTE), StepUp(max_age=MINUTE)),
        (StepUp(max_age=5 * MINUTE), StepUp(), StepUp(max_age=5 * MINUTE)),
        (StepUp(max_age=0 * MINUTE), StepUp(max_age=MINUTE), StepUp(max_age=0 * MINUTE)),
        (StepUp(methods=("sms", "push")), StepUp(methods=("push", "totp")), StepUp(methods=("push",))),
        (
            StepUp(max_age=0 * MINUTE, shows=("amount",)),
            StepUp(max_age=0 * MINUTE, shows=("amount", "iban")),
            StepUp(max_age=0 * MINUTE, shows=("amount", "iban")),
        ),
        (
            StepUp(methods=("rekono",), acr=("high", "middle")),
            StepUp(methods=("rekono",), acr=("high",)),
            StepUp(methods=("rekono",), acr=("high",)),
        ),
        (StepUp(methods=("rekono",), acr=("high",)), StepUp(), StepUp(methods=("rekono",), acr=("high",))),
        (
            StepUp(methods=("rekono", "push"), acr=("high",)),
            StepUp(methods=("rekono", "push"), acr=("low",)),
            StepUp(methods=("push",)),
        ),
    ],
)
def test_one_proof_must_satisfy_both_demands(one, other, both):
    for first, second in ((one, other), (other, one)):
        found = combined([route(step_up=first), route(step_up=second)]).requirement.step_up
        assert found is both or dataclasses.replace(found, shows=tuple(sorted(found.shows))) == both


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StepUp(methods=("sms",)), StepUp(methods=("push",))),
        (StepUp(methods=("rekono",), acr=("high",)), StepUp(methods=("rekono",), acr=("low",))),
    ],
)
def test_no_common_proof_is_refused(one, other):
    assert combined([route(step_up=one), route(step_up=other)]) is None


def test_the_provider_is_asked_for_everything_and_must_confirm_everything():
    essential = '{"id_token": {"acr": {"essential": true, "values": ["high"]}}}'
    both = combined([route(provider={"acr_values": "high"}), route(provider={"claims": essential})])
    assert dict(both.provider_demand.parameters) == {"acr_values": "high", "claims": essential}
    assert both.provider_demand.acr == ("high",)


def test_of_two_wishes_the_first_counts_and_two_lists_of_essential_claims_are_refused():
    one, other = route(provider={"acr_values": "a"}), route(provider={"acr_values": "b", "x": "y"})
    assert dict(combined([one, other]).provider_demand.parameters) == {"acr_values": "a", "x": "y"}
    claims = ['{"id_token": {"acr": {"essential": true}}}', '{"id_token": {"amr": {"essential": true}}}']
    assert combined([route(provider={"claims": text}) for text in claims]) is None
