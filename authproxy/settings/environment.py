"""PURE: `AUTHPROXY__SERVER__MANAGEMENT=…` → a key of the schema and its value. Two underscores separate the
parts of a key; case does not matter.

Lists are JSON or separated by commas. Names with values (`rekono.levels`) are JSON. `null` unsets an optional
key. `…__FILE` names the file of a secret. A variable that names no key is a finding: an override that is
ignored without a word may leave a gateway open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from authproxy.settings import schema_keys
from authproxy.settings.document import Value
from authproxy.settings.findings import KeyPath, Remark
from authproxy.settings.schema_keys import FILE_SUFFIX, Key

PREFIX = "AUTHPROXY__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A variable that names a key. The `path` of a secret's file ends in `…_file`."""

    variable: str
    path: KeyPath
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A variable that cannot be used."""

    variable: str
    remark: Remark


def overrides(environ: Mapping[str, str], tree: Value) -> Iterator[Override | Misfit]:
    """All our variables, sorted by name. `tree` is the content of the file: names of portals are spelt as
    there."""
    for variable in sorted(environ):
        if variable.upper().startswith(PREFIX):
            yield _override(variable, environ[variable], tree)
        elif variable.upper().startswith("AUTHPROXY_") and "__" in variable:
            problem = f'unknown variable; did you mean "{PREFIX}{variable[len("AUTHPROXY_") :]}"?'
            yield Misfit(variable=variable, remark=Remark(path=(), problem=problem))


def _override(variable: str, text: str, tree: Value) -> Override | Misfit:
    path: KeyPath = ()
    key = schema_keys.ROOT
    segments = variable[len(PREFIX) :].lower().split("__")
    for position, segment in enumerate(segments):
        if key.may_be_in_file and segment == "file" and position == len(segments) - 1:
            return _file_override(variable, path, text)
        name = _name(key, segment, tree)
        below = _below(key, name)
        if (
            below is None
            and key.kind == "section"
            and name.endswith(FILE_SUFFIX)
            and position == len(segments) - 1
        ):
            secret = key.keys.get(name.removesuffix(FILE_SUFFIX))
            if secret is not None and secret.may_be_in_file:
                return _file_override(variable, (*path, name.removesuffix(FILE_SUFFIX)), text)
        if below is None:
            return _unknown(variable, path, key, segment)
        path, key = (*path, name), below
        tree = tree.get(name) if isinstance(tree, dict) else None
    try:
        return Override(variable=variable, path=path, value=_value(key, text))
    except ValueError as error:
        return Misfit(variable=variable, remark=Remark(path=path, problem=str(error), valid=key.expects))


def _file_override(variable: str, path: KeyPath, text: str) -> Override:
    return Override(variable=variable, path=(*path[:-1], f"{path[-1]}{FILE_SUFFIX}"), value=text)


def _name(key: Key, segment: str, tree: Value) -> str:
    if key.kind != "names":
        return segment
    # Variables know neither case nor hyphens: `ACQ_TEST` is the portal `acq-test`.
    folded = segment.replace("_", "-")
    known = (
        [name for name in tree if name.lower().replace("_", "-") == folded] if isinstance(tree, dict) else []
    )
    return known[0] if known else folded


def _below(key: Key, name: str) -> Key | None:
    return key.item if key.kind == "names" else key.keys.get(name)


def _unknown(variable: str, path: KeyPath, key: Key, segment: str) -> Misfit:
    if key.kind == "section":
        problem = f"unknown variable: no such key{schema_keys.suggestion(segment, key.keys)}"
    elif key.kind == "list":
        problem = (
            "unknown variable: the items of a list cannot be set one by one; give the whole list as JSON"
        )
    else:
        problem = (
            "unknown variable: there is nothing below this key (only a secret can be given as `…__FILE`)"
        )
    return Misfit(variable=variable, remark=Remark(path=(*path, segment), problem=problem))


def _value(key: Key, text: str) -> Value:
    text = text.strip()
    if key.optional and text == "null":
        return None
    if key.optional and key.kind == "section" and text == "off":
        return text
    if key.kind == "list" and not text.startswith("["):
        return [item.strip() for item in text.split(",")] if text else []
    if key.kind == "section" or (text[:1] in {"[", "{"} and key.kind != "value"):
        return _json(text)
    if not text and (key.optional or key.is_secret) and not key.may_be_empty:
        raise ValueError(
            "is set to nothing; leave the variable out"
            + (", or write `null` to unset the key" if key.optional else "")
        )
    return text


def _json(text: str) -> Value:
    try:
        # Numbers stay text, as in a YAML file. The booleans are the only values that are no `Value`.
        parsed: Value = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    return parsed
