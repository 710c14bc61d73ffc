"""What the provider remembers over a restart, in one JSON file that only its owner reads.

The file is replaced as a whole, never half written; one that cannot be understood is an error and stays as it
is.
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
    """Something that is remembered. What `restore` gets is what `snapshot` gave, or what somebody has made of
    the file since."""

    def snapshot(self) -> Any: ...

    def restore(self, saved: Any) -> None: ...


class StateBroken(Exception):  # noqa: N818
    """The file was not written by us, or was damaged. The text names file and part, never what stands in
    it."""


class State:
    """`file` may be None: then nothing is remembered. Parts that the file does not know stay as they are;
    parts that only the file knows are kept in it."""

    def __init__(self, file: Path | None, parts: Mapping[str, Part]) -> None:
        self._file = file
        self._parts = parts
        self._others: dict[str, Any] = {}
        self._is_dirty = False
        self._lock = asyncio.Lock()

    def load(self) -> None:
        """Restores every part. Raises StateBroken, and OSError for a file that cannot be read."""
        # Also what begins now is to be written: phones and accounts share secrets that are drawn at the
        # start.
        self.changed()
        if self._file is None or not self._file.exists():
            return
        try:
            saved = json.loads(self._file.read_text(encoding="utf-8"))
        except ValueError:
            raise StateBroken(f"{self._file}: not a JSON document; move it away to begin anew") from None
        if not isinstance(saved, dict) or saved.pop("format", None) != _FORMAT:
            raise StateBroken(f"{self._file}: not a state file of this version; move it away to begin anew")
        for name, part in self._parts.items():
            if name in saved:
                try:
                    part.restore(saved.pop(name))
                except (TypeError, ValueError, LookupError, AttributeError):
                    raise StateBroken(
                        f"{self._file}: the part {name!r} is damaged; move the file away to begin anew"
                    ) from None
        self._others = saved

    def changed(self) -> None:
        """Something is new: the next `save` writes."""
        self._is_dirty = self._file is not None

    async def save(self) -> None:
        """Returns when everything that changed before the call is on the disk. Raises OSError where it cannot
        be."""
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
