"""Writes the line of authproxy.yaml that removes header fields of clients, and the page that Traefik shows
without any settings. Run `python deploy/traefik/cleared.py` after a change of
`authproxy/edge/rules/identity_names.py`.

Traefik removes the fields that match `authResponseHeadersRegex`, before it sets those of the gateway's
answer. Go writes the names of fields in one form only (`X-Auth-Name`), so the expression does, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from authproxy.edge.rules.identity_names import FAMILIES, NAMES
from authproxy.web import proxy_pages

FILES: Final = Path(__file__).parent / "authproxy"
_TRAEFIKS_OWN: Final = ("For", "Host", "Port", "Proto", "Server")
"""What follows `X-Forwarded-` in the names that Traefik sets itself, after it has removed the client's."""
_ANOTHER_SPELLING: Final = "[^A-Za-z0-9-]|--|^-|-$|^Http-"
_LINE: Final = re.compile(r"(?<= authResponseHeadersRegex: ).*")


def expression() -> str:
    """Matches each name that a client must not send to a portal."""
    families = [_canonical(prefix) for prefix in sorted(FAMILIES) if prefix != "x-forwarded-"]
    names = [f"{_canonical(name)}$" for name in sorted(NAMES)]
    others = f"X-Forwarded-(?:{_none_of(_TRAEFIKS_OWN)})"
    return f"^(?:{'|'.join([*families, *names, others])})|{_ANOTHER_SPELLING}"


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _none_of(words: Iterable[str]) -> str:
    """Matches a text that is none of the words. Go's expressions cannot look ahead, so it goes letter by
    letter."""
    ends, after = False, dict[str, list[str]]()
    for word in words:
        if not word:
            ends = True
        else:
            after.setdefault(word[0], []).append(word[1:])
    ways = [] if ends else ["$"]
    ways.append(f"[^{''.join(sorted(after))}]" if after else ".")
    ways += [f"{letter}(?:{_none_of(rest)})" for letter, rest in sorted(after.items())]
    return "|".join(ways)


def with_expression(text: str) -> str:
    """The text of authproxy.yaml with the expression of today."""
    return _LINE.sub(lambda _: f"'{expression()}'", text, count=1)


if __name__ == "__main__":
    shared = FILES / "authproxy.yaml"
    shared.write_text(with_expression(shared.read_text()))
    (FILES / "authproxy-page.yaml").write_text(proxy_pages.configuration("traefik"))
