from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest

from authproxy.access import machine_policy
from authproxy.access.decision import Allowed, Reason
from authproxy.access.routes import MachineDemand, Portal, Requirement, Route
from authproxy.access.sender import Sender
from authproxy.identity.assurance import Level
from authproxy.identity.machine_client import MachineClient
from tests.support.machine_builders import api_key
from tests.support.session_builders import NOW

PORTAL = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=())
BOTH = MachineDemand(tokens=True, keys=True, scopes=("payments",))
HERE = Sender(address="10.1.2.3")


def by_token(*scopes):
    return MachineClient(
        client_id="batch", credential="token", scopes=frozenset(scopes), ends_at=NOW + timedelta(hours=1)
    )


def by_key(*scopes, **changes):
    key = api_key(scopes=scopes, **changes)
    return MachineClient(
        client_id="batch", credential="key", scopes=frozenset(scopes), ends_at=key.ends_at, key=key
    )


def lacking(client, demand=BOTH, sender=HERE, portal=PORTAL, **demands):
    requirement = Requirement(machines=demand, **demands)
    route = Route(name="acq/uvoz", path="/uvoz", requirement=requirement)
    return machine_policy.unmet(client, portal, route, sender)


NOT_HERE = Reason.MACHINE_NOT_ALLOWED_HERE


@pytest.mark.parametrize("client", [by_token("payments"), by_key("payments"), by_key("payments", "reports")])
def test_a_program_with_the_scopes_comes_in_whatever_is_demanded_of_people(client):
    assert lacking(client) is None
    assert lacking(client, level=Level.HIGH, methods=(), claims=("tax_number",)) is None


@pytest.mark.parametrize("client", [by_token("payments"), by_key("payments")])
def test_where_no_programs_are_named_none_comes_in(client):
    assert lacking(client, None) is NOT_HERE
    assert lacking(client, MachineDemand()) is NOT_HERE


def test_each_kind_of_credential_must_be_named():
    assert lacking(by_token(), MachineDemand(keys=True)) is NOT_HERE
    assert lacking(by_key(), MachineDemand(tokens=True)) is NOT_HERE
    assert lacking(by_token(), MachineDemand(tokens=True)) is None
    assert lacking(by_key(), MachineDemand(keys=True)) is None


@pytest.mark.parametrize("client", [by_token(), by_token("reports"), by_key("payment"), by_key("Payments")])
def test_every_scope_must_be_there_as_it_is_written(client):
    assert lacking(client) is NOT_HERE


def test_a_key_is_good_at_its_portals_only():
    assert lacking(by_key("payments", portals=("b2b",))) is NOT_HERE
    assert lacking(by_key("payments", portals=("b2b", "acq"))) is None


@pytest.mark.parametrize("address", ["10.2.0.1", "", "local", "::1", "not an address"])
def test_a_key_that_comes_from_elsewhere_is_refused_before_anything_else_is_told(address):
    bound = by_key(networks=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    assert lacking(bound, None, Sender(address=address)) is Reason.NETWORK_NOT_ALLOWED
    assert lacking(bound, MachineDemand(keys=True), Sender(address="fd00::7")) is None
    assert lacking(bound, MachineDemand(keys=True), Sender(address="::ffff:10.1.9.9")) is None


def test_a_sender_says_what_a_program_has_sent():
    assert Sender().authorization == ()
    assert Sender(authorization=[b"Bearer x"]).authorization == [b"Bearer x"]


@pytest.mark.parametrize(
    ("client", "values", "is_withheld"),
    [
        (by_token(), [b"Bearer x"], True),
        (None, [b"Bearer authproxy_00"], True),
        (None, [b"Bearer a", b"Basic authproxy_00"], True),
        (None, [b"Bearer of.the.portal"], False),
        (None, [], False),
    ],
)
def test_no_portal_gets_a_credential_that_is_for_the_gateway(client, values, is_withheld):
    route = Route(name="acq/odprto", path="/odprto", access="public", requirement=Requirement())
    allowed = Allowed(portal=PORTAL, route=route, session=None, machine=client, identity_headers=b"")
    assert machine_policy.is_for_gateway(allowed, values) is is_withheld
