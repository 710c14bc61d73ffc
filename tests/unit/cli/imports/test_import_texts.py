"""What is read from other configurations is written so that it says the same in YAML, and nothing else."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from authproxy.cli.imports.draft import Draft
from authproxy.cli.imports.rules import Rule, Rules, Server, covers
from authproxy.cli.imports.settings_text import scalar, written

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(0, 10**6),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    tree=st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), max_size=4),
    items=st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), min_size=1, max_size=3),
    comment=TEXT,
)
def test_yaml_says_what_the_draft_says(tree, items, comment):
    draft = Draft("x", tree=dict(tree) | {"items": items}, gaps=[comment])
    draft.comment(("items", 0), comment)
    draft.comment(("items",), comment)
    assert yaml.safe_load(written(draft)) == tree | {"items": items}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1:80/x"),
        ("/", "/"),
        ("no", '"no"'),
        ("a: b", '"a: b"'),
        ("x\n- y", '"x\\n- y"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("\u2028\x7f", '"\\u2028\\u007F"'),
        ("\U000e0001", '"\\U000E0001"'),
        ("š", '"š"'),
        ('a"\\', '"a\\"\\\\"'),
        ("12", '"12"'),
        (12, "12"),
        (True, "true"),
        (False, "false"),
        ([], "[]"),
        ({"required": False}, "{required: false}"),
    ],
)
def test_a_value_on_one_line(value, text):
    assert scalar(value) == text


def test_each_comment_stands_once():
    draft = Draft("x")
    for _ in range(2):
        draft.say(("a", "b"), "c", "line 1")
    draft.say(("a", "d"), "e")
    assert written(draft).splitlines()[2:] == ["", "a:", "  # line 1", "  b: c", "  d: e"]


def routes(**parts):
    return [route for route, _ in Rules(**parts).routes()]


OPEN = {"access": "public"}


def test_a_rule_becomes_a_route_for_each_server_that_it_reaches():
    servers = [
        Server(path="/a", upstream="http://a", comment=""),
        Server(path="/a/b", upstream="http://ab", comment=""),
        Server(path="/c", upstream="http://c", comment=""),
    ]
    rules = [Rule(path="/a", keys={"roles": ["r"]}, comment=""), Rule(path="/a/x", keys=OPEN, comment="")]
    assert routes(rules=rules, servers=servers) == [
        {"path": "/a/x", "access": "public", "upstream": "http://a"},
        {"path": "/a/b", "roles": ["r"], "upstream": "http://ab"},
        {"path": "/a", "roles": ["r"], "upstream": "http://a"},
        {"path": "/c", "upstream": "http://c"},
    ]


def test_a_rule_for_one_path_leaves_what_lies_below_as_it_is():
    servers = [Server(path="/a/b", upstream="http://ab", comment="")]
    rules = [
        Rule(path="/a", keys=OPEN, methods=("GET",), comment="", is_exact=True),
        Rule(path="/a/c", keys=OPEN, comment=""),
        Rule(path="/", keys=OPEN, comment="", is_exact=True),
    ]
    assert routes(rules=rules, servers=servers, everywhere={"roles": ["r"]}) == [
        {"path": "/a/c", "access": "public"},
        {"path": "/a/b", "methods": ["GET"], "roles": ["r"], "upstream": "http://ab"},
        {"path": "/a/b", "roles": ["r"], "upstream": "http://ab"},
        {"path": "/a/*", "methods": ["GET"], "roles": ["r"]},
        {"path": "/a", "methods": ["GET"], "access": "public"},
        {"path": "/*", "roles": ["r"]},
        {"path": "/", "access": "public"},
    ]


def test_at_a_server_the_most_particular_rule_that_covers_it_counts():
    servers = [Server(path="/a/b/c", upstream="http://abc", comment="")]
    of_all, of_some, nearest = ({"roles": [role]} for role in ("all", "some", "nearest"))
    rules = [
        Rule(path="/", keys=of_all, comment=""),
        Rule(path="/*/b", keys=of_some, comment=""),
        Rule(path="/a/b", keys=nearest, comment=""),
    ]
    for stated in (rules, rules[::-1]):
        assert routes(rules=stated, servers=servers)[0] == {
            "path": "/a/b/c",
            "roles": ["nearest"],
            "upstream": "http://abc",
        }
    assert routes(rules=rules[:2], servers=servers)[0]["roles"] == ["some"]


def test_a_server_elsewhere_changes_nothing_for_a_rule():
    servers = [Server(path="/z", upstream="http://z", comment="")]
    for is_exact in (False, True):
        rules = [Rule(path="/a", keys=OPEN, comment="", is_exact=is_exact)]
        found = routes(rules=rules, servers=servers)
        assert found[-2:] == [{"path": "/a", "access": "public"}, {"path": "/z", "upstream": "http://z"}]


@pytest.mark.parametrize(
    ("path", "other", "is_covered"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/", "/a", True),
        ("/a/b", "/a", False),
        ("/*/b", "/a/b/c", True),
        ("/a/b", "/*/b", False),
    ],
)
def test_which_paths_cover_others(path, other, is_covered):
    assert covers(path, other) is is_covered
