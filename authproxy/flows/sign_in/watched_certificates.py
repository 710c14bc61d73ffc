"""Certificates on which sessions rest, with the CAs above them: kept as long as a session may last, so that
they can be asked about again.

Each has two records, because earlier versions read and write the certificate alone.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Protocol

from authproxy.flows.sign_in.shown_certificate import ShownCertificate


class Reading(Protocol):
    async def get(self, key: str) -> bytes | None: ...


class Writing(Protocol):
    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...


async def keep(kept: Writing, shown: ShownCertificate, lives_for: timedelta) -> None:
    """Raises CannotAsk."""
    if shown.above:
        above = json.dumps([base64.b64encode(each).decode() for each in shown.above])
        await kept.put(_above_key(shown.fingerprint), above.encode(), lives_for)
    await kept.put(certificate_key(shown.fingerprint), shown.leaf, lives_for)


async def of(kept: Reading, fingerprint: str) -> tuple[bytes, ...]:
    """The certificate and the CAs above it that are known, DER; empty if it is not kept any more. Raises
    CannotAsk."""
    leaf = await kept.get(certificate_key(fingerprint))
    if leaf is None:
        return ()
    above = await kept.get(_above_key(fingerprint))
    return (leaf, *(base64.b64decode(each) for each in json.loads(above or b"[]")))


def certificate_key(fingerprint: str) -> str:
    """Under which name the DER of the certificate itself is kept."""
    return f"certificate:{fingerprint}"


def _above_key(fingerprint: str) -> str:
    return f"certificates_above:{fingerprint}"
