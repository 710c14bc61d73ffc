"""PURE: the methods that a portal may be asked with. Exact case, because some servers fold it."""

from __future__ import annotations

from typing import Final

ORDINARY: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What every portal is asked with, unless it names its methods."""
WEBDAV: Final = frozenset(
    {"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"}
)
"""RFC 4918, RFC 3253 §3.6 and RFC 5323: they act on more places than the one that they are sent to."""
FURTHER: Final = frozenset(
    {"PURGE", "QUERY", "MERGE", "ACL", "MKCALENDAR", "SUBSCRIBE", "UNSUBSCRIBE", "NOTIFY"}
)
"""What a portal may name beside them. LINK, UNLINK, BIND and REBIND are not among them: they name a second
place in a way that nobody judges here. Neither are CONNECT, TRACE and TRACK."""
KNOWN: Final = ORDINARY | WEBDAV | FURTHER
ON_ONE_TARGET: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH"})
"""Methods that never need a second look: they act on the place that they are sent to, under their own
name."""
