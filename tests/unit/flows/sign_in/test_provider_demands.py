from __future__ import annotations

from dataclasses import replace

import pytest

from authproxy.access.provider_demand import NOTHING, provider_demand
from authproxy.access.routes import Portal, Requirement, Route
from authproxy.flows.sign_in.provider_demands import ProviderDemands
from authproxy.identity.attempt import Attempt
from authproxy.identity.session import SessionId
from tests.support.session_builders import NOW


def route(name, path, *methods):
    return Route(
        name=name,
        path=path,
        methods=methods,
        requirement=Requirement(),
        provider_demand=provider_demand([{"place": name}]),
    )


ROUTES = (route("acq/pay POST", "/pay", "POST"), route("acq/admin", "/admin"), route("acq", "/"))
ACQ = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=ROUTES)
B2B = replace(ACQ, portal_id="b2b", host="b2b.example", routes=(route("b2b", "/"),))
ASKED = ProviderDemands([ACQ, B2B])


def attempt(**changes):
    return Attempt(
        **{"portal": "acq", "return_to": "/", "browser": "b", "secret": "s", "opened_at": NOW, **changes}
    )


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/", "acq"),
        ("/admin", "acq/admin"),
        ("/admin/x?rt=/pay", "acq/admin"),
        ("/%61dmin", "acq/admin"),
        ("/administer", "acq"),
        ("/pay", "acq"),
        ("/x/../admin", "acq"),
        ("//admin", "acq"),
        ("/admin;x/y", "acq/admin"),
        ("/x#/admin", "acq"),
    ],
)
def test_a_sign_in_asks_for_what_the_place_demands_that_it_leads_to(place, name):
    assert ASKED(attempt(return_to=place)).parameters == {"place": name}


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("acq/pay POST", "acq/pay POST"),
        ("acq/admin", "acq/admin"),
        ("acq/admin + acq", "acq/admin"),
        (":any", "acq"),
        ("b2b", "acq"),
    ],
)
def test_a_proof_asks_for_what_the_route_demands_wherever_it_leads_to(named, name):
    found = ASKED(attempt(step_up_of=SessionId("s"), route=named, return_to="/admin"))
    assert found.parameters == {"place": name}


def test_an_encoded_slash_is_read_as_the_portal_reads_it():
    tolerant = ProviderDemands([replace(ACQ, accepts_encoded_slash=True)])
    assert tolerant(attempt(return_to="/admin/a%2Fb")).parameters == {"place": "acq/admin"}
    assert tolerant(attempt(return_to="/admin%2Fb")).parameters == {"place": "acq/admin"}
    assert ASKED(attempt(return_to="/admin/a%2Fb")).parameters == {"place": "acq"}


def test_a_portal_that_is_no_longer_there_asks_for_nothing():
    assert ASKED(attempt(portal="gone")) == NOTHING


def test_each_portal_asks_for_its_own():
    assert ASKED(attempt(portal="b2b", return_to="/admin")).parameters == {"place": "b2b"}
