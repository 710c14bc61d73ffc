"""PURE: a YAML text → plain values, and the line of every key.

Every scalar stays text until the schema gives it a type. So `off`, `0660`, `1_000` and `12:30` are what was
written; YAML 1.1 would read False, 432, 1000 and 750. Only an unquoted `null`, `~` or nothing is None. Tags
are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from authproxy.settings.findings import KeyPath, Remark

Value = dict[str, "Value"] | list["Value"] | str | None

_QUOTED = re.compile(r"'[^']{2,}'")
_DEEPEST = 20
_ALIASES_REPEAT = 10
"""A text has fewer values than characters, unless aliases repeat some. Aliases of aliases could make any
number of values out of a few lines."""
_IMPLICIT_TAGS = {"map", "seq", "str", "null", "bool", "int", "float", "timestamp", "merge", "value"}


class DocumentUnreadable(ValueError):  # noqa: N818
    """The text is no YAML. The message repeats at most single characters of it, because any line may hold a
    secret."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(slots=True)
class Document:
    """The content of the file. `lines` count from 1; `remarks` are faults that leave the rest readable."""

    value: Value = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    left: int = 0
    """How many more values it may have."""


def parse(text: str) -> Document:
    """The document. Raises DocumentUnreadable for the first fault of syntax; further ones would mislead."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(filter(None, (error.context, error.problem)))
        column = f" at column {mark.column + 1}" if mark else ""
        raise DocumentUnreadable(
            f"is not YAML: {_QUOTED.sub('…', problem)}{column}", mark.line + 1 if mark else None
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentUnreadable(
            f"is not YAML: character U+{error.character:04X} is not allowed", line
        ) from None
    except RecursionError:
        raise DocumentUnreadable("is nested too deep", None) from None
    document = Document(left=_ALIASES_REPEAT * (len(text) + 100))
    if root is not None:
        document.value = _plain(root, (), document)
    return document


def _plain(node: yaml.Node, path: KeyPath, document: Document) -> Value:
    document.left -= 1
    if document.left < 0:
        raise DocumentUnreadable("repeats too much by aliases (`*name`)", node.start_mark.line + 1)
    document.lines.setdefault(path, node.start_mark.line + 1)
    if node.tag.removeprefix("tag:yaml.org,2002:") not in _IMPLICIT_TAGS:
        document.remarks.append(
            Remark(
                path=path, problem="begins with `!`, which is a tag in YAML; if it is text, put it in quotes"
            )
        )
        return None
    # An alias inside its own anchor would never end.
    if len(path) > _DEEPEST:
        document.remarks.append(Remark(path=path, problem="is nested too deep"))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, position), document) for position, item in enumerate(node.value)]
    is_null = isinstance(node, yaml.ScalarNode) and node.style is None and node.tag.endswith(":null")
    return None if is_null else str(node.value)


def _mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> dict[str, Value]:
    mapping: dict[str, Value] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            document.remarks.append(
                Remark(path=path, problem=f"has a key on line {line} that is no plain text")
            )
        elif key in mapping:
            first = document.lines[(*path, key)]
            document.lines[(*path, key)] = line
            document.remarks.append(
                Remark(path=(*path, key), problem=f"stands twice; the first time on line {first}")
            )
        else:
            document.lines[(*path, key)] = line
            mapping[key] = _plain(value_node, (*path, key), document)
    return mapping
