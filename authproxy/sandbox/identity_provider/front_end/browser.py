"""PURE: describes from where somebody signs in, for the notification on the phone."""

from __future__ import annotations

# Edge and Opera also contain `Chrome`, and Chrome contains `Safari`: the first match counts.
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


def description(user_agent: str, address: str) -> str:
    """For example `Firefox, Windows, 192.0.2.7`. It repeats only known names of the header, because people
    trust the text on their phone."""
    known = (_first(_PROGRAMS, user_agent), _first(_SYSTEMS, user_agent), address)
    return ", ".join(part for part in known if part)


def _first(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")
