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


def sealed_backup(backup: Backup, settings: Settings) -> bytes:
    """The content of the file, under the first of the session keys."""
    return backups.sealed(backup, _ring(record_keys(settings.sessions)), version=__version__)


def opened_backup(octets: bytes, settings: Settings, key_file: Path | None) -> Backup:
    """`key_file` holds another key under which the backup may be sealed. Raises BackupUnreadable, also for
    the file of the key."""
    keys = record_keys(settings.sessions)
    if key_file is not None:
        try:
            key = key_of(key_file.read_text("utf-8"))
        except OSError as error:
            raise BackupUnreadable(
                f"cannot be opened: {key_file} cannot be read: {error.strerror}"
            ) from error
        except ValueError as problem:
            raise BackupUnreadable(f"cannot be opened: the key in {key_file} {problem}") from problem
        keys = tuple(dict.fromkeys((*keys, key)))
    return backups.opened(octets, _ring(keys))


def _ring(keys: tuple[bytes, ...]) -> KeyRing:
    return KeyRing(keys, random_bytes=secrets.token_bytes)
