from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.decision import AuthenticationRequired, Denied, Reason, StepUpRequired, Unavailable
from authproxy.access.routes import MachineDemand, Portal, Requirement, Route, StepUp
from authproxy.access.target import RequestTarget
from authproxy.edge.rules import refusals
from authproxy.edge.rules.refusals import OwnAnswer, PageWanted, is_page_load, login_url
from authproxy.edge.rules.request_head import RequestHead
from authproxy.identity.assurance import Level
from tests.support.session_builders import new_ticket, session_for

PORTAL = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=())
SESSION = session_for(new_ticket())
NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")


def head(*fields: tuple[bytes, bytes], upgrade: bytes = b"") -> RequestHead:
    return RequestHead("GET", "/", is_http_1_0=False, fields=list(fields), upgrade=upgrade)


def target(path: str = "/page", query: str | None = "a=b&c=d", method: str = "GET") -> RequestTarget:
    return RequestTarget(method, "acq.example", path, query)


def test_a_websocket_is_no_page():
    assert not is_page_load(head(NAVIGATES, upgrade=b"websocket"), "GET")


@pytest.mark.parametrize(
    ("asked", "referer", "return_to"),
    [
        (target(), None, "/page%3Fa%3Db%26c%3Dd"),
        (target(query=None), None, "/page"),
        (target(method="POST"), b"https://acq.example/form?x", "/form%3Fx"),
        (target(method="POST"), None, "/"),
        (target(method="POST"), b"https://evil.example/form", "/"),
        (target(method="POST"), b"https://acq.example.evil/form", "/"),
        (target(method="POST"), b"https://acq.example//evil.example", "/"),
        (target(method="POST"), b"https://acq.example/.authproxy/step-up/send?held=x", "/"),
        (target(method="POST"), b"https://acq.example/\xff?q=\xe8%C4%8D", "/%25FF%3Fq%3D%25E8%25C4%258D"),
        (target(query="q" * 2100), None, "/page&cut=yes"),  # the chooser tells the person
        (target(path="/" + "p" * 2100), None, "/&cut=yes"),
        (target(method="POST"), b"https://acq.example/" + b"f" * 2100, "/"),
    ],
)
def test_the_way_back_is_the_page_or_the_page_that_sent_it(asked, referer, return_to):
    given = head() if referer is None else head((b"Referer", referer))
    assert login_url(PORTAL, asked, given) == f"https://acq.example/.authproxy/login?rt={return_to}"


def test_two_referers_are_none():
    given = head((b"Referer", b"https://acq.example/a"), (b"Referer", b"https://acq.example/b"))
    assert login_url(PORTAL, target(method="POST"), given).endswith("?rt=/")


def test_a_person_without_a_session_is_redirected_and_a_script_never_is():
    required = AuthenticationRequired(reason=Reason.NO_SESSION, portal=PORTAL)
    page = refusals.answer(required, target=target(), head=head(NAVIGATES), request_id="r1")
    assert isinstance(page, OwnAnswer)
    assert page.status == 303
    assert b"\r\nLocation: https://acq.example/.authproxy/login?rt=" in page.headers
    script = refusals.answer(required, target=target(), head=head(), request_id="r1")
    assert isinstance(script, OwnAnswer)
    assert (script.status, b"Location" in script.headers) == (401, False)
    assert b'WWW-Authenticate: Bearer realm="acq"\r\n' in script.headers
    problem = json.loads(script.body)
    assert (problem["status"], problem["reason"], problem["request_id"]) == (401, "no_session", "r1")
    assert problem["login_url"].startswith("https://acq.example/")


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Denied(reason=Reason.LEVEL_TOO_LOW), 403),
        (Denied(reason=Reason.TARGET_AMBIGUOUS), 403),
        (Denied(reason=Reason.HELD_REQUEST_GONE), 410),
        (Unavailable(reason=Reason.STORE_UNAVAILABLE), 503),
    ],
)
def test_what_signing_in_does_not_mend_is_a_page_or_a_problem(refusal, status):
    assert refusals.answer(refusal, target=target(), head=head(NAVIGATES), request_id="r") == PageWanted(
        status, refusal.reason
    )
    script = refusals.answer(refusal, target=target(), head=head(), request_id="r")
    assert isinstance(script, OwnAnswer)
    assert (script.status, b"Retry-After: 5\r\n" in script.headers) == (status, status == 503)
    assert "login_url" not in json.loads(script.body)


PAYMENTS = Route(
    name="acq/payments POST",
    path="/payments",
    requirement=Requirement(step_up=StepUp(methods=("push", "totp"), max_age=timedelta(minutes=5))),
)
WEAK = StepUpRequired(portal=PORTAL, route=PAYMENTS, session=SESSION)
FORM = (b"Referer", b"https://acq.example/payments/new?x=1")


