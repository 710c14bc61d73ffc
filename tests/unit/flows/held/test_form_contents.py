from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.flows.held.form_contents import Contents, contents, is_plain, media_type

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="--Grenze 1"'


def multipart(*parts: bytes) -> bytes:
    return b"".join(b"----Grenze 1\r\n" + part + b"\r\n" for part in parts) + b"----Grenze 1--\r\nepilogue"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ()),
        (b"amount=12%2C50+EUR&to=SI56", (("amount", "12,50 EUR"), ("to", "SI56"))),
        (b"a=1&a=2&&b&=c&a=b=c", (("a", "1"), ("a", "2"), ("b", ""), ("", "c"), ("a", "b=c"))),
        ("ime=Živa".encode(), (("ime", "Živa"),)),
        (b"ime=%C5%BDiva&priimek=Kom%9A", (("ime", "Živa"), ("priimek", "Komš"))),
        (b"x=%81%zz%", (("x", "\ufffd%zz%"),)),
        (b"x=%00%0d%0a%09%e2%80%ae", (("x", "\ufffd\n\t\ufffd"),)),
    ],
)
def test_an_urlencoded_form_is_shown_as_it_was_typed(body, fields):
    assert contents(URLENCODED, body) == Contents(fields=fields)


def test_a_multipart_form_is_shown_by_its_fields_and_the_names_of_its_files():
    body = b"preamble\r\n" + multipart(
        b'Content-Disposition: form-data; name="purpose"\r\n\r\npla\xc4\x8da\r\nnovember',
        b'content-disposition: form-data; NAME="list"; filename="pla\xc4\x8de.csv"\r\nContent-Type: '
        b"text/csv\r\n\r\n1;2;3",
        b'Content-Disposition: form-data; name="none"; filename=""\r\nContent-Type: '
        b"application/octet-stream\r\n\r\n",
        b"\r\nwithout a head",
        b"X-Other: 1\r\n\r\nwithout a disposition",
    )
    assert contents(MULTIPART, body) == Contents(
        fields=(("purpose", "plača\nnovember"), ("", "without a head"), ("", "without a disposition")),
        files=("plače.csv",),
        file_fields=("list", "none"),
    )


def test_a_plain_form_is_shown_line_by_line():
    assert contents("Text/Plain; charset=utf-8", b"a=1\r\nb=c=d\r\n").fields == (("a", "1"), ("b", "c=d"))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=", b"--x\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=y", b"--x\r\n\r\n\r\n--x--"),
        ("application/json", b"{}"),
        ("application/json; boundary=y", b"--y\r\n\r\n1\r\n--y--"),
        ("", b"x"),
        (URLENCODED, b"&".join(b"%d=" % number for number in range(201))),
        (URLENCODED, b"a=" + b"x" * 2001),
        (URLENCODED, b"x" * 2001),
        (
            MULTIPART,
            multipart(b'Content-Disposition: form-data; name="f"; filename="' + b"x" * 2001 + b'"\r\n\r\n'),
        ),
    ],
)
def test_a_preview_that_is_cut_says_so(content_type, body):
    shown = contents(content_type, body)
    assert not shown.is_whole
    assert len(shown.fields) <= 200
    assert all(len(text) <= 2000 for pair in (*shown.fields, shown.files) for text in pair)


def test_a_form_within_the_limits_is_whole():
    body = b"&".join(b"%d=" % number for number in range(199)) + b"&a=" + b"x" * 2000
    assert contents(URLENCODED, body).is_whole
    assert contents("multipart/form-data; boundary=y", b"").is_whole


@given(
    some.sampled_from([URLENCODED, MULTIPART, "text/plain", "multipart/form-data;boundary=b;"]),
    some.binary(max_size=300),
)
def test_no_body_is_too_strange_to_be_shown(content_type, body):
    shown = contents(content_type, body)
    assert all(isinstance(text, str) for pair in (*shown.fields, shown.files) for text in pair)


def test_no_log_contains_a_form():
    assert "12" not in repr(contents(URLENCODED, b"amount=12"))


def test_a_media_type_has_no_parameters():
    assert media_type(" Text/HTML ; charset=utf-8") == "text/html"


PLAIN = "multipart/form-data; boundary=----WebKitFormBoundary7"


def as_browsers_write(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    border = b"------WebKitFormBoundary7"
    return b"".join(border + b"\r\n" + part + b"\r\n" for part in parts) + border + end


FIELD = b'Content-Disposition: form-data; name="amount"\r\n\r\n12'
FILE = (
    b'Content-Disposition: form-data; name="list"; filename="list.csv"\r\nContent-Type: text/csv\r\n\r\n1;2'
)


@pytest.mark.parametrize(
    ("content_type", "body", "plain"),
    [
        (URLENCODED, b"amount=12&to=SI56", True),
        (f"{URLENCODED}; charset=utf-8", b"amount=12", True),
        (f"{URLENCODED}; charset=utf-7", b"amount=12", False),
        (URLENCODED, b"amount=12;to=SI56", False),
        (URLENCODED, b"%5Fcharset_=utf-7", False),
        (PLAIN, as_browsers_write(FIELD, FILE), True),
        (PLAIN, as_browsers_write(FIELD, end=b"--"), True),
        (PLAIN, as_browsers_write(FIELD, end=b""), False),
        (PLAIN, b"preamble\r\n" + as_browsers_write(FIELD), False),
        (PLAIN, as_browsers_write(FIELD).replace(b"12\r\n", b"12"), False),
        (PLAIN, as_browsers_write(FIELD.replace(b'"', b"")), False),
        (PLAIN, as_browsers_write(FIELD.replace(b"amount", b"_charset_")), False),
        (PLAIN, b"amount=12", False),
        ("text/plain", b"amount=12", False),
    ],
)
def test_only_forms_as_browsers_write_them_are_plain(content_type, body, plain):
    assert is_plain(content_type, body) is plain
