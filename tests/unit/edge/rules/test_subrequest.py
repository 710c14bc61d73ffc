from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Denied,
    Reason,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.routes import MachineDemand, Portal, Requirement, Route, StepUp
from authproxy.access.target import RequestTarget, canonical_host
from authproxy.edge.rules import subrequest
from authproxy.edge.rules.refusals import PageWanted
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import (
    ALL,
    CADDY,
    DIALECTS,
    ENVOY,
    HAPROXY,
    NGINX,
    TRAEFIK,
    SubrequestRefused,
    dialect_at,
    original,
)
from authproxy.identity.machine_client import MachineClient
from tests.support.session_builders import NOW, new_ticket, session_for

PORTAL = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=())
OPTED_IN = dataclasses.replace(PORTAL, accepts_encoded_slash=True)


def portal_at(raw: bytes, default_port: int):
    host = canonical_host(raw.decode("ascii"), default_port)
    return host, {"acq.example": PORTAL, "opted.example": OPTED_IN}.get(host)


def head(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead("GET", "/.authproxy/auth/nginx", is_http_1_0=False, fields=list(fields))


def asked(
    url: bytes = b"https://acq.example/a?b", method: bytes = b"GET", *more: tuple[bytes, bytes]
) -> RequestHead:
    return head((b"X-Original-URL", url), (b"X-Original-Method", method), *more)


def test_the_original_request_is_read_in_canonical_form():
    target = original(asked(b"https://ACQ.example:443/%61?b", b"POST"), NGINX, portal_at)
    assert target == RequestTarget("POST", "acq.example", "/a", "b")


def test_raw_bytes_in_a_query_are_read_as_the_edge_reads_them():
    raw = b"/search?q=\xc8epi\xe8&a=%c8"
    more = (b"X-Original-URI", raw)
    target = original(asked(b"https://acq.example" + raw, b"GET", more), NGINX, portal_at)
    assert target.origin_form == "/search?q=%C8epi%E8&a=%c8"
    with pytest.raises(SubrequestRefused):
        original(
            asked(b"https://acq.example" + raw, b"GET", (b"X-Original-URI", b"/search?q=%C8epi%E8&a=%c8")),
            NGINX,
            portal_at,
        )


def test_a_host_of_nobody_is_read_too():
    assert original(asked(b"http://other.example/"), NGINX, portal_at).host == "other.example"


def test_a_portal_that_opted_in_to_encoded_slashes_is_asked_with_them():
    assert original(asked(b"http://opted.example/a%2fb"), NGINX, portal_at).path == "/a%2Fb"
    with pytest.raises(SubrequestRefused):
        original(asked(b"http://acq.example/a%2fb"), NGINX, portal_at)


@pytest.mark.parametrize(
    "given",
    [
        head((b"X-Original-URL", b"http://acq.example/")),
        head((b"X-Original-Method", b"GET")),
        asked(b"http://acq.example/", b"GET", (b"x-original-url", b"http://acq.example/")),
        asked(b"/a"),
        asked(b"gopher://acq.example/"),
        asked(b"http://acq.example"),
        asked(b"http://acq.example/\xff"),
        asked(b"http://acq.example/\xff?a"),
        asked(b"http://acq.\xff/"),
        asked(b"http://acq.example/", b"G\xff"),
        asked(b"http://acq.example/", b"BREW"),
        asked(b"http://acq.example/a", b"GET", (b"X-Forwarded-Uri", b"/b")),
        asked(b"http://acq.example/a", b"GET", (b"X-Forwarded-Host", b"other.example")),
        asked(b"http://acq.example/a", b"GET", (b"X-Forwarded-Host", b"a b")),
        asked(b"http://acq.example/a", b"GET", (b"X-Forwarded-Method", b"POST")),
    ],
)
def test_what_does_not_say_in_one_way_what_was_asked_is_refused(given):
    with pytest.raises(SubrequestRefused):
        original(given, NGINX, portal_at)


def test_agreement_is_no_contradiction():
    more = (
        (b"X-Original-URI", b"/%61"),
        (b"X-Original-Host", b"ACQ.example"),
        (b"X-Forwarded-Method", b"GET"),
    )
    assert original(asked(b"http://acq.example/%61", b"GET", *more), NGINX, portal_at).path == "/a"


@given(some.binary(max_size=40), some.binary(max_size=8))
def test_nothing_but_a_target_or_a_refusal_comes_of_any_bytes(url, method):
    try:
        target = original(asked(url, method), NGINX, portal_at)
    except SubrequestRefused:
        return
    assert target.path.startswith("/")


# Questions in parts, and those that are the original request themselves.

FORWARDING = (CADDY, TRAEFIK, HAPROXY)
PARTS = {
    b"X-Forwarded-Method": b"POST",
    b"X-Forwarded-Proto": b"https",
    b"X-Forwarded-Host": b"ACQ.example:443",
    b"X-Forwarded-Uri": b"/%61?b",
    b"X-Forwarded-For": b"192.0.2.7",
}


def in_parts(*more: tuple[bytes, bytes], **changed: bytes | None) -> RequestHead:
    """A question in four headers; `changed` by the last word of a name."""
    parts = {**PARTS, **{f"X-Forwarded-{name}".encode(): value for name, value in changed.items()}}
    return head(*((name, value) for name, value in parts.items() if value is not None), *more)


def of_envoy(target: str = "/%61?b", *more: tuple[bytes, bytes], method: str = "POST") -> RequestHead:
    return RequestHead(
        method,
        f"/.authproxy/auth/envoy{target}",
        is_http_1_0=False,
        fields=[(b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-For", b"192.0.2.7"), *more],
        host=b"ACQ.example:443",
    )


@pytest.mark.parametrize("dialect", FORWARDING, ids=lambda dialect: dialect.name)
def test_the_original_request_is_read_from_its_parts(dialect):
    target = original(in_parts(), dialect, portal_at)
    assert target == RequestTarget("POST", "acq.example", "/a", "b")


def test_the_question_of_envoy_is_the_original_request_itself():
    target = original(of_envoy(), ENVOY, portal_at)
    assert target == RequestTarget("POST", "acq.example", "/a", "b")


@pytest.mark.parametrize(("scheme", "host"), [(b"wss", b"acq.example:443"), (b"ws", b"acq.example:80")])
def test_traefik_names_websockets_by_their_scheme(scheme, host):
    assert original(in_parts(Proto=scheme, Host=host), TRAEFIK, portal_at).host == "acq.example"
    with pytest.raises(SubrequestRefused):
        original(in_parts(Proto=scheme, Host=host), CADDY, portal_at)


@pytest.mark.parametrize("name", ["Method", "Proto", "Host", "Uri", "For"])
def test_each_part_must_be_there_and_all_but_the_client_only_once(name):
    with pytest.raises(SubrequestRefused):
        original(in_parts(**{name: None}), CADDY, portal_at)
    field = f"x-forwarded-{name}".encode().lower()
    twice = in_parts((field, PARTS[f"X-Forwarded-{name}".encode()]))
    if name == "For":
        assert original(twice, CADDY, portal_at).path == "/a"
    else:
        with pytest.raises(SubrequestRefused):
            original(twice, CADDY, portal_at)


@pytest.mark.parametrize(
    "given",
    [
        in_parts(Uri=b""),
        in_parts(Uri=b"https://acq.example/a"),
        in_parts(Uri=b"*"),
        in_parts(Uri=b"a"),
        in_parts(Proto=b"HTTPS"),
        in_parts(Method=b"P\xff"),
        in_parts(Method=b"post"),
        in_parts(Host=b"acq.example, acq.example"),
    ],
)
def test_a_part_that_can_be_read_in_two_ways_is_refused(given):
    with pytest.raises(SubrequestRefused):
        original(given, CADDY, portal_at)


@pytest.mark.parametrize("target", ["", "*", "x/a", "?a", "//a", "/a/../b"])
def test_what_follows_the_endpoint_must_be_a_path(target):
    with pytest.raises(SubrequestRefused):
        original(of_envoy(target), ENVOY, portal_at)


AGREEING = [
    (b"X-Original-URI", b"/%61?b"),
    (b"X-Original-URL", b"/%61?b"),
    (b"X-Original-URL", b"https://ACQ.example:443/%61?b"),
    (b"X-Original-Host", b"acq.example"),
    (b"X-Original-Method", b"POST"),
    (b"X-HTTP-Method-Override", b"POST"),
    (b"X-Scheme", b"https"),
]
CONTRADICTING = [
    (b"X-Original-URI", b"/a?b"),
    (b"X-Original-URL", b"https://acq.example/%61?b"),
    (b"X-Original-URL", b"http://ACQ.example:443/%61?b"),
    (b"X-Original-Host", b"other.example"),
    (b"X-Original-Method", b"GET"),
    (b"X-HTTP-Method-Override", b"post"),
    (b"X-Scheme", b"http"),
    (b"X_Forwarded_Uri", b"/%61?b"),
    (b"-X-Forwarded-Uri-", b"/%61?b"),
    (b"HTTP-X-Forwarded-Uri", b"/%61?b"),
    (b"X.Forwarded.For", b"192.0.2.7"),
]


@pytest.mark.parametrize("field", AGREEING)
def test_another_convention_may_say_the_same(field):
    assert original(in_parts(field), CADDY, portal_at).path == "/a"
    assert original(of_envoy("/%61?b", field), ENVOY, portal_at).path == "/a"


@pytest.mark.parametrize("field", CONTRADICTING)
def test_another_convention_may_not_say_anything_else(field):
    for asks, dialect in ((in_parts(field), CADDY), (of_envoy("/%61?b", field), ENVOY)):
        with pytest.raises(SubrequestRefused):
            original(asks, dialect, portal_at)


@pytest.mark.parametrize(
    "name", [b"X_Other", b"HTTP-Other", b"X-Forwarded-Port", b"X-Forwarded-Prefix", b"Forwarded"]
)
def test_what_no_dialect_reads_may_say_anything(name):
    assert original(in_parts((name, b"/admin")), CADDY, portal_at).path == "/a"


@given(some.data())
def test_nothing_but_what_was_said_or_a_refusal_comes_of_any_bytes_in_any_part(data):
    dialect = data.draw(some.sampled_from(ALL))
    changed = {
        name: data.draw(
            some.binary(max_size=12) | some.sampled_from([b"GET", b"https", b"acq.example", b"/b"])
        )
        for name in data.draw(some.lists(some.sampled_from(["Method", "Proto", "Host", "Uri", "For"])))
    }
    given = of_envoy() if dialect is ENVOY else in_parts(**changed)
    if dialect is ENVOY:
        given.fields += [(f"X-Forwarded-{name}".encode(), value) for name, value in changed.items()]
    said = {**PARTS, **{f"X-Forwarded-{name}".encode(): value for name, value in changed.items()}}
    try:
        target = original(given, dialect, portal_at)
    except SubrequestRefused:
        return
    assert dialect is not NGINX
    assert target.method == said[b"X-Forwarded-Method"].decode()
    uri = said[b"X-Forwarded-Uri"].decode("latin-1")
    assert uri.startswith("/")
    assert target.origin_form.count("/") == uri.count("/")


@pytest.mark.parametrize(
    ("upgrade", "fields", "is_one"),
    [(b"websocket", [], True), (b"", [(b"Sec-WebSocket-Version", b"13")], True), (b"", [], False)],
)
def test_a_question_about_a_websocket_is_known_by_what_browsers_must_send(upgrade, fields, is_one):
    asks = head(*fields)
    asks.upgrade = upgrade
    assert subrequest.is_handshake(asks) is is_one


def test_allow_is_exactly_200_with_the_finished_lines_and_the_request_id():
    route = Route(name="all", path="/", requirement=Requirement())
    allowed = Allowed(
        portal=PORTAL,
        route=route,
        session=session_for(new_ticket()),
        identity_headers=b"X-Auth-Subject: ana\r\n",
    )
    answer = subrequest.leave(allowed, head(), NGINX, "r1")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers.endswith(b"X-Auth-Subject: ana\r\nX-Request-Id: r1\r\n")
    assert b"Set-Cookie" not in answer.headers


def test_a_front_proxy_learns_that_the_credential_of_a_program_is_not_the_portals():
    route = Route(name="all", path="/", requirement=Requirement())
    machine = MachineClient(client_id="batch", credential="key", scopes=frozenset(), ends_at=NOW)
    allowed = Allowed(
        portal=dataclasses.replace(PORTAL, machines=MachineDemand(keys=True)),
        route=route,
        session=None,
        machine=machine,
        identity_headers=b"X-Auth-Subject: batch\r\n",
    )
    answer = subrequest.leave(allowed, head(), NGINX, "r1")
    assert answer.headers.endswith(
        b"X-Auth-Subject: batch\r\nX-Authproxy-Used: authorization\r\nX-Request-Id: r1\r\n"
    )


@pytest.mark.parametrize(
    ("reason", "error", "status"),
    [
        (Reason.MACHINE_TOKEN_INVALID, "invalid_token", 401),
        (Reason.MACHINE_NOT_ALLOWED_HERE, "insufficient_scope", 403),
    ],
)
def test_a_program_is_refused_by_what_the_front_proxy_understands_without_a_redirect(reason, error, status):
    denied = Denied(reason=reason, portal=PORTAL, bearer_error=error)
    answer = subrequest.answer(
        denied,
        original=original(asked(), NGINX, portal_at),
        head=head(NAVIGATES),
        dialect=NGINX,
        request_id="r1",
    )
    assert (answer.status, b"Location" in answer.headers) == (status, False)
    assert f'WWW-Authenticate: Bearer realm="acq", error="{error}"'.encode() in answer.headers


def test_leave_to_pass_says_what_the_portal_gets_as_each_kind_of_proxy_can_use_it():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
    portal = dataclasses.replace(PORTAL, personal_cookies=cookies)
    sent = with_cookies(b"look=blue")
    for dialect, line in ((NGINX, b"X-Authproxy-Cookie: look=blue\r\n"), (CADDY, b"Cookie: look=blue\r\n")):
        answer = subrequest.leave(allowed_at(portal), sent, dialect, "r1")
        assert (answer.status, answer.body) == (200, b"")
        assert line in answer.headers.splitlines(keepends=True)


NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")
REQUIRED = AuthenticationRequired(reason=Reason.NO_SESSION, portal=PORTAL)
PAYMENTS = Route(
    name="acq/payments", path="/payments", requirement=Requirement(step_up=StepUp(methods=("push",)))
)
WEAK = StepUpRequired(portal=PORTAL, route=PAYMENTS, session=session_for(new_ticket()))


NOT_SENT = AuthenticationRequired(reason=Reason.NOT_SENT, portal=PORTAL)
LOW = Denied(reason=Reason.LEVEL_TOO_LOW, portal=PORTAL)
AWAY = Unavailable(reason=Reason.STORE_UNAVAILABLE, portal=PORTAL)
FRAMED = (b"Sec-Fetch-Dest", b"iframe")


@pytest.mark.parametrize(
    ("decision", "fields", "nginx", "others"),
    [
        (REQUIRED, [NAVIGATES], "401 Location", "302 Location"),
        (REQUIRED, [], "401", "401"),
        (REQUIRED, [NAVIGATES, FRAMED], "401 Location", "401 page"),
        (NOT_SENT, [NAVIGATES], "401 Location", "401 page"),
        (NOT_SENT, [NAVIGATES, FRAMED], "401 Location", "401 page"),
        (WEAK, [NAVIGATES], "401 Location", "302 Location"),
        (WEAK, [], "401", "401"),
        (LOW, [NAVIGATES], "403", "403 page"),
        (LOW, [], "403", "403"),
        (AWAY, [NAVIGATES], "503", "503 page"),
        (AWAY, [], "503", "503"),
    ],
)
@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_each_kind_of_proxy_is_answered_as_it_can_hear(dialect, decision, fields, nginx, others):
    target = original(asked(), NGINX, portal_at)
    answer = subrequest.answer(decision, original=target, head=head(*fields), dialect=dialect, request_id="r")
    if isinstance(answer, PageWanted):
        heard = f"{answer.status} page"
    else:
        heard = f"{answer.status}{' Location' if b'Location: ' in answer.headers else ''}"
        assert b"\r\nVary: Cookie, Accept, Sec-Fetch-Mode\r\n" in answer.headers
    expected = nginx if dialect is NGINX else others
    # Envoy shows its own error for every 5xx.
    assert heard == ("503" if dialect is ENVOY and decision is AWAY else expected)


@pytest.mark.parametrize(
    ("method", "ending"), [(b"GET", b"for=acq/payments\r\n"), (b"POST", b"for=acq/payments&lost=yes\r\n")]
)
def test_a_front_proxy_is_told_where_a_proof_is_asked_and_that_a_form_is_lost(method, ending):
    target = original(asked(method=method), NGINX, portal_at)
    answer = subrequest.answer(WEAK, original=target, head=head(NAVIGATES), dialect=NGINX, request_id="r")
    assert b"\r\nLocation: https://acq.example/.authproxy/step-up?rt=" in answer.headers
    assert answer.headers.endswith(ending)
    assert b'error="insufficient_user_authentication"' in answer.headers
    assert b'"reason": "step_up_required"' in answer.body


def test_a_refusal_of_the_subrequest_itself_is_403():
    assert subrequest.refusal(Reason.UNTRUSTED_PEER, "r").status == 403


def test_every_dialect_has_a_place_of_its_own():
    assert DIALECTS["/.authproxy/auth/nginx"] is NGINX
    for dialect in (CADDY, TRAEFIK, HAPROXY):
        assert dialect_at(f"/.authproxy/auth/{dialect.name}") is dialect
        assert dialect_at(f"/.authproxy/auth/{dialect.name}/") is None
    assert dialect_at("/.authproxy/auth/caddy?") is CADDY
    assert dialect_at("/.authproxy/auth/caddy?a=b&c") is CADDY
    assert dialect_at("/.authproxy/auth/traefik?") is dialect_at("/.authproxy/auth/caddy/?x") is None
    for behind in ("", "/", "/a?b", "x", "*"):
        assert dialect_at(f"/.authproxy/auth/envoy{behind}") is ENVOY
    assert dialect_at("/.authproxy/auth/") is None


def test_a_preflight_is_let_pass_with_nothing_about_anybody():
    answer = subrequest.passed("r1")
    assert (answer.status, answer.body) == (200, b"")
    assert b"X-Auth" not in answer.headers
    assert answer.headers.endswith(b"X-Request-Id: r1\r\n")


def test_a_proxy_learns_which_cookies_the_portal_may_get_and_how_it_marks_one():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
    ana = cookies.owner(session_for(new_ticket()).person)
    mark = cookies.proxy_mark(ana)
    sent = b"look=blue; JSESSIONID=a; __Host-authproxy-proxy-JSESSIONID=%s.a; __Host-authproxy=t" % mark
    told = b"X-Authproxy-Cookie: %s\r\nX-Authproxy-Cookie-Mark: %s\r\n"
    assert subrequest.portal_cookies(cookies, ana, sent) == told % (b"look=blue; JSESSIONID=a", mark)
    nobodys = cookies.proxy_mark(cookies.owner(None))
    assert subrequest.portal_cookies(cookies, b"", sent) == told % (b"look=blue", nobodys)
    assert subrequest.portal_cookies(cookies, ana, b"JSESSIONID=planted") == told % (b"-", mark)


def with_cookies(cookies: bytes, *fields: tuple[bytes, bytes]) -> RequestHead:
    sent = head(*fields)
    sent.cookies = cookies
    return sent


def allowed_at(portal: Portal, machine: MachineClient | None = None) -> Allowed:
    return Allowed(
        portal=portal,
        route=Route(name="all", path="/", requirement=Requirement()),
        session=None if machine else session_for(new_ticket()),
        machine=machine,
        identity_headers=b"",
    )


@pytest.mark.parametrize(
    ("cookies", "fields", "told"),
    [
        (b"a=1; __Host-authproxy=t; b=2", [], b"Cookie: a=1; b=2\r\n"),
        (b"__Host-authproxy=t", [], b""),
        (b"", [(b"Authorization", b"Basic YTpi")], b"Authorization: Basic YTpi\r\n"),
        (b"", [(b"Authorization", b"Basic YTpi"), (b"Authorization", b"Basic YTpj")], b""),
        (b"", [], b""),
    ],
)
def test_a_proxy_that_replaces_whole_fields_learns_which_the_portal_gets(cookies, fields, told):
    assert subrequest.portal_fields(allowed_at(PORTAL), with_cookies(cookies, *fields)) == told


def test_it_does_not_learn_a_credential_that_was_for_the_gateway():
    machine = MachineClient(client_id="batch", credential="key", scopes=frozenset(), ends_at=NOW)
    portal = dataclasses.replace(PORTAL, machines=MachineDemand(keys=True))
    sent = head((b"Authorization", b"Bearer apk_1"))
    assert subrequest.portal_fields(allowed_at(portal, machine), sent) == b""
    assert subrequest.portal_fields(allowed_at(portal), head((b"Authorization", b"Basic YTpi"))) != b""


def test_it_learns_no_cookie_of_another_person():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
    sent = with_cookies(b"look=blue; JSESSIONID=planted")
    portal = dataclasses.replace(PORTAL, personal_cookies=cookies)
    assert subrequest.portal_fields(allowed_at(portal), sent) == b"Cookie: look=blue\r\n"
    owned = dataclasses.replace(
        allowed_at(portal), cookie_owner=cookies.owner(session_for(new_ticket()).person)
    )
    assert subrequest.portal_fields(owned, sent) == b"Cookie: look=blue\r\n"


@pytest.mark.parametrize(("redirects", "status"), [(True, 302), (False, 401)])
def test_the_portals_own_sign_out_leads_to_ours_by_a_redirect_that_the_proxy_understands(redirects, status):
    answer = subrequest.sign_out(PORTAL, TRAEFIK if redirects else NGINX)
    assert answer.status == status
    assert b"\r\nLocation: https://acq.example/.authproxy/logout\r\n" in answer.headers


STEADY = Route(name="all", path="/", requirement=Requirement())
AGEING = Requirement(step_up=StepUp(methods=("push",), max_age=timedelta(minutes=5)))
WITH_COOKIES = dataclasses.replace(
    PORTAL, personal_cookies=PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
)


def leave_to(**changes) -> Allowed:
    allowed = Allowed(portal=PORTAL, route=STEADY, session=session_for(new_ticket()), identity_headers=b"")
    return dataclasses.replace(allowed, **changes)


def reading(method: str = "GET") -> RequestTarget:
    return RequestTarget(method, "acq.example", "/", "")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_leave_to_read_may_be_kept(method):
    assert subrequest.may_be_kept(leave_to(), reading(method), NGINX)
    assert not subrequest.may_be_kept(leave_to(), reading(method), HAPROXY)


@pytest.mark.parametrize(
    ("leave", "method"),
    [
        pytest.param(leave_to(), "POST", id="a form"),
        pytest.param(leave_to(route=dataclasses.replace(STEADY, strict=True)), "GET", id="strict"),
        pytest.param(
            leave_to(route=dataclasses.replace(STEADY, requirement=AGEING)), "GET", id="a proof that ages"
        ),
        pytest.param(
            leave_to(
                machine=MachineClient(client_id="batch", credential="key", scopes=frozenset(), ends_at=NOW)
            ),
            "GET",
            id="a program",
        ),
        pytest.param(leave_to(portal=WITH_COOKIES), "GET", id="cookies of one person"),
    ],
)
def test_leave_that_may_change_is_asked_for_each_time(leave, method):
    assert not subrequest.may_be_kept(leave, reading(method), NGINX)
