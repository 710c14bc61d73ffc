"""`strip`, `set` and `authorization` of a portal: what is refused, where values may stand, and what becomes of
them."""

from __future__ import annotations

import base64
import json

import pytest

from authproxy.bootstrap.portals import added_headers, all_portals, site
from authproxy.edge.site import Way
from authproxy.edge.upstream.pool import Upstream, UpstreamPool

SECRET = "not-to-be-shown-0123456789"


def acq(**keys):
    return lambda settings: settings["portals"]["acq"].update(keys)


def said(workshop, spoil, environ=None):
    return [
        (each.key.removeprefix("portals.acq."), each.severity, each.problem)
        for each in workshop.read(spoil, environ).findings
    ]


def added(workshop, spoil, environ=None):
    reading = workshop.read(spoil, environ)
    assert reading.settings is not None, [str(each) for each in reading.findings]
    return added_headers(reading.settings.portals["acq"])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("X Y", "is no header name"),
        ("X:Y", "is no header name"),
        ("Ž", "is no header name"),
        ("X\r\nY", "is no header name"),
        ("", "is no header name"),
        ("Authorization", "has a key of its own"),
        ("AUTHORIZATION", "has a key of its own"),
        ("X-Auth-Subject", "is a header that the gateway writes for each request"),
        ("x_auth_roles", "is a header that the gateway writes for each request"),
        ("HTTP_X_AUTH_NAME", "is a header that the gateway writes for each request"),
        ("X-Forwarded-For", "is a header that the gateway writes for each request"),
        ("X.Forwarded.Proto", "is a header that the gateway writes for each request"),
        ("traceparent", "is a header that the gateway writes for each request"),
        ("X-Authproxy-Portal", "is a header that the gateway writes for each request"),
        ("Host", "is a header that has a meaning of its own"),
        ("Content_Length", "is a header that has a meaning of its own"),
        ("Transfer-Encoding", "is a header that has a meaning of its own"),
        ("TE", "is a header that has a meaning of its own"),
        ("Connection", "is a header that has a meaning of its own"),
        ("Upgrade", "is a header that has a meaning of its own"),
        ("Cookie", "is a header that has a meaning of its own"),
        ("Expect", "is a header that has a meaning of its own"),
        ("Trailer", "is a header that has a meaning of its own"),
        ("Content-Encoding", "is a header that has a meaning of its own"),
        ("Proxy-Authorization", "is a header that has a meaning of its own"),
        ("Destination", "is a header that has a meaning of its own"),
        ("Sec-WebSocket-Key", "is a header that has a meaning of its own"),
    ],
)
def test_a_name_that_frames_identifies_or_is_none_cannot_be_set(workshop, name, problem):
    [(key, severity, told)] = said(workshop, acq(set={name: "x"}))
    assert (key.startswith("set"), severity, told) == (True, "error", problem)


def test_the_names_that_the_portal_gets_the_identity_under_cannot_be_set(workshop):
    preset = acq(
        headers={"preset": "authelia", "name": "X-Person"}, set={"Remote_User": "x", "X-Person": "y"}
    )
    assert {problem for _, _, problem in said(workshop, preset)} == {
        "is a header that the gateway writes for each request"
    }
    assert added(workshop, acq(set={"Remote-User": "batch"})) == [("Remote-User", "batch")]


def test_two_spellings_of_one_name_are_one(workshop):
    [(key, severity, problem)] = said(workshop, acq(set={"X-Gate": "a", "x_gate": "b"}))
    assert (key, severity, problem) == ("set.x_gate", "error", "is the same header as `X-Gate`")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a\r\nX-Auth-Subject: ana", "has a character that a header cannot hold"),
        ("a\x00", "has a character that a header cannot hold"),
        ("a\x7f", "has a character that a header cannot hold"),
        ("a\tb", "has a character that a header cannot hold"),
        ("č", "has a character that a header cannot hold"),
        (" a", "has blanks at its beginning or end"),
        ("", "is empty"),
    ],
)
def test_a_value_that_no_header_holds_is_refused_and_not_shown(workshop, value, problem):
    findings = workshop.read(acq(set={"X-Gate": value})).findings
    assert [(each.problem, each.read) for each in findings] == [(problem, None)]


