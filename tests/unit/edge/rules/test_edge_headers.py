from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.access.header_names import folded
from authproxy.edge.rules import headers
from authproxy.edge.rules.headers import (
    RequestFilter,
    is_endless,
    is_identity,
    returning,
    trailers,
    without_own_cookies,
)
from authproxy.edge.rules.request_head import SharedFields, parse


def outgoing(
    *fields: tuple[bytes, bytes], method: bytes = b"GET", added: bytes = b"", upgrade: bytes = b"", **options
) -> bytes:
    head = parse(method, b"/", "1.1", [(b"Host", b"h"), *fields])
    head.upgrade = upgrade
    return RequestFilter().outgoing(head, origin_form="/x", host=b"portal", added=added, **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"X-Auth-Subject", b"x_auth_subject"),
        (b"X.Auth~Subject", b"X--Auth-Subject"),
        (b"HTTP_X_AUTH_SUBJECT", b"X-AUTH-SUBJECT"),
        (b"_X-Auth-Subject-", b"X-Auth-Subject"),
    ],
)
def test_names_that_become_one_variable_fold_to_one_name(one, other):
    assert folded(one) == folded(other)


@given(some.binary(max_size=20))
def test_folding_is_done_once(name):
    assert folded(name).startswith(b"http-") or folded(folded(name)) == folded(name)


@pytest.mark.parametrize(
    "name",
    [
        b"Accept",
        b"Authorization",
        b"X-Requested-With",
        b"X-CSRF-Token",
        b"User-Agent",
        b"Auth",
        b"X-Authority",
        b"Remote",
        b"Origin",
    ],
)
def test_ordinary_headers_are_no_identity(name):
    assert not is_identity(name)


def test_a_request_is_written_with_our_lines_once_and_its_framing_last():
    written = outgoing(
        (b"Accept", b"*/*"),
        (b"Content-Length", b"3"),
        (b"X-Auth-Subject", b"me"),
        method=b"POST",
        added=b"X-Auth-Subject: ana\r\n",
    )
    assert (
        written
        == b"POST /x HTTP/1.1\r\nHost: portal\r\nAccept: */*\r\nX-Auth-Subject: ana\r\nContent-Length: 3\r\n\r\n"
    )


