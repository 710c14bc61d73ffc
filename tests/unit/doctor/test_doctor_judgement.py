"""What the doctor concludes."""

from __future__ import annotations

import json

import pytest

from authproxy.doctor import attacks, judgement
from authproxy.doctor.findings import Verdict, not_tried, worst
from authproxy.doctor.judgement import Trial
from authproxy.doctor.raw_http import Message

HOST = "acq.example.si"
NONCE = "n" * 22
ORIGIN = f"https://{HOST}"


def message(status: int = 200, *fields: tuple[str, str], body: bytes = b"") -> Message:
    return Message(start=f"HTTP/1.1 {status} x", fields=fields, body=body)


def arrival(target: str = "/", *fields: tuple[str, str], **more) -> Message:
    return Message(start=f"GET {target} HTTP/1.1", fields=fields, **more)


def trial(status: int = 0, *arrivals: Message, fields=(), nonce: str = NONCE, body: bytes = b"") -> Trial:
    answer = message(status, *fields, body=body) if status else None
    return Trial(what="it", nonce=nonce, answer=answer, arrivals=arrivals)


def echo(nonce: str = NONCE, **said: str) -> Trial:
    parts = {
        "nonce": nonce,
        "by": "nginx",
        "method": "GET",
        "host": HOST,
        "target": "/",
        "client": "192.0.2.9",
    }
    pairs = ", ".join(f'{name}="{value}"' for name, value in (parts | said).items())
    return trial(
        401, fields=[("WWW-Authenticate", "Bearer x"), ("WWW-Authenticate", f"Authproxy-Doctor {pairs}")]
    )


def colour(verdict: Verdict) -> str:
    return verdict.colour


def test_the_worst_is_the_first_of_the_worst():
    red, green = Verdict(colour="red", sent="1"), Verdict(colour="green", sent="2")
    assert worst([green, red, Verdict(colour="red", sent="3")]) is red
    assert worst([not_tried("x"), green]) is green
    assert colour(worst([])) == "not_tried"


@pytest.mark.parametrize(
    ("given", "statuses", "expected"),
    [
        ("green", [200], "green"),
        ("green", [], "green"),
        ("green", [0, 0], "not_tried"),
        ("green", [401, 429], "not_tried"),
        ("red", [0], "red"),
        ("red", [429], "red"),
    ],
)
def test_green_means_that_something_was_answered(given, statuses, expected):
    assert colour(judgement.if_answered(Verdict(colour=given, sent="it"), statuses)) == expected


def test_an_echo_is_the_gateways_word_about_this_very_order():
    assert echo().echo is not None
    assert echo(nonce="other").echo is None
    assert trial().echo is None
    assert trial(401, fields=[("WWW-Authenticate", 'Authproxy-Doctor by="x"')]).echo is None
    # Of a second question, for the body of a refusal.
    assert trial(403, fields=echo().answer.fields).echo is None


@pytest.mark.parametrize(
    ("seen", "has_eyes", "expected"),
    [
        (trial(200, arrival()), True, "red"),
        (trial(200), True, "green"),
        (trial(200), False, "yellow"),
        (trial(404), False, "green"),
        (trial(), False, "green"),
    ],
)
def test_what_nobody_may_send_must_not_arrive(seen, has_eyes, expected):
    assert colour(judgement.must_not_reach([seen], has_eyes=has_eyes)) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (echo(), "green"),
        (trial(200, arrival()), "red"),
        (trial(304), "red"),
        # Nothing is open, but a program gets a page instead of a refusal.
        (trial(303, fields=[("Location", f"{ORIGIN}/.authproxy/login?rt=/")]), "yellow"),
        (trial(303, arrival(), fields=[("Location", "/.authproxy/login")]), "red"),
        (trial(403), "green"),
        (trial(503), "green"),
        (trial(), "green"),
        (trial(404), "yellow"),
    ],
)
def test_the_gateway_must_be_asked(seen, expected):
    assert colour(judgement.asked(seen)) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (echo(), "green"),
        (echo(method="POST"), "red"),
        (trial(403), "green"),
        (trial(200, arrival()), "red"),
    ],
)
def test_the_gateway_must_be_asked_about_what_was_sent(seen, expected):
    assert colour(judgement.judged_as(seen, {"method": "GET", "host": HOST})) == expected


