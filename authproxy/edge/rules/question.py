"""PURE: the proof that a question comes from a front proxy: `X-Authproxy-Question: t=<time>;h=<HMAC>`.

It is for proxies that can compute an HMAC and ask over a network where an address alone proves nothing. The
HMAC covers everything in the question that says what the original request was, who sent it, and from where.
`deploy/README.md` describes it for those who write a front proxy's file.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

from authproxy.edge.rules import subrequest
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import Dialect, SubrequestRefused

HEADER: Final = b"x-authproxy-question"
_FORM: Final = re.compile(rb"t=([1-9][0-9]{0,11});h=([0-9a-f]{64})")
_MAY_DIFFER: Final = 30
"""Seconds between the proxy's clock and ours, in both directions. For so long a question can be repeated,
by somebody who has read it on the network."""


def signed_text(at: bytes, head: RequestHead, dialect: Dialect) -> bytes:
    """The octets that the HMAC covers. Raises SubrequestRefused if the question does not say them once."""
    method, scheme, _, host, target = subrequest.said(head, dialect)
    clients = head.all(b"x-forwarded-for")
    if len(clients) != 1:
        raise SubrequestRefused("the client's address is not there once")
    # No value of a header field holds the octet that separates them.
    return b"\n".join(
        (
            at,
            dialect.name.encode(),
            method.encode(),
            scheme,
            host,
            target,
            clients[0],
            head.cookies,
        )
    )


def flaw(head: RequestHead, dialect: Dialect, keys: Sequence[bytes], now: float) -> str:
    """What is wrong with the proof in this question, for the operator; empty if it holds. `now` is the time
    in Unix seconds."""
    proofs = head.all(HEADER)
    match = _FORM.fullmatch(proofs[0]) if len(proofs) == 1 else None
    if match is None:
        return "it is not written as `t=…;h=…`, once"
    if not keys:
        return "server.subrequest_key is not set"
    at, stated = match[1], match[2]
    if abs(now - int(at)) > _MAY_DIFFER:
        return "its time is more than 30 s away from ours"
    try:
        text = signed_text(at, head, dialect)
    except (SubrequestRefused, UnicodeDecodeError):
        return "what it should cover is not there, or not there once"
    # All keys are tried, so that the time taken does not tell which one was right.
    matches = [hmac.compare_digest(hmac.digest(key, text, "sha256").hex().encode(), stated) for key in keys]
    return "" if any(matches) else "its HMAC is another one"
