"""PURE: whether octets are a logo for our pages: a PNG, or an SVG that only draws, of at most 16 KiB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

LARGEST = 16 * 1024
PNG = b"\x89PNG\r\n\x1a\n"

_SVG = "{http://www.w3.org/2000/svg}"
_DOES_MORE = {"script", "foreignobject", "iframe", "image", "a", "set", "animate", "handler"}
_OUTSIDE = re.compile(r"url\(\s*['\"]?(?!#)|@import", re.IGNORECASE)


class UnfitLogo(ValueError):  # noqa: N818  (the exception is named after what is wrong)
    """The octets are no logo for our pages; the message says why."""


def check(octets: bytes) -> None:
    """Raises UnfitLogo. Browsers run no script of an image. Still, an SVG that contains one is suspicious,
    and the operator should know."""
    if len(octets) > LARGEST:
        raise UnfitLogo(f"has {len(octets)} bytes")
    if octets.startswith(PNG):
        return
    # Entities and document types are refused before the text is parsed: they can exhaust a parser, and no
    # drawing needs them.
    if b"<!DOCTYPE" in octets.upper() or b"<!ENTITY" in octets.upper():
        raise UnfitLogo("has a document type of its own; take it out")
    try:
        root = ET.fromstring(octets)  # noqa: S314  (without entities there is nothing to expand)
    except (ET.ParseError, ValueError, LookupError):
        raise UnfitLogo("is neither PNG nor SVG") from None
    if root.tag != f"{_SVG}svg":
        raise UnfitLogo("is neither PNG nor SVG")
    for fault in _faults(root):
        raise UnfitLogo(f"does more than draw: {fault}")


def _faults(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2].lower()
        if name in _DOES_MORE:
            yield f"`<{name}>`"
        if name == "style" and _OUTSIDE.search(element.text or ""):
            yield "a style from elsewhere"
        for attribute, value in element.attrib.items():
            short = attribute.rpartition("}")[2].lower()
            if (
                short.startswith("on")
                or (short == "href" and not value.startswith("#"))
                or _OUTSIDE.search(value)
            ):
                yield f"the attribute `{short}`"