def test_each_framing_is_kept():
    assert outgoing((b"Transfer-Encoding", b"chunked")).endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert outgoing((b"Content-Length", b"0")).endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert outgoing((b"Content-Length", b"1"), (b"Expect", b"100-continue")).endswith(
        b"\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    )
    assert outgoing(upgrade=b"WebSocket").endswith(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


def test_cookies_lose_ours_unless_our_own_pages_are_asked():
    cookies = (b"Cookie", b"a=1; __Host-authproxy=t")
    assert b"\r\nCookie: a=1\r\n" in outgoing(cookies)
    assert b"\r\nCookie: a=1; __Host-authproxy=t\r\n" in outgoing(cookies, keeps_own_cookies=True)
    assert b"Cookie" not in outgoing((b"Cookie", b"__Host-authproxy=t"))


def test_what_connection_names_stays_behind_but_never_ours():
    written = outgoing(
        (b"Connection", b"close, x-hop , X-Auth-Subject"),
        (b"X-Hop", b"1"),
        (b"X-Stays", b"2"),
        added=b"X-Auth-Subject: ana\r\n",
    )
    assert b"Hop" not in written
    assert b"\r\nX-Stays: 2\r\nX-Auth-Subject: ana\r\n" in written


def test_the_memory_of_spellings_has_an_end():
    chosen = RequestFilter(["X-Mapped"])
    long = b"X-" + b"y" * 30_000
    assert chosen.passes(long)
    assert returning(b"", [(long, b"y")], b"") == long + b": y\r\n"
    assert not {long} & (chosen._known.keys() | headers._returning.keys())
    assert not chosen.passes(b"x_mapped")
    assert all(chosen.passes(b"X-%d" % number) for number in range(5000))
    assert not chosen.passes(b"X-Mapped")
    assert len(chosen._known) == 4096
    for number in range(5000):
        assert returning(b"", [(b"X-%d" % number, b"y")], b"") == b"X-%d: y\r\n" % number
    assert len(headers._returning) == 4096
    assert (
        returning(b"", [(b"Keep-Alive-%d" % 1, b"y"), (b"cONNECTION", b"x-hop"), (b"X-Hop", b"z")], b"")
        == b"Keep-Alive-1: y\r\n"
    )
    headers._returning.clear()  # for the tests after this one


TOKEN = some.text(alphabet="abcXYZ019_-=%", max_size=8).map(str.encode)


@given(some.lists(some.tuples(TOKEN, some.booleans()), max_size=6))
def test_other_cookies_are_byte_identical_and_ours_are_gone(pairs):
    sent = b"; ".join(
        b"__Host-authproxy%s=t" % name if is_ours else b"c%s=v" % name for name, is_ours in pairs
    )
    assert without_own_cookies(sent) == b"; ".join(b"c%s=v" % name for name, is_ours in pairs if not is_ours)


@given(
    some.lists(
        some.sampled_from([b"__Host-authproxy", b"=", b";", b",", b" ", b'"', b"a", b"-flow", b"\t"]),
        max_size=12,
    ).map(b"".join)
)
def test_nothing_of_ours_is_left_however_it_is_written(cookies):
    assert b"__Host-authproxy" not in without_own_cookies(cookies)


def test_cookies_that_a_proxy_joined_by_commas_are_parted_where_ours_begin():
    assert without_own_cookies(b"a=1,2, __Host-authproxy=t, b=3; c=4") == b"a=1,2; b=3; c=4"
    assert without_own_cookies(b'"__Host-authproxy=t"; a=x __Host-authproxy=t; c=4') == b"c=4"


def test_an_answer_keeps_what_is_the_portals():
    fields = [
        (b"Content-Type", b"text/html"),
        (b"Connection", b"X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"5"),
        (b"Content-Length", b"3"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"__Host-authproxy=evil"),
        (b"set-cookie", b" =__Host-authproxy=evil"),
    ]
    assert (
        returning(b"S\r\n", fields, b"F\r\n\r\n")
        == b"S\r\nContent-Type: text/html\r\nSet-Cookie: a=1\r\nF\r\n\r\n"
    )


def test_a_spelling_is_judged_the_same_the_second_time():
    chosen = RequestFilter()
    head = parse(b"GET", b"/", "1.1", [(b"Host", b"h"), (b"X-Auth-Subject", b"me"), (b"Accept", b"*/*")])
    written = {chosen.outgoing(head, origin_form="/", host=b"h", added=b"") for _ in range(2)}
    assert written == {b"GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"}
    assert [chosen.passes(b"Accept") for _ in range(2)] == [True, True]
    answers = {returning(b"", [(b"X-Seen", b"y"), (b"TE", b"z")], b"") for _ in range(2)}
    assert answers == {b"X-Seen: y\r\n"}


def test_only_our_own_pages_set_our_cookies():
    assert (
        returning(b"", [(b"Set-Cookie", b"__Host-authproxy=t")], b"", may_set_own_cookies=True)
        == b"Set-Cookie: __Host-authproxy=t\r\n"
    )


def test_trailers_that_mean_more_than_a_checksum_are_none():
    assert trailers([(b"X-Checksum", b"1"), (b"ETag", b"2")]) == b"X-Checksum: 1\r\nETag: 2\r\n"
    assert trailers([]) == b""
    for name in (
        b"Content-Length",
        b"content_length",
        b"Host",
        b"Authorization",
        b"Set-Cookie",
        b"X-Auth-Subject",
        b"X_Forwarded_For",
    ):
        assert trailers([(b"X-Checksum", b"1"), (name, b"2")]) is None


@pytest.mark.parametrize(
    ("content_type", "endless"),
    [
        (b"text/event-stream", True),
        (b" Text/Event-Stream ; charset=utf-8", True),
        (b"multipart/x-mixed-replace;boundary=x", True),
        (b"text/event-streams", False),
        (b"text/html", False),
    ],
)
def test_event_streams_and_moving_pictures_have_no_end(content_type, endless):
    assert is_endless(content_type) is endless
    assert is_endless(content_type) is endless


def test_the_memory_of_content_types_has_an_end():
    for number in range(2000):
        is_endless(b"x/%d" % number)
    assert len(headers._endless_types) <= 1024
    headers._endless_types.clear()  # for the tests after this one


def test_the_options_of_connection_are_no_names_of_fields():
    fields = [(b"Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=5"), (b"X-Stays", b"1")]
    assert returning(b"HTTP/1.1 200 OK\r\n", fields, b"\r\n") == b"HTTP/1.1 200 OK\r\nX-Stays: 1\r\n\r\n"


def test_a_portal_does_not_set_our_cookies():
    fields = [
        (b"Set-Cookie", b"__Host-authproxy=x"),
        (b"Set-Cookie", b"=__Host-authproxy=x"),
        (b"Set-Cookie", b"a=b"),
    ]
    assert returning(b"", fields, b"") == b"Set-Cookie: a=b\r\n"


def test_usual_options_of_a_connection_name_no_field_that_goes():
    fields = [(b"Connection", b"keep-alive"), (b"Connection", b"close"), (b"X-Hop", b"z")]
    assert returning(b"", fields, b"") == b"X-Hop: z\r\n"


def test_trailers_of_a_client_that_a_portal_must_not_get_are_dropped():
    chosen = RequestFilter(["X-Mapped", "BANKSSO_*"])
    lines = b"X-Checksum: a\r\nx_mapped: b\r\nBankSSO-User: c\r\nX-Last: d:e\r\n"
    assert chosen.trailers(lines) == b"X-Checksum: a\r\nX-Last: d:e\r\n"
    assert chosen.trailers(b"X-Mapped: b\r\n") == b""


def test_what_two_portals_get_of_shared_fields_is_what_each_would_get_of_its_own():
    fields = [(b"Host", b"a"), (b"X-A", b"1"), (b"X-B", b"2"), (b"Cookie", b"__Host-authproxy=t; c=d")]
    filters = RequestFilter(), RequestFilter(("X-A",)), RequestFilter(("X-B",))
    first = parse(b"GET", b"/", "1.1", fields)
    first.share(SharedFields(first))

    def written(head, by, **options):
        return by.outgoing(head, origin_form="/x", host=b"portal", added=b"", **options)

    for by in (*filters, *filters):
        head = parse(b"GET", b"/", "1.1", fields)
        assert written(first, by) == written(first, by) == written(head, by)
        assert written(first, by, keeps_own_cookies=True) == written(head, by, keeps_own_cookies=True)
    first.cookies = b"e=f"
    assert b"Cookie: e=f\r\n" in written(first, filters[2])
