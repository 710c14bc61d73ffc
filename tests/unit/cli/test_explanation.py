from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from authproxy.access.methods import KNOWN
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.provider_demand import provider_demand
from authproxy.access.routes import MachineDemand, Portal, Portals, Requirement, Route, StepUp
from authproxy.cli.explanation import explained
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import NO_SESSION, SessionId, SessionStanding, SessionSummary

ACQ = Portal(
    portal_id="acq",
    origin="https://acq.example.si",
    host="acq.example.si",
    routes=(
        Route(
            name="admin",
            path="/admin",
            methods=("POST",),
            requirement=Requirement(
                level=Level.MEDIUM,
                claims=("phone_number", "address"),
                step_up=StepUp(methods=("push", "certificate"), max_age=timedelta(minutes=5)),
            ),
            strict=True,
        ),
        Route(name="rest", path="/", requirement=Requirement(step_up=StepUp())),
    ),
)
BARE = Portal(
    portal_id="bare",
    origin="http://bare.localhost:8080",
    host="bare.localhost:8080",
    required_claims=(),
    routes=(Route(name="a", path="/a", requirement=Requirement()),),
)
PORTALS = Portals({ACQ.host: ACQ, BARE.host: BARE})


def test_the_route_and_what_it_demands_are_told():
    told = explained("POST", "https://ACQ.example.si:443/admin/x?y=1", PORTALS)
    assert told.is_served
    assert told.text.splitlines() == [
        "POST https://acq.example.si/admin/x?y=1",
        "portal   acq",
        "route    admin: /admin (POST)",
        "because  it is the first of 2 that covers path and method",
        "demands  sign-in by rekono, level 20 or more",
        "knowing  tax_number, name, birthdate, address, phone_number",
        "proof    a step-up by push or certificate, at most 5 min old, of level 20 or more",
        "session  asked of the store on every request",
    ]


def test_the_position_of_a_later_route_is_told():
    told = explained("GET", "https://acq.example.si", PORTALS)
    assert "because  it is number 2 of 2, and none before it covers path and method" in told.text
    assert "session  from the near cache where it is fresh" in told.text
    assert "proof    a step-up by any method, once in the session" in told.text


def test_a_portal_that_demands_nothing_says_so():
    told = explained("GET", "http://bare.localhost:8080/a", PORTALS).text
    assert "knowing  nothing but the account" in told
    assert "proof    none beside the sign-in" in told


def test_what_the_provider_is_asked_for_and_must_confirm_is_told():
    asked = provider_demand(
        [
            {
                "acr_values": "high",
                "claims": '{"id_token": {"acr": {"essential": true, "values": ["substantial", "high"]}}}',
            }
        ]
    )
    route = Route(
        name="r",
        path="/",
        requirement=Requirement(step_up=StepUp(methods=("rekono", "push"), acr=asked.acr)),
        provider_demand=asked,
    )
    told = explained(
        "GET", "https://acq.example.si/", Portals({ACQ.host: replace(ACQ, routes=(route,))})
    ).text
    assert (
        "proof    a step-up by rekono or push, once in the session; one by rekono with acr substantial or "
        "high" in told
    )
    assert "asks     Rekono for acr_values, claims" in told


@pytest.mark.parametrize(("seconds", "span"), [(90, "90 s"), (120, "2 min"), (5400, "90 min"), (7200, "2 h")])
def test_a_span_is_told_in_whole_units(seconds, span):
    route = Route(
        name="r", path="/", requirement=Requirement(step_up=StepUp(max_age=timedelta(seconds=seconds)))
    )
    portals = Portals({ACQ.host: replace(ACQ, routes=(route,))})
    assert f"by any method, at most {span} old" in explained("GET", "https://acq.example.si/", portals).text


@pytest.mark.parametrize(
    "path",
    [
        "/.authproxy/login",
        "/.authproxy",
        "/.AUTHPROXY/login",
        "/.authproxy;x/login",
        "/.authproxyx",
        "/%2Eauthproxy/login",
    ],
)
def test_the_gateways_own_pages_are_not_the_portals(path):
    told = explained("GET", f"https://acq.example.si{path}", PORTALS)
    assert told.is_served
    assert "the gateway's own pages" in told.text


