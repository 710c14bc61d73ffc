"""PURE: what the header fields tell about the sender of a request: a person who waits for a page or a script,
and a page of the portal's own origin or of another one. The edge and the pages share these rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MAY_BE_A_PAGE: Final = frozenset({"GET", "HEAD", "POST"})
_FRAMES: Final = frozenset({b"frame", b"iframe", b"object", b"embed"})


def is_page_load(fields: Iterable[tuple[bytes, bytes]], method: str) -> bool:
    """Whether a person waits for a page. Fetch Metadata says so (`Sec-Fetch-Mode: navigate`). From a browser
    without it, a GET or a form counts if it accepts HTML.

    A prefetch is no page load. `method` is that of the original request, which differs from the request's own
    in a subrequest."""
    mode = accept = b""
    is_ahead = is_scripted = False
    for name, value in fields:
        match name.lower():
            case b"sec-fetch-mode":
                mode = value.lower()
            case b"sec-purpose" | b"purpose":
                purpose = value.lower()
                is_ahead = is_ahead or b"prefetch" in purpose or b"prerender" in purpose
            case b"accept":
                accept = value.lower()
            case b"x-requested-with":
                is_scripted = True
            case b"authorization":
                # No browser sends a token when it opens a page.
                is_scripted = is_scripted or value[:6].lower() == b"bearer"
    if is_scripted or is_ahead:
        return False
    if mode:
        return mode == b"navigate"
    return method in _MAY_BE_A_PAGE and b"text/html" in accept


def is_in_frame(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the page fills only a part of a window. Fetch Metadata says so (`Sec-Fetch-Dest`); a browser
    without it does not."""
    return any(name.lower() == b"sec-fetch-dest" and value.lower() in _FRAMES for name, value in fields)


def comes_from(fields: Iterable[tuple[bytes, bytes]], origin: str) -> bool | None:
    """Whether a page of this origin has sent a POST (ASVS 5.0 V3.5.1); None if none of `Sec-Fetch-Site`,
    `Origin` and `Referer` is there.

    Fetch Metadata decides if the browser sends it, because no page can forge it. `Origin: null` counts only
    beside it: browsers send that from our own pages, which ask for `Referrer-Policy: no-referrer` (Fetch
    §3.1). `Referer` counts only without both. Internet Explorer sends nothing else with a form, and no page
    can make it name another site. Every browser that a page can keep from sending `Referer` sends `Origin`
    with a POST. A field that occurs twice is never believed."""
    site: bytes | None = None
    sender: bytes | None = None
    page: bytes | None = None
    for name, value in fields:
        match name.lower():
            case b"sec-fetch-site":
                if site is not None:
                    return False
                site = value
            case b"origin":
                if sender is not None:
                    return False
                sender = value
            case b"referer":
                # Two of them begin with no origin.
                page = value if page is None else b""
    if site is not None:
        return site == b"same-origin" and (sender is None or sender == b"null" or sender == origin.encode())
    if sender is not None:
        return sender == origin.encode()
    return None if page is None else page.startswith(origin.encode() + b"/")