def test_a_value_may_be_a_truth_value_or_a_number(workshop):
    reading = workshop.read_text(
        workshop_text(workshop, "    set:\n      WL-Proxy-SSL: true\n      X-Forwarded-Port: 443\n")
    )
    assert reading.settings is not None, reading.findings
    assert added_headers(reading.settings.portals["acq"]) == [
        ("WL-Proxy-SSL", "true"),
        ("X-Forwarded-Port", "443"),
    ]


def workshop_text(workshop, more):
    return (
        "server: {listen: ['unix:/run/authproxy-edge.sock']}\n"
        f"sessions: {{keys_file: {workshop.keys_file}}}\n"
        f"assertions: {{issuer: 'https://gateway.example.si', current_key_file: {workshop.key_file}}}\n"
        f"rekono: {{client_id: gateway, client_secret_file: {workshop.secret_file}}}\n"
        f"telemetry: {{audit_key_file: {workshop.audit_key_file}}}\n"
        "portals:\n  acq:\n    name: Acquiring\n    url: https://acq.example.si\n"
        f"    upstream: http://127.0.0.1:9001\n{more}"
    )


def test_values_stand_in_files_of_their_own_or_in_the_environment(workshop):
    file = workshop.write("gate-key", f"{SECRET}\n".encode(), mode=0o400)
    in_file = acq(set={"X-Gate-Key_file": "gate-key", "WL-Proxy-SSL": "true"})
    assert added(workshop, in_file) == [("WL-Proxy-SSL", "true"), ("X-Gate-Key", SECRET)]
    plain = acq(set={"X-Gate-Key": "other"})
    from_file = {"AUTHPROXY__PORTALS__ACQ__SET__X_GATE_KEY__FILE": str(file)}
    assert added(workshop, plain, from_file) == [("X-Gate-Key", SECRET)]
    as_text = {"AUTHPROXY__PORTALS__ACQ__SET__X_GATE_KEY": SECRET}
    assert [value for _, value in added(workshop, plain, as_text)] == [SECRET]
    assert [value for _, value in added(workshop, acq(), as_text)] == [SECRET]
    whole = {"AUTHPROXY__PORTALS__ACQ__SET": json.dumps({"X-Gate-Key": SECRET})}
    assert added(workshop, acq(), whole) == [("X-Gate-Key", SECRET)]


def test_a_value_and_its_file_cannot_both_be_given(workshop):
    workshop.write("gate-key", b"x\n", mode=0o400)
    [(key, severity, problem)] = said(workshop, acq(set={"X-Gate": "a", "X-Gate_file": "gate-key"}))
    assert (key, severity) == ("set.X-Gate_file", "error")
    assert "both given" in problem


def test_a_file_that_is_missing_or_open_to_all_is_told(workshop):
    [(key, severity, problem)] = said(workshop, acq(set={"X-Gate_file": "nowhere"}))
    assert (key, severity, "cannot be read" in problem) == ("set.X-Gate_file", "error", True)
    workshop.write("gate-key", b"x\n", mode=0o444)
    [(key, severity, problem)] = said(workshop, acq(set={"X-Gate_file": "gate-key"}))
    assert (key, severity, "every user" in problem) == ("set.X-Gate_file", "warning", True)


def test_basic_and_bearer_become_one_header(workshop):
    workshop.write("user", b"batch:p:ss \xc5\xbe\n", mode=0o400)
    [(name, value)] = added(workshop, acq(authorization={"basic_file": "user"}))
    assert (name, base64.b64decode(value.removeprefix("Basic ")).decode()) == (
        "Authorization",
        "batch:p:ss ž",
    )
    workshop.write("token", b"abc.DEF-123_~+/==\n", mode=0o400)
    token = added(workshop, acq(authorization={"bearer_file": "token"}))
    assert token == [("Authorization", "Bearer abc.DEF-123_~+/==")]