@pytest.mark.parametrize(
    ("method", "url", "said"),
    [
        ("GET", "acq.example.si/x", "refused  request_unreadable: not a whole URL"),
        ("GET", "ftp://acq.example.si/x", "refused  request_unreadable: not a whole URL"),
        ("GET", "https:///x", "refused  request_unreadable: not a whole URL"),
        (
            "GET",
            "https://b2b.example.si/",
            (
                "refused  unknown_host: no portal has the host b2b.example.si; there are: acq.example.si, "
                "bare.localhost:8080"
            ),
        ),
        ("GET", "https://acq.example.si:8443/", "refused  unknown_host"),
        ("GET", "https://user@acq.example.si/", "refused  request_unreadable: host is malformed"),
        ("TRACE", "https://acq.example.si/", "refused  method_unsupported"),
        (
            "COPY",
            "https://acq.example.si/",
            (
                "refused  method_unsupported: the portal is asked with DELETE, GET, HEAD, OPTIONS, PATCH, "
                "POST, PUT"
            ),
        ),
        ("GET", "https://acq.example.si/a/../b", "refused  target_ambiguous: path contains a dot segment"),
        ("GET", "https://acq.example.si/a#b", "refused  request_unreadable"),
        ("POST", "https://acq.example.si/x//admin;y/", "route    rest"),
        # As a browser's request for it is judged.
        ("GET", "https://acq.example.si/x?ime=\u0160", "route    rest"),
        ("GET", "https://acq.example.si/\u0160?ime=x", "refused  request_unreadable"),
        ("GET", "http://bare.localhost:8080/b", "refused  target_ambiguous: no route covers it"),
        ("GET", "http://bare.localhost:8080?q", "refused  target_ambiguous: no route covers it"),
        ("GET", "http://bare.localhost:8080/a;b", "(a, none)"),
    ],
)
def test_a_refusal_carries_its_reason_and_what_was_found(method, url, said):
    told = explained(method, url, PORTALS)
    assert said in told.text
    assert told.is_served is said.startswith("route ")


def test_a_path_with_several_readings_must_meet_the_demands_of_all_of_them():
    lines = explained("POST", "https://acq.example.si/admin;x", PORTALS).text.splitlines()
    assert "route    admin + rest: /admin + /" in lines
    assert (
        "because  the path can be read in several ways, so what each of these routes demands must be met"
        in lines
    )
    assert "demands  sign-in by rekono, level 20 or more" in lines


def test_why_nothing_can_be_demanded_for_all_readings_is_told():
    certificates = Route(name="certificates", path="/c", requirement=Requirement(methods=("acnlb",)))
    portal = replace(ACQ, routes=(certificates, *ACQ.routes), paths="windows")
    for path, said in (
        ("/c;x", "which fall under different routes (certificates, rest), and nobody can meet"),
        ("/x/..%20/c", "a portal might find a dot segment in the path, or read it in too many ways"),
    ):
        told = explained("GET", f"https://acq.example.si{path}", Portals({portal.host: portal}))
        assert not told.is_served
        assert "refused  target_ambiguous: " in told.text
        assert said in told.text


def test_a_gateway_without_portals_says_so():
    assert explained("GET", "https://x/", Portals()).text.endswith("there are: none")


def test_a_demand_for_each_request_is_told_with_where_it_cannot_be_met():
    alone = Requirement(step_up=StepUp(methods=("push",), max_age=timedelta(0), shows=("amount", "payee")))
    portal = replace(ACQ, routes=(Route(name="pay", path="/", requirement=alone),))
    told = explained("POST", "https://acq.example.si/pay", Portals({portal.host: portal}))
    assert (
        "proof    a step-up by push for this one request, showing amount, payee: a form that is kept, or a "
        "GET, used once" in told.text
    )
    assert "asks subrequests nothing can be bound: refused with request_cannot_be_bound" in told.text


def test_what_else_a_request_acts_on_is_told():
    route = Route(name="acq/x/secret", path="/x/secret", requirement=Requirement())
    portal = replace(ACQ, methods=KNOWN, webdav=True, passes_preflights=True, routes=(route, *ACQ.routes))
    told = {
        method: explained(method, "https://acq.example.si/x", Portals({ACQ.host: portal})).text
        for method in ("MOVE", "OPTIONS", "PUT")
    }
    assert (
        "also     must be allowed: GET /x\nalso     must be allowed: DELETE /x\nalso     must be allowed: "
        "MOVE /x/secret\n" in told["MOVE"]
    )
    assert told["MOVE"].endswith("also     PUT and DELETE at the Destination, and everything below it")
    assert told["OPTIONS"].endswith("or       a CORS preflight: passed on for nobody, without a session")
    assert "also" not in told["PUT"]


