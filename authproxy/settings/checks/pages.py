"""PURE: checks of what the pages look like: the contrast of the colour, and keys that are given twice."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.settings import colours
from authproxy.settings.findings import KeyPath, Remark
from authproxy.settings.schema import PageSettings
from authproxy.settings.validation import Sections


def remarks(sections: Sections) -> Iterator[Remark]:
    if sections.pages:
        yield from _colour(("pages", "colour"), sections.pages)
    for portal_id, portal in sections.portals.items():
        yield from _colour(("portals", portal_id, "pages", "colour"), portal.pages)
        for name in ("contact", "telephone", "logo_file"):
            if getattr(portal, name) is not None and getattr(portal.pages, name) is not None:
                problem = f"is given twice: `portals.{portal_id}.{name}` gives it too"
                yield Remark(path=("portals", portal_id, "pages", name), problem=problem)


def _colour(path: KeyPath, look: PageSettings) -> Iterator[Remark]:
    if look.colour is None:
        return
    contrast = colours.contrast(look.colour, colours.PAPER)
    if contrast < colours.ENOUGH:
        problem = (
            f"cannot be read on white: its contrast is {contrast:.2f}, and {colours.ENOUGH} is needed (WCAG "
            "2.2, SC 1.4.3)"
        )
        yield Remark(
            path=path,
            problem=problem,
            read=look.colour,
            valid=f"a darker one, such as `{colours.dark_enough(look.colour)}`",
        )
