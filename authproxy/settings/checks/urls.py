"""PURE: checks of URLs: pages that ours link to, and addresses that the gateway asks."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.values import url_of


def linked(path: KeyPath, text: str | None) -> Iterator[Remark]:
    """A remark unless the text is an HTTP URL: `javascript:` and the like would run on our pages."""
    url = url_of(text) if text else None
    if text and (url is None or url.scheme not in {"http", "https"} or not url.hostname):
        yield Remark(path=path, problem="is no link to a page", read=shown(text), valid="`https://…`")


def asked(path: KeyPath, text: str, *, valid: str) -> Iterator[Remark]:
    """A remark unless the text is an HTTP URL without user and fragment."""
    url = url_of(text)
    if url is None or url.scheme not in {"http", "https"} or not url.hostname or url.username or url.fragment:
        yield Remark(path=path, problem="is no address that can be asked", read=shown(text), valid=valid)