OFFICE = Requirement(
    networks=(frozenset({ip_network("10.0.0.0/8"), ip_network("fd00::/8")}),),
    roles=(frozenset({"clerk", "auditor"}),),
)
GATES = Portals(
    {
        ACQ.host: replace(
            ACQ,
            routes=(
                Route(name="acq/open", path="/open", access="public", requirement=Requirement()),
                Route(name="acq/closed", path="/closed", access="deny", requirement=Requirement()),
                Route(name="acq/office", path="/office", requirement=OFFICE),
                *ACQ.routes,
            ),
        )
    }
)


def test_a_public_route_demands_nothing():
    told = explained("GET", "https://acq.example.si/open/x", GATES)
    assert told.is_served
    assert told.text.splitlines()[2:] == [
        "route    acq/open: /open",
        "because  it is the first of 5 that covers path and method",
        "access   public: everybody comes in, without a sign-in",
        "session  told to the portal if there is one, and not kept alive by this",
    ]


def test_a_closed_route_is_told_as_a_refusal():
    told = explained("GET", "https://acq.example.si/closed", GATES)
    assert not told.is_served
    assert told.text.splitlines()[-2:] == [
        "access   deny: nobody comes in",
        "refused  access_denied_here: acq/closed lets nobody in",
    ]


@pytest.mark.parametrize(
    ("address", "roles", "refused"),
    [
        (None, None, None),
        ("10.1.2.3", None, None),
        ("203.0.113.9", None, "network_not_allowed: acq/office is not open to 203.0.113.9"),
        ("203.0.113.9", ("clerk",), "network_not_allowed: acq/office is not open to 203.0.113.9"),
        (None, ("clerk", "guest"), None),
        (
            "fd00::1",
            ("guest", "boss"),
            "role_missing: acq/office is not open to somebody with the role boss and guest",
        ),
        (None, (), "role_missing: acq/office is not open to somebody with no role"),
    ],
)
def test_it_is_told_which_rule_stops_an_address_or_a_role(address, roles, refused):
    told = explained("GET", "https://acq.example.si/office", GATES, address=address, roles=roles)
    assert "from     10.0.0.0/8, fd00::/8, and from nowhere else" in told.text
    assert "roles    one of auditor, clerk" in told.text
    assert told.is_served is (refused is None)
    assert (f"refused  {refused}" in told.text) is (refused is not None)


def test_the_portals_own_sign_out_is_said_to_lead_to_ours():
    portal = Portal(
        portal_id="acq",
        origin="https://acq.example",
        host="acq.example",
        routes=(),
        sign_out_paths=frozenset({"/logout"}),
    )
    found = explained("POST", "https://acq.example/logout;jsessionid=A", Portals({portal.host: portal}))
    assert found.is_served
    assert "`sign_out_paths`" in found.text


def test_it_is_told_what_stops_a_request_beside_its_own_target():
    portal = replace(GATES.by_host[ACQ.host], methods=KNOWN, webdav=True, passes_preflights=True)
    told = explained("DELETE", "https://acq.example.si/", Portals({ACQ.host: portal}))
    assert (told.is_served, told.text.splitlines()[-1]) == (
        False,
        "refused  access_denied_here: acq/closed lets nobody in",
    )
    assert (
        "preflight"
        not in explained("OPTIONS", "https://acq.example.si/closed", Portals({ACQ.host: portal})).text
    )


@pytest.mark.parametrize(
    ("demand", "access", "line"),
    [
        (None, "required", None),
        (MachineDemand(), "required", None),
        (MachineDemand(keys=True), "deny", None),
        (MachineDemand(keys=True), "required", "or       a program with an API key, without a person"),
        (
            MachineDemand(tokens=True, keys=True, scopes=("payments", "reports")),
            "required",
            "or       a program with an access token or an API key that has payments and reports, without a person",
        ),
        (MachineDemand(tokens=True), "public", "or       a program with an access token, without a person"),
    ],
)
def test_the_programs_that_come_in_are_told(demand, access, line):
    route = Route(name="uvoz", path="/", access=access, requirement=Requirement(machines=demand))
    portal = replace(ACQ, routes=(route,))
    told = explained("GET", "https://acq.example.si/uvoz", Portals({portal.host: portal})).text.splitlines()
    assert [each for each in told if each.startswith("or ")] == ([] if line is None else [line])


