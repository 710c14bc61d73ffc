"""The canonical target, by example where a rival was bypassed and by property everywhere else."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.access.decision import Reason
from authproxy.access.methods import KNOWN
from authproxy.access.target import RequestTarget, TargetRefused, canonical_host, parse, with_encoded_query

PIECES = some.sampled_from(
    [
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "%25",
        "%32",
        "%65",
        "%61",
        "%c0%ae",
        "%E2%82%AC",
        "%00",
        "%",
        "%z",
        ";",
        "=",
        "a",
        "B",
        "~",
        "|",
        "[",
        " ",
        "?",
        "#",
        "\\",
        "\xe9",
        "\n",
    ]
)
TARGETS = some.one_of(
    some.lists(PIECES, max_size=10).map(lambda pieces: "/" + "".join(pieces)),
    some.text(max_size=20),
    some.text(alphabet=some.characters(max_codepoint=255), max_size=20).map(lambda text: "/" + text),
)


def parsed(target: str, *, opted_in: bool = False, percent: bool = False) -> RequestTarget | None:
    try:
        return parse(
            method="GET",
            target=target,
            host="acq.example",
            accepts_encoded_slash=opted_in,
            accepts_encoded_percent=percent,
        )
    except TargetRefused:
        return None


@given(TARGETS, some.booleans(), some.booleans())
def test_a_canonical_target_is_its_own_canonical_form(target, opted_in, percent):
    found = parsed(target, opted_in=opted_in, percent=percent)
    if found is not None:
        assert parsed(found.origin_form, opted_in=opted_in, percent=percent) == found


@given(TARGETS, some.booleans(), some.booleans())
def test_no_reading_of_a_canonical_path_holds_a_dot_segment_or_a_control(target, opted_in, percent):
    found = parsed(target, opted_in=opted_in, percent=percent)
    if found is not None:
        for reading in found.readings():
            assert reading.startswith("/")
            assert not {".", ".."} & set(reading.split("/"))
            assert reading.isascii()
            assert reading.isprintable()
            assert " " not in reading
            assert not re.search("%(?:[01][0-9A-F]|7F|2E)", reading)


@given(TARGETS)
def test_without_opting_in_no_encoded_slash_passes(target):
    found = parsed(target)
    if found is not None:
        assert not re.search("%2F|%5C|%252F|%255C", found.path)
        assert not found.path.startswith("//")


@given(TARGETS)
def test_without_opting_in_to_slashes_a_second_decoding_finds_none_either(target):
    found = parsed(target, percent=True)
    if found is not None:
        assert not any(re.search("%2F|%5C", reading) for reading in found.readings())


def test_an_encoded_percent_sign_passes_if_the_portal_accepts_it_and_the_second_decoding_is_judged():
    found = parsed("/22%25DDV.pdf", percent=True)
    assert found is not None
    assert (found.path, set(found.readings())) == ("/22%25DDV.pdf", {"/22%25DDV.pdf", "/22%DDV.pdf"})
    assert parsed("/22%25DDV.pdf") is None
    again = parsed("/%2561dmin/%252561", percent=True)
    assert again is not None
    assert {"/admin/%2561", "/admin/a"} <= set(again.readings())
    for hidden in (
        "/%252e%252e/x",
        "/a%252Fb",
        "/a%2500",
        "/%25c0%25ae",
        "/%25252e./",
        "/a%25" + "25" * 4000,
        "/%25%32%65%25%32%65/",
    ):
        assert parsed(hidden, percent=True) is None, hidden


@given(some.binary(max_size=30))
def test_a_portal_decodes_exactly_the_bytes_of_a_query_that_were_sent(query):
    encoded = with_encoded_query(b"/x?" + query)
    assert unquote_to_bytes(encoded) == unquote_to_bytes(b"/x?" + query)
    found = parsed(encoded.decode("ascii"))
    assert found is None or found.origin_form == encoded.decode("ascii")


@pytest.mark.parametrize(
    ("sent", "encoded"),
    [
        (b"/search?q=\xc8epi\xe8", b"/search?q=%C8epi%E8"),
        (b"/search?q=\xc4\x8cepi\xc4\x8d&a=%c4%8C", b"/search?q=%C4%8Cepi%C4%8D&a=%c4%8C"),
        (b"/?\x80\xff?\xa0", b"/?%80%FF?%A0"),
        (b"http://acq.example/x?\xe9", b"http://acq.example/x?%E9"),
        (b"/\xe9?\xe9", b"/\xe9?%E9"),
        (b"/\xe9", b"/\xe9"),
        (b'/a?b="<`>{}|^\\%C4&c', b'/a?b="<`>{}|^\\%C4&c'),
    ],
)
def test_raw_bytes_in_a_query_are_encoded_one_by_one_and_nothing_else_is(sent, encoded):
    assert with_encoded_query(sent) == encoded


@given(TARGETS)
def test_the_query_is_passed_unchanged(target):
    found = parsed(target)
    if found is not None and target.startswith("/"):
        assert found.query == (target.partition("?")[2] if "?" in target else None)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/%61%7E%2D", "/a~-"),
        ("/%c4%8d", "/%C4%8D"),
        ("/a%3b", "/a%3B"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a;b/c", "/a;b/c"),
        ("/a%25", "/a%25"),
    ],
)
def test_equivalent_paths_get_one_spelling(target, path):
    found = parsed(target)
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/a/../b", Reason.TARGET_AMBIGUOUS),
        ("/%2e%2e/b", Reason.TARGET_AMBIGUOUS),
        ("/..;x/b", Reason.TARGET_AMBIGUOUS),
        ("/x/..%3B/b", Reason.TARGET_AMBIGUOUS),
        ("/x/..%3bv=1/b", Reason.TARGET_AMBIGUOUS),
        ("/x/..%3F/b", Reason.TARGET_AMBIGUOUS),
        ("/x/..%23", Reason.TARGET_AMBIGUOUS),
        ("//b", Reason.TARGET_AMBIGUOUS),
        ("/a%2fb", Reason.TARGET_AMBIGUOUS),
        ("/a%5cb", Reason.TARGET_AMBIGUOUS),
        ("/%252e", Reason.TARGET_AMBIGUOUS),
        ("/%25%32%65", Reason.TARGET_AMBIGUOUS),
        ("/%c0%ae", Reason.TARGET_AMBIGUOUS),
        ("/%e0%80%af", Reason.TARGET_AMBIGUOUS),
        ("/%f0%80%80%af", Reason.TARGET_AMBIGUOUS),
        ("/%", Reason.REQUEST_UNREADABLE),
        ("/%0a", Reason.REQUEST_UNREADABLE),
        ("/%7f", Reason.REQUEST_UNREADABLE),
        ("/a\\b", Reason.REQUEST_UNREADABLE),
        ("/a#b", Reason.REQUEST_UNREADABLE),
        ("/a?b#c", Reason.REQUEST_UNREADABLE),
        ("/a?b c", Reason.REQUEST_UNREADABLE),
        ("/\u212a", Reason.REQUEST_UNREADABLE),
        ("*", Reason.REQUEST_UNREADABLE),
        ("ftp://acq.example/", Reason.REQUEST_UNREADABLE),
        ("http://other.example/", Reason.REQUEST_UNREADABLE),
    ],
)
def test_a_refusal_has_its_reason_and_does_not_repeat_the_target(target, reason):
    with pytest.raises(TargetRefused) as refused:
        parse(method="GET", target=target, host="acq.example")
    assert refused.value.reason is reason
    assert target not in str(refused.value)


@pytest.mark.parametrize(
    ("target", "origin_form"),
    [
        ("http://acq.example", "/"),
        ("http://acq.example/a?b", "/a?b"),
        ("http://acq.example?b", "/?b"),
        ("HTTPS://ACQ.example:80/a?", "/a?"),
    ],
)
def test_an_absolute_form_that_agrees_with_host_is_its_path(target, origin_form):
    assert parse(method="GET", target=target, host="acq.example").origin_form == origin_form


@pytest.mark.parametrize("method", ["get", "CONNECT", "TRACE", "TRACK", "", "GET ", "ĜET"])
def test_methods_are_known_by_their_exact_case(method):
    with pytest.raises(TargetRefused) as refused:
        parse(method=method, target="/", host="acq.example")
    assert refused.value.reason is Reason.METHOD_UNSUPPORTED


def test_every_listed_method_is_supported():
    assert {parse(method=method, target="/", host="h").method for method in KNOWN} == KNOWN


@pytest.mark.parametrize(
    ("path", "readings"),
    [
        ("/a/b", {"/a/b"}),
        ("/a//b", {"/a//b", "/a/b"}),
        ("/a;x/b", {"/a;x/b", "/a/b", "/a"}),
        ("/a;x//b", {"/a;x//b", "/a;x/b", "/a//b", "/a/b", "/a"}),
        ("/a%2Fb", {"/a%2Fb", "/a/b"}),
        ("/a%5Cb;c", {"/a%5Cb;c", "/a%5Cb", "/a/b;c", "/a/b"}),
        ("/a;x%2Fb", {"/a;x%2Fb", "/a", "/a;x/b", "/a/b"}),
    ],
)
def test_the_readings_are_what_a_portal_might_take_the_path_for(path, readings):
    found = RequestTarget("GET", "h", path, None).readings()
    assert found[0] == path
    assert set(found) == readings


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Acq.Example", "acq.example"),
        ("acq.example.", "acq.example"),
        ("acq.example:80", "acq.example"),
        ("acq.example.:80", "acq.example"),
        ("acq.example:", "acq.example"),
        ("acq.example.:", "acq.example"),
        ("[::1]:", "[::1]"),
        ("acq.example:0080", "acq.example"),
        ("acq.example:8080", "acq.example:8080"),
        ("acq.example.:8080", "acq.example:8080"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("[::1]:8443", "[::1]:8443"),
        ("192.0.2.1", "192.0.2.1"),
        ("xn--bankar-xtb.si", "xn--bankar-xtb.si"),
        ("under_score.example", "under_score.example"),
    ],
)
def test_a_host_has_one_form(text, canonical):
    assert canonical_host(text, 80) == canonical
    assert canonical_host(canonical, 80) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "acq..example",
        "acq.example..",
        "a b",
        "a@b",
        "a/b",
        ":",
        ":80",
        "a:b",
        "a:0",
        "a:65536",
        "a:123456",
        "-a",
        "a-",
        "č.si",
        "[::1",
        "::1",
        "a,b",
        "a;b",
        "a\n",
        "[::1]x",
        "a:80:80",
        "\u212a.si",
    ],
)
def test_an_invalid_host_is_refused(text):
    with pytest.raises(TargetRefused):
        canonical_host(text, 80)


def test_targets_compare_by_their_parts_and_the_repr_has_no_query():
    targets = [RequestTarget("GET", "h", "/p", query) for query in (None, "", "code=secret")]
    assert len({*targets, RequestTarget("GET", "h", "/p", None)}) == 3
    assert targets[0] != ("GET", "h", "/p", None)
    assert {repr(target) for target in targets} == {"<RequestTarget GET h/p>"}


def test_ever_new_paths_are_read_like_the_first():
    for number in range(5000):
        assert parsed(f"/{number}").path == f"/{number}"
    for text in ("/1", "/1"):
        assert parsed(text).readings() == (text,)
    assert parsed("/1/../2") is None
