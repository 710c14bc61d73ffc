from __future__ import annotations

import pytest

from authproxy.access.request_senders import comes_from, is_in_frame, is_page_load

ORIGIN = "https://acq.example"
NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")
HTML = (b"Accept", b"text/html,*/*;q=0.8")
SAME = (b"Sec-Fetch-Site", b"same-origin")
OURS = (b"Origin", ORIGIN.encode())


@pytest.mark.parametrize(
    ("fields", "method", "is_page"),
    [
        ([NAVIGATES], "GET", True),
        ([NAVIGATES], "POST", True),
        ([(b"sec-fetch-mode", b"Navigate")], "GET", True),
        ([(b"Sec-Fetch-Mode", b"cors"), HTML], "GET", False),
        ([(b"Sec-Fetch-Mode", b"no-cors")], "GET", False),
        ([(b"Sec-Fetch-Mode", b""), HTML], "GET", True),
        ([(b"Sec-Fetch-Mode", b"")], "GET", False),
        ([HTML], "GET", True),
        ([(b"Accept", b"TEXT/HTML")], "HEAD", True),
        ([HTML], "POST", True),
        ([HTML], "PUT", False),
        ([HTML], "DELETE", False),
        ([(b"Accept", b"*/*")], "GET", False),
        ([], "GET", False),
        ([(b"User-Agent", b"curl/8")], "GET", False),
        ([NAVIGATES, (b"X-Requested-With", b"XMLHttpRequest")], "GET", False),
        ([HTML, (b"x-requested-with", b"")], "POST", False),
        ([HTML, (b"Authorization", b"Bearer x")], "GET", False),
        ([HTML, (b"authorization", b"bearer")], "GET", False),
        ([HTML, (b"authorization", b"Basic YTpi")], "GET", True),
        ([HTML, (b"authorization", b"Negotiate x")], "GET", True),
        ([NAVIGATES, (b"Sec-Purpose", b"prefetch;prerender")], "GET", False),
        ([NAVIGATES, (b"Purpose", b"Prefetch")], "GET", False),
        ([NAVIGATES, (b"Sec-Purpose", b"prerender"), (b"Purpose", b"")], "GET", False),
    ],
)
def test_only_a_person_who_waits_for_a_page_gets_a_page(fields, method, is_page):
    assert is_page_load(fields, method) is is_page


@pytest.mark.parametrize(
    ("fields", "comes"),
    [
        ([SAME], True),
        ([SAME, OURS], True),
        ([SAME, (b"Origin", b"null")], True),
        ([SAME, (b"Origin", b"https://evil.example")], False),
        ([SAME, OURS, OURS], False),
        ([SAME, SAME], False),
        ([(b"Sec-Fetch-Site", b"same-site"), OURS], False),
        ([(b"Sec-Fetch-Site", b"cross-site"), OURS], False),
        ([(b"Sec-Fetch-Site", b"none")], False),
        ([(b"Sec-Fetch-Site", b"")], False),
        ([(b"origin", ORIGIN.encode())], True),
        ([(b"Origin", b"null")], False),
        ([(b"Origin", b"https://acq.example.evil.test")], False),
        ([(b"Origin", b"http://acq.example")], False),
        ([OURS, OURS], False),
        ([(b"Referer", b"https://acq.example/form?\xe8")], True),
        ([(b"referer", b"https://acq.example/")], True),
        ([(b"Referer", b"https://acq.example")], False),  # no browser leaves out the path
        ([(b"Referer", b"https://acq.example.evil.test/")], False),
        ([(b"Referer", b"https://acq.example@evil.test/")], False),
        ([(b"Referer", b"http://acq.example/")], False),
        ([(b"Referer", b"https://evil.example/?https://acq.example/")], False),
        ([(b"Referer", b"")], False),
        ([(b"Referer", b"https://acq.example/a"), (b"Referer", b"https://acq.example/a")], False),
        ([(b"Referer", b"https://acq.example/a"), (b"Origin", b"null")], False),
        ([(b"Referer", b"https://acq.example/a"), (b"Origin", b"https://evil.example")], False),
        ([(b"Referer", b"https://acq.example/a"), (b"Sec-Fetch-Site", b"cross-site")], False),
        ([(b"Referer", b"https://evil.example/a"), SAME], True),
        ([HTML], None),
        ([], None),
    ],
)
def test_only_a_page_of_the_origin_is_believed_and_missing_headers_are_a_case_of_their_own(fields, comes):
    assert comes_from(fields, ORIGIN) is comes


@pytest.mark.parametrize(
    ("destination", "is_frame"),
    [
        *((frame, True) for frame in (b"frame", b"iframe", b"object", b"embed", b"IFrame")),
        *((other, False) for other in (b"document", b"empty", b"image", b"")),
    ],
)
def test_a_browser_says_that_it_asks_for_a_frame(destination, is_frame):
    assert is_in_frame([NAVIGATES, (b"sec-fetch-dest", destination)]) is is_frame


def test_a_browser_without_fetch_metadata_does_not_say_it():
    assert not is_in_frame([HTML])