@pytest.mark.parametrize(
    ("arrived", "judged", "expected"),
    [
        (trial(200, arrival("/a%7Eb")), echo(target="/a~b"), "green"),
        (trial(200, arrival("/b")), echo(target="/a"), "red"),
        (trial(200, arrival("/a%2C")), echo(target="/a%252C"), "green"),
        # Bytes that are no ASCII: in a query the gateway writes them otherwise, in a path it refuses them.
        (trial(200, arrival("/a?\xff")), echo(target="/a?%25FF"), "green"),
        (trial(200, arrival("/\xff")), echo(target="/!"), "red"),
        (trial(200, arrival("/\xff")), echo(target="/%25FF"), "red"),
        (trial(403), echo(target="/a"), "green"),
        (trial(200, arrival("/a")), trial(403), "green"),
    ],
)
def test_the_portal_must_get_the_path_that_was_judged(arrived, judged, expected):
    assert colour(judgement.same_path(arrived, judged, HOST)) == expected


def test_a_path_that_the_gateway_refuses_has_no_canonical_form():
    assert judgement.canonical("/a/../b", HOST) is None
    assert judgement.canonical("/\u20ac", HOST) is None


@pytest.mark.parametrize(
    ("judged", "expected"),
    [(echo(target="/a"), "green"), (echo(target="/b"), "yellow"), (trial(404), "green")],
)
def test_without_a_stand_in_only_the_question_is_seen(judged, expected):
    assert colour(judgement.path_as_sent(judged, "/a", HOST)) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (echo(), "red"),
        (echo(host="b2b.example.si"), "green"),
        (trial(200, arrival()), "red"),
        (trial(421), "green"),
    ],
)
def test_a_host_in_the_request_line_counts_more_than_host(seen, expected):
    assert colour(judgement.crossed(seen, HOST, asks=True)) == expected
    assert colour(judgement.crossed(seen, HOST, asks=False)) == "green"


@pytest.mark.parametrize(
    ("seen", "said", "asks", "expected"),
    [
        (echo(host="other.example.si"), HOST, True, "green"),
        (echo(), HOST, True, "red"),
        (echo(), HOST, False, "green"),
        (trial(200, arrival()), HOST, True, "red"),
        (trial(200, arrival()), HOST, False, "green"),
        # The session's own portal, by the authority.
        (trial(200, arrival()), "other.example.si", True, "green"),
        (echo(host="other.example.si"), "other.example.si", True, "red"),
        (trial(421), HOST, True, "green"),
    ],
)
def test_the_authority_counts_more_than_host(seen, said, asks, expected):
    assert colour(judgement.disagreed(seen, said, HOST, asks=asks)) == expected


def test_forged_headers_are_found_wherever_they_arrive():
    value = "forged"
    assert colour(judgement.no_forged([trial(200, arrival("/", ("A", "forged-1")))], value)) == "red"
    assert (
        colour(judgement.no_forged([trial(200, arrival("/", trailers=(("A", "forged"),)))], value)) == "red"
    )
    many = arrival("/", *((f"A{n}", value) for n in range(8)))
    assert judgement.no_forged([trial(200, many)], value).came.endswith("and 2 more")
    assert (
        judgement.no_forged([trial(200, arrival("/", ("A", "b")))], value).came
        == "none of it reached the portal"
    )
    assert judgement.no_forged([trial(431)], value).came == "refused (431)"


def test_names_with_doubled_dashes_are_a_known_gap_of_nginx():
    seen = [trial(200, arrival("/", ("X--Auth-Name", "forged")))]
    assert colour(judgement.no_dashed(seen, "forged", "caddy")) == "red"
    known = judgement.no_dashed(seen, "forged", "nginx")
    assert (known.colour, "README" in known.came) == ("green", True)
    assert colour(judgement.no_dashed([trial(200, arrival())], "forged", "nginx")) == "green"


