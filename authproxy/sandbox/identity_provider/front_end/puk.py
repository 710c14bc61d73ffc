"""PURE: the PUK code: twelve digits with which a person can replace a lost password."""

from __future__ import annotations

_DIGITS = 12


def new(octets: bytes) -> str:
    """Eight random bytes as twelve digits; the bias is below one in 10^7."""
    return f"{int.from_bytes(octets) % 10**_DIGITS:0{_DIGITS}}"


def grouped(puk: str) -> str:
    """The code in groups, to be copied by hand."""
    return " ".join(puk[start : start + 4] for start in range(0, len(puk), 4))


def meant(typed: str) -> str:
    """The typed code without blanks and hyphens."""
    return "".join(character for character in typed if not character.isspace() and character != "-")
