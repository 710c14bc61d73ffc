"""The texts of text messages and e-mails, translated by the same catalogues as the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from authproxy.challenges.notices import Note
from authproxy.web.request_context import Locale, PortalPresentation
from authproxy.web.templating import Templates

_LONGEST_VALUE: Final = 40
"""Characters. A text message with a letter such as č has room for 70."""


class TextMessages:
    def __init__(self, templates: Templates, portals: Mapping[str, PortalPresentation]) -> None:
        self._templates = templates
        self._portals = portals

    def portal_name(self, portal_id: str, locale: str) -> str:
        """Empty for a portal that no longer exists: a message about it may have waited in the store."""
        portal = self._portals.get(portal_id)
        return "" if portal is None else portal.name(_locale(locale))

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
        """The last line binds the code to the portal's host, so that browsers fill it in only there (WICG
        "Origin-bound one-time codes"). `shown` are the values that the code confirms. None of them can pass
        for that line, because they contain no line feed."""
        return self._rendered(
            "code",
            locale,
            code=code,
            portal_name=portal_name,
            minutes=minutes,
            host=urlsplit(origin).hostname or "",
            shown=[(name, value[:_LONGEST_VALUE]) for name, value in shown],
        )

    def changed(self, *, change: str, method: str, number: str, portal_id: str, locale: str) -> str:
        what = self._sentence(change, method, number, locale)
        return self._rendered("changed", locale, what=what, portal_name=self.portal_name(portal_id, locale))

    def several(self, *, count: int, portal_id: str, locale: str) -> str:
        return self._rendered("several", locale, count=count, portal_name=self.portal_name(portal_id, locale))

    def letter(self, notes: Sequence[Note]) -> tuple[str, str]:
        """In the language of the last note."""
        locale, name = notes[-1].locale, self.portal_name(notes[-1].portal_id, notes[-1].locale)
        lines = [(note.at, self._sentence(note.change, note.method, note.number, locale)) for note in notes]
        subject = " ".join(self._rendered("letter_subject", locale, portal_name=name).split())
        return subject, self._rendered("letter", locale, portal_name=name, lines=lines) + "\n"

    def _sentence(self, change: str, method: str, number: str, locale: str) -> str:
        """One sentence about the change."""
        return self._rendered("change", locale, change=change, method=method, number=number)

    def _rendered(self, name: str, locale: str, **values: object) -> str:
        return self._templates[_locale(locale)].get_template(f"messages/{name}.txt").render(**values).strip()


def _locale(text: str) -> Locale:
    return "en" if text == "en" else "sl"
