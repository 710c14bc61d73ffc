"""The words of text messages, from the same catalogues as the pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from authproxy.web.request_context import Locale, PortalPresentation
from authproxy.web.templating import Templates


class TextMessages:
    def __init__(self, templates: Templates, portals: Mapping[str, PortalPresentation]) -> None:
        self._templates = templates
        self._portals = portals

    def portal_name(self, portal_id: str, locale: str) -> str:
        return self._portals[portal_id].name(_locale(locale))

    def code(self, *, code: str, portal_name: str, origin: str, minutes: int, locale: str) -> str:
        """With the line that binds the code to the portal's host at the end, so that browsers fill it in there alone."""
        return self._said("code", locale, code=code, portal_name=portal_name, minutes=minutes, host=urlsplit(origin).hostname or "")

    def changed(self, *, change: str, method: str, portal_id: str, locale: str) -> str:
        return self._said("changed", locale, change=change, method=method, portal_name=self.portal_name(portal_id, locale))

    def _said(self, name: str, locale: str, **values: object) -> str:
        return self._templates[_locale(locale)].get_template(f"messages/{name}.txt").render(**values).strip()


def _locale(text: str) -> Locale:
    return "en" if text == "en" else "sl"
