"""PURE: names and values in the body of a form, to show them to the person who is about to send it (HTML
Standard §4.10.22, RFC 7578).

The result is only shown. The portal gets the original body, and reads it in its own way. Every body can be
shown, however strange it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final
from urllib.parse import unquote_to_bytes

_MOST_PARTS: Final = 200
_LONGEST_TEXT: Final = 2000
_BOUNDARY: Final = re.compile(
    r';[ \t]*boundary=(?:"([^"]{1,70})"|([^\s;",]{1,70}))', re.ASCII | re.IGNORECASE
)
_DISPOSITION: Final = re.compile(rb"\r\ncontent-disposition:([^\r\n]*)", re.IGNORECASE)
_NAME: Final = re.compile(rb';[ \t]*name="([^"]*)"', re.IGNORECASE)
_FILE_NAME: Final = re.compile(rb';[ \t]*filename="([^"]*)"', re.IGNORECASE)
# The forms that browsers write (HTML Standard §4.10.22.7 and §4.10.22.8). Programs read these alike, and
# little else: some also split fields at `;`, decode EBCDIC or UTF-7 if the type says so, accept names without
# quotation marks, or find boundaries that others do not.
_PLAIN_URLENCODED: Final = re.compile(rb"[!-:<-~]*")
_PLAIN_TYPE: Final = re.compile(
    r"application/x-www-form-urlencoded"
    r"(?:;[ ]?charset=(?:utf-8|us-ascii|iso-8859-(?:1|2|15)|windows-125[02]))?"
    r"|multipart/form-data;[ ]?boundary=[0-9A-Za-z'()+_,./:=?-]{1,70}",
    re.ASCII | re.IGNORECASE,
)
_PLAIN_PART: Final = re.compile(
    rb'\r\nContent-Disposition: form-data; name="[^"\r\n\\]*"'
    rb'(?:; filename="[^"\r\n\\]*"(?:\r\nContent-Type: [^\r\n]*)?)?\r\n\r\n.*',
    re.DOTALL,
)
# A field of this name sets the charset in which some programs read all others (HTML Standard, "Naming form
# controls").
_CHARSET_FIELD: Final = "_charset_"
# Control characters except tab and line feed, and characters that change the direction of writing: with them,
# the page could show something else than what is sent.
_INVISIBLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Names and values in their order, the names of files, and the names of the fields that hold files.
    `is_whole` is False if something is cut or missing, `is_complete` if whole fields are missing."""

    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    file_fields: tuple[str, ...] = field(default=(), repr=False)
    is_whole: bool = True
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class _Part:
    name: bytes
    value: bytes
    file: bytes | None = None


def contents(content_type: str, body: bytes) -> Contents:
    """The fields of a body, cut to what a person can read. Never raises."""
    parts = list(islice(_parts(content_type, body), _MOST_PARTS + 1))
    shown = parts[:_MOST_PARTS]
    fields = tuple((_text(part.name), _text(part.value)) for part in shown if part.file is None)
    files = tuple(_text(part.file) for part in shown if part.file)
    cut = Contents(
        fields=tuple((name[:_LONGEST_TEXT], value[:_LONGEST_TEXT]) for name, value in fields),
        files=tuple(name[:_LONGEST_TEXT] for name in files),
        file_fields=tuple(_text(part.name)[:_LONGEST_TEXT] for part in shown if part.file is not None),
    )
    is_complete = shown == parts and bool(parts or not body)
    return replace(
        cut, is_whole=is_complete and (cut.fields, cut.files) == (fields, files), is_complete=is_complete
    )


def is_plain(content_type: str, body: bytes) -> bool:
    """Whether the body is written as browsers write forms, so that every program finds the same fields as
    `contents`."""
    if not _PLAIN_TYPE.fullmatch(content_type):
        return False
    if media_type(content_type) == "application/x-www-form-urlencoded":
        return _PLAIN_URLENCODED.fullmatch(body) is not None and not _names_charset(body)
    delimiter = b"--" + content_type.partition("=")[2].encode("ascii")
    first, *parts, last = body.split(delimiter) if delimiter in body else (b"?", b"")
    inner = [part.removesuffix(b"\r\n") for part in parts]
    return (
        not first
        and last in {b"--", b"--\r\n"}
        and all(part.endswith(b"\r\n") for part in parts)
        and all(_PLAIN_PART.fullmatch(part) for part in inner)
        and not any(b'name="_charset_"' in part for part in inner)
    )


def _names_charset(body: bytes) -> bool:
    return any(_text(part.name) == _CHARSET_FIELD for part in _urlencoded(body))


def media_type(content_type: str) -> str:
    """Without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _parts(content_type: str, body: bytes) -> Iterator[_Part]:
    kind = media_type(content_type)
    if kind == "application/x-www-form-urlencoded":
        return _urlencoded(body)
    if kind == "text/plain":
        return _lines(body)
    boundary = _BOUNDARY.search(content_type) if kind == "multipart/form-data" else None
    return (
        iter(())
        if boundary is None
        else _multipart(body, (boundary[1] or boundary[2]).encode("utf-8", "replace"))
    )


def _urlencoded(body: bytes) -> Iterator[_Part]:
    for pair in body.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            yield _Part(unquote_to_bytes(name), unquote_to_bytes(value))


def _lines(body: bytes) -> Iterator[_Part]:
    for line in body.splitlines():
        name, _, value = line.partition(b"=")
        yield _Part(name, value)


def _multipart(body: bytes, boundary: bytes) -> Iterator[_Part]:
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if part.startswith(b"--"):
            return
        head, _, value = part.partition(b"\r\n\r\n")
        disposition = _DISPOSITION.search(head)
        parameters = disposition[1] if disposition is not None else b""
        name, file = _NAME.search(parameters), _FILE_NAME.search(parameters)
        yield _Part(name[1] if name is not None else b"", value, file[1] if file is not None else None)


def _text(octets: bytes) -> str:
    # Old Slovenian portals have pages in Windows-1250. Octets that are neither UTF-8 nor Windows-1250 are
    # shown as replacement characters.
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        text = octets.decode("cp1250", "replace")
    return _INVISIBLE.sub("\ufffd", text.replace("\r\n", "\n"))
