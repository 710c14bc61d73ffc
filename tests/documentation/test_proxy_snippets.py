"""The files for Caddy and Traefik remove the same headers of clients as the edge, and show the page that it
would show."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from authproxy.access.header_names import folded
from authproxy.edge.rules import identity_names
from authproxy.web import proxy_pages
from tests.support.forged_names import FORWARDING_NAMES, IDENTITY_NAMES
from tests.support.ordinary_names import ORDINARY_NAMES

DEPLOY = Path(__file__).parents[2] / "deploy"
CADDY = runpy.run_path(str(DEPLOY / "caddy" / "cleared.py"))
TRAEFIK = runpy.run_path(str(DEPLOY / "traefik" / "cleared.py"))
FORGED = [*identity_names.known(), *IDENTITY_NAMES, *FORWARDING_NAMES]
TRAEFIKS_OWN = {f"X-Forwarded-{name}" for name in ("For", "Host", "Port", "Proto", "Server")}


def as_go_writes(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def is_removed_by_caddy(name: str) -> bool:
    """As Caddy reads `request_header -pattern`: `*` in front, at the end, or on both sides."""
    name = name.lower()
    return any(
        (pattern[1:-1] in name)
        if len(pattern) > 1 and pattern[0] == pattern[-1] == "*"
        else name.endswith(pattern[1:])
        if pattern[0] == "*"
        else name.startswith(pattern[:-1])
        if pattern[-1] == "*"
        else name == pattern
        for pattern in re.findall(r"^\trequest_header [`\"]?-(.+?)[`\"]?$", CADDY["cleared"](), re.MULTILINE)
    )


def is_removed_by_traefik(name: str) -> bool:
    return re.search(TRAEFIK["expression"](), as_go_writes(name)) is not None


def test_the_files_are_made_from_the_lists_of_the_edge():
    shared = (DEPLOY / "traefik" / "authproxy" / "authproxy.yaml").read_text()
    assert (DEPLOY / "caddy" / "authproxy" / "cleared.caddyfile").read_text() == CADDY["cleared"](), (
        "run `make reference`"
    )
    assert shared == TRAEFIK["with_expression"](shared), "run `make reference`"


@pytest.mark.parametrize(
    ("proxy", "file"), [("caddy", "pages.caddyfile"), ("traefik", "authproxy-page.yaml")]
)
def test_the_page_that_is_shipped_is_the_one_without_settings(proxy, file):
    assert (DEPLOY / proxy / "authproxy" / file).read_text() == proxy_pages.configuration(proxy)


def test_the_page_names_the_request_only_where_the_proxy_knows_its_id():
    assert "Oznaka zahteve: <code>{http.request.uuid}</code>" in proxy_pages.configuration("caddy")
    assert "Oznaka zahteve" not in proxy_pages.configuration("traefik")


@pytest.mark.parametrize("spelled", [str, str.upper, lambda n: n.replace("-", "_"), lambda n: f"{n}-"])
def test_both_remove_every_name_that_the_edge_removes(spelled):
    forged = [spelled(name) for name in FORGED]
    assert [name for name in forged if not is_removed_by_caddy(name)] == []
    kept = {as_go_writes(name) for name in forged if not is_removed_by_traefik(name)}
    assert kept <= TRAEFIKS_OWN, "Traefik removes and sets these before it asks"


def test_neither_removes_what_portals_need():
    plain = [name for name in ORDINARY_NAMES if re.fullmatch(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", name)]
    assert len(plain) > 50
    assert [name for name in plain if is_removed_by_caddy(name)] == []
    assert [name for name in plain if is_removed_by_traefik(name)] == []


def test_traefiks_own_names_are_taken_by_letter():
    assert not any(is_removed_by_traefik(name) for name in TRAEFIKS_OWN)
    near = ["X-Forwarded-", "X-Forwarded-Fo", "X-Forwarded-Forx", "X-Forwarded-User", "X-Forwarded-Protocol"]
    assert all(is_removed_by_traefik(name) for name in near)


def test_every_answer_that_allows_replaces_the_fields_of_identity():
    shipped = (DEPLOY / "caddy" / "authproxy" / "authproxy.caddyfile").read_text()
    copied = re.findall(r"^\t+copy_headers (.*)$", shipped, re.MULTILINE)[0].split()
    identity = [name for name in copied if name not in {"Cookie", "Authorization"}]
    assert all(folded(name.encode()).startswith(b"x-auth-") for name in identity)
    assert len(identity) == 9
