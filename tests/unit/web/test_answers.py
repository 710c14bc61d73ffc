"""What holds for every answer of the pages, whatever was asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import authproxy.web
from authproxy.access.decision import Reason
from authproxy.web.refusals import PAGES
from tests.support.log_lines import log_lines
from tests.support.pages import FORM, PAGE, TICKET, running_pages

EVERYTHING = [
    ("GET", "/.authproxy/login", 200),
    ("GET", "/.authproxy/login?rt=/a&lang=sl", 200),
    ("POST", "/.authproxy/login", 403),
    ("GET", "/.authproxy/callback/rekono?state=a", 303),
    ("GET", "/.authproxy/session", 303),
    ("POST", "/.authproxy/session/end", 303),
    ("POST", "/.authproxy/session/extend", 303),
    ("GET", "/.authproxy/logout", 200),
    ("POST", "/.authproxy/logout", 200),
    ("GET", "/.authproxy/jwks.json", 200),
    ("GET", "/.authproxy/static/pages.css", 200),
    ("GET", "/.authproxy/static/logo", 404),
    ("GET", "/.authproxy/static/pages.py", 404),
    ("GET", "/.authproxy/static/..%2fpages.py", 404),
    ("GET", "/.authproxy/", 404),
    ("GET", "/.authproxy/static/", 404),
    ("GET", "/elsewhere", 404),
    ("PUT", "/.authproxy/login", 405),
    ("TRACE", "/.authproxy/login", 405),
    ("OPTIONS", "/.authproxy/session", 405),
    ("PROPFIND", "/.authproxy/login", 405),
    ("POST", "/.authproxy/jwks.json", 405),
    ("GET", "/.authproxy/step-up", 303),
    ("POST", "/.authproxy/step-up", 303),
    ("GET", "/.authproxy/step-up/status", 401),
    ("GET", "/.authproxy/step-up/send", 303),
    ("POST", "/.authproxy/step-up/discard", 303),
    ("POST", "/.authproxy/session/methods", 303),
    ("POST", "/.authproxy/session/methods/finish", 303),
    ("GET", "/.authproxy/session/methods/remove", 303),
    ("POST", "/.authproxy/session/methods/remove", 303),
    ("GET", "/refusal", 500),
]
TEMPLATES = Path(authproxy.web.__file__).parent / "templates"


@pytest.mark.parametrize(("method", "path", "status"), EVERYTHING)
async def test_every_answer_carries_the_security_headers(house, method, path, status):
    async with house.asked(method, path, headers=FORM, body="" if method == "POST" else None) as answer:
        headers = answer.headers

        assert answer.status == status
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers
        assert ("no-store" in headers["Cache-Control"]) == (
            status != 200 or not path.endswith((".json", ".css"))
        )
        if status not in {303, 304}:
            assert "charset=utf-8" in headers["Content-Type"]


async def test_a_portal_on_plain_http_promises_no_tls(house):
    async with house.asked(
        "GET", "/.authproxy/login", headers={**PAGE, "X-Authproxy-Portal": "b2b"}
    ) as answer:
        assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("hsts", [None, "max-age=0"])
async def test_how_long_browsers_use_tls_alone_is_as_set(hsts):
    async with running_pages(hsts=hsts) as house, house.asked("GET", "/.authproxy/login") as answer:
        assert answer.headers.getall("Strict-Transport-Security", []) == ([] if hsts is None else [hsts])


async def test_a_wrong_method_is_told_the_right_ones(house):
    async with house.asked("DELETE", "/.authproxy/login") as answer:
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


async def test_a_host_that_is_nobodys_has_no_pages(house):
    async with house.asked(
        "GET", "/.authproxy/login", headers={**PAGE, "X-Authproxy-Portal": "nobody"}
    ) as answer:
        text = await answer.text()

        assert answer.status == 403
        assert "There is no portal at this address" in text
        assert "<title>There is no portal at this address</title>" in text


async def test_a_fault_of_ours_tells_nothing_and_is_recorded_with_the_request_id(house):
    house.flows.broken = RuntimeError("the inside of the house")

    with log_lines() as log:
        async with house.asked("GET", "/.authproxy/session", cookies=f"__Host-authproxy={TICKET}") as answer:
            text = await answer.text()

            assert answer.status == 500
            assert "unexpected-0123abcd" in text
            assert "inside of the house" not in text
            assert "RuntimeError" not in text
    [event] = log.lines()
    assert (event["event"], event["request_id"], event["client"]) == (
        "request.failed",
        "0123abcd",
        "203.0.113.7",
    )
    assert "RuntimeError: the inside of the house" in event["exception"]
    assert TICKET not in log.getvalue()


async def test_each_request_is_logged_under_its_own_id(house):
    with log_lines() as log:
        house.flows.broken = RuntimeError()
        for request_id in ("first", "second"):
            async with house.asked(
                "GET", "/.authproxy/session", headers={**PAGE, "X-Request-Id": request_id}
            ) as answer:
                assert answer.status == 500
    assert [line["request_id"] for line in log.lines()] == ["first", "second"]


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("language", ["sl", "en"])
async def test_every_reason_has_a_page_in_both_languages(house, reason, language):
    headers = {**PAGE, "Accept-Language": language, "X-Authproxy-Reason": reason, "X-Authproxy-Status": "418"}
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        text = await answer.text()

        assert answer.status == 418
        assert f'<html lang="{language}">' in text
        assert f"{reason.value}-0123abcd" in text
        shown, _, hidden = text.partition(" hidden>")
        assert (shown.count("<h1>"), hidden.count("<h1>")) == (1, 1)
        assert "podpora@example.si" in text
        assert "Set-Cookie" not in answer.headers


def test_no_reason_and_no_page_is_forgotten():
    assert PAGES.keys() == set(Reason)
    assert {name for name, _status in PAGES.values()} == {
        path.stem for path in (TEMPLATES / "refusals").glob("*.html")
    }


@pytest.mark.parametrize(
    ("said", "status"), [("", 500), ("200", 500), ("abc", 500), ("٤٠٣", 500), ("502", 502)]
)
async def test_a_refusal_is_never_a_success(house, said, status):
    headers = {**PAGE, "X-Authproxy-Reason": "unheard_of", "X-Authproxy-Status": said}
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        assert answer.status == status


@pytest.mark.parametrize(("status", "seconds"), [("503", "5"), ("429", "60"), ("403", None)])
async def test_an_outage_says_when_to_come_back(house, status, seconds):
    headers = {**PAGE, "X-Authproxy-Reason": "store_unavailable", "X-Authproxy-Status": status}
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        assert answer.headers.get("Retry-After") == seconds


async def test_a_script_gets_a_problem_in_place_of_a_page(house):
    async with house.asked("GET", "/.authproxy/nothing", headers={"Sec-Fetch-Mode": "cors"}) as answer:
        assert answer.content_type == "application/problem+json"
        assert json.loads(await answer.text()) == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "reason": "not_found",
            "request_id": "0123abcd",
            "code": "not_found-0123abcd",
        }


async def test_a_static_file_is_kept_for_good_only_in_the_version_asked_for(house):
    async with house.asked("GET", "/.authproxy/login") as page:
        versioned = (await page.text()).partition('rel="stylesheet" href="')[2].partition('"')[0]
    async with (
        house.asked("GET", versioned) as current,
        house.asked("GET", "/.authproxy/static/pages.css?v=old") as other,
    ):
        assert current.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert other.headers["Cache-Control"] == "no-cache"
        tag = other.headers["ETag"]
    async with house.asked(
        "GET", "/.authproxy/static/pages.css", headers={**PAGE, "If-None-Match": tag}
    ) as unchanged:
        assert (unchanged.status, await unchanged.read()) == (304, b"")


def test_no_template_holds_a_style_a_script_or_a_handler_of_its_own():
    # Of nginx's pages the policy names the style by its digest.
    for template in set(TEMPLATES.rglob("*.html")) - {TEMPLATES / "nginx" / "page.html"}:
        text = template.read_text(encoding="utf-8").lower()
        assert "style=" not in text
        assert "<style" not in text
        assert not re.search(r"<[^>]*\son[a-z]+=", text)
        assert "|safe" not in text.replace(" ", "")
        assert "<script>" not in text
