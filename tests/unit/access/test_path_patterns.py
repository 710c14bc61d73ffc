from __future__ import annotations

import pytest

from authproxy.access.path_patterns import PathPattern


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("/admin", ["/admin", "/admin/", "/admin/x"], ["/administer", "/", "/x/admin"]),
        ("/admin/**", ["/admin", "/admin/", "/admin/x/y"], ["/administer"]),
        ("/", ["/", "/a", "/a/b"], []),
        ("/**", ["/", "/a", "/a/b"], []),
        ("/*", ["/a", "/a/b"], ["/"]),
        (
            "/x/*/ack",
            ["/x/7/ack", "/x/7/ack/z", "/x/*/ack"],
            ["/x/ack", "/x//ack", "/x/7/8/ack", "/x/7/acks"],
        ),
        ("/x/*", ["/x/7", "/x/7/8"], ["/x", "/x/", "/x//"]),
        ("/*/*/z", ["/a/b/z"], ["/a/z", "/z"]),
        ("/x/*/ack/**", ["/x/7/ack", "/x/7/ack/z"], ["/x/7"]),
    ],
)
def test_a_pattern_covers_its_path_and_everything_below(pattern, covered, not_covered):
    compiled = PathPattern(pattern)
    assert [path for path in covered if not compiled.covers(path)] == []
    assert [path for path in not_covered if compiled.covers(path)] == []


def test_a_pattern_is_compared_as_the_portal_compares():
    assert PathPattern("/Admin/%20x", "ignore_case").covers("/admin/ x")
    assert not PathPattern("/Admin").covers("/admin")


@pytest.mark.parametrize(
    ("pattern", "path", "may"),
    [
        ("/admin/x", "/?/x", True),
        ("/admin/x", "/?/y", False),
        ("/admin/x", "/?", False),
        ("/a/*/c", "/a/?/c/d", True),
        ("/admin", "/b/?", False),
        ("/", "/?", True),
    ],
)
def test_an_unknown_segment_may_be_any(pattern, path, may):
    assert PathPattern(pattern).may_cover(path) is may
    assert not PathPattern("/admin").covers("/?")


@pytest.mark.parametrize(
    ("pattern", "path", "below"),
    [
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/a", "/a", False),
        ("/a", "/a/b", False),
        ("/ab", "/a", False),
        ("/a/*/c", "/a/7", True),
        ("/a/*/c", "/b", False),
        ("/a/b", "/?", True),
        ("/a", "/", True),
        ("/", "/", False),
    ],
)
def test_what_lies_below_a_collection_is_known(pattern, path, below):
    assert PathPattern(pattern).may_cover_below(path) is below


@pytest.mark.parametrize(
    ("one", "other", "includes"),
    [
        ("/a", "/a/b", True),
        ("/a/b", "/a", False),
        ("/*", "/a", True),
        ("/a", "/*", False),
        ("/x/*/z", "/x/y/z/w", True),
        ("/x/*/z", "/x/*/z", True),
        ("/", "/*", True),
        ("/a", "/ab", False),
    ],
)
def test_one_pattern_includes_another(one, other, includes):
    assert PathPattern(one).includes(PathPattern(other)) is includes
