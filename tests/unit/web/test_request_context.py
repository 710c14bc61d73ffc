from __future__ import annotations

import pytest
from multidict import CIMultiDict

from authproxy.web.request_context import NO_PORTAL, PortalPresentation, comes_from_us, is_page_load, of, preferred_locale
from tests.support.pages_house import ACQ

PORTALS = {"acq": ACQ}
ORIGIN = ACQ.origin


def context(lang=None, **headers):
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return of(fields, method="GET", chosen_language=lang, portals=PORTALS)


def test_the_edge_says_portal_client_and_request_id():
    seen = context(x_authproxy_portal="acq", x_authproxy_client="203.0.113.7", x_request_id="abc-1")

    assert (seen.portal, seen.client, seen.request_id) == (ACQ, "203.0.113.7", "abc-1")


def test_an_unknown_portal_is_no_portal():
    assert context(x_authproxy_portal="nobody").portal is NO_PORTAL
    assert context().portal is NO_PORTAL


@pytest.mark.parametrize("text", ["", "a b", "<script>", "a" * 65, "ab\n"])
def test_a_malformed_request_id_is_not_repeated(text):
    assert context(x_request_id=text).request_id == "unknown"


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("", "sl"),
        ("en", "en"),
        ("EN-GB,en;q=0.8", "en"),
        ("de,fr;q=0.9", "sl"),
        ("sl;q=0.5, en;q=0.7", "en"),
        ("en;q=0.5,sl;q=0.5", "en"),
        ("en;q=0", "sl"),
        ("en;q=2", "sl"),
        ("*,en;q=0.1", "en"),
        ("\x00;;,,en;q", "sl"),
        ("x" * 600 + ",en", "sl"),
    ],
)
def test_the_better_liked_language_is_spoken_and_slovene_if_in_doubt(accepted, locale):
    assert preferred_locale(accepted) == locale


def test_a_chosen_language_goes_before_the_browsers():
    seen = context("en", accept_language="sl")
    assert (seen.locale, seen.locale_is_chosen) == ("en", True)
    unknown = context("de", accept_language="en")
    assert (unknown.locale, unknown.locale_is_chosen) == ("en", False)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, False),
        ({"Accept": "text/html,*/*"}, True),
        ({"Accept": "*/*"}, False),
        ({}, False),
        ({"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch;prerender"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Purpose": "Prefetch"}, False),
    ],
)
def test_only_somebody_who_waits_for_a_page_gets_one(headers, expected):
    assert is_page_load(CIMultiDict(headers), method="GET") is expected


def test_html_is_not_what_a_delete_waits_for():
    assert not is_page_load(CIMultiDict({"Accept": "text/html"}), method="DELETE")


@pytest.mark.parametrize(
    ("headers", "cookie", "expected"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, False, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, False, True),
        ({"Sec-Fetch-Site": "same-origin"}, False, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"}, True, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": ORIGIN}, True, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, True, False),
        ({"Sec-Fetch-Site": "none"}, True, False),
        ({"Origin": ORIGIN}, False, True),
        ({"Origin": "null"}, True, False),
        ({"Origin": "https://acq.example.si.evil.test"}, True, False),
        ({"Origin": "http://acq.example.si"}, True, False),
        ({}, True, True),
        ({}, False, False),
    ],
)
def test_a_form_is_believed_only_from_our_own_pages(headers, cookie, expected):
    assert comes_from_us(CIMultiDict(headers), origin=ORIGIN, holds_our_cookie=cookie) is expected


def test_a_portal_without_a_name_in_the_language_shows_another():
    portal = PortalPresentation(portal_id="x", origin=ORIGIN, names={"sl": "Iks"})
    assert portal.name("en") == "Iks"
    assert NO_PORTAL.name("sl") == ""
