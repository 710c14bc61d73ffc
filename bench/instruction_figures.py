"""PURE: the committed figures in instructions.toml, and what counts mean beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import NamedTuple

_MOST = 5
_MOST_OF = {"sign-in": 15}
"""Per cent that a request may take more. Sign-ins vary by more than others: see README.md."""


class Figures(NamedTuple):
    """Instructions for each kind of request, and the environment on which they depend."""

    made_with: str
    counts: Mapping[str, int]


class Comparison(NamedTuple):
    """What to print. The last line is the verdict."""

    lines: tuple[str, ...]
    is_good: bool


def read(text: str) -> Figures:
    """Raises ValueError if that is not the text of figures."""
    found = tomllib.loads(text)
    made_with, counts = found.get("made_with"), found.get("instructions")
    if not isinstance(made_with, str) or not isinstance(counts, dict):
        raise ValueError("`made_with` and the table `instructions` are expected")  # noqa: TRY004  (of a file)
    for name, count in counts.items():
        if type(count) is not int or count <= 0:
            raise ValueError(f"`{name}` is not a count")
    return Figures(made_with, counts)


def written(figures: Figures) -> str:
    lines = (f'"{name}" = {count:_}\n' for name, count in figures.counts.items())
    return (
        "# Instructions of one request. `make instructions ACCEPT=1` writes this file: see README.md.\n"
        f'made_with = "{figures.made_with}"\n\n[instructions]\n{"".join(lines)}'
    )


def compared(now: Figures, committed: Figures) -> Comparison:
    """Bad are more instructions than the limit allows, and a figure that only one of the two has. In another
    environment nothing is compared, because the same sources take other instructions there."""
    if now.made_with != committed.made_with:
        lines = [f"{name}: {count:,} instructions" for name, count in now.counts.items()]
        lines += [f"Counted with {now.made_with}.", f"Committed are figures of {committed.made_with}."]
        return Comparison((*lines, "NOT COMPARED, because the environments differ."), is_good=True)
    lines, bad, lower = [], [], []
    for name, count in now.counts.items():
        figure = committed.counts.get(name)
        if figure is None:
            lines.append(f"{name}: {count:,} instructions, and no figure is committed")
            bad.append(name)
            continue
        lines.append(f"{name}: {count:,} instructions, {count / figure - 1:+.1%} of {figure:,}")
        most = _MOST_OF.get(name, _MOST)
        if count * 100 > figure * (100 + most):
            bad.append(name)
        elif count * 100 < figure * (100 - most):
            lower.append(name)
    for name in committed.counts:
        if name not in now.counts:
            lines.append(f"{name}: a figure is committed, and nothing was counted")
            bad.append(name)
    if lower:
        lines.append(f"Much lower: {', '.join(lower)}. Commit these figures, or the gain can be lost unseen.")
    verdict = (
        f"Too many more, or without a figure: {', '.join(bad)}. See bench/README.md."
        if bad
        else "No request takes too many more instructions."
    )
    return Comparison((*lines, verdict), is_good=not bad)