@pytest.mark.parametrize("authorization", [{"basic_file": "user"}, {"bearer_file": "token"}])
def test_check_config_warns_of_an_authorization_that_goes_out_with_requests_of_nobody(
    workshop, authorization
):
    workshop.write("user", b"batch:password\n", mode=0o400)
    workshop.write("token", b"abc.DEF\n", mode=0o400)
    closed = {"path": "/admin", "access": "deny"}
    assert said(workshop, acq(authorization=authorization, routes=[closed])) == []
    opened = [closed, {"path": "/help", "access": "public"}]
    assert said(workshop, acq(routes=opened)) == []
    problem = "also goes out with requests of people who are not signed in, by the public `routes[1]`"
    assert said(workshop, acq(authorization=authorization, routes=opened)) == [
        ("authorization", "warning", problem)
    ]


@pytest.mark.parametrize(
    ("authorization", "key", "problem"),
    [
        ({"basic": "batch"}, "authorization.basic", "is no `user:password`"),
        ({"basic": "batch:a\nb"}, "authorization.basic", "is no `user:password`"),
        ({"bearer": f"{SECRET} x"}, "authorization.bearer", "is no token (RFC 6750 §2.1)"),
        ({"bearer": "a\r\nX: y"}, "authorization.bearer", "is no token (RFC 6750 §2.1)"),
        (
            {"basic": "a:b", "bearer": "c"},
            "authorization",
            "has `basic` and `bearer`; a request has one of them",
        ),
    ],
)
def test_what_is_no_authorization_is_refused_and_not_shown(workshop, authorization, key, problem):
    findings = workshop.read(acq(authorization=authorization)).findings
    errors = [(each.key, each.problem, each.read) for each in findings if each.severity == "error"]
    assert errors == [(f"portals.acq.{key}", problem, None)]
    assert SECRET not in "".join(map(str, findings))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("*", "is not valid"),
        ("X*Y", "is not valid"),
        ("X Y", "is not valid"),
        ("", "is empty"),
        ("Cookie", "covers `cookie`"),
        ("content_type", "covers `content-type`"),
        ("Co*", "covers `connection`"),
        ("HTTP_Host", "covers `host`"),
        ("traceparent", "covers `traceparent`"),
    ],
)
def test_what_cannot_be_stripped_is_refused(workshop, name, problem):
    [(key, severity, told)] = said(workshop, acq(strip=[name]))
    assert (key, severity) == ("strip[0]", "error")
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("name", "needed"), [("X-C*", "x-csrf-token"), ("S*", "sec-websocket-key"), ("A*", "accept")]
)
def test_a_beginning_that_removes_what_portals_need_is_a_warning(workshop, name, needed):
    [(key, severity, told)] = said(workshop, acq(strip=[name]))
    assert (key, severity, told) == ("strip[0]", "warning", f"also removes `{needed}`, which portals need")
    assert workshop.read(acq(strip=["SSO_*", "Origin"])).findings == ()


def test_no_value_is_shown_by_what_is_made_of_it(workshop):
    workshop.write("user", f"batch:{SECRET}\n".encode(), mode=0o400)
    keys = {
        "set": {"X-Gate": SECRET},
        "authorization": {"basic_file": "user"},
        "strip": ["EMPLOYEE_ID", "SSO_*"],
    }
    settings = workshop.read(acq(**keys)).settings
    assert settings is not None
    portal = all_portals(settings).at("acq.example.si")

    pool = UpstreamPool(Upstream(), upstream_connections=1, connect_timeout=1, upstream_idle_timeout=1)
    made = site(portal, settings.portals["acq"], (Way(pool=pool),))
    encoded = base64.b64encode(f"batch:{SECRET}".encode())
    assert made.forwarded.endswith(b"X-Gate: %s\r\nAuthorization: Basic %s\r\n" % (SECRET.encode(), encoded))
    for name in (b"x_gate", b"X-GATE", b"authorization", b"Employee-Id", b"HTTP_SSO_USER", b"sso.groups"):
        assert not made.filter.passes(name)
    assert made.filter.passes(b"SSOX")
    for shown in (repr(settings), repr(made)):
        assert SECRET not in shown
        assert encoded.decode() not in shown
