"""Certificates in the store, each for its own purpose and time: shown a moment ago, watched because sessions
rest on them, or refused because they are nobody's."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import Final

from authproxy.access.decision import Reason
from authproxy.flows.sign_in import shown_certificate
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.flows.stores import OctetStore
from authproxy.identity.attempt import Showing

SHOWN_FOR: Final = timedelta(minutes=5)
"""How long after it was shown a certificate signs somebody in. The way back takes a moment."""
REFUSED_FOR: Final = timedelta(days=7)
"""The person asks their administrator, who asks the operator."""
_CODE: Final = re.compile(rf"\s*(?:{Reason.CERTIFICATE_UNKNOWN}-)?([A-Za-z0-9_.-]{{1,128}})\s*", re.ASCII)


class KeptCertificates:
    """Every method raises CannotAsk."""

    def __init__(self, store: OctetStore) -> None:
        self._store = store

    async def keep_shown(self, shown: ShownCertificate) -> None:
        """There is one record for each certificate, however often it is shown."""
        await self._store.put(_shown_key(shown.fingerprint), shown.octets(), SHOWN_FOR)

    async def shown(self, showing: Showing) -> ShownCertificate | None:
        """The certificate that was shown; None if its record is gone."""
        octets = await self._store.get(_shown_key(showing.fingerprint))
        return None if octets is None else shown_certificate.read(octets, shown_at=showing.shown_at)

    async def keep_watched(self, shown: ShownCertificate, lives_for: timedelta) -> None:
        """Keeps the certificate and the CAs above it for as long as a session may last, so that they can be
        asked about again. There are two records, because earlier versions read and write the certificate
        alone."""
        if shown.above:
            above = json.dumps([base64.b64encode(der).decode() for der in shown.above])
            await self._store.put(_above_key(shown.fingerprint), above.encode(), lives_for)
        await self._store.put(_watched_key(shown.fingerprint), shown.leaf, lives_for)

    async def watched(self, fingerprint: str) -> tuple[bytes, ...]:
        """The certificate and the known CAs above it, DER; empty if it is not kept any more."""
        leaf = await self._store.get(_watched_key(fingerprint))
        if leaf is None:
            return ()
        above = await self._store.get(_above_key(fingerprint))
        return (leaf, *(base64.b64decode(der) for der in json.loads(above or b"[]")))

    async def keep_refused(self, shown: ShownCertificate, request_id: str) -> None:
        """Keeps a certificate of nobody under the id of the refused request, which is in the code that the
        person sees. By that code an operator can link it."""
        await self._store.put(f"refused_certificate:{shown.fingerprint}", shown.leaf, REFUSED_FOR)
        await self._store.put(f"refused:{request_id}", shown.fingerprint.encode(), REFUSED_FOR)

    async def refused(self, code: str) -> bytes | None:
        """The DER that belongs to the code of a page, or to its request id."""
        match = _CODE.fullmatch(code)
        fingerprint = None if match is None else await self._store.get(f"refused:{match[1]}")
        return (
            None
            if fingerprint is None
            else await self._store.get(f"refused_certificate:{fingerprint.decode()}")
        )


def _shown_key(fingerprint: str) -> str:
    return f"shown:{fingerprint}"


def _watched_key(fingerprint: str) -> str:
    return f"certificate:{fingerprint}"


def _above_key(fingerprint: str) -> str:
    return f"certificates_above:{fingerprint}"
