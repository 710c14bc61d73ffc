from __future__ import annotations

import pytest

from authproxy.access.held_request import HeldRequest
from authproxy.edge.rules import held_forms
from authproxy.edge.rules.request_head import RequestHead

ORIGIN = "https://acq.example"
# The same in every worker: it is part of the names of tests.
NAME = "bbjugmTgJac2ZpnSj3MHRYC067q92Ecwpz23hq4HW7A"
FORM = b"application/x-www-form-urlencoded"
BODY = b"authproxy-held=" + NAME.encode()


def takes(kind: str = FORM.decode()):
    """Takes what `kind` says, up to 10 bytes."""
    return lambda content_type, size: content_type == kind and size <= 10


def head(
    *fields: tuple[bytes, bytes],
    method: str = "POST",
    length: int | None = len(BODY),
    content_type: bytes | None = FORM,
) -> RequestHead:
    typed = [] if content_type is None else [(b"Content-Type", content_type)]
    request = RequestHead(method, "/pay", is_http_1_0=False, fields=[*typed, *fields], host=b"acq.example")
    request.content_length = length
    return request


SAME = (b"Sec-Fetch-Site", b"same-origin")


def test_the_size_is_that_of_the_form_on_our_page():
    assert len(BODY) == held_forms.RELEASE_SIZE


@pytest.mark.parametrize(
    ("given", "may"),
    [
        (head(), True),
        (head(content_type=b"Application/X-WWW-Form-Urlencoded ; charset=utf-8"), True),
        (head(method="PUT"), False),
        (head(length=len(BODY) - 1), False),
        (head(length=None), False),
        (head(content_type=b"text/plain"), False),
        (head(content_type=None), False),
        (head((b"content-type", FORM)), False),
    ],
)
def test_a_head_can_be_that_of_our_form_or_not(given, may):
    assert held_forms.may_release(given) is may


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"authproxy-held=",
        BODY[:-1] + b"%",
        BODY[:-1] + b"\xff",
        b"Authproxy-held=" + NAME.encode(),
        b"x" * 58,
        BODY + b"&a=b",
    ],
)
def test_a_body_that_is_not_exactly_our_field_is_the_portals(body):
    assert held_forms.released_name(body) is None


def test_our_field_names_the_form():
    assert held_forms.released_name(BODY) == NAME


@pytest.mark.parametrize(
    ("fields", "comes"), [([SAME], True), ([(b"Origin", b"https://evil.example")], False), ([], False)]
)
def test_only_a_page_of_the_portal_is_believed(fields, comes):
    assert held_forms.comes_from_portal(head(*fields), ORIGIN) is comes


@pytest.mark.parametrize(
    ("given", "what_is_taken", "may"),
    [
        (head(SAME, length=10), takes(), True),
        (head(SAME, length=0), takes(), True),
        (head(SAME, length=11), takes(), False),
        (head(SAME, length=10), takes("text/plain"), False),
        (head(SAME, length=None), takes(), False),
        (head(SAME, length=10, method="PUT"), takes(), False),
        (head(SAME, length=10, content_type=None), takes(), False),
        (head(SAME, (b"Content-Encoding", b"gzip"), length=10), takes(), False),
        (head(length=10), takes(), False),
    ],
)
def test_only_small_plain_forms_of_the_portals_own_pages_are_kept(given, what_is_taken, may):
    assert held_forms.may_keep(given, ORIGIN, what_is_taken) is may


def test_a_form_goes_on_with_its_own_body_and_origin_and_with_the_rest_of_the_request_that_sends_it():
    sent = head(
        (b"Origin", b"null"),
        (b"Referer", b"https://acq.example/form?\xe8"),
        (b"User-Agent", b"old"),
        content_type=b"multipart/form-data; boundary=x",
    )
    form = held_forms.kept(sent, "/pay?x", b"--x--")
    assert (form.target, form.content_type, form.body) == (
        "/pay?x",
        "multipart/form-data; boundary=x",
        b"--x--",
    )
    now = head(
        (b"Origin", ORIGIN.encode()),
        (b"referer", b"https://acq.example/.authproxy/step-up/send"),
        (b"User-Agent", b"new"),
    )
    now.cookies, now.connection, now.keeps_alive = b"a=b", b"close", False
    released = held_forms.released(now, form)
    assert released.fields == [
        (b"User-Agent", b"new"),
        (b"Content-Type", b"multipart/form-data; boundary=x"),
        (b"Origin", b"null"),
        (b"Referer", b"https://acq.example/form?\xe8"),
    ]
    assert (released.method, released.content_length, released.is_chunked, released.expects_continue) == (
        "POST",
        5,
        False,
        False,
    )
    assert (released.host, released.cookies, released.connection, released.keeps_alive) == (
        b"acq.example",
        b"a=b",
        b"close",
        False,
    )


def test_a_form_without_a_field_takes_none_of_the_request_that_sends_it():
    form = HeldRequest(
        target="/", content_type="text/plain", fields=(("Content-Type", "text/plain"),), body=b""
    )
    assert held_forms.released(head((b"Origin", b"x")), form).fields == [(b"Content-Type", b"text/plain")]
