"""PURE: the schema as a tree of keys, derived from the dataclasses, with types and meanings in words.

It tells where environment variables and secret files belong, what findings call valid, and what the reference
lists.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from authproxy.settings.schema import Settings
from authproxy.settings.value_types import Form

FILE_SUFFIX = "_file"
"""Added to the name of a secret, it names the secret's file."""
REQUIRED: Any = object()
"""The default of a required key (compared by identity)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the settings, and what it may hold."""

    kind: Literal["section", "names", "list", "value"]
    """`section` has fixed keys, `names` has keys that the operator chooses, `list` has items."""
    keys: Mapping[str, Key] = dataclasses.field(default_factory=dict)
    item: Key | None = None
    expects: str
    """The type in words: `duration`, `10, 20 or 30`, `list of text`."""
    default: Any = REQUIRED
    meaning: str = ""
    optional: bool = False

    @property
    def may_be_empty(self) -> bool:
        """Whether the empty text is a valid value."""
        return "or nothing" in self.expects

    @property
    def is_secret(self) -> bool:
        return (self.item or self).expects.startswith("secret")

    @property
    def may_be_in_file(self) -> bool:
        """Whether the value may stand in a file that is named in its place."""
        return self.is_secret or self.expects == "text or file"


def tree() -> Key:
    """The whole schema."""
    return _section(Settings)


def at(path: Iterable[str | int]) -> Key | None:
    """The key at a path; None if the schema has none."""
    key: Key | None = ROOT
    for part in path:
        if key is None:
            return None
        key = key.keys.get(str(part)) if key.kind == "section" else key.item
    return key


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean "upstream"?`, or nothing if no known name is similar."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def sections(key: Key | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Key]]:
    """Every section inside `key`. In a path, `<name>` stands for a key that the operator chooses and `[]` for
    an item."""
    for name, child in (key or ROOT).keys.items():
        below, here = child, (*path, name)
        if child.item is not None:
            below, here = child.item, (*here, "<name>" if child.kind == "names" else "[]")
        if below.kind == "section":
            yield here, below
            yield from sections(below, here)


def _section(of: type) -> Key:
    hints = get_type_hints(of, include_extras=True)
    return Key(
        kind="section",
        keys={
            field.name: dataclasses.replace(_key(hints[field.name]), default=_default(field))
            for field in dataclasses.fields(of)
        },
        expects="section",
        meaning=" ".join((of.__doc__ or "").partition("\n\n")[0].split()),
    )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default


def _key(annotation: Any) -> Key:
    if get_origin(annotation) is Annotated:
        return _annotated(annotation)
    if get_origin(annotation) in {Union, type(int | str)}:
        return _union(get_args(annotation))
    if get_origin(annotation) is tuple:
        item = _key(get_args(annotation)[0])
        return Key(kind="list", item=item, expects=f"list of {item.expects}")
    if get_origin(annotation) is dict:
        item = _key(get_args(annotation)[1])
        return Key(kind="names", item=item, expects=f"names with {item.expects}")
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _section(annotation)
    return Key(kind="value", expects=_words(annotation))


def _annotated(annotation: Any) -> Key:
    inner, *notes = get_args(annotation)
    form = next((note.words for note in notes if isinstance(note, Form)), None)
    key = Key(kind="value", expects=form, optional=type(None) in get_args(inner)) if form else _key(inner)
    if key.expects in _BOUNDED:
        bounds = [bound for note in notes if isinstance(note, FieldInfo) for bound in note.metadata]
        key = dataclasses.replace(key, expects=key.expects + _bounds(bounds))
    meaning = " ".join(note.description for note in notes if isinstance(note, FieldInfo) and note.description)
    return dataclasses.replace(key, meaning=meaning or key.meaning)


def _bounds(of: list[Any]) -> str:
    """The limits of a number or of a text's length, in words that follow the type."""
    least, most, longest = (
        next((getattr(bound, name) for bound in of if hasattr(bound, name)), None)
        for name in ("ge", "le", "max_length")
    )
    if longest is not None:
        return f" of at most {longest} characters"
    if least is None:
        return ""
    return f", {least} or more" if most is None else f" from {least} to {most}"


def _union(alternatives: tuple[Any, ...]) -> Key:
    keys = [_key(alternative) for alternative in alternatives if alternative is not type(None)]
    richest = next((key for key in keys if key.kind != "value"), keys[0])
    return dataclasses.replace(
        richest,
        expects=" or ".join(key.expects for key in reversed(keys)),
        optional=type(None) in alternatives,
    )


def _words(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return _choice([f"{word}" for word in get_args(annotation)])
    if isinstance(annotation, type) and issubclass(annotation, IntEnum):
        return _choice([str(member.value) for member in annotation])
    return {str: "text", int: "whole number", bool: "true or false"}[annotation]


def _choice(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


_BOUNDED = {"whole number", "text"}
ROOT = tree()
