"""Deployments that are broken on purpose: each makes one classic mistake in the shipped files of a front
proxy, which `authproxy doctor` must find. One module for each proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """`name` says in snake case what was done; `why` in a sentence how somebody can get around the gateway
    then. `finds` is the id of the doctor's finding that is red or yellow with it."""

    name: str
    why: str
    edits: tuple[tuple[str, str], ...]
    """What stands in the shipped files, and what stands there instead. The first text is in exactly one of
    the files, and each of its places there is edited."""
    finds: str

    def edited(self, files: Mapping[str, str]) -> dict[str, str]:
        """The files by name, with the mistake. A text that is in no file, or in several, is an error of the
        test: the shipped files have changed."""
        changed = dict(files)
        for old, new in self.edits:
            places = [name for name, text in changed.items() if old in text]
            assert len(places) == 1, f"{self.name}: {old!r} is in {places or 'no file'}"
            changed[places[0]] = changed[places[0]].replace(old, new)
        return changed