def test_each_identity_header_arrives_once():
    twice = arrival("/", ("X-Auth-Name", "a"), ("x-auth-name", "b"))
    assert colour(judgement.repeated_identity(trial(200, twice))) == "red"
    assert (
        colour(judgement.repeated_identity(trial(200, arrival("/", ("X-Auth-Name", "a"), ("A", "b")))))
        == "green"
    )
    assert colour(judgement.repeated_identity(trial(403))) == "green"


def test_connection_removes_nothing_of_ours():
    plain = trial(200, arrival("/", ("X-Auth-Name", "a"), ("A", "b")))
    assert colour(judgement.same_fields(plain, trial(200, arrival("/", ("A", "b"))))) == "red"
    assert colour(judgement.same_fields(plain, trial(200, arrival("/", ("X-Auth-Name", "a"))))) == "green"
    passed_on = arrival("/", ("X-Auth-Name", "a"), ("Connection", "Upgrade, x-auth-name"))
    assert colour(judgement.same_fields(plain, trial(200, passed_on))) == "red"
    only = arrival("/", ("X-Auth-Name", "a"), ("Connection", "close, x-b"))
    assert colour(judgement.same_fields(plain, trial(200, only))) == "green"
    assert colour(judgement.same_fields(plain, trial(403))) == "green"
    assert colour(judgement.same_fields(trial(403), plain)) == "green"


def test_a_made_up_address_is_not_believed():
    assert colour(judgement.client_is("203.0.113.7", "203.0.113.7", "it")) == "red"
    assert colour(judgement.client_is("192.0.2.1", "203.0.113.7", "it")) == "green"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (trial(101), "red"),
        (trial(200, arrival("/", ("Upgrade", "H2C"))), "red"),
        (trial(200, arrival("/", ("Upgrade", "websocket"))), "green"),
        (trial(200, arrival()), "green"),
        (trial(401), "green"),
    ],
)
def test_other_protocols_are_not_passed_on(seen, expected):
    assert colour(judgement.upgraded([seen], "h2c")) == expected


JSON = [("Content-Type", "application/problem+json")]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (trial(404), "green"),
        (trial(403, fields=JSON, body=b'{"reason": "not_found"}'), "green"),
        (trial(403, fields=JSON, body=b"["), "green"),
        (trial(403, fields=JSON, body=b"[]"), "green"),
        (trial(403, fields=JSON, body=b'{"reason": 1}'), "green"),
        (trial(403, fields=JSON, body=b'{"reason": "subrequest_unreadable"}'), "yellow"),
        (trial(403, fields=JSON, body=b'{"reason": "untrusted_peer"}'), "green"),
        (trial(500), "yellow"),
        (trial(), "green"),
        (trial(200), "red"),
        (trial(302), "red"),
        (trial(401), "red"),
        (echo(), "red"),
    ],
)
def test_nobody_asks_from_outside(seen, expected):
    assert colour(judgement.question_from_outside(seen)) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [(trial(401, fields=JSON), "green"), (trial(401), "yellow"), (trial(302), "red"), (trial(), "red")],
)
def test_a_script_is_refused_as_a_script(seen, expected):
    assert colour(judgement.script_refused(seen)) == expected


@pytest.mark.parametrize(
    ("status", "location", "arrivals", "expected"),
    [
        (303, f"{ORIGIN}/.authproxy/login?rt=/", (), "green"),
        (302, "/.authproxy/login", (), "yellow"),
        (302, "http://10.0.0.1:8080/.authproxy/login", (), "red"),
        (200, "", (), "red"),
        (401, "", (arrival(),), "red"),
        (401, "", (), "yellow"),
        (0, "", (), "yellow"),
    ],
)
def test_a_page_leads_to_the_sign_in_of_its_own_portal(status, location, arrivals, expected):
    seen = trial(status, *arrivals, fields=[("Location", location)])
    assert colour(judgement.page_refused(seen, ORIGIN)) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (trial(503), "green"),
        (trial(503, arrival()), "red"),
        (trial(200), "red"),
        (trial(302), "red"),
        (trial(403), "yellow"),
        (trial(), "yellow"),
    ],
)
def test_an_ordered_refusal_arrives_with_its_status(seen, expected):
    assert colour(judgement.has_status(seen, 503)) == expected