def test_a_server_of_a_route_is_told():
    reports = Route(
        name="acq/reports", path="/reports", requirement=Requirement(), upstream="http://10.0.0.7", way=1
    )
    portals = Portals({ACQ.host: replace(ACQ, routes=(reports, *ACQ.routes))})
    assert "server   http://10.0.0.7" in explained("GET", "https://acq.example.si/reports/1", portals).text
    assert "server" not in explained("GET", "https://acq.example.si/x", portals).text


def test_a_session_in_the_path_is_removed_before_the_path_is_judged_and_that_is_told():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=b"s" * 32)
    portal = replace(ACQ, personal_cookies=cookies)
    told = explained("POST", "https://acq.example.si/admin;jsessionid=A1", Portals({portal.host: portal}))
    assert told.text.splitlines()[:4] == [
        "POST https://acq.example.si/admin",
        "path     goes on without the portal's session in it (`cookies.end_with_session`)",
        "portal   acq",
        "route    admin: /admin (POST)",
    ]
    plain = explained("POST", "https://acq.example.si/admin", Portals({portal.host: portal}))
    assert "path  " not in plain.text


NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ANA = Person(issuer=Issuer("https://provider.example/"), subject=Subject("90400.ANA"), name="Ana Novak")
MEMBER = replace(ANA, member=MemberId("e-1"))


def standing(*, roles=(), is_blocked=False, **changes):
    summary = SessionSummary(
        session_id=SessionId("the-session"),
        portal="acq",
        method="rekono",
        level=Level.MEDIUM,
        started_at=NOON - timedelta(hours=1),
        expires_at=NOON + timedelta(hours=7),
        last_active_at=NOON - timedelta(minutes=1),
        browser="Firefox, Windows",
        person=ANA,
        tax_number="*****008",
    )
    return SessionStanding(
        summary=replace(summary, **changes), roles=roles, is_blocked=is_blocked, asked_at=NOON
    )


def told_of(session, requirement=None, *, access="required", address=None, path="/x", **portal):
    """The lines about the session, for a route with this demand."""
    route = Route(name="acq/x", path="/x", access=access, requirement=requirement or Requirement())
    portals = Portals({ACQ.host: replace(ACQ, **{"routes": (route,)} | portal)})
    told = explained("GET", f"https://acq.example.si{path}", portals, address=address, session=session)
    lines = told.text.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith(("whose ", "open ")))
    return told.is_served, lines[begin:]


def test_a_session_is_told_as_the_store_and_the_register_know_it():
    assert told_of(standing(person=MEMBER, roles=("auditor", "clerk"))) == (
        True,
        [
            "whose    e-1, Ana Novak, tax number *****008",
            "by       rekono, level 20, at acq, since 2026-11-30T11:00:00Z",
            "open     as the-session, last active at 2026-11-30T11:59:00Z, until 2026-11-30T19:00:00Z at the latest",
            "has      the role auditor and clerk in the register now",
            "passes   with this session",
        ],
    )


def test_what_is_not_known_of_a_person_is_a_dash():
    _, lines = told_of(standing(person=replace(ANA, name=None), tax_number=None))
    assert lines[0] == "whose    90400.ANA, -, tax number -"
    assert "has      no role in the register now" in lines


def test_a_name_writes_no_lines_of_its_own():
    _, lines = told_of(standing(person=replace(ANA, name="Ana\nrefused  x\u2028y")))
    assert lines[0] == "whose    90400.ANA, Ana refused  x y, tax number *****008"
    assert lines[-1] == "passes   with this session"


def test_a_session_of_an_older_version_is_not_judged_by_what_its_summary_lacks():
    _, lines = told_of(
        standing(person=None, roles=None), Requirement(roles=(frozenset({"clerk"}),)), members="register"
    )
    assert lines[0] == "whose    not known: an older version of the gateway has started it"
    assert lines[3:] == [
        "passes   with this session, unless what is not known from here stops it:",
        "unknown  whether the sign-in has given it such a role; a newer one does not count; if not: role_missing",
    ]


