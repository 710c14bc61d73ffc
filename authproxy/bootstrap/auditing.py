"""Where audit events go: the file of the settings, or a stream of the process."""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from authproxy.bootstrap import meanings
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Audit, AuditFile


def to_standard_output(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def to_standard_error(line: str) -> None:
    sys.stderr.write(line + "\n")


def audit(
    settings: Settings, clock: Callable[[], datetime], resources: AsyncExitStack, *, otherwise: Callable[[str], None] = to_standard_output
) -> tuple[Audit, AuditFile | None]:  # fmt: skip
    """The stream, and its file if it has one; `otherwise` is where it goes without. Raises OSError for a file that cannot be opened."""
    # The oldest key, so that a person keeps their name in the stream when a new key is put in front.
    person_key = hmac.new(meanings.record_keys(settings)[-1], b"authproxy audit person", hashlib.sha256).digest()
    if settings.telemetry.audit_file is None:
        return Audit(otherwise, clock=clock, person_key=person_key), None
    file = AuditFile(Path(settings.telemetry.audit_file))
    resources.callback(file.close)
    return Audit(file.write, clock=clock, person_key=person_key), file
