"""What is no pattern is told with the spelling that was probably meant."""

from __future__ import annotations

import pytest

from authproxy.access.pattern_faults import fault_of


@pytest.mark.parametrize(
    "text",
    ["/", "/**", "/*", "/admin", "/admin/**", "/x/*/ack", "/odata/$metadata", "/Merchants(5)", "/v1/x:export",
     "/a.b", "/~jan", "/%C4%8D", "/a%5Bb%5D", "/c++"],
)  # fmt: skip
def test_a_pattern_of_this_language_has_no_fault(text):
    assert fault_of(text) is None


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("/*.do", "`/`"),
        ("/x/*.do", "`/x`"),
        ("/admin*", "`/admin`"),
        ("/admin/.*", "`/admin`"),
        ("/admin.*", "`/admin`"),
        ("/admin/.+", "`/admin`"),
        ("/admin(/.*)?$", "`/admin`"),
        ("/admin$", "`/admin`"),
        ("/admin/?", "`/admin`"),
        ("/(a|b)", "`/a` and `/b`, one route each"),
        ("/(?:a|b)/x", "`/a/x` and `/b/x`, one route each"),
        ("/(a|b*c)/*/x", ""),
        ("TO BE DECIDED", ""),
        ("/:id/pay", "`/*/pay`"),
        ("/{id}/pay", "`/*/pay`"),
        ("/<int:id>/pay", "`/*/pay`"),
        ("/[0-9]+/pay", "`/*/pay`"),
        ("/[^/]+/pay", "`/*/pay`"),
        (r"/(\d+)/pay", "`/*/pay`"),
        (r"/\w{2}/pay", "`/*/pay`"),
        ("/a[0-9]+/b", ""),
        ("/a/**/b", ""),
        ("/%2A", ""),
        ("/a?b=c", "`/a`"),
        ("/admin?x", "`/admin`"),
        ("/x(/y)?z", ""),
        ("/merchants/", "`/merchants`"),
        ("/a//", "`/a/`"),
        ("//", "`/`"),
        ("//a", "`/a`"),
        ("/a//b", "`/a/b`"),
        ("/a;b", "`/a`"),
        ("/%61", "`/a`"),
        ("/a/../b", ""),
        ("/a%2Fb", ""),
        ("/č", "`/%C4%8D`"),
        ("/a b", "`/a%20b`"),
        ("/a%21b", "`/a!b`"),
        ("/a%3Bb", "`/a`"),
        ("^/admin", "`/admin`"),
        ("~ ^/admin(/.*)?$", "`/admin`"),
        ("~* ^/admin", "`/admin`"),
        ("= /admin", "`/admin`"),
        ("admin", "`/admin`"),
        ("*.do", "`/`"),
        ("", "`/`"),
    ],
)
def test_what_belongs_to_another_language_is_a_fault_with_the_right_spelling(text, spelling):
    fault = fault_of(text)
    assert fault is not None
    assert fault.spelling == spelling
    assert fault.problem.startswith(("covers no request", "leaves `/"))


@pytest.mark.parametrize(
    ("path", "paths", "is_clear"),
    [
        ("/stra%C3%9Fe", "exact", True),
        ("/stra%C3%9Fe", "ignore_case", False),
        ("/Pla%C4%8Dila", "windows", True),
        ("/admin./x", "windows", False),
        ("/ADMINI~1", "windows", False),
        ("/admin./x", "ignore_case", True),
    ],
)
def test_a_pattern_must_be_clear_to_every_server_of_the_portals_kind(path, paths, is_clear):
    assert (fault_of(path, paths) is None) is is_clear