@pytest.mark.parametrize(
    ("fields", "asked", "held", "location"),
    [
        ([NAVIGATES], target(), None, "step-up?rt=/page%3Fa%3Db%26c%3Dd&for=acq/payments%20POST"),
        (
            [NAVIGATES],
            target(method="HEAD"),
            None,
            "step-up?rt=/page%3Fa%3Db%26c%3Dd&for=acq/payments%20POST",
        ),
        (
            [NAVIGATES, FORM],
            target(method="POST"),
            None,
            "step-up?rt=/payments/new%3Fx%3D1&for=acq/payments%20POST&lost=yes",
        ),
        (
            [NAVIGATES, FORM],
            target(method="POST"),
            "n" * 43,
            "step-up?rt=/payments/new%3Fx%3D1&for=acq/payments%20POST&held=" + "n" * 43,
        ),
    ],
)
def test_a_person_who_lacks_a_proof_is_led_to_where_it_is_asked_and_told_what_becomes_of_a_form(
    fields, asked, held, location
):
    page = refusals.answer(WEAK, target=asked, head=head(*fields), request_id="r", held=held)
    assert isinstance(page, OwnAnswer)
    assert (page.status, page.body) == (303, b"")
    assert f"\r\nLocation: https://acq.example/.authproxy/{location}\r\n".encode() in page.headers


def test_a_script_that_lacks_a_proof_is_told_as_rfc_9470_says_it():
    script = refusals.answer(WEAK, target=target(method="POST"), head=head(FORM), request_id="r1")
    assert isinstance(script, OwnAnswer)
    assert (script.status, b"Location" in script.headers) == (401, False)
    [challenge] = [line for line in script.headers.split(b"\r\n") if line.startswith(b"WWW-Authenticate")]
    assert challenge == (
        b'WWW-Authenticate: Bearer realm="acq", error="insufficient_user_authentication", '
        b'error_description="a fresh proof is required", max_age="300"'
    )
    assert json.loads(script.body) == {
        "type": "about:blank",
        "title": "Step-up required",
        "status": 401,
        "reason": "step_up_required",
        "request_id": "r1",
        "code": "step_up_required-r1",
        "step_up_url": (
            "https://acq.example/.authproxy/step-up?rt=/payments/new%3Fx%3D1&for=acq/payments%20POST"
        ),
        "methods": ["push", "totp"],
        "max_age": 300,
    }


def test_an_age_that_does_not_matter_is_not_told():
    once = replace(WEAK, route=replace(PAYMENTS, requirement=Requirement(step_up=StepUp(methods=("sms",)))))
    script = refusals.answer(once, target=target(), head=head(), request_id="r")
    assert isinstance(script, OwnAnswer)
    assert b"max_age" not in script.headers + script.body
    nothing = replace(WEAK, route=replace(PAYMENTS, requirement=Requirement()))
    assert json.loads(refusals.step_up_problem(nothing, "r", "https://x").body)["methods"] == []


def test_a_form_that_is_kept_no_more_is_gone():
    gone = Denied(reason=Reason.HELD_REQUEST_GONE, portal=PORTAL)
    page = refusals.answer(gone, target=target(method="POST"), head=head(NAVIGATES, FORM), request_id="r")
    assert page == PageWanted(
        410, Reason.HELD_REQUEST_GONE, b"X-Authproxy-Return-To: /payments/new%3Fx%3D1\r\n"
    )
    assert refusals.answer(gone, target=target(method="POST"), head=head(), request_id="r").status == 410


def test_what_a_page_may_say_of_a_denial_goes_with_it():
    session = replace(
        SESSION, person=replace(SESSION.person, name="Živa", email="ziva@example.si"), level=Level.MEDIUM
    )
    route = Route(name="acq/a", path="/a", requirement=Requirement(level=Level.HIGH))
    denied = Denied(reason=Reason.LEVEL_TOO_LOW, portal=PORTAL, route=route, session=session)
    page = refusals.answer(denied, target=target(), head=head(NAVIGATES), request_id="r")
    assert isinstance(page, PageWanted)
    assert page.particulars.decode().split("\r\n") == [
        "X-Authproxy-Return-To: /page%3Fa%3Db%26c%3Dd",
        "X-Authproxy-Person: %C5%BDiva%2C%20ziva%40example.si",
        "X-Authproxy-Levels: 20 30",
        "",
    ]
    script = refusals.answer(denied, target=target(), head=head(), request_id="r")
    assert isinstance(script, OwnAnswer)
    assert (json.loads(script.body)["level"], json.loads(script.body)["level_needed"]) == (20, 30)


