"""Which regular expressions become paths, and that no path says more than its expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access.path_patterns import PathPattern
from authproxy.cli.imports.path_patterns import PathCovered, paths_of
from authproxy.cli.imports.rules import below


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("^/probe", ["/probe"]),
        ("/probe", ["/probe"]),
        ("^/static/", ["/static"]),
        ("^/static/.*", ["/static"]),
        ("^/static/.*$", ["/static"]),
        ("^/static(/.*)?$", ["/static"]),
        ("^/api([/?].*)?$", ["/api"]),
        ("^/static(?:/|$)", ["/static"]),
        ("^/api([/?]|$)", ["/api"]),
        ("^/favicon\\.ico$", ["/favicon.ico (alone)"]),
        ("^/(css|js)/", ["/css", "/js"]),
        ("^/(?:a|b)/(c|d)$", ["/a/c (alone)", "/a/d (alone)", "/b/c (alone)", "/b/d (alone)"]),
        ("^/a|^/b$", ["/a", "/b (alone)"]),
        ("^/a|^/a", ["/a"]),
        ("^/", ["/"]),
        (".*", None),
        ("", None),
        ("^/$", ["/ (alone)"]),
        ("^/a/$", ["/a (alone)"]),
        ("^//a", None),
        ("^/x/\x00", None),
        ("^/x/\x00/y$", None),
        ("\\.css$", None),
        ("^/.*\\.css$", None),
        ("^/a.b", None),
        ("^/a+", None),
        ("^/a?", None),
        ("^/a(/)?$", None),
        ("^/a(b)*", None),
        ("^/[a-z]+/x", None),
        ("(?i)^/a", None),
        ("^/a\\d", None),
        ("^/a\\", None),
        ("^/a\\.*$", None),
        ("^/a\\$", None),
        ("^(/a|/b(c|d))$", None),
        ("!^/a", None),
        ("^/é", None),
        ("^/a b", None),
        ("^/" + "(a|b)" * 6, None),
        ("|".join(f"^/{number}" for number in range(40)), None),
    ],
)
def test_an_expression_as_paths(expression, paths):
    found = paths_of(expression)
    shown = None if found is None else [each.path + (" (alone)" if each.is_exact else "") for each in found]
    assert shown == paths


PIECES = [
    "^", "/", "a", "b", "ab", "\\.", ".*", "(a|b)", "(?:a|bb)", "(/.*)?$", "(/|$)", "[^/]+", "$", "|", "?", ".",
]  # fmt: skip
REQUESTS = st.lists(st.sampled_from(["/", "a", "b", "ab", ".", "x"]), min_size=1, max_size=6).map(
    lambda parts: "/" + "".join(parts).lstrip("/")
)


@given(expression=st.lists(st.sampled_from(PIECES), max_size=7).map("".join), request_path=REQUESTS)
def test_no_path_covers_a_request_that_the_expression_does_not_match(expression, request_path):
    for covered in paths_of(expression) or ():
        is_guarded = covered.is_exact and PathPattern(below(covered.path)).covers(request_path)
        if PathPattern(covered.path).covers(request_path) and not is_guarded:
            spellings = (request_path, request_path.rstrip("/"), request_path + "/")
            assert any(re.search(expression, each) for each in spellings), (covered, request_path)


def test_a_segment_of_any_name_is_a_star():
    assert paths_of("^/u/[^/]+/pay") == (PathCovered("/u/*/pay"),)
    assert paths_of("^/u/[^/]*$") == (PathCovered("/u/*", is_exact=True),)