def test_an_open_session_of_somebody_who_is_blocked_is_pointed_out():
    served, lines = told_of(standing(is_blocked=True))
    assert served  # as the gateway serves it
    assert lines[-2].startswith("blocked  and still open: ")


@pytest.mark.parametrize(
    ("session", "demand", "portal", "refused"),
    [
        (standing(portal="b2b"), {}, {}, "session_of_another_portal: the session is one at b2b"),
        (
            standing(),
            {},
            {"members": "register"},
            "not_a_member: the portal is for people of the register, and the person was not in it",
        ),
        (
            standing(person=MEMBER, roles=("guest",)),
            {"roles": (frozenset({"clerk"}),)},
            {},
            "role_missing: acq/x is not open to somebody with the role guest",
        ),
        (
            standing(method="acnlb"),
            {"methods": ("rekono",)},
            {},
            "method_not_allowed_here: acq/x demands a sign-in by rekono",
        ),
        (
            standing(level=Level.LOW),
            {"level": Level.HIGH, "step_up": StepUp()},
            {},
            "level_too_low: acq/x demands level 30, and the session has 10",
        ),
    ],
)
def test_the_rule_that_stops_a_session_is_told_with_its_reason(session, demand, portal, refused):
    served, lines = told_of(session, Requirement(**demand), **portal)
    assert (served, lines[-1]) == (False, f"refused  {refused}")


def test_what_only_the_closed_record_has_is_said_to_be_unknown():
    demand = Requirement(
        networks=OFFICE.networks,
        roles=OFFICE.roles,
        claims=("email",),
        step_up=StepUp(max_age=timedelta(minutes=5)),
    )
    clerk = standing(person=MEMBER, roles=("clerk",))
    served, lines = told_of(clerk, demand)
    assert served
    assert [line.rpartition("; if not: ")[2] for line in lines if line.startswith("unknown ")] == [
        "network_not_allowed",
        "role_missing",
        "personal_data_missing",
        "step_up_required",
    ]
    served, lines = told_of(clerk, demand, address="10.1.2.3")
    assert (served, "network_not_allowed" in str(lines)) == (True, False)
    served, lines = told_of(clerk, demand, address="203.0.113.9")
    assert (served, lines[-1]) == (
        False,
        "refused  network_not_allowed: acq/x is not open to 203.0.113.9",
    )


def test_a_session_that_is_not_there_stops_the_request_and_nobody_passes_where_everybody_may():
    gone = "open     no: no session has this id, or it has ended"
    assert told_of(NO_SESSION) == (
        False,
        [gone, "refused  session_ended: no open session has this id, so the person must sign in"],
    )
    assert told_of(NO_SESSION, access="public") == (
        False,
        [gone, "passes   as a request of nobody (session_ended): the portal is told of no session"],
    )


def test_on_a_public_route_a_session_of_elsewhere_counts_for_nothing():
    served, lines = told_of(standing(portal="b2b"), access="public")
    assert (served, lines[-1]) == (
        True,
        "passes   as a request of nobody (session_of_another_portal): the portal is told of no session",
    )
    assert told_of(standing(level=Level.LOW), access="public")[1][-1] == "passes   with this session"


def test_the_gateways_own_answers_need_a_session_that_is_there_and_judge_nothing():
    for portal in ({"path": "/.authproxy/session"}, {"sign_out_paths": frozenset({"/x"})}):
        served, lines = told_of(standing(), **portal)
        assert (served, lines[-1].partition(" ")[0]) == (True, "has")
        assert told_of(NO_SESSION, **portal) == (
            False,
            ["open     no: no session has this id, or it has ended"],
        )


def test_a_session_must_pass_on_everything_that_a_request_acts_on():
    inner = Route(name="acq/x/inner", path="/x/inner", requirement=Requirement(level=Level.HIGH))
    portal = replace(ACQ, methods=KNOWN, webdav=True, routes=(inner, *ACQ.routes))
    told = explained("DELETE", "https://acq.example.si/x", Portals({ACQ.host: portal}), session=standing())
    assert (told.is_served, told.text.splitlines()[-1]) == (
        False,
        "refused  level_too_low: acq/x/inner demands level 30, and the session has 20",
    )
