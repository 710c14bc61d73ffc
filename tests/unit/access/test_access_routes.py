from __future__ import annotations

from dataclasses import replace

import pytest

from authproxy.access.decision import Reason
from authproxy.access.routes import MachineDemand, Portal, Portals, Requirement, Route, StepUp
from authproxy.access.unavailable import CannotAsk
from authproxy.identity.assurance import AuthenticationEvent, Level
from tests.support.session_builders import NOW


def route(path: str, *methods: str) -> Route:
    return Route(name=path + "".join(methods), path=path, methods=methods, requirement=Requirement())


PORTAL = Portal(
    portal_id="acq",
    origin="https://acq.example",
    host="acq.example",
    routes=(route("/admin", "POST"), route("/admin/"), route("/a.b"), route("/x")),
)


@pytest.mark.parametrize(
    ("path", "method", "name"),
    [
        ("/admin", "POST", "/adminPOST"),
        ("/admin/x", "POST", "/adminPOST"),
        ("/admin/x", "GET", "/admin/"),
        ("/admin/", "GET", "/admin/"),
        ("/admin", "GET", None),
        ("/administer", "POST", None),
        ("/admin;x", "POST", None),
        ("/a.b/c", "GET", "/a.b"),
        ("/aXb", "GET", None),
        ("/", "GET", None),
    ],
)
def test_a_route_covers_whole_segments_of_its_methods_and_the_first_one_counts(path, method, name):
    found = PORTAL.route(path, method)
    assert (found.name if found else None) == name


def test_a_route_at_the_root_covers_everything():
    portal = replace(PORTAL, routes=(route("/"),))
    assert all(portal.route(path, "GET") is portal.routes[0] for path in ("/", "/a", "/a/b"))


def test_a_portal_is_found_by_its_canonical_host_only():
    portals = Portals({"acq.example": PORTAL})
    assert portals.at("acq.example") is PORTAL
    assert portals.at("ACQ.example") is None


def test_the_exception_says_why_a_service_cannot_be_asked():
    assert CannotAsk(Reason.STORE_UNAVAILABLE, "no answer").reason is Reason.STORE_UNAVAILABLE


def proof(acr, method="rekono"):
    return AuthenticationEvent(method=method, at=NOW, source="s", acr=acr, is_step_up=True, level=Level.HIGH)


@pytest.mark.parametrize(
    ("events", "is_met"),
    [
        ([proof("high")], True),
        ([proof("low")], False),
        ([proof(None)], False),
        ([proof("low"), proof("high")], True),
        ([proof(None, "totp")], True),
        ([proof("low"), proof(None, "totp")], True),
    ],
)
def test_if_an_acr_is_essential_a_proof_by_the_provider_must_state_it_and_other_proofs_need_not(
    events, is_met
):
    assert StepUp(methods=("rekono", "totp"), acr=("substantial", "high")).is_met_by(events, NOW) is is_met


@pytest.mark.parametrize("acr", [None, "", "high"])
def test_without_an_essential_acr_any_proof_by_the_provider_counts(acr):
    assert StepUp(methods=("rekono",)).is_met_by([proof(acr)], NOW)


@pytest.mark.parametrize("method", ["rekono", "totp"])
def test_an_event_that_is_not_a_proof_satisfies_no_step_up(method):
    assert not StepUp().is_met_by([replace(proof("high", method), is_step_up=False)], NOW)


def test_reason_codes_are_words_in_snake_case():
    assert all(reason.value == reason.name.lower() for reason in Reason)


def test_two_demands_on_programs_together_let_in_only_who_meets_both():
    both = MachineDemand(tokens=True, keys=True, scopes=("a", "b"))
    keys = MachineDemand(keys=True, scopes=("b", "c"))
    assert both.with_all_of(keys) == MachineDemand(tokens=False, keys=True, scopes=("a", "b", "c"))
    assert keys.with_all_of(both) == MachineDemand(tokens=False, keys=True, scopes=("b", "c", "a"))
