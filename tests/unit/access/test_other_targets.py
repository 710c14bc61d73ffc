"""The further targets on which a WebDAV request acts (RFC 4918)."""

from __future__ import annotations

import dataclasses

import pytest

from authproxy.access import methods
from authproxy.access.decision import Reason
from authproxy.access.other_targets import destination_of, judged_with
from authproxy.access.routes import Portal, Requirement, Route
from authproxy.access.target import TargetRefused, parse

DEMAND = Requirement()
PORTAL = Portal(
    portal_id="files",
    origin="https://files.example.si",
    host="files.example.si",
    methods=methods.KNOWN,
    webdav=True,
    routes=(
        Route(name="secret", path="/a/secret", requirement=DEMAND),
        Route(name="written", path="/a/written/", methods=("PUT",), requirement=DEMAND),
        Route(name="elsewhere", path="/ab", requirement=DEMAND),
        Route(name="files", path="/", requirement=DEMAND),
    ),
)


def target(method: str, path: str = "/a"):
    return parse(method=method, target=path, host=PORTAL.host, accepts_encoded_slash=True)


def destination(*values: bytes, method: str = "COPY", portal: Portal = PORTAL):
    return destination_of(portal, target(method), values)


def judged(method: str, path: str = "/a", *depth: bytes, to: bytes = b"/pub") -> set[str]:
    there = destination_of(PORTAL, target(method, path), [to])
    return {
        f"{other.method} {other.path}" for other in judged_with(PORTAL, target(method, path), there, depth)
    }


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        (b"/b", "/b"),
        (b"/%61dmin%2d%c4%8d", "/admin-%C4%8D"),
        (b"https://files.example.si/b", "/b"),
        (b"HTTPS://FILES.example.si:443/b", "/b"),
        (b"https://files.example.si", "/"),
        (b"https://files.example.si./b/", "/b/"),
    ],
)
def test_a_destination_is_read_as_a_target_is(sent, path):
    found = destination(sent, method="MOVE")
    assert (found.method, found.host, found.path, found.query) == ("MOVE", PORTAL.host, path, None)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], Reason.REQUEST_UNREADABLE),
        ([b"/b", b"/b"], Reason.REQUEST_UNREADABLE),
        ([b""], Reason.REQUEST_UNREADABLE),
        ([b"b"], Reason.REQUEST_UNREADABLE),
        ([b"/b?c"], Reason.REQUEST_UNREADABLE),
        ([b"/b#c"], Reason.REQUEST_UNREADABLE),
        ([b"/b, /c"], Reason.REQUEST_UNREADABLE),
        ([b"/\xc4\x8d"], Reason.REQUEST_UNREADABLE),
        ([b"ftp://files.example.si/b"], Reason.REQUEST_UNREADABLE),
        ([b"https://x@files.example.si/b"], Reason.REQUEST_UNREADABLE),
        ([b"//files.example.si/b"], Reason.TARGET_AMBIGUOUS),
        ([b"/a/../admin"], Reason.TARGET_AMBIGUOUS),
        ([b"/a%2fb"], Reason.TARGET_AMBIGUOUS),
        ([b"https://files.example.si/%2e%2e/x"], Reason.TARGET_AMBIGUOUS),
        ([b"https://other.example.si/b"], Reason.FOREIGN_ORIGIN),
        ([b"http://files.example.si/b"], Reason.FOREIGN_ORIGIN),
        ([b"https://files.example.si:8443/b"], Reason.FOREIGN_ORIGIN),
        ([b"/.authproxy/session"], Reason.FOREIGN_ORIGIN),
        ([b"/.Authproxy;x/"], Reason.FOREIGN_ORIGIN),
    ],
)
def test_a_destination_outside_the_portal_is_refused(sent, reason):
    with pytest.raises(TargetRefused) as refused:
        destination(*sent)
    assert refused.value.reason is reason


def test_what_a_portal_has_opted_in_to_applies_to_destinations_too():
    assert (
        destination(b"/a%2fb", portal=dataclasses.replace(PORTAL, accepts_encoded_slash=True)).path
        == "/a%2Fb"
    )
    assert (
        destination(b"/22%25DDV.pdf", portal=dataclasses.replace(PORTAL, accepts_encoded_percent=True)).path
        == "/22%25DDV.pdf"
    )
    with pytest.raises(TargetRefused):
        destination(b"/22%25DDV.pdf")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PROPFIND", "LOCK", "OPTIONS"])
def test_other_methods_ignore_a_destination(method):
    assert destination(b"https://other.example.si/", method=method) is None


def test_a_copy_reads_the_source_and_writes_the_destination_with_everything_below():
    assert judged("COPY", "/x", to=b"/b") == {"GET /x", "COPY /b", "PUT /b", "DELETE /b"}
    assert judged("COPY", "/a", to=b"/b") == {
        "GET /a",
        "COPY /a/secret",
        "GET /a/secret",
        "COPY /b",
        "PUT /b",
        "DELETE /b",
    }
    assert judged("COPY", "/b", to=b"/a/") == {
        "GET /b",
        "COPY /a/",
        "PUT /a/",
        "DELETE /a/",
        "COPY /a/secret",
        "PUT /a/secret",
        "DELETE /a/secret",
        "PUT /a/written/",
    }


def test_depth_0_limits_a_copy_but_not_a_move_to_the_collection_itself():
    assert "COPY /a/secret" not in judged("COPY", "/a", b"0")
    assert "COPY /a/secret" in judged("COPY", "/a", b"0", b"infinity")
    assert {"MOVE /a/secret", "GET /a/secret", "DELETE /a/secret", "DELETE /a"} <= judged("MOVE", "/a", b"0")


def test_deleting_and_listing_a_collection_needs_the_permission_for_everything_below_it():
    assert judged("DELETE") == {"DELETE /a/secret"}
    assert judged("PROPFIND", "/a", b"1") == {"GET /a", "PROPFIND /a/secret", "GET /a/secret"}
    assert judged("PROPFIND", "/a", b"0") == {"GET /a"}
    assert judged("LOCK") == {"PUT /a", "LOCK /a/secret", "PUT /a/secret", "PUT /a/written/"}


def test_each_reading_of_a_path_counts_as_a_collection():
    assert "COPY /a/secret" in judged("COPY", "/a;v=1")
    assert "COPY /a/secret" in judged("COPY", "/a%2F")


def test_a_body_that_may_name_any_path_is_judged_as_if_it_named_all():
    assert judged("REPORT", "/b") == {
        "GET /b",
        "REPORT /a/secret",
        "GET /a/secret",
        "REPORT /ab",
        "GET /ab",
        "REPORT /",
        "GET /",
    }


def test_other_methods_are_also_judged_as_the_ordinary_method_with_the_same_effect():
    assert judged("QUERY", "/b") == {"GET /b"}
    assert judged("MERGE", "/b") == {"PATCH /b"}
    assert judged("OPTIONS") == judged("PURGE") == set()


def test_without_webdav_a_collection_is_a_target_like_any_other():
    plain = dataclasses.replace(PORTAL, webdav=False)
    assert judged_with(plain, target("DELETE"), None, ()) == []
