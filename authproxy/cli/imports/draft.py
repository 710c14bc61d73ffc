"""PURE: settings that are being written, with the statement that each of them comes from, and what became of
every statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Fate = Literal["carried", "meaningless", "lost"]
"""`carried`: the settings say it. `meaningless`: there is no such thing here, or it is always so. `lost`: the
operator has to decide."""
Path = tuple[str | int, ...]


class CannotRead(Exception):  # noqa: N818
    """The file is no configuration of the other gateway. The message repeats no value of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of the other configuration. The name repeats no value."""

    line: int
    name: str
    fate: Fate
    words: str
    """What became of it, and why."""


@dataclass(slots=True)
class Draft:
    """Settings by key, in the order in which they were said. `comments` stand above the key of their path."""

    product: str
    tree: dict[str, Any] = field(default_factory=dict)
    comments: dict[Path, list[str]] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """Files that the operator has to make, with how."""
    gaps: list[str] = field(default_factory=list)
    """What the other configuration does not say and a gateway needs."""

    def say(self, path: Path, value: object, comment: str = "") -> None:
        """Sets a key, and notes where its value comes from. The last value counts."""
        place: Any = self.tree
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
        if comment:
            self.comment(path, comment)

    def comment(self, path: Path, comment: str) -> None:
        comments = self.comments.setdefault(path, [])
        if comment not in comments:
            comments.append(comment)

    def note(self, line: int, name: str, fate: Fate, words: str) -> None:
        self.statements.append(Statement(line=line, name=name, fate=fate, words=words))

    def needs_file(self, file: str, how: str) -> str:
        """The name of a file that the operator has to make."""
        self.files[file] = how
        return file

    def report(self, file: str) -> Iterator[str]:
        """One line for each statement, in the order of the file; then what is left to do."""
        words = {"carried": "carried", "meaningless": "no meaning here", "lost": "NOT CARRIED"}
        for each in sorted(self.statements, key=lambda statement: statement.line):
            yield f"{file}:{each.line}: {each.name}: {words[each.fate]}: {each.words}"
        lost = sum(each.fate == "lost" for each in self.statements)
        yield f"{len(self.statements)} statements, {lost} not carried"
        for gap in self.gaps:
            yield f"fill in: {gap}"
        for name, how in self.files.items():
            yield f"make {name}: {how}"