def test_levels_are_told_only_where_they_are_the_reason():
    route = Route(name="acq/a", path="/a", requirement=Requirement(level=Level.HIGH))
    denied = Denied(reason=Reason.METHOD_NOT_ALLOWED_HERE, portal=PORTAL, route=route, session=SESSION)
    assert (
        b"Levels"
        not in refusals.answer(denied, target=target(), head=head(NAVIGATES), request_id="r").particulars
    )
    assert b"level" not in refusals.answer(denied, target=target(), head=head(), request_id="r").body


@pytest.mark.parametrize("status", [400, 408, 413, 414, 417, 431, 500, 505])
def test_plain_refusals_name_the_reason(status):
    given = refusals.plain(status, Reason.REQUEST_UNREADABLE, "r1")
    assert given.body.endswith(b"request_unreadable\nRequest: r1\n")
    assert b"Allow" not in given.headers


def test_405_says_what_is_allowed():
    assert b"\r\nAllow: DELETE, GET, HEAD, " in refusals.plain(405, Reason.METHOD_UNSUPPORTED, "r1").headers
    assert (
        b"\r\nAllow: GET, PURGE\r\n"
        in refusals.plain(405, Reason.METHOD_UNSUPPORTED, "r1", frozenset({"PURGE", "GET"})).headers
    )


def test_a_status_without_a_title_of_its_own_has_the_standards_phrase():
    assert json.loads(refusals.problem(400, Reason.REQUEST_UNREADABLE, "r").body)["title"] == "Bad Request"


@pytest.mark.parametrize(
    ("keeps_alive", "is_http_1_0", "connection"),
    [
        (True, False, b""),
        (True, True, b"Connection: keep-alive\r\n"),
        (False, False, b"Connection: close\r\n"),
        (False, True, b"Connection: close\r\n"),
    ],
)
def test_the_connection_is_said_where_it_is_not_understood(keeps_alive, is_http_1_0, connection):
    written = refusals.head_bytes(
        OwnAnswer(403, b"X: y\r\n", b"body"),
        date=b"Date: now\r\n",
        keeps_alive=keeps_alive,
        is_http_1_0=is_http_1_0,
    )
    assert (
        written
        == b"HTTP/1.1 403 Forbidden\r\nDate: now\r\nX: y\r\nContent-Length: 4\r\n" + connection + b"\r\n"
    )


def test_options_names_the_methods_that_may_be_used():
    answer = refusals.options(frozenset({"POST", "GET"}))
    assert (answer.status, answer.headers, answer.body) == (200, b"Allow: GET, POST\r\n", b"")


def test_a_plain_refusal_that_is_ours_says_when_to_come_back():
    assert b"\r\nRetry-After: " in refusals.plain(503, Reason.STORE_UNAVAILABLE, "r1").headers


def test_a_script_is_told_the_level_that_a_proof_must_reach():
    demand = replace(WEAK.route.requirement, level=Level.HIGH)
    required = replace(WEAK, route=replace(WEAK.route, requirement=demand))
    answer = refusals.answer(required, target=target(), head=head(), request_id="r")
    assert isinstance(answer, OwnAnswer)
    assert json.loads(answer.body)["level_needed"] == int(Level.HIGH)


def test_the_portals_own_sign_out_leads_to_our_page():
    answer = refusals.sign_out(PORTAL)
    assert answer.status == 303
    assert b"Location: %s/.authproxy/logout\r\n" % PORTAL.origin.encode() in answer.headers
    assert b"Cache-Control: no-store" in answer.headers


UVOZ = Route(
    name="acq/uvoz",
    path="/uvoz",
    requirement=Requirement(machines=MachineDemand(keys=True, scopes=("a", "b"))),
)
WRONG = Denied(reason=Reason.MACHINE_TOKEN_INVALID, portal=PORTAL, route=UVOZ, bearer_error="invalid_token")
NOT_HERE = replace(WRONG, reason=Reason.MACHINE_NOT_ALLOWED_HERE, bearer_error="insufficient_scope")


@pytest.mark.parametrize(
    ("denied", "status", "challenge"),
    [
        (WRONG, 401, 'error="invalid_token"'),
        (replace(WRONG, bearer_error="invalid_request"), 401, 'error="invalid_request"'),
        (NOT_HERE, 403, 'error="insufficient_scope", scope="a b"'),
        (replace(NOT_HERE, route=None), 403, 'error="insufficient_scope"'),
        (
            replace(NOT_HERE, route=Route(name="r", path="/", requirement=Requirement())),
            403,
            'error="insufficient_scope"',
        ),
    ],
)
def test_a_program_gets_a_problem_with_the_challenge_of_rfc_6750_whatever_it_accepts(
    denied, status, challenge
):
    given = head((b"Accept", b"text/html"), (b"Authorization", b"Bearer x"))
    answer = refusals.answer(denied, target=target(), head=given, request_id="r")
    assert isinstance(answer, OwnAnswer)
    assert (answer.status, json.loads(answer.body)["reason"]) == (status, denied.reason)
    assert f'\r\nWWW-Authenticate: Bearer realm="acq", {challenge}\r\n'.encode() in answer.headers


