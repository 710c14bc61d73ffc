"""The files for Envoy and HAProxy remove the same headers of clients as the edge, by one pattern, and show the
page that it would show."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from authproxy.edge.rules import identity_names
from authproxy.web import proxy_pages
from tests.support.forged_names import FORWARDING_NAMES, IDENTITY_NAMES
from tests.support.ordinary_names import ORDINARY_NAMES

DEPLOY = Path(__file__).parents[2] / "deploy"
MADE = runpy.run_path(str(DEPLOY / "envoy" / "cleared.py"))
FORGED = [*identity_names.known(), *IDENTITY_NAMES, *FORWARDING_NAMES]
FILES = [(file, MADE["envoy"]()) for file in MADE["ENVOY"]] + [
    (file, MADE["haproxy"]()) for file in MADE["HAPROXY"]
]


def envoys_patterns(file: Path) -> list[str]:
    """As Envoy reads them: the whole name must match."""
    text = file.read_text()
    odd = re.search(r"regex: '(\[\^:.*)'}", text)
    families = re.search(r'"(\(http-\)\?\(.*?\))"', text, re.DOTALL)
    assert odd, file
    assert families, file
    return [odd[1], re.sub(r"\\\n *", "", families[1])]


def is_removed_by_envoy(name: str, patterns: list[str]) -> bool:
    return any(re.fullmatch(pattern, name.lower()) for pattern in patterns)


def haproxys_patterns(file: Path) -> list[str]:
    return re.findall(r"^ *http-request del-header '(.*)' -m reg$", file.read_text(), re.MULTILINE)


def is_removed_by_haproxy(name: str, patterns: list[str]) -> bool:
    return any(re.search(pattern, name.lower()) for pattern in patterns)


@pytest.mark.parametrize(("file", "pattern"), FILES, ids=lambda value: getattr(value, "name", None))
def test_the_files_are_made_from_the_lists_of_the_edge(file, pattern):
    assert file.read_text() == MADE["with_pattern"](file.read_text(), pattern), "run `make reference`"


@pytest.mark.parametrize("proxy", ["envoy", "haproxy"])
def test_the_page_that_is_shipped_is_the_one_without_settings(proxy):
    assert (DEPLOY / proxy / "authproxy" / "pages.lua").read_text() == proxy_pages.configuration(proxy)


@pytest.mark.parametrize(
    "spelled",
    [str, str.upper, lambda n: n.replace("-", "_"), lambda n: n.replace("-", "."), lambda n: f"{n}-"],
)
def test_both_remove_every_name_that_the_edge_removes(spelled):
    forged = [spelled(name) for name in FORGED]
    for file in MADE["ENVOY"]:
        patterns = envoys_patterns(file)
        assert [name for name in forged if not is_removed_by_envoy(name, patterns)] == []
    for file in MADE["HAPROXY"]:
        patterns = haproxys_patterns(file)
        assert [name for name in forged if not is_removed_by_haproxy(name, patterns)] == []


def test_neither_removes_what_portals_need():
    plain = [name for name in ORDINARY_NAMES if re.fullmatch(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", name)]
    for_itself = {"Connection", "Upgrade", "Keep-Alive", "TE", "Trailer", "HTTP2-Settings"}
    assert len(plain) > 50
    for file in MADE["ENVOY"]:
        patterns = envoys_patterns(file)
        assert [name for name in plain if is_removed_by_envoy(name, patterns)] == []
    for file in MADE["HAPROXY"]:
        patterns = haproxys_patterns(file)
        assert {name for name in plain if is_removed_by_haproxy(name, patterns)} <= for_itself


def test_envoy_keeps_what_begins_with_a_colon():
    patterns = envoys_patterns(DEPLOY / "envoy" / "portal.example.yaml")
    assert not any(
        is_removed_by_envoy(name, patterns) for name in (":method", ":path", ":authority", ":scheme")
    )


def test_no_line_is_longer_than_haproxy_reads():
    for file in MADE["HAPROXY"]:
        assert max(map(len, file.read_text().splitlines())) < 2048


@pytest.mark.parametrize("proxy", ["envoy", "haproxy"])
def test_what_an_operator_writes_cannot_end_the_text_of_a_page(proxy):
    made = proxy_pages.configuration(proxy)
    assert made.count("]==]") == made.count("[==[") == 2