def cookie(value: str) -> Message:
    return message(200, ("Set-Cookie", "other=1"), ("Set-Cookie", value))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (cookie("__Host-authproxy-flow=x; Path=/; Secure; HttpOnly; SameSite=Lax"), "green"),
        (cookie("__Host-authproxy-flow=x; Path=/; HttpOnly; SameSite=Lax"), "red"),
        (cookie("__Host-authproxy-flow=x; Path=/app; Secure; HttpOnly; SameSite=Lax; Domain=x"), "red"),
        (cookie("authproxy-flow=x; Path=/; Secure; HttpOnly; SameSite=Lax"), "red"),
        (message(200), "yellow"),
        (None, "yellow"),
    ],
)
def test_cookies_keep_their_attributes(answer, expected):
    assert colour(judgement.cookies(answer, "it")) == expected


def page(body: bytes = b"", *more: tuple[str, str], control: str = "no-store") -> Message:
    return message(200, ("Cache-Control", control), *more, body=body)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (page(b"1"), page(b"2"), "green"),
        (page(b"1", ("Set-Cookie", "a")), page(b"1", ("Set-Cookie", "b")), "green"),
        (page(b"1"), page(b"1"), "red"),
        (page(b"1"), page(b"2", ("Age", "3")), "red"),
        (page(b"1", control="public"), page(b"2"), "red"),
        (None, page(), "not_tried"),
        (page(), None, "not_tried"),
    ],
)
def test_pages_come_from_no_cache(first, second, expected):
    assert colour(judgement.own_page_uncached([first, second], "it")) == expected


MINE = trial(200, arrival())


@pytest.mark.parametrize(
    ("mine", "again", "others", "expected"),
    [
        (MINE, MINE, trial(401), "green"),
        (MINE, MINE, trial(200, arrival()), "red"),
        (MINE, MINE, trial(200), "red"),
        (MINE, trial(200), trial(401), "yellow"),
        (trial(403), MINE, MINE, "not_tried"),
    ],
)
def test_nobody_gets_what_was_kept_for_somebody_else(mine, again, others, expected):
    assert colour(judgement.not_kept(mine, again, others)) == expected


def test_each_question_has_its_own_answer():
    assert colour(judgement.decision_not_kept([echo(), trial(403)])) == "green"
    assert colour(judgement.decision_not_kept([echo(), echo(nonce="other")])) == "red"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["max-age=31536000; includeSubDomains"], "green"),
        (['includeSubDomains; Max-Age="15552000"'], "green"),
        (["max-age=60"], "yellow"),
        (["includeSubDomains"], "yellow"),
        (["max-age=31536000"] * 2, "yellow"),
        ([], "yellow"),
    ],
)
def test_https_is_remembered_for_half_a_year(values, expected):
    answer = message(200, *(("Strict-Transport-Security", value) for value in values))
    assert colour(judgement.hsts(answer, "it")) == expected


def test_no_answer_has_no_hsts():
    assert colour(judgement.hsts(None, "it")) == "yellow"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (trial(301, fields=[("Location", f"https://{HOST}/")]), "green"),
        (trial(301, fields=[("Location", "https://elsewhere.example/")]), "yellow"),
        (trial(301, fields=[("Location", f"http://{HOST}/")]), "yellow"),
        (trial(404), "yellow"),
        (trial(), "green"),
        (trial(200), "red"),
        (trial(404, arrival()), "red"),
    ],
)
def test_plain_http_leads_to_https(seen, expected):
    assert colour(judgement.plain_http(seen, HOST)) == expected


@pytest.mark.parametrize(
    ("gateways", "ahead", "expected"),
    [
        (1000.0, None, "green"),
        (1010.0, 0.0, "yellow"),
        (900.0, None, "red"),
        (1000.0, -9.0, "yellow"),
        (1000.0, 600.0, "red"),
    ],
)
def test_clocks_agree(gateways, ahead, expected):
    assert colour(judgement.clocks(1000.0, gateways, ahead)) == expected


DAY = 24 * 3600
CURRENT, NEXT = {"role": "current", "id": "a", "seconds": DAY}, {"role": "next", "id": "b", "seconds": None}


