"""Private temporary folders, and the removal of those that killed processes have left."""

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
_LONGEST_PARENT = 75
"""Bytes: a Unix socket's path has room for 107 on Linux and for 103 on macOS."""


@contextlib.contextmanager
def own_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for the length of the block. Only this user can enter it, and its path is short enough for a
    Unix socket in it. Folders that dead processes have left beside it are removed first. Raises OSError."""
    parent = _temporary_folder() if parent is None else parent
    remove_abandoned(parent)
    # The folder is locked before it gets the name by which others look for it: without a lock it would look
    # abandoned.
    unlocked = Path(tempfile.mkdtemp(prefix=".authproxy-", dir=parent))
    folder = parent / unlocked.name.removeprefix(".")
    lock = os.open(unlocked / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _temporary_folder() -> Path:
    usual = tempfile.gettempdir()
    return Path(usual if len(os.fsencode(usual)) < _LONGEST_PARENT else "/tmp")  # noqa: S108  (mkdtemp makes it private)


def remove_abandoned(parent: Path) -> None:
    """Removes the folders of dead processes. A process holds a lock inside its folder, which the system
    releases when the process ends."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            state = folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid():
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    """Raises OSError for a folder that has no lock or whose lock is held."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
