"""Where the settings come from each time they are read, and whether their files have changed since then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Final

from authproxy.bootstrap.needed_modules import import_needed
from authproxy.settings.findings import Finding, SettingsUnreadable
from authproxy.settings.schema import Settings
from authproxy.settings.sources import Reading

_LOOKED_EVERY: Final = 1.0
"""Seconds. Files that have changed must stand still for as long, because they may be half written."""
_SHOWN: Final = 5
"""Findings that are reported. `authproxy check-config` shows all of them."""
_Stamp = tuple[int, int, int, int] | None


class Refused(Exception):  # noqa: N818
    """The settings are not taken over. The message says why, in one line."""


class SettingsSource:
    def __init__(self, first: Reading, read: Callable[[], Reading]) -> None:
        """`first` is what the gateway starts with; `read` reads again, and raises SettingsUnreadable."""
        self._read = read
        self._known = _stamps(first.files)
        self._last_look = self._known

    def read(self) -> Settings:
        """The settings as they are now. Raises Refused."""
        stamps = _stamps(self._known)
        try:
            reading = self._read()
        except SettingsUnreadable as unreadable:
            self._known = stamps
            raise Refused(_listed(unreadable.findings)) from None
        # What was changed while we read is read once more.
        self._known = _stamps(reading.files) | {
            file: stamp for file, stamp in stamps.items() if file in reading.files or not reading.settings
        }
        if reading.settings is None:
            raise Refused(_listed(reading.findings))
        import_needed(reading.settings)
        return reading.settings

    async def keep_looking(self, asked: asyncio.Event, is_wanted: Callable[[], bool]) -> None:
        """Sets `asked` whenever files have changed, for ever, while it is wanted."""
        while True:
            await asyncio.sleep(_LOOKED_EVERY)
            if is_wanted() and self.has_changed():
                asked.set()

    def has_changed(self) -> bool:
        """Whether a file has changed since it was read, and none since the last look."""
        before, self._last_look = self._last_look, _stamps(self._known)
        return self._last_look == before != self._known


def _stamps(files: Iterable[str]) -> dict[str, _Stamp]:
    return {file: _stamp(file) for file in files}


def _stamp(file: str) -> _Stamp:
    """Changes when the file is written or replaced, also through a link. None if there is none."""
    try:
        state = os.stat(file)  # noqa: PTH116  (of a path as the settings have it)
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size


def _listed(findings: tuple[Finding, ...]) -> str:
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    return "; ".join(errors[:_SHOWN]) + more
