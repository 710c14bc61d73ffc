from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.header_names import PRESETS
from authproxy.access.policy import route_of, unmet
from authproxy.access.routes import Portal, Requirement, Route
from authproxy.access.target import RequestTarget
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import Session, SessionId

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ADMIN = Route(name="admin", path="/admin", requirement=Requirement(level=Level.MEDIUM))
REST = Route(name="rest", path="/", requirement=Requirement())
PORTAL = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=(ADMIN, REST))
SESSION = Session(
    session_id=SessionId("id"), portal="acq", person=Person(issuer=Issuer("i"), subject=Subject("s")), method="rekono", level=Level.MEDIUM,
    events=(), started_at=START, expires_at=START + timedelta(hours=8), idle_for=timedelta(minutes=15),
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/admin/x", "admin"),
        ("/public", "rest"),
        ("/admin//x", "admin"),
        ("/x//admin", "rest"),
        ("/;x/admin", None),
        ("/admin;x/y", None),
        ("/admin%2Fx", None),
        ("/x;admin", "rest"),
    ],
)
def test_a_path_that_could_fall_under_two_routes_falls_under_none(path, name):
    found = route_of(PORTAL, RequestTarget("GET", "acq.example", path, None))
    assert (found.name if found else None) == name


def test_a_path_that_no_route_covers_has_none():
    assert route_of(dataclasses.replace(PORTAL, routes=(ADMIN,)), RequestTarget("GET", "acq.example", "/public", None)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"portal": "b2b"}, Reason.SESSION_OF_ANOTHER_PORTAL),
        ({"method": "acnlb"}, Reason.METHOD_NOT_ALLOWED_HERE),
        ({"level": Level.LOW}, Reason.LEVEL_TOO_LOW),
        ({"level": Level.HIGH}, None),
        ({"portal": "b2b", "level": Level.LOW}, Reason.SESSION_OF_ANOTHER_PORTAL),
    ],
)
def test_the_first_unmet_demand_is_named(changes, reason):
    assert unmet(dataclasses.replace(SESSION, **changes), PORTAL, ADMIN) is reason


def test_every_preset_still_carries_the_assertion():
    assert all(names.assertion for names in PRESETS.values())


def test_a_portal_for_members_lets_nobody_elses_session_in():
    members_only = dataclasses.replace(PORTAL, members="register")
    member = dataclasses.replace(SESSION, person=dataclasses.replace(SESSION.person, member=MemberId("m-1")))
    assert unmet(SESSION, members_only, REST) is Reason.NOT_A_MEMBER
    assert unmet(member, members_only, REST) is None
    assert unmet(member, PORTAL, REST) is None
