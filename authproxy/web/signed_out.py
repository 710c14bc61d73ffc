"""PURE: what a sign-out has ended and what may go on, for the page that says so. It also stands in a cookie,
because the browser may come back to that page from the provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from authproxy.identity.session import Session

_AT_PROVIDER: dict[str, Literal["asked", "untold"] | None] = {"a": "asked", "u": "untold", "-": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """`everywhere`: all sessions of the person have ended, not only this one. `at_provider` is about the
    provider's session: the browser was sent to end it (`asked`; nobody here knows whether it did), or it was
    not (`untold`); None if the person did not sign in there. `shown_certificate`: the browser has shown one,
    and will show it again without asking until it is closed."""

    everywhere: bool
    at_provider: Literal["asked", "untold"] | None
    shown_certificate: bool

    @property
    def text(self) -> str:
        """For a cookie."""
        at_provider = next(letter for letter, state in _AT_PROVIDER.items() if state == self.at_provider)
        return f"{'e' if self.everywhere else 'h'}{at_provider}{'c' if self.shown_certificate else '-'}"


def of(session: Session | None, *, everywhere: bool, is_sent_on: bool) -> SignedOut | None:
    """What the end of this session has ended; None if nobody was signed in."""
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
