"""The words of text messages and letters, from the same catalogues as the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from authproxy.challenges.notices import Note
from authproxy.web.request_context import Locale, PortalPresentation
from authproxy.web.templating import Templates

_LONGEST_IN_TEXT: Final = 40
"""Signs of a value. A text message has room for 70 where there are letters such as č."""


class TextMessages:
    def __init__(self, templates: Templates, portals: Mapping[str, PortalPresentation]) -> None:
        self._templates = templates
        self._portals = portals

    def portal_name(self, portal_id: str, locale: str) -> str:
        """Empty for a portal that there is no more: a message about it may have waited."""
        known = self._portals.get(portal_id)
        return "" if known is None else known.name(_locale(locale))

    def code(
        self,
        *,
        code: str,
        portal_name: str,
        origin: str,
        minutes: int,
        locale: str,
        shown: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """With the line that binds the code to the portal's host at the end, so that browsers fill it in
        there alone. `shown` is what the code confirms: what stands before it cannot be taken for that line,
        because values have no line feed."""
        return self._said(
            "code",
            locale,
            code=code,
            portal_name=portal_name,
            minutes=minutes,
            host=urlsplit(origin).hostname or "",
            shown=[(name, value[:_LONGEST_IN_TEXT]) for name, value in shown],
        )

    def changed(self, *, change: str, method: str, number: str, portal_id: str, locale: str) -> str:
        what = self._what(change, method, number, locale)
        return self._said("changed", locale, what=what, portal_name=self.portal_name(portal_id, locale))

    def several(self, *, count: int, portal_id: str, locale: str) -> str:
        return self._said("several", locale, count=count, portal_name=self.portal_name(portal_id, locale))

    def letter(self, notes: Sequence[Note]) -> tuple[str, str]:
        """In the language of the last one."""
        locale, name = notes[-1].locale, self.portal_name(notes[-1].portal_id, notes[-1].locale)
        lines = [(note.at, self._what(note.change, note.method, note.number, locale)) for note in notes]
        subject = " ".join(self._said("letter_subject", locale, portal_name=name).split())
        return subject, self._said("letter", locale, portal_name=name, lines=lines) + "\n"

    def _what(self, change: str, method: str, number: str, locale: str) -> str:
        """What has changed, in one sentence."""
        return self._said("change", locale, change=change, method=method, number=number)

    def _said(self, name: str, locale: str, **values: object) -> str:
        return self._templates[_locale(locale)].get_template(f"messages/{name}.txt").render(**values).strip()


def _locale(text: str) -> Locale:
    return "en" if text == "en" else "sl"
