"""PURE: where somebody signs in from, in words that a phone shows to the one who is asked to confirm it."""

from __future__ import annotations

# Edge and Opera call themselves Chrome as well, and Chrome calls itself Safari: the first that fits is the
# one.
_PROGRAMS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def place(user_agent: str, address: str) -> str:
    """For example `Firefox, Windows, 192.0.2.7`. Only known names of the header are repeated: who owns the
    phone trusts what it shows."""
    known = (_first(_PROGRAMS, user_agent), _first(_SYSTEMS, user_agent), address)
    return ", ".join(part for part in known if part)


def _first(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")
