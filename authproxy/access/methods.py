"""PURE: the HTTP methods that may reach a portal. Exact case, because some servers ignore it and others do
not (RFC 9110 §9.1: the method is case-sensitive)."""

from __future__ import annotations

from typing import Final

ORDINARY: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods of every portal that does not name its own."""
WEBDAV: Final = frozenset(
    {"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"}
)
"""RFC 4918, RFC 3253 §3.6 and RFC 5323. These methods can act on more than their target."""
FURTHER: Final = frozenset(
    {"PURGE", "QUERY", "MERGE", "ACL", "MKCALENDAR", "SUBSCRIBE", "UNSUBSCRIBE", "NOTIFY"}
)
"""Methods that a portal may name in addition. LINK, UNLINK, BIND and REBIND are left out: they name a second
target in a way that is not judged here. CONNECT, TRACE and TRACK are left out, too."""
KNOWN: Final = ORDINARY | WEBDAV | FURTHER
ON_ONE_TARGET: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH"})
"""Methods that act on their target only, so `other_targets` need not be asked."""