def test_a_denial_at_no_portal_has_no_realm_to_name():
    answer = refusals.answer(replace(WRONG, portal=None), target=target(), head=head(), request_id="r")
    assert (answer.status, b"WWW-Authenticate" in answer.headers) == (401, False)


def test_too_many_wrong_credentials_are_told_when_to_come_back():
    denied = Denied(reason=Reason.TOO_MANY_REQUESTS, portal=PORTAL, route=UVOZ)
    answer = refusals.answer(denied, target=target(), head=head(), request_id="r")
    assert (answer.status, b"\r\nRetry-After: 60\r\n" in answer.headers) == (429, True)


def in_frame(*fields: tuple[bytes, bytes]) -> RequestHead:
    return head(NAVIGATES, (b"Sec-Fetch-Dest", b"iframe"), *fields)


AROUND = (b"Referer", b"https://acq.example/frames?menu=1")


@pytest.mark.parametrize(
    ("fields", "return_to"),
    [
        ((), "/page%3Fa%3Db%26c%3Dd"),
        ((AROUND,), "/frames%3Fmenu%3D1"),
        (((b"Referer", b"https://evil.example/"),), "/page%3Fa%3Db%26c%3Dd"),
        (((b"Referer", b"https://acq.example/" + b"f" * 2100),), "/page%3Fa%3Db%26c%3Dd"),
    ],
)
def test_in_a_frame_a_person_gets_a_page_that_leads_to_the_sign_in_and_back_to_the_page_around(
    fields, return_to
):
    required = AuthenticationRequired(reason=Reason.SESSION_ENDED, portal=PORTAL)
    page = refusals.answer(required, target=target(), head=in_frame(*fields), request_id="r")
    location = f"https://acq.example/.authproxy/login?rt={return_to}"
    assert page == PageWanted(401, Reason.SESSION_ENDED, f"X-Authproxy-Location: {location}\r\n".encode())


def test_in_a_frame_a_missing_proof_and_a_form_that_waits_are_led_to_as_well():
    page = refusals.answer(WEAK, target=target(), head=in_frame(AROUND), request_id="r")
    assert page == PageWanted(
        401,
        Reason.STEP_UP_REQUIRED,
        b"X-Authproxy-Location: https://acq.example/.authproxy/step-up?rt=/frames%3Fmenu%3D1"
        b"&for=acq/payments%20POST\r\n",
    )
    required = AuthenticationRequired(reason=Reason.SESSION_ENDED, portal=PORTAL)
    page = refusals.answer(
        required, target=target(method="POST"), head=in_frame(AROUND), request_id="r", held="n" * 43
    )
    assert isinstance(page, PageWanted)
    assert page.particulars.endswith(b"login?rt=/frames%3Fmenu%3D1&held=" + b"n" * 43 + b"\r\n")


def test_what_is_denied_in_a_frame_opens_at_the_frames_own_address():
    denied = Denied(reason=Reason.LEVEL_TOO_LOW, portal=PORTAL)
    page = refusals.answer(denied, target=target(), head=in_frame(AROUND), request_id="r")
    assert page == PageWanted(403, Reason.LEVEL_TOO_LOW, b"X-Authproxy-Return-To: /page%3Fa%3Db%26c%3Dd\r\n")


@pytest.mark.parametrize(
    ("reason", "ending"),
    [(Reason.NOT_SENT, "rt=/payments/new%3Fx%3D1&lost=r"), (Reason.NO_SESSION, "%3D1")],
)
def test_whoever_is_not_signed_in_is_told_that_a_form_was_not_sent(reason, ending):
    required = AuthenticationRequired(reason=reason, portal=PORTAL)
    page = refusals.answer(required, target=target(method="POST"), head=head(NAVIGATES, FORM), request_id="r")
    assert isinstance(page, OwnAnswer)
    assert page.headers.decode().rstrip().endswith(ending)


@pytest.mark.parametrize(
    ("method", "fields", "is_one"),
    [
        ("POST", [NAVIGATES], True),
        ("GET", [NAVIGATES], False),
        ("HEAD", [NAVIGATES], False),
        ("POST", [], False),
        ("PUT", [(b"Accept", b"text/html")], False),
    ],
)
def test_an_entry_is_what_a_person_sends(method, fields, is_one):
    assert refusals.is_entry(head(*fields), method) is is_one
