"""nginx's files and the edge remove the same headers of clients."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from authproxy.access.header_names import folded
from authproxy.edge.rules import identity_names
from authproxy.edge.rules.headers import is_identity
from tests.support.forged_names import FORWARDING_NAMES, IDENTITY_NAMES

NGINX = Path(__file__).parents[2] / "deploy" / "nginx"
MADE = runpy.run_path(str(NGINX / "cleared.py"))


def written(snippet: str) -> str:
    return (NGINX / "authproxy" / snippet).read_text(encoding="utf-8")


def test_the_lists_are_made_from_those_of_the_edge():
    assert written("cleared.conf") == MADE["cleared"](), "run `make reference`"
    assert written("families.conf") == MADE["families"](), "run `make reference`"


def test_what_nginx_removes_or_sets_is_what_the_edge_removes():
    mentioned = re.findall(
        r"^proxy_set_header (\S+)", written("cleared.conf") + written("headers.conf"), re.MULTILINE
    )
    names = {folded(name.encode()).decode() for name in mentioned}
    assert names >= {
        *identity_names.known(),
        *(folded(name.encode()).decode() for name in IDENTITY_NAMES + FORWARDING_NAMES),
    }
    others = {name for name in names if not is_identity(name.encode())}
    assert others == {
        *("host", "connection", "upgrade", "cookie", "destination", "depth", "http2-settings"),
        "authorization",
    }


def test_every_known_name_is_in_the_form_by_which_the_edge_judges():
    assert [
        name
        for name in identity_names.known()
        if folded(name.encode()) != name.encode() or not is_identity(name.encode())
    ] == []
