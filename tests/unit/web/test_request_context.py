from __future__ import annotations

from dataclasses import replace

import pytest
from multidict import CIMultiDict

from authproxy.web.request_context import NO_PORTAL, PortalPresentation, comes_from_us, of, preferred_locale
from tests.support.pages import ACQ

PORTALS = {"acq": ACQ}
ORIGIN = ACQ.origin


def context(lang=None, **headers):
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return of(fields, raw(fields), method="GET", chosen_language=lang, portals=PORTALS)


def raw(headers):
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def test_the_edge_says_portal_client_and_request_id():
    seen = context(x_authproxy_portal="acq", x_authproxy_client="203.0.113.7", x_request_id="abc-1")

    assert (seen.portal, seen.client, seen.request_id) == (ACQ, "203.0.113.7", "abc-1")


def test_a_client_that_is_a_proxy_s_own_address_is_counted_under_none():
    named = context(x_authproxy_client="203.0.113.7")
    nobody = context(x_authproxy_client="10.0.0.1", x_authproxy_client_is_nobody="yes")
    assert (named.counted_client, nobody.client, nobody.counted_client) == ("203.0.113.7", "10.0.0.1", "")


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


@pytest.mark.parametrize(("mode", "is_page"), [("navigate", True), ("cors", False)])
def test_only_somebody_who_waits_for_a_page_gets_one(mode, is_page):
    assert context(sec_fetch_mode=mode).is_page_load is is_page


@pytest.mark.parametrize(
    ("headers", "cookie", "expected"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, False, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, True, False),
        ({"Origin": "null"}, True, False),
        ({}, True, True),
        ({}, False, False),
    ],
)
def test_a_form_is_believed_only_from_our_own_pages_and_without_a_word_of_the_browser_only_with_our_cookie(
    headers, cookie, expected
):
    assert comes_from_us(raw(headers), origin=ORIGIN, holds_our_cookie=cookie) is expected


def test_a_portal_without_a_name_in_the_language_shows_another():
    portal = PortalPresentation(portal_id="x", origin=ORIGIN, names={"sl": "Iks"})
    assert portal.name("en") == "Iks"
    assert NO_PORTAL.name("sl") == ""


@pytest.mark.parametrize(
    ("telephone", "url"), [("+386 1 234-56-78", "tel:+38612345678"), ("01/234", "tel:01234"), (None, "tel:")]
)
def test_a_telephone_number_is_a_link_without_what_is_there_for_the_eye(telephone, url):
    assert replace(ACQ, telephone=telephone).telephone_url == url


def test_a_way_back_leads_to_the_portal_only():
    assert ACQ.return_to("/orders?a=1") == "/orders?a=1"
    assert ACQ.return_to("https://evil.example/") == ACQ.return_to(None) == "/"
