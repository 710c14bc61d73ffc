"""PURE: the paths for which a portal might take the path of a request.

Servers disagree about paths. Some drop `;parameters`, some merge slashes, some decode once more; servers on
Windows ignore case, trailing dots and blanks. Nobody can know what a portal does, so every reading counts: a
rule that protects a path must hold for every spelling that might be served as that path.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, Literal

Paths = Literal["exact", "ignore_case", "windows"]
"""How a portal compares paths: byte for byte; without regard to case; as Windows does."""

ANY_SEGMENT: Final = "?"
"""Stands in a reading for a segment that might be any. No path contains it."""

_MOST_READINGS: Final = 48
_MOST_CHARACTERS: Final = 64 * 1024
"""A path with more readings, or more in all of them, is refused, so that nobody can make judging expensive.
An honest path has hardly ten."""

# In an ordinary path nothing can be read in another way.
_DOUBTFUL: Final = re.compile(r"//|[;|^\[\]]|%(?:2[134-79BCF]|28|3[ABDF]|40|5C)", re.ASCII)
_DOUBTFUL_ON_WINDOWS: Final = re.compile(r"[:~(]|\.(?:/|$)", re.ASCII)

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)
ENCODED_TWICE: Final = re.compile(r"%25(?=[0-9A-Fa-f]{2})", re.ASCII)
UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# RFC 3986 §3.3 allows these characters with and without an escape. Servers take both for the same.
_NEEDLESS_ESCAPE: Final = re.compile(r"%(2[146-9BC]|3[ADB]|40)", re.ASCII)
# These need one, but browsers send them as they are.
_NEEDED_ESCAPE: Final = re.compile(r"[|^\[\]]", re.ASCII)
_BLANK_OR_LETTERS: Final = re.compile(r"(?:%20|%[89A-F][0-9A-F])+", re.ASCII)

# What the steps about escapes, slashes and queries look for.
_ESCAPED: Final = re.compile(r"[%|^\[\]\\?#]", re.ASCII)
_SLASH: Final = re.compile(r"%2F|%5C|\\", re.ASCII)
_SLASHES: Final = re.compile(r"/{2,}", re.ASCII)
_PARAMETER: Final = re.compile(r";[^/]*", re.ASCII)
_FROM_PARAMETER_ON: Final = re.compile(r";.*", re.ASCII)
_FROM_QUERY_ON: Final = re.compile(r"(?:%3F|%23|\?|#).*", re.ASCII)
_DOT_SEGMENT: Final = re.compile(r"/\.\.?(?:/|$)", re.ASCII)

# `(S(…))` of ASP.NET, which takes it out of the path wherever it stands.
_SESSION_IN_PATH: Final = re.compile(r"/\((?:[A-Za-z]\([^()/]*\))+\)", re.ASCII)
_STREAM: Final = re.compile(r":[^/]*", re.ASCII)
# Looks at each run of dots and blanks once. Otherwise a path of nothing else would cost the square of its
# length.
_TRAILING: Final = re.compile(r"(?<![. ])[. ]++(?=/|$)", re.ASCII)
_NOTHING_BUT_DOTS: Final = re.compile(r"/[. ]+(?:/|$)", re.ASCII)
_SHORT_NAME: Final = re.compile(
    r"(?<=/)(?:%[0-9A-Fa-f]{2}|[^/]){1,6}~[0-9]{1,6}(?:\.[^/.]{0,3})?(?=/|$)", re.ASCII
)
# HTTP.sys takes a path that is not all UTF-8 for one in the server's code page. Then every name with letters
# beyond ASCII is another one.
_NO_UTF_8: Final = re.compile(r"[\udc80-\udcff]")
_WITH_LETTERS: Final = re.compile(r"(?<=/)[\x00-.0-\x7f]*[^\x00-\x7f][^/]*")

_KELVIN: Final = "\u212a"
"""Some servers take it for a `k`, others do not, and no honest path has it."""
_ALIKE: Final = str.maketrans({"\u0131": "i", "\u0130": "i"})
"""Turkish letters: i without its dot, and I with one. Some servers take them for an `i`; case folding does
not."""


def readings(path: str, paths: Paths = "exact") -> tuple[str, ...]:
    """Every path that the portal might take a canonical path for, in the form in which `PathPattern`
    compares. The first one is the path itself. Empty if it cannot be read safely: a portal might find a dot
    segment in it, or it has too many readings."""
    is_plain = _DOUBTFUL.search(path) is None
    if paths == "exact":
        if is_plain:
            return (path,)
        return _settled(_judged_steps(_decoded_again(path)))
    if is_plain and "%" not in path and (paths == "ignore_case" or not _DOUBTFUL_ON_WINDOWS.search(path)):
        return (path.lower(),)
    texts = [_text(decoded) for decoded in _decoded_again(path)]
    if any(_KELVIN in text for text in texts):
        return ()
    if paths == "windows":
        composed = [unicodedata.normalize("NFKC", text) for text in texts]
        # A new percent sign would begin an escape that nobody has judged.
        if any(one.count("%") > text.count("%") for one, text in zip(composed, texts, strict=True)):
            return ()
        texts = list(dict.fromkeys((*texts, *composed)))
    found = _judged_steps(texts, *(_WINDOWS_STEPS if paths == "windows" else ()))
    if paths == "windows":
        if any(_NOTHING_BUT_DOTS.search(form) for form in found):
            return ()
        found = _also(found, lambda form: _SHORT_NAME.sub(ANY_SEGMENT, form))
        found = _also(found, _in_a_code_page)
    return _settled([*(_lower(form) for form in found), *(_folded(form) for form in found)])


def as_compared(path: str, paths: Paths) -> str:
    """The path of a rule in the form in which it is compared with readings."""
    return as_written(path) if paths == "exact" else _lower(as_written(_text(path)))


def as_written(path: str) -> str:
    """The one spelling of a path with regard to escapes: those that RFC 3986 does not need are gone, and
    those that it needs are there."""
    path = _NEEDLESS_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), path)
    return _NEEDED_ESCAPE.sub(lambda character: f"%{ord(character[0]):02X}", path)


# A portal may take each step or not. So each doubles the readings, but only those of paths that it changes.


def _judged_steps(forms: list[str], *further: Callable[[str], str]) -> list[str]:
    if any(map(_ESCAPED.search, forms)):
        if any("%3B" in form for form in forms):
            # A server that drops parameters before it decodes takes an encoded `;` for a part of the name.
            forms = _also(forms, lambda form: _PARAMETER.sub("", form))
        forms = [as_written(form) for form in _also(forms, lambda form: _SLASH.sub("/", form))]
        forms = _also(forms, lambda form: _FROM_QUERY_ON.sub("", form))
    with_parameters = [form for form in forms if ";" in form]
    forms += [_PARAMETER.sub("", form) for form in with_parameters]
    forms += [_FROM_PARAMETER_ON.sub("", form) for form in with_parameters]
    for step in (*further, _with_slashes_merged):
        forms = _also(forms, step)
    return forms


def _also(forms: list[str], step: Callable[[str], str]) -> list[str]:
    if _are_too_many(forms):
        return forms
    others = [step(form) for form in forms]
    return forms if others == forms else list(dict.fromkeys((*forms, *others)))


def _are_too_many(forms: Sequence[str]) -> bool:
    return len(forms) > _MOST_READINGS or len(forms) * len(forms[0]) > _MOST_CHARACTERS


def _in_a_code_page(path: str) -> str:
    return _WITH_LETTERS.sub(ANY_SEGMENT, path) if _NO_UTF_8.search(path) else path


def _with_slashes_merged(path: str) -> str:
    return _SLASHES.sub("/", path)


_WINDOWS_STEPS: Final[tuple[Callable[[str], str], ...]] = (
    _with_slashes_merged,
    lambda path: _SESSION_IN_PATH.sub("", path),
    lambda path: _STREAM.sub("", path),
    lambda path: _TRAILING.sub("", path),
)


def _settled(forms: list[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(form or "/" for form in forms))
    return () if _are_too_many(found) or any(map(_DOT_SEGMENT.search, found)) else found


def _decoded_again(path: str) -> list[str]:
    """The canonical path, and the results for a portal that decodes twice, three times and so on."""
    forms = [path]
    while ENCODED_TWICE.search(path):
        path = _ESCAPE.sub(_canonical_escape, ENCODED_TWICE.sub("%", path))
        forms.append(path)
    return forms


def _canonical_escape(escape: re.Match[str]) -> str:
    octet = int(escape[1], 16)
    return chr(octet) if octet in UNRESERVED else escape[0].upper()


def _text(path: str) -> str:
    """The path with its letters and blanks decoded. What is no UTF-8 stays distinguishable."""
    return _BLANK_OR_LETTERS.sub(
        lambda run: bytes.fromhex(run[0].replace("%", "")).decode("utf-8", "surrogateescape"), path
    )


def _lower(text: str) -> str:
    # Greek has two small forms of the letter sigma.
    return text.lower().replace("\u03c2", "\u03c3")


def _folded(text: str) -> str:
    return text.translate(_ALIKE).casefold()
