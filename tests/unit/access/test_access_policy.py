from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from authproxy.access.decision import Reason, StepUpRequired
from authproxy.access.header_names import PRESETS
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.policy import (
    barred,
    is_sign_out,
    named_route,
    route_at,
    route_of,
    unmet,
    without_sessions,
)
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import Session, SessionId

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ADMIN = Route(name="admin", path="/admin", requirement=Requirement(level=Level.MEDIUM))
REST = Route(name="rest", path="/", requirement=Requirement())
PORTAL = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=(ADMIN, REST))
SENDER = Sender("1.ticket", address="192.0.2.7")
SESSION = Session(
    session_id=SessionId("id"),
    portal="acq",
    person=Person(issuer=Issuer("i"), subject=Subject("s")),
    method="rekono",
    level=Level.MEDIUM,
    events=(),
    started_at=START,
    expires_at=START + timedelta(hours=8),
    idle_for=timedelta(minutes=15),
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/admin/x", "admin"),
        ("/public", "rest"),
        ("/admin//x", "admin"),
        ("/x//admin", "rest"),
        ("/;x/admin", "admin + rest"),
        ("/admin;x/y", "admin + rest"),
        ("/admin%3Bx/secret", "admin + rest"),
        ("/admin%2Fx", "admin + rest"),
        ("/x;admin", "rest"),
    ],
)
def test_a_path_that_could_fall_under_two_routes_falls_under_both(path, name):
    found = route_of(PORTAL, RequestTarget("GET", "acq.example", path, None))
    assert (found.name if found else None) == name


def test_a_combined_route_demands_what_each_of_them_demands():
    session = dataclasses.replace(SESSION, level=Level.LOW)
    both = route_of(PORTAL, RequestTarget("GET", "acq.example", "/admin;jsessionid=A", None))
    assert both.parts == (ADMIN, REST)
    assert unmet(session, PORTAL, both, SENDER, START) is Reason.LEVEL_TOO_LOW
    assert unmet(SESSION, PORTAL, both, SENDER, START) is None


def test_a_route_for_another_method_is_not_combined():
    post = dataclasses.replace(ADMIN, methods=("POST",))
    portal = dataclasses.replace(PORTAL, routes=(post, REST))
    found = {
        method: route_of(portal, RequestTarget(method, "acq.example", "/admin;x", None))
        for method in ("GET", "POST")
    }
    assert (found["GET"], found["POST"].parts) == (REST, (post, REST))


def test_the_same_routes_are_combined_once():
    first, second = (
        route_of(PORTAL, RequestTarget("GET", "acq.example", path, None))
        for path in ("/admin;x", "/;y/admin")
    )
    assert first is second


def test_however_many_combinations_are_asked_for_only_so_many_are_kept():
    routes = [Route(name=str(at), path=f"/{at}", requirement=Requirement()) for at in range(50)]
    portal = dataclasses.replace(PORTAL, routes=(*routes, REST))
    for one in range(50):
        for other in range(50):
            found = named_route(portal, f"{one} + {other}")
            assert (found is None) is (one == other)
    assert 0 < len(portal.table.combinations) <= 1024


@pytest.mark.parametrize("name", ["", "admin + nothing", "admin + admin", "nothing", " + ", "admin +"])
def test_a_name_of_no_route_names_none(name):
    assert named_route(PORTAL, name) is None


def test_a_combined_route_is_found_by_its_name():
    assert named_route(PORTAL, "admin + rest").parts == (ADMIN, REST)
    assert named_route(PORTAL, "admin") is ADMIN


def test_what_cannot_be_combined_is_covered_by_nothing():
    other = dataclasses.replace(ADMIN, requirement=Requirement(methods=("acnlb",)))
    portal = dataclasses.replace(PORTAL, routes=(other, REST))
    assert route_of(portal, RequestTarget("GET", "acq.example", "/admin;x", None)) is None
    assert route_of(portal, RequestTarget("GET", "acq.example", "/admin/x", None)) is other


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/ADMIN/secret", "admin"),
        ("/admin./x", "admin + rest"),
        ("/admin%20/x", "admin + rest"),
        ("/admin::$DATA", "admin + rest"),
        ("/ADMINI~1/x", "admin + rest"),
        ("/x/ADMINI~1", "rest"),
        ("/%EF%BD%81dmin", "admin + rest"),
        ("/x%EF%BC%8Fadmin", "rest"),
        ("/%EF%BC%8Fadmin", "admin + rest"),
        ("/..%EF%BC%8Fadmin", None),
        ("/.authproxy./login", None),
        ("/%EF%BC%8Eauthproxy/login", None),
    ],
)
def test_a_windows_portal_is_protected_in_its_own_spellings(path, name):
    portal = dataclasses.replace(PORTAL, paths="windows")
    found = route_of(portal, RequestTarget("GET", "acq.example", path, None))
    assert (found.name if found else None) == name


