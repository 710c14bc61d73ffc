"""Seals and opens backups of the register with the keys of the settings."""

from __future__ import annotations

import secrets
from pathlib import Path

from authproxy import __version__
from authproxy.bootstrap.keys import record_keys
from authproxy.settings.schema import Settings
from authproxy.settings.values import key_of
from authproxy.storage.records import backups
from authproxy.storage.records.backups import Backup, BackupUnreadable
from authproxy.storage.records.sealing import KeyRing


class BackupSeals:
    """Seals and opens backups under the session keys, or under the key in `key_file`."""

    def __init__(self, settings: Settings, key_file: Path | None = None) -> None:
        """Raises BackupUnreadable for a file that holds no key."""
        own = () if key_file is None else (_key_in(key_file),)
        keys = tuple(dict.fromkeys((*own, *record_keys(settings.sessions))))
        self._ring = KeyRing(keys, random_bytes=secrets.token_bytes)

    def seal(self, backup: Backup) -> bytes:
        """The content of the file."""
        return backups.sealed(backup, self._ring, version=__version__)

    def open(self, octets: bytes) -> Backup:
        """Raises BackupUnreadable."""
        return backups.opened(octets, self._ring)


def _key_in(file: Path) -> bytes:
    try:
        return key_of(file.read_text("utf-8"))
    except OSError as error:
        raise BackupUnreadable(f"there is no key: {file} cannot be read: {error.strerror}") from error
    except ValueError as problem:
        raise BackupUnreadable(f"there is no key: the one in {file} {_without_text(problem)}") from problem


def _without_text(problem: ValueError) -> str:
    """An error of the decoder repeats octets of the file."""
    return "is no text" if isinstance(problem, UnicodeDecodeError) else str(problem)
