"""The report of the doctor, and the tables behind it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from authproxy.doctor import advice, attacks, report, versions
from authproxy.doctor.findings import SUBJECTS, Finding, Verdict
from authproxy.doctor.probes import PROBES
from authproxy.doctor.report import Report

MISTAKES = {
    "nginx": {
        "set_real_ip_from", "proxy_pass_trailers on;", "$uri", "=200", "satisfy any;", "proxy_cookie_flags",
        "proxy_cookie_path", "proxy_hide_header Set-Cookie", "proxy_ignore_headers Cache-Control Set-Cookie",
        "server { listen 80; return 301 https://$host$request_uri; }", "add_header Strict-Transport-Security",
        "server.hsts: off",
    },
    "caddy": {
        "trusted_proxies", "handle_path", "header_up X-Forwarded-Uri", "header_up X-Forwarded-Method",
        "handle_response", "auto_https disable_redirects", "http://", "protocols tls1.0", "request_body max_size",
    },
    "traefik": {
        "forwardedHeaders.insecure", "forwardedHeaders.connection", "stripPrefix", "replacePath", "addPrefix",
        "authSigninURL", "redirections.entryPoint", "tls.options.default", "buffering", "maxRequestBodyBytes",
    },
    "envoy": {"prefix_rewrite", "regex_rewrite", "allowed_client_headers", "with_request_body"},
    "haproxy": {
        "option forwardfor", "set-path", "replace-path", "normalize-uri", "http-request set-method",
        "http-response set-status", "errorfile", "http-response replace-header Set-Cookie",
        "http-request cache-use", "http-request deny", "req.body_size", "option http-buffer-request",
    },
}  # fmt: skip
"""What the shipped files do not have: mistakes, keys of settings that are written in another way, and lines of other files."""


def finding(finding_id: str, colour: str, came: str = "200", change: str = "") -> Finding:
    return Finding(
        finding_id=finding_id, verdict=Verdict(colour=colour, sent="GET /", came=came), advice=change
    )


def made(*findings: Finding, proxy: str = "nginx", strangers: int = 0) -> Report:
    return Report(
        url="https://acq.example.si",
        proxy=proxy,
        gateway_version="1",
        requests=7,
        strangers=strangers,
        findings=findings,
    )


RED = finding("fails_open", "red", change="mend it")
YELLOW, GREEN = finding("hsts", "yellow"), finding("trailers", "green")
NOT_TRIED = finding("large_upload", "not_tried", came="")


@pytest.mark.parametrize(
    ("findings", "is_strict", "expected"),
    [((RED,), False, 1), ((YELLOW,), False, 0), ((YELLOW,), True, 1), ((GREEN, NOT_TRIED), True, 0)],
)
def test_the_exit_code_says_whether_something_is_red(findings, is_strict, expected):
    assert report.exit_code(made(*findings), is_strict=is_strict) == expected


def test_what_is_wrong_comes_first_and_in_full():
    lines = report.in_words(made(GREEN, NOT_TRIED, YELLOW, RED)).splitlines()

    assert lines[0] == "https://acq.example.si, authproxy 1 behind nginx"
    assert lines[2].startswith("RED       fails_open (not so): ")
    assert [line.split()[0] for line in lines[3:7]] == ["sent", "came", "why", "change"]
    assert any(line.startswith("YELLOW    hsts (not quite so): ") for line in lines)
    assert lines[-1] == "1 red, 1 yellow, 1 green, 1 not tried; 7 requests"
    assert any(line.startswith("not tried large_upload") and line.endswith("(GET /)") for line in lines)


def test_what_is_green_is_told_in_full_if_it_is_wanted():
    assert len(report.in_words(made(GREEN), is_whole=True)) > len(report.in_words(made(GREEN)))


def test_what_was_not_tried_is_said():
    plain = made(GREEN)
    less = replace(plain, http2_fault="the front proxy does not offer it", offers_http3=True)

    assert plain.never_tried[0] == "HTTP/3"
    assert less.never_tried[:2] == (
        "HTTP/2 (the front proxy does not offer it)",
        "HTTP/3, which the front proxy offers",
    )
    assert "Never tried: HTTP/2 (the front" in report.in_words(less)
    assert report.as_json(less)["never_tried"] == list(less.never_tried)


def test_how_many_requests_a_finding_has_taken_is_told():
    several = Finding(finding_id="trailers", verdict=Verdict(colour="green", sent="POST /"), requests=2)

    assert "POST / (2 requests in all)" in report.in_words(made(several), is_whole=True)


def test_what_is_unknown_is_said():
    words = report.in_words(made(RED, proxy="", strangers=2))

    assert "behind a front proxy that is not known" in words
    assert "Requests without the check's mark at the stand-in, which were answered 503: 2." in words


def test_the_json_has_every_finding():
    said = json.loads(json.dumps(report.as_json(made(RED, GREEN), is_strict=True)))

    assert (said["format"], said["exit_code"], said["proxy"]) == (1, 1, "nginx")
    assert said["findings"][0] == {
        "id": "fails_open",
        "colour": "red",
        "title": SUBJECTS["fails_open"].title,
        "why": SUBJECTS["fails_open"].why,
        "sent": "GET /",
        "came": "200",
        "change": "mend it",
        "requests": 0,
    }


@pytest.mark.parametrize("proxy", advice.ADVICE)
def test_what_an_advice_quotes_stands_in_the_files_or_is_a_mistake(proxy):
    folder = Path(__file__).parents[3] / "deploy" / proxy
    files = " ".join(
        file.read_text() for file in folder.rglob("*") if file.is_file() and file.suffix != ".md"
    )
    files = " ".join(files.split())

    quoted = [quote for text in advice.ADVICE[proxy].values() for quote in re.findall(r"`([^`]+)`", text)]
    missing = {
        quote for quote in quoted if not all(" ".join(part.split()) in files for part in quote.split("…"))
    }
    assert missing <= MISTAKES[proxy]


def test_every_finding_has_an_advice_and_every_advice_a_finding():
    assert set(advice.GENERAL) == set(SUBJECTS)
    assert set(advice.ADVICE) == {"nginx", "caddy", "traefik", "envoy", "haproxy"}
    for of_proxy in advice.ADVICE.values():
        assert set(of_proxy) <= set(SUBJECTS)
    assert advice.of("fails_open", "nginx") != advice.of("fails_open", "envoy")
    assert advice.of("clock", "nginx") == advice.of("clock", "") == advice.GENERAL["clock"]
    assert advice.of("nothing", "nginx") == ""


def test_the_readme_has_every_finding_and_the_right_numbers():
    text = (Path(__file__).parents[3] / "authproxy" / "doctor" / "README.md").read_text()
    rows = {
        name
        for row in re.findall(r"^\| (`[a-z_`, ]+`) \|", text, re.MULTILINE)
        for name in row[1:-1].split("`, `")
    }

    assert set(SUBJECTS) <= rows
    assert {probe.finding_id for probe in PROBES} == set(SUBJECTS)
    assert f"{len(attacks.PATHS)} that proxies" in text
    assert f"{len(attacks.ambiguous('/open'))} paths with several readings; {len(attacks.EXACT)} with" in text


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("nginx/1.22.1", ("nginx", "1.22.1")),
        ("Caddy", ("caddy", "")),
        ("", ("", "")),
        ("Apache/x (Unix)", ("apache", "")),
    ],
)
def test_a_server_may_say_its_version(server, expected):
    assert versions.stated(server) == expected


def test_only_packages_that_are_known_are_mended():
    assert versions.is_mended("nginx", "1.22.1-9+deb12u12")
    assert not versions.is_mended("nginx", "1.22.1")
    assert not versions.is_mended("nginx", "1.26.3-3+deb13u12")
    assert not versions.is_mended("caddy", "2.6.2-5+deb12u1")
    assert not versions.is_mended("apache", "2.4.1-1+deb12u1")


def test_each_line_of_the_table_says_where_it_was_read():
    assert all(
        re.search(r"\d{4}-\d\d-\d\d|release notes", floors.source) for floors in versions.FLOORS.values()
    )
    for program, floors in versions.FLOORS.items():
        assert all(versions.is_below(program, floor) is False for floor in floors.floors)
        assert all(versions.is_mended(program, package) for package in floors.mended)


@pytest.mark.parametrize(
    ("program", "version", "expected"),
    [
        ("traefik", "3.7.17", True),
        ("traefik", "3.7.18", False),
        ("traefik", "3.6.99", True),
        ("traefik", "2.11.61", True),
        ("traefik", "4.0", False),
        ("envoy", "1.39.0", True),
        ("envoy", "1.36.10", False),
        ("envoy", "1.40.0", False),
        ("haproxy", "2.6.12", True),
        ("haproxy", "2.4.24", False),
        ("haproxy", "3.1.99", True),
        ("apache", "2.4.1", None),
        ("nginx", "new", None),
    ],
)
def test_a_version_is_compared_with_the_floor_of_its_line(program, version, expected):
    assert versions.is_below(program, version) is expected
