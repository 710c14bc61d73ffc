"""PURE: what a sign-out has ended, and what may go on: for the page after it, and in a cookie, because the
browser may come back to that page from the provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from authproxy.flows.ending.logout import Ended

_AT_PROVIDER: dict[str, Literal["asked", "untold"] | None] = {"a": "asked", "u": "untold", "-": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """`everywhere`: all sessions of the person have ended, not only this one. `at_provider` is about the
    session there: the browser was sent to end it (`asked`; whether it has, nobody knows here), or it was not
    (`untold`); None where there is none that we have begun. `shown_certificate`: the browser has shown one,
    and shows it again unasked until it is closed."""

    everywhere: bool
    at_provider: Literal["asked", "untold"] | None
    shown_certificate: bool

    @property
    def text(self) -> str:
        """For a cookie."""
        at_provider = next(letter for letter, meaning in _AT_PROVIDER.items() if meaning == self.at_provider)
        return f"{'e' if self.everywhere else 'h'}{at_provider}{'c' if self.shown_certificate else '-'}"


def of(ended: Ended, *, everywhere: bool, is_sent_on: bool) -> SignedOut | None:
    """None if nobody was signed in."""
    session = ended.session
    if session is None:
        return None
    return SignedOut(
        everywhere=everywhere,
        at_provider=None if session.id_token is None else "asked" if is_sent_on else "untold",
        shown_certificate=session.method == "acnlb" or bool(session.certificates),
    )


def parse(text: str) -> SignedOut | None:
    """What `SignedOut.text` has written; None for any other text."""
    if len(text) != 3 or text[0] not in "eh" or text[1] not in _AT_PROVIDER or text[2] not in "c-":
        return None
    return SignedOut(
        everywhere=text[0] == "e", at_provider=_AT_PROVIDER[text[1]], shown_certificate=text[2] == "c"
    )
