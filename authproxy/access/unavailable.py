"""PURE: the exception for "a service that must be asked cannot be asked" (store, provider, signer).

"Not found" is a result and never raises it. Whoever catches it answers 503 and leaves cookies as they are.
"""

from __future__ import annotations

from authproxy.access.decision import Reason


class CannotAsk(Exception):  # noqa: N818
    """`reason` is the code for the answer. The message is for operators; it has no secret, token or personal
    number."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
