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


def test_a_kept_answer_holds_for_whatever_the_gateway_judges_by():
    question, cache = written("question.conf"), written("cache.conf")
    asked = re.findall(r"^proxy_set_header \S+ (.*);", question, re.MULTILINE)
    [key] = re.findall(r'proxy_cache_key "(.*)";', written("cached.conf"))
    [asked_anew] = re.findall(r'^map "(.*)" \$authproxy_asks_anew', cache, re.MULTILINE)
    variables = re.compile(r"\$\w+")
    in_key = set(variables.findall(key))
    # By their own maps, which the variable stands for.
    for_others = {"$http_cookie": "$authproxy_kept_ticket", "$request_uri": "$authproxy_kept_for"}
    anew = {"$authproxy_credentials": "$http_authorization", "$authproxy_origin": "$http_origin"}
    anew["$authproxy_asks_for_method"] = "$http_access_control_request_method"
    # The Host of the question is judged by nobody, the number is new each time, the proof says nothing else than the
    # question, and a referrer only decides where a refusal leads.
    said_of_nobody = {"$host", "$request_id", "$authproxy_question", "$authproxy_referer"}
    for variable in {found for value in asked for found in variables.findall(value)} - said_of_nobody:
        assert for_others.get(variable, variable) in in_key or anew.get(
            variable, variable
        ) in variables.findall(asked_anew), variable
    # What may hold a space stands last.
    assert key.endswith(" $authproxy_kept_ticket")