def test_the_route_of_a_text_is_that_of_the_request_or_none():
    assert route_at(PORTAL, "GET", "/%61dmin?x=1") is ADMIN
    assert route_at(PORTAL, "GET", "/x/../admin") is None
    assert route_at(PORTAL, "GET", "//admin") is None


def test_an_unknown_name_under_no_route_for_certain_is_denied():
    portal = dataclasses.replace(PORTAL, routes=(ADMIN,), paths="windows")
    assert route_of(portal, RequestTarget("GET", "acq.example", "/ADMINI~1", None)) is None


def test_a_path_that_no_route_covers_has_none():
    assert (
        route_of(
            dataclasses.replace(PORTAL, routes=(ADMIN,)), RequestTarget("GET", "acq.example", "/public", None)
        )
        is None
    )


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
    assert unmet(dataclasses.replace(SESSION, **changes), PORTAL, ADMIN, SENDER, START) is reason


def test_every_preset_still_carries_the_assertion():
    assert all(names.assertion for names in PRESETS.values())


def test_a_portal_for_members_refuses_sessions_of_other_people():
    members_only = dataclasses.replace(PORTAL, members="register")
    member = dataclasses.replace(SESSION, person=dataclasses.replace(SESSION.person, member=MemberId("m-1")))
    assert unmet(SESSION, members_only, REST, SENDER, START) is Reason.NOT_A_MEMBER
    assert unmet(member, members_only, REST, SENDER, START) is None
    assert unmet(member, PORTAL, REST, SENDER, START) is None


