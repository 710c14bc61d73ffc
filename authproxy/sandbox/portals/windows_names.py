"""PURE: the file that a name means to an old Windows server.

Letters have no case. Blanks and dots at the end of a name do not count, `::$DATA` is the file itself, and a
backslash separates as a slash does (Microsoft, "Naming Files, Paths, and Namespaces"). A long name has a
short one, too: its first six letters, `~1`, and the first three letters of what follows the last dot.
"""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST_SHORT, _LONGEST_KIND = 8, 3


def found(path: str, files: Iterable[str]) -> str | None:
    """Which of `files` the path means; None for none of them."""
    wanted = _plain(path)
    return next((file for file in files if wanted in _spellings(file)), None)


def _plain(path: str) -> str:
    names = path.casefold().replace("\\", "/").split("/")
    return "/".join(name.partition("::$data")[0].rstrip(". ") for name in names)


def _spellings(file: str) -> set[str]:
    """The file's path with each name long or short."""
    paths = {""}
    for name in _plain(file).split("/")[1:]:
        paths = {f"{path}/{each}" for path in paths for each in {name, _short(name)}}
    return paths


def _short(name: str) -> str:
    stem, dot, kind = name.rpartition(".") if "." in name else (name, "", "")
    if len(stem) <= _LONGEST_SHORT and len(kind) <= _LONGEST_KIND:
        return name
    return f"{stem[:6]}~1{dot}{kind[:_LONGEST_KIND]}"
