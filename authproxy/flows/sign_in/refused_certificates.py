"""Certificates that hold and belong to nobody in the register: kept for some days under the code that the
person has seen, so that an operator can link one by that code. One record of a certificate, however often it
is shown, and one short name for each refusal.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, Protocol

from authproxy.access.decision import Reason
from authproxy.flows.sign_in.shown_certificate import ShownCertificate

KEPT_FOR: Final = timedelta(days=7)
"""People ask their administrator, who asks the operator."""
_CODE: Final = re.compile(rf"\s*(?:{Reason.CERTIFICATE_UNKNOWN}-)?([A-Za-z0-9_.-]{{1,128}})\s*", re.ASCII)


class KeptStore(Protocol):
    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, lives_for: timedelta) -> None: ...


async def keep(kept: KeptStore, shown: ShownCertificate, request_id: str) -> None:
    """Keeps the certificate under the id of the request that was refused. Raises CannotAsk."""
    await kept.put(f"refused_certificate:{shown.fingerprint}", shown.leaf, KEPT_FOR)
    await kept.put(f"refused:{request_id}", shown.fingerprint.encode(), KEPT_FOR)


async def of_code(kept: KeptStore, code: str) -> bytes | None:
    """The DER that goes with the code of a page, or with its request id. Raises CannotAsk."""
    read = _CODE.fullmatch(code)
    fingerprint = None if read is None else await kept.get(f"refused:{read[1]}")
    return None if fingerprint is None else await kept.get(f"refused_certificate:{fingerprint.decode()}")
