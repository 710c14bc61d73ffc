"""Private temporary folders, and the removal of those that killed processes have left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "authproxy-"
_LOCK = ".lock"
_LONGEST_PLACE = 75
"""Bytes: a Unix socket's path has room for 107 on Linux and for 103 on macOS."""


@contextlib.contextmanager
def own_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user can enter, for the length of the block, under a path short enough for a
    Unix socket in it. Folders that dead processes have left in the same place are removed first. Raises
    OSError."""
    place = _usual_place() if parent is None else parent
    remove_abandoned(place)
    # It gets the name by which it is found only once it is locked: until then nobody could tell it from an
    # abandoned one.
    unlocked = Path(tempfile.mkdtemp(prefix=".authproxy-", dir=place))
    folder = place / unlocked.name.removeprefix(".")
    lock = os.open(unlocked / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _usual_place() -> Path:
    usual = tempfile.gettempdir()
    return Path(usual if len(os.fsencode(usual)) < _LONGEST_PLACE else "/tmp")  # noqa: S108  (mkdtemp makes it private)


def remove_abandoned(place: Path) -> None:
    """Removes the folders of processes that are provably dead: the system has let go of the lock that each
    holds inside its own."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    """Raises OSError for a folder that has no lock or whose lock is held."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
