"""The revoked certificates, with time and reason. A file, if there is one, keeps them over a restart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

from authproxy.sandbox import private_files
from authproxy.sandbox.certificate_authority.crl import Revocation

REASONS: Mapping[str, x509.ReasonFlags] = {
    reason.value: reason for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.remove_from_crl
}
"""By the names in RFC 5280."""
USUAL_REASON = x509.ReasonFlags.key_compromise.value


class RevocationsBroken(Exception):  # noqa: N818
    """The file is unreadable. The text names it."""


class Revocations:
    """Revocations by names of certificates. Without a file `at_first` are revoked at `now`. Raises
    RevocationsBroken, OSError."""

    def __init__(self, at_first: Iterable[str], *, now: datetime, file: Path | None) -> None:
        self._file = file
        self._since: dict[str, Revocation] = {}
        if file is not None and file.exists():
            self._since = _read(file)
        else:
            self._since = {name: Revocation(at=now, reason=REASONS[USUAL_REASON]) for name in at_first}
            self._save()

    def revoke(self, name: str, *, reason: x509.ReasonFlags, now: datetime) -> None:
        """Revokes a certificate. One that is revoked already keeps its first date."""
        self._since.setdefault(name, Revocation(at=now.replace(microsecond=0), reason=reason))
        self._save()

    def restore(self, name: str) -> None:
        """Undoes a revocation completely, which no real authority does."""
        self._since.pop(name, None)
        self._save()

    def of(self, name: str) -> Revocation | None:
        return self._since.get(name)

    def __iter__(self) -> Iterator[tuple[str, Revocation]]:
        return iter(self._since.items())

    def _save(self) -> None:
        if self._file is not None:
            written = {
                name: {"at": revoked.at.isoformat(), "reason": revoked.reason.value} for name, revoked in self
            }
            private_files.replace(self._file, json.dumps(written, indent=1))


def _read(file: Path) -> dict[str, Revocation]:
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        return {
            name: Revocation(at=datetime.fromisoformat(revoked["at"]), reason=REASONS[revoked["reason"]])
            for name, revoked in written.items()
        }
    except (ValueError, TypeError, LookupError, AttributeError):
        raise RevocationsBroken(f"{file}: damaged; move it away to start again") from None