@pytest.mark.parametrize(
    ("published", "own", "expected"),
    [
        ({"a", "b"}, [CURRENT, NEXT], "green"),
        ({"a"}, [CURRENT], "yellow"),
        ({"a"}, [CURRENT, NEXT], "red"),
        (set(), [], "red"),
        ({"a", "b"}, [CURRENT | {"seconds": 500 * DAY}, NEXT], "yellow"),
        ({"a", "b"}, [CURRENT | {"seconds": None}, NEXT], "green"),
        ({"b"}, [NEXT], "green"),
    ],
)
def test_keys_are_published_in_advance(published, own, expected):
    assert colour(judgement.keys(published, own)) == expected


def test_the_worst_check_is_told():
    well = {"status": "ok", "detail": ""}
    warns, fails = {"status": "warning", "detail": "w"}, {"status": "failed", "detail": "f"}
    assert colour(judgement.checks({"a": well})) == "green"
    assert judgement.checks({"a": well, "b": warns}).came == "b: w"
    assert judgement.checks({"a": warns, "b": fails}).came == "b: f"


@pytest.mark.parametrize(
    ("program", "version", "expected"),
    [
        ("caddy", "2.11.3", "red"),
        ("caddy", "2.11.4", "green"),
        ("nginx", "1.22.1", "yellow"),
        ("nginx", "1.22.1-9+deb12u10", "yellow"),
        ("nginx", "1.22.1-9+deb12u11", "green"),
        ("haproxy", "2.6.12-1+deb12u4", "green"),
        ("haproxy", "2.6.12-1+deb13u4", "yellow"),
        ("traefik", "3.7.15-1+deb13u9", "red"),
        ("nginx", "", "not_tried"),
        ("", "", "not_tried"),
        ("apache", "2.4.1", "not_tried"),
    ],
)
def test_versions_with_known_faults_are_told(program, version, expected):
    assert colour(judgement.proxy_version(program, version)) == expected


@pytest.mark.parametrize(
    ("days", "fault", "expected"),
    [
        (90.0, "", "green"),
        (20.0, "", "yellow"),
        (1.0, "", "red"),
        (None, "expired", "red"),
        (None, "", "not_tried"),
    ],
)
def test_a_certificate_lasts_for_some_weeks(days, fault, expected):
    assert colour(judgement.certificate(days, fault)) == expected


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ({"TLS 1.0": False, "TLS 1.1": None}, "green"),
        ({"TLS 1.0": False, "TLS 1.1": True}, "red"),
        ({"TLS 1.0": None, "TLS 1.1": None}, "not_tried"),
    ],
)
def test_old_tls_is_refused(accepted, expected):
    assert colour(judgement.old_tls(accepted)) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([trial(400)], "green"),
        ([], "green"),
        ([trial(200, arrival("/x"))], "green"),
        ([trial(200, arrival("/hidden"))], "red"),
        ([trial(200, arrival("/x"), arrival("/y"))], "red"),
    ],
)
def test_a_hidden_request_is_found(seen, expected):
    assert colour(judgement.smuggled(seen, "/hidden", ["/x"])) == expected


def test_a_hidden_request_may_come_late():
    assert colour(judgement.smuggled([trial(200)], "/hidden", ["/x", "/hidden"])) == "red"


@pytest.mark.parametrize(
    ("asked", "page", "expected"),
    [
        (trial(403), trial(200, fields=[("Alt-Svc", 'h3=":443"')]), "green"),
        (echo(), trial(200, fields=[("Alt-Svc", 'h3=":443"')]), "red"),
        (echo(), trial(200), "green"),
        (echo(), trial(), "green"),
    ],
)
def test_capsules_do_harm_over_http3(asked, page, expected):
    assert colour(judgement.capsules(asked, page)) == expected


def test_an_upload_arrives_whole_or_not():
    assert colour(judgement.upload(trial(200, arrival(body=b"abc")), 3)) == "green"
    assert colour(judgement.upload(trial(413), 3)) == "yellow"


def test_servers_answer_nobody_past_the_proxy():
    assert colour(judgement.beside([("a:1", None), ("b:1", message(200))])) == "red"
    assert colour(judgement.beside([("b:1", Message(start="SSH", fields=()))])) == "red"
    assert colour(judgement.beside([("a:1", None)])) == "green"


