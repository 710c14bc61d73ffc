"""Files that only their owner can read: keys, secrets, and what an application must remember."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def create(file: Path, content: bytes) -> None:
    """Writes a new file. Raises FileExistsError."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def replace(file: Path, text: str) -> None:
    """Writes a file as a whole: after a crash it has its old content or the new one, never half of it. The
    content is on the disk when this returns."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    try:
        create(draft, text.encode())
        draft.replace(file)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
