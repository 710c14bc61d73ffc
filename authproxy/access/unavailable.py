"""PURE: the one exception for "somebody who must be asked cannot be asked" (store, provider, signer).

It is never used for "not found": that is a result. Whoever catches it answers 503 and leaves cookies alone.
"""

from __future__ import annotations

from authproxy.access.decision import Reason


class CannotAsk(Exception):  # noqa: N818
    """`reason` is the code for the answer; the message is for operators and holds no secret, token or
    personal number."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