@pytest.mark.parametrize(
    ("seen", "keys", "expected"),
    [
        (trial(404), message(200, ("Content-Type", "application/json")), "green"),
        (trial(200, arrival()), message(200, ("Content-Type", "application/json")), "red"),
        (trial(404), message(200, ("Content-Type", "text/html")), "red"),
        (trial(404), message(404), "red"),
        (trial(404), None, "red"),
    ],
)
def test_our_own_paths_are_ours(seen, keys, expected):
    assert colour(judgement.own_paths([seen], keys, has_eyes=True)) == expected


def test_forged_names_have_every_spelling_and_no_request_too_many():
    for spelling in judgement.SPELLINGS | judgement.DASHED:
        made = (judgement.SPELLINGS | judgement.DASHED)[spelling]
        requests = judgement.forged_fields("v", made, 60)
        assert all(len(fields) <= 60 for fields in requests)
        names = [name for fields in requests for name, _ in fields]
        assert made("x-auth-name") in names
        assert made("x-request-id") not in names
    assert "X-Auth-Name" in [
        n for f in judgement.forged_fields("v", judgement.SPELLINGS["X-Auth-Name"], 60) for n, _ in f
    ]


def test_what_is_no_plain_text_is_shown_in_figures():
    assert judgement.shown("/a\xff\r\n'\\") == "/a\\xff\\r\\n'\\\\"


def test_each_way_to_hide_a_request_hides_it_whole():
    ways = attacks.of_two_lengths_over_http2("GET /hidden HTTP/1.1\r\nA: b\r\n\r\n", HOST)
    for path, authority, fields, body in ways.values():
        assert "GET /hidden HTTP/1.1\r\nA: b\r\n" in path + authority + body
        assert body or "\n" in path + authority
        assert authority.startswith(HOST)
        assert all(name == name.lower() for name, _ in fields)


def test_the_gateway_itself_believes_no_stranger():
    assert colour(judgement.gateway_asked(echo())) == "red"
    assert colour(judgement.gateway_asked(trial(403))) == "green"
    assert colour(judgement.gateway_asked(trial())) == "green"


@pytest.mark.parametrize(
    ("dialects", "asks", "expected"),
    [
        (["nginx"], True, "green"),
        (["nginx", "envoy"], False, "yellow"),
        ([], False, "green"),
        ([], True, "green"),
    ],
)
def test_where_nothing_is_asked_nothing_is_believed(dialects, asks, expected):
    assert colour(judgement.takes_questions(dialects, asks=asks)) == expected


def test_each_dialect_asks_in_its_own_way():
    asked = {
        dialect: {name for name, _ in attacks.question(dialect, "https", HOST)}
        for dialect in ("nginx", "caddy", "traefik", "haproxy", "envoy")
    }
    assert asked["nginx"] == {"X-Original-URL", "X-Original-Method"}
    assert asked["envoy"] == {"X-Forwarded-Proto"}
    assert asked["caddy"] == asked["traefik"] == asked["haproxy"]
    assert asked["caddy"].isdisjoint(asked["nginx"])


def test_what_a_client_makes_up_is_in_every_field():
    assert all(
        attacks.ADDRESS in value or "h.invalid" in value for _, value in attacks.forwarding("h.invalid")
    )
    names = [name for name, _ in attacks.questions("https", HOST, "/open")]
    assert len(set(names)) == len(names)


def test_the_lists_of_attacks_hold_nothing_twice():
    for paths in (attacks.PATHS, attacks.EXACT, attacks.AT_OWN_PATHS, attacks.ambiguous("/open")):
        assert len(set(paths)) == len(paths)
    assert all(inner.endswith("GET") for inner in attacks.of_two_lengths("GET").values())


def test_exact_paths_are_ones_that_the_gateway_reads():
    assert all(judgement.canonical(path, HOST) is not None for path in attacks.EXACT)


def test_json_of_a_refusal_is_what_the_gateway_writes():
    assert (
        colour(
            judgement.question_from_outside(
                trial(403, fields=JSON, body=json.dumps({"reason": "subrequest_unreadable"}).encode())
            )
        )
        == "yellow"
    )
