from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.web.return_to import LONGEST, safe, shown

ORIGIN = "https://acq.example.si"
HOSTS = ("evil.test", "evil.test/acq.example.si", "acq.example.si@evil.test", "evil%2etest")
LEADS = (
    "//",
    "///",
    "////",
    "/\\",
    "\\\\",
    "\\/",
    "/\t/",
    "\t//",
    "/\n/",
    "\r\n//",
    "/%09/",
    "/%0a/",
    "/%0d%0a/",
    "/%2f",
    "/%2F%2F",
    "/%5c",
    "/%5C%5C",
    "/.//",
    "/..//",
    "/./\\",
    "/%2e%2e//",
    "/\u2215",
    "/\uff0f",
    "/\u29f8",
    " //",
    "\u00a0//",
    "\u3000//",
    "\ufeff//",
    "\x00//",
    "/\x00/",
    "/\x7f/",
    "http://",
    "https://",
    "HTTPS://",
    "https:",
    "https:/",
    "https:\\\\",
    "ftp://",
    "//\\",
    "/;//",
    ";//",
    "?//",
    "@",
    ".",
    ":80@",
    "//user:pw@",
)
PAYLOADS = (
    *(lead + host for lead in LEADS for host in HOSTS),
    "javascript:alert(1)",
    "JaVaScRiPt://%0aalert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://evil.test/1",
    "https://acq.example.si.evil.test/",
    "https://acq.example.si@evil.test/",
    "https://acq.example.si:443@evil.test/",
    "https://acq.example.sievil.test",
    "https://acq.example.si\\@evil.test",
    "https://acq.example.si%2f@evil.test",
    "http://acq.example.si/",
    "https://ACQ.example.si.evil.test",
    "/%00",
    "/a%0d%0aSet-Cookie:x=1",
    "/a\r\nLocation: //evil.test",
    "/a b",
    "/č",
    "/a%",
    "/a%zz",
    "/%2e%2e/",
    "/a/../../b",
    "/%c0%af",
    "/%252f%252fevil.test",
    "/x%5c..%5cevil",
    "/a?b\\c",
    "/a?b c",
    "/a?\u2028",
    "evil.test",
    "a/b",
    "*",
    "[::1]",
    "/.authproxy/logout",
    "/.authproxy",
    "/.AUTHPROXY/login",
    "/%2eauthproxy/login",
    "/.authproxy;a/login",
    "/.authproxy%2flogin",
    "/;x/.authproxy/login",
)


def is_on_the_portal(place: str) -> bool:
    reached = urlsplit(urljoin(ORIGIN + "/.authproxy/callback/rekono", place))
    parts = urlsplit(place)
    return (parts.scheme, parts.netloc) == ("", "") and f"{reached.scheme}://{reached.netloc}" == ORIGIN


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_place_elsewhere_becomes_the_portals_home_or_stays_on_the_portal(text):
    place = safe(text, origin=ORIGIN)

    assert is_on_the_portal(place)
    assert "evil" not in place.partition("?")[0]
    assert not place.lower().startswith("/.authproxy")


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_portal_that_accepts_more_in_its_paths_lets_nobody_be_sent_elsewhere(text):
    place = safe(text, origin=ORIGIN, accepts_encoded_slash=True, accepts_encoded_percent=True)

    for _ in range(4):
        assert is_on_the_portal(place)
        assert not place.lower().startswith("/.authproxy")
        place = unquote(place)


def test_a_place_that_its_portal_may_not_be_asked_for_is_none():
    assert safe("/a%2Fb", origin=ORIGIN, accepts_encoded_slash=True) == "/a%2Fb"
    assert safe("/22%25DDV.pdf", origin=ORIGIN, accepts_encoded_percent=True) == "/22%25DDV.pdf"
    assert safe("/a%252Fb", origin=ORIGIN, accepts_encoded_percent=True) == "/"


def test_the_corpus_is_not_thinned_out():
    assert len(set(PAYLOADS)) >= 200


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (None, "/"),
        ("", "/"),
        ("/", "/"),
        ("/orders/7?tab=a%20b&next=//x", "/orders/7?tab=a%20b&next=//x"),
        ("/%C4%8Dek", "/%C4%8Dek"),
        ("/a%2Fb", "/"),
        ("/22%25DDV.pdf", "/"),
        ("/a#b", "/a"),
        ("?q=1", "/?q=1"),
        (ORIGIN, "/"),
        (ORIGIN + "/a?b", "/a?b"),
        (ORIGIN + "?b", "/?b"),
        (ORIGIN + ORIGIN, "/"),
        ("/a?b\\c", "/"),
        ("/authproxy", "/authproxy"),
        ("/.authproxyx", "/"),  # whatever begins like our place is ours, as the edge sees it
    ],
)
def test_a_place_on_the_portal_is_kept_if_it_reads_one_way(text, place):
    assert safe(text, origin=ORIGIN) == place


def test_of_a_long_place_the_path_is_kept():
    assert safe("/a?" + "b" * LONGEST, origin=ORIGIN) == "/a"
    assert safe("/" + "b" * (LONGEST - 1), origin=ORIGIN) == "/" + "b" * (LONGEST - 1)
    assert safe("/" + "b" * LONGEST, origin=ORIGIN) == "/"


@given(st.text() | st.text(alphabet="/\\%259fFcC.?#:@;\t\n aE-"))
@example("/%2F")
def test_whatever_is_asked_for_the_result_is_a_path_on_the_portal(text):
    place = safe(text, origin=ORIGIN)

    assert is_on_the_portal(place)
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))
    assert place.isascii()
    assert place.isprintable()
    assert " " not in place
    assert len(place) <= LONGEST
    assert safe(place, origin=ORIGIN) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/.authproxy/session", "/.authproxy/session"),
        (ORIGIN + "/.authproxy/session", "/.authproxy/session"),
        ("/.authproxy/session?said=ended", "/"),
        ("/.authproxy/session/extend", "/"),
        ("/.authproxy/sessions", "/"),
        ("/.authproxy//session", "/"),
        ("/.AUTHPROXY/session", "/"),
        ("/.authproxy/step-up", "/"),
    ],
)
def test_of_our_own_places_only_the_page_about_the_session_is_one_to_go_back_to(text, place):
    assert safe(text, origin=ORIGIN) == place


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/", ""),
        ("/?a=1", ""),
        ("/.authproxy/session", ""),
        ("/pay?to=SI56", "/pay"),
        ("/" + "a" * 59, "/" + "a" * 59),
        ("/" + "a" * 60, "/" + "a" * 59 + "…"),
    ],
)
def test_a_place_is_shown_without_its_query_and_not_at_length(place, words):
    assert shown(place) == words