OFFICE = frozenset({ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")})
NIGHT_SHIFT = frozenset({ip_network("10.9.0.0/16")})


def at_route(**changes):
    return dataclasses.replace(REST, **changes)


@pytest.mark.parametrize(
    ("route", "address", "reason"),
    [
        (REST, "203.0.113.9", None),
        (at_route(access="public"), "203.0.113.9", None),
        (at_route(access="deny"), "10.1.2.3", Reason.ACCESS_DENIED_HERE),
        (at_route(requirement=Requirement(networks=(OFFICE,))), "10.1.2.3", None),
        (at_route(requirement=Requirement(networks=(OFFICE,))), "::ffff:10.1.2.3", None),
        (at_route(requirement=Requirement(networks=(OFFICE,))), "2001:db8::1", None),
        (
            at_route(requirement=Requirement(networks=(OFFICE,))),
            "203.0.113.9",
            Reason.NETWORK_NOT_ALLOWED,
        ),
        (at_route(requirement=Requirement(networks=(OFFICE,))), "", Reason.NETWORK_NOT_ALLOWED),
        (at_route(requirement=Requirement(networks=(OFFICE,))), "local", Reason.NETWORK_NOT_ALLOWED),
        (at_route(requirement=Requirement(networks=(OFFICE, NIGHT_SHIFT))), "10.9.1.1", None),
        (
            at_route(requirement=Requirement(networks=(OFFICE, NIGHT_SHIFT))),
            "10.1.2.3",
            Reason.NETWORK_NOT_ALLOWED,
        ),
        (
            at_route(access="public", requirement=Requirement(networks=(OFFICE,))),
            "203.0.113.9",
            Reason.NETWORK_NOT_ALLOWED,
        ),
        (
            at_route(access="deny", requirement=Requirement(networks=(OFFICE,))),
            "203.0.113.9",
            Reason.ACCESS_DENIED_HERE,
        ),
    ],
)
def test_a_request_is_barred_by_its_route_or_its_address_whoever_has_sent_it(route, address, reason):
    sender = Sender("1.ticket", address=address)
    assert barred(route, sender) is reason
    assert unmet(SESSION, PORTAL, route, sender, START) is reason


def test_a_public_route_asks_a_session_for_nothing_but_that_it_is_one_of_a_person_of_this_portal():
    demanding = Requirement(level=Level.HIGH, methods=("acnlb",), claims=("email",), step_up=StepUp())
    route = at_route(access="public", requirement=demanding)
    assert unmet(SESSION, PORTAL, route, SENDER, START) is None
    assert (
        unmet(dataclasses.replace(SESSION, portal="b2b"), PORTAL, route, SENDER, START)
        is Reason.SESSION_OF_ANOTHER_PORTAL
    )
    members_only = dataclasses.replace(PORTAL, members="register")
    assert unmet(SESSION, members_only, route, SENDER, START) is Reason.NOT_A_MEMBER


def test_somebody_of_another_portal_learns_nothing_of_what_is_barred():
    stranger = dataclasses.replace(SESSION, portal="b2b")
    assert unmet(stranger, PORTAL, at_route(access="deny"), SENDER, START) is Reason.SESSION_OF_ANOTHER_PORTAL


@pytest.mark.parametrize(
    ("demanded", "has", "is_met"),
    [
        ([], (), True),
        ([{"clerk", "boss"}], ("auditor", "clerk"), True),
        ([{"clerk", "boss"}], ("auditor",), False),
        ([{"clerk", "boss"}], (), False),
        ([{"clerk"}, {"auditor"}], ("auditor", "clerk"), True),
        ([{"clerk"}, {"auditor"}], ("clerk",), False),
        ([{"Clerk"}], ("clerk",), False),
    ],
)
def test_one_role_of_each_set_is_enough(demanded, has, is_met):
    route = at_route(requirement=Requirement(roles=tuple(map(frozenset, demanded))))
    session = dataclasses.replace(SESSION, roles=has)
    assert unmet(session, PORTAL, route, SENDER, START) is (None if is_met else Reason.ROLE_MISSING)


def test_somebody_without_the_role_is_asked_for_no_higher_level_and_for_no_proof():
    clerks = Requirement(
        roles=(frozenset({"clerk"}),), level=Level.HIGH, methods=("acnlb",), step_up=StepUp()
    )
    route = at_route(requirement=clerks)
    assert unmet(SESSION, PORTAL, route, SENDER, START) is Reason.ROLE_MISSING
    members_only = dataclasses.replace(PORTAL, members="register")
    assert unmet(SESSION, members_only, route, SENDER, START) is Reason.NOT_A_MEMBER
    elsewhere = at_route(requirement=dataclasses.replace(clerks, networks=(OFFICE,)))
    assert unmet(SESSION, PORTAL, elsewhere, SENDER, START) is Reason.NETWORK_NOT_ALLOWED


def test_a_public_route_asks_for_no_role():
    route = at_route(access="public", requirement=Requirement(roles=(frozenset({"clerk"}),)))
    assert unmet(SESSION, PORTAL, route, SENDER, START) is None


def proof(method="sms", ago=timedelta(0), *, is_step_up=True, level=Level.MEDIUM):
    return AuthenticationEvent(
        method=method, at=START - ago, source="gateway", is_step_up=is_step_up, level=level
    )


def lacks(step_up, *events, **changes):
    route = dataclasses.replace(
        REST,
        requirement=Requirement(step_up=step_up, level=Level.MEDIUM, claims=("phone_number", "tax_number")),
    )
    proved = dataclasses.replace(SESSION, events=events, claims=("tax_number", "phone_number"))
    return unmet(dataclasses.replace(proved, **changes), PORTAL, route, SENDER, START)


MINUTE = timedelta(minutes=1)
FIVE_MINUTES = StepUp(methods=("push", "certificate"), max_age=5 * MINUTE)


@pytest.mark.parametrize(
    ("step_up", "events", "is_met"),
    [
        (None, [], True),
        (StepUp(), [], False),
        (StepUp(), [proof("rekono", 8 * 60 * MINUTE)], True),
        (StepUp(), [proof("acnlb", is_step_up=False)], False),
        (StepUp(methods=("push",)), [proof("sms")], False),
        (StepUp(methods=("push",)), [proof("sms"), proof("push", 60 * MINUTE)], True),
        (FIVE_MINUTES, [proof("push", 5 * MINUTE)], True),
        (FIVE_MINUTES, [proof("push", 5 * MINUTE + timedelta(microseconds=1))], False),
        (FIVE_MINUTES, [proof("push", -2 * MINUTE)], True),
        (FIVE_MINUTES, [proof("certificate", 6 * MINUTE), proof("push", 4 * MINUTE)], True),
    ],
)
def test_a_proof_counts_by_its_method_and_its_age(step_up, events, is_met):
    assert lacks(step_up, *events) is (None if is_met else Reason.STEP_UP_REQUIRED)


def test_a_fresh_proof_by_a_weaker_method_does_not_refresh_an_old_one_by_a_stronger_method():
    assert (
        lacks(FIVE_MINUTES, proof("certificate", 60 * MINUTE), proof("sms"), proof("rekono"))
        is Reason.STEP_UP_REQUIRED
    )


@pytest.mark.parametrize(
    ("level", "counts"), [(None, False), (Level.LOW, False), (Level.MEDIUM, True), (Level.HIGH, True)]
)
def test_a_proof_counts_only_where_no_higher_level_is_demanded_than_it_was_made_at(level, counts):
    assert lacks(StepUp(), proof("rekono", level=level)) is (None if counts else Reason.STEP_UP_REQUIRED)
    assert StepUp().is_met_by([proof("rekono", level=level)], START)


def test_a_proof_of_a_low_level_is_not_raised_by_a_higher_one_by_another_method():
    wanted = StepUp(methods=("totp",))
    assert (
        lacks(wanted, proof("totp", level=Level.LOW), proof("sms", level=Level.HIGH))
        is Reason.STEP_UP_REQUIRED
    )
    assert lacks(wanted, proof("totp", level=Level.LOW), proof("totp", level=Level.HIGH)) is None


def test_a_proof_is_asked_only_of_people_whom_it_would_let_in():
    assert lacks(FIVE_MINUTES, level=Level.LOW) is Reason.LEVEL_TOO_LOW
    assert lacks(FIVE_MINUTES, method="acnlb") is Reason.METHOD_NOT_ALLOWED_HERE
    assert lacks(FIVE_MINUTES, claims=("phone_number",)) is Reason.TAX_NUMBER_MISSING
    assert lacks(FIVE_MINUTES, claims=("tax_number",)) is Reason.PERSONAL_DATA_MISSING
    assert lacks(FIVE_MINUTES, claims=()) is Reason.TAX_NUMBER_MISSING
    assert lacks(FIVE_MINUTES) is Reason.STEP_UP_REQUIRED


def test_a_step_up_is_for_one_request_if_its_route_demands_a_proof_for_each():
    for max_age, is_per_request in ((timedelta(0), True), (timedelta(minutes=5), False), (None, False)):
        demand = Requirement(step_up=StepUp(max_age=max_age))
        route = Route(name="pay", path="/pay", requirement=demand)
        required = StepUpRequired(portal=PORTAL, route=route, session=SESSION)
        assert required.is_per_request is is_per_request


def test_only_a_route_with_a_maximum_age_of_proofs_or_with_networks_varies():
    assert Requirement(step_up=FIVE_MINUTES).varies
    assert Requirement(networks=(OFFICE,)).varies
    assert not Requirement(step_up=StepUp(methods=("push",))).varies
    assert not Requirement().varies


@pytest.mark.parametrize(
    ("step_up", "is_per_request"),
    [(StepUp(max_age=timedelta(0)), True), (FIVE_MINUTES, False), (StepUp(), False)],
)
def test_a_refusal_says_whether_a_proof_is_for_one_request_only(step_up, is_per_request):
    route = dataclasses.replace(REST, requirement=Requirement(step_up=step_up))
    assert StepUpRequired(portal=PORTAL, route=route, session=SESSION).is_per_request is is_per_request


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/logout", True),
        ("/logout;jsessionid=A", True),
        ("//logout", True),
        ("/logout/now", False),
        ("/Logout", False),
        ("/", False),
    ],
)
def test_whatever_the_portal_could_take_for_its_sign_out_leads_to_ours(path, leads):
    portal = Portal(
        portal_id="acq",
        origin="https://acq.example",
        host="acq.example",
        routes=(),
        sign_out_paths=frozenset({"/logout", "/app/exit"}),
    )
    assert is_sign_out(portal, RequestTarget("GET", portal.host, path, "a=b")) is leads


@pytest.mark.parametrize(
    ("path", "query", "sent"),
    [
        ("/a;jsessionid=A1", None, "/a"),
        ("/a;jsessionid=A1/b;v=2", "c=d", "/a/b;v=2?c=d"),
        ("/a;v=2", None, "/a;v=2"),
        ("/a", "jsessionid=A1", "/a?jsessionid=A1"),
    ],
)
def test_no_session_comes_in_by_the_address_where_its_cookie_belongs_to_one_person(path, query, sent):
    target = RequestTarget("GET", "acq.example", path, query)
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=b"s" * 32)
    portal = dataclasses.replace(PORTAL, personal_cookies=cookies)
    assert without_sessions(portal, target).origin_form == sent
    assert without_sessions(PORTAL, target) is target


def test_what_is_left_of_such_an_address_is_judged_like_any_other():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=b"s" * 32)
    portal = dataclasses.replace(PORTAL, personal_cookies=cookies, accepts_encoded_slash=True)
    target = RequestTarget("GET", "acq.example", "/ad;jsessionid=%2Fx/..", None)
    with pytest.raises(TargetRefused):
        without_sessions(portal, target)
