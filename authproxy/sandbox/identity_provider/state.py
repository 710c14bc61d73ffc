"""What the provider remembers over a restart, in one private JSON file. An unreadable file is an error and
stays unchanged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from authproxy.sandbox import private_files

_FORMAT = 1


class Part(Protocol):
    """Something that is remembered. `restore` gets what `snapshot` returned, unless somebody has edited the
    file."""

    def snapshot(self) -> Any: ...

    def restore(self, saved: Any) -> None: ...


class StateBroken(Exception):  # noqa: N818
    """The file was not written by us, or is damaged. The text names file and part, never the content."""


class StateFile:
    """With `file` None nothing is remembered. Parts that are missing in the file stay unchanged; unknown
    parts of the file are kept."""

    def __init__(self, file: Path | None, parts: Mapping[str, Part]) -> None:
        self._file = file
        self._parts = parts
        self._others: dict[str, Any] = {}
        self._is_dirty = False
        self._lock = asyncio.Lock()

    def load(self) -> None:
        """Restores every part. Raises StateBroken, and OSError for a file that cannot be read."""
        # The initial state must be written too: phones and accounts share secrets that are made at the start.
        self.changed()
        if self._file is None or not self._file.exists():
            return
        try:
            saved = json.loads(self._file.read_text(encoding="utf-8"))
        except ValueError:
            raise StateBroken(f"{self._file}: not a JSON document; move it away to start again") from None
        if not isinstance(saved, dict) or saved.pop("format", None) != _FORMAT:
            raise StateBroken(f"{self._file}: not a state file of this version; move it away to start again")
        for name, part in self._parts.items():
            if name in saved:
                try:
                    part.restore(saved.pop(name))
                except (TypeError, ValueError, LookupError, AttributeError):
                    raise StateBroken(
                        f"{self._file}: the part {name!r} is damaged; move the file away to start again"
                    ) from None
        self._others = saved

    def changed(self) -> None:
        """Marks the state as changed, so that the next `save` writes it."""
        self._is_dirty = self._file is not None

    async def save(self) -> None:
        """Returns when all changes before the call are on the disk. Raises OSError."""
        async with self._lock:
            if self._file is None or not self._is_dirty:
                return
            document = {
                "format": _FORMAT,
                **self._others,
                **{name: part.snapshot() for name, part in self._parts.items()},
            }
            text = json.dumps(document, ensure_ascii=False, indent=1)
            self._is_dirty = False
            try:
                await asyncio.to_thread(private_files.replace, self._file, text)
            except OSError:
                self._is_dirty = True
                raise
