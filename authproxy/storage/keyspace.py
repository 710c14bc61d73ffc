"""PURE: names of the keys in Redis. What stands in braces is the hash tag, so that every script stays in one slot of a Cluster.

States and browsers are named by their hash: whoever reads the store's keys cannot come back with somebody's state or flow cookie.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from authproxy.identity.session import SessionId

PREFIX: Final = "authproxy:{"
EVERY_SESSION: Final = "authproxy:{*}:session"
"""Pattern for SCAN."""
_SESSION_SUFFIX: Final = "}:session"


def session(session_id: SessionId) -> str:
    return f"{PREFIX}{session_id}{_SESSION_SUFFIX}"


def session_id_in(key: bytes) -> SessionId | None:
    """The session whose key this is; None for a key of another kind."""
    text = key.decode("ascii", "replace")
    if text.startswith(PREFIX) and text.endswith(_SESSION_SUFFIX):
        return SessionId(text[len(PREFIX) : -len(_SESSION_SUFFIX)])
    return None


def subject(name: str) -> str:
    """`name` is one of `KeyRing.subject_names`."""
    return f"{PREFIX}{name}}}:subject"


def attempt(name: str) -> str:
    return f"{PREFIX}{name}}}:attempt"


def attempts_of(browser_name: str) -> str:
    return f"{PREFIX}{browser_name}}}:browser"


def sign_ins_of(browser_name: str) -> str:
    return f"{PREFIX}{browser_name}}}:sign-ins"


def attempt_name(state: str) -> str:
    return _hashed("state", state)


def browser_name(browser: str) -> str:
    return _hashed("browser", browser)


def _hashed(kind: str, value: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(f"authproxy {kind}\0{value}".encode()).digest()).decode().rstrip("=")
