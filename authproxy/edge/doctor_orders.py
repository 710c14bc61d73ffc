"""The orders of `authproxy doctor`, which have an operator's consent: say what the front proxy has asked
(`echo`), refuse (`deny`), or answer as if the store were away (`fail`).

An order changes only a refusal for lack of a sign-in, and only into another refusal. No order lets anybody
in.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from authproxy.access import consent, own_paths
from authproxy.access.decision import AuthenticationRequired, Denied, Reason, Refusal, Unavailable
from authproxy.access.target import RequestTarget
from authproxy.edge.request_record import RequestRecord
from authproxy.edge.rules import refusals
from authproxy.edge.rules.refusals import OwnAnswer
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import Gate

_UNQUOTED: Final = "".join(chr(sign) for sign in range(0x21, 0x7F) if chr(sign) not in '"\\,%')


def obeyed(gate: Gate, record: RequestRecord, refusal: Refusal) -> Refusal | OwnAnswer:
    """The refusal, or what a doctor has ordered instead of it."""
    if gate.consents is None or not _is_for_lack_of_a_sign_in(refusal):
        return refusal
    order = gate.consents.order_in(record.authorization, gate.clock())
    target, portal = record.target, refusal.portal
    if order is None or target is None:
        return refusal
    if order.purpose == "echo":
        # At another portal, too: the doctor wants to know whether it has got there.
        return _echo(record, target, refusal.reason, order.nonce)
    if order.host != target.host:
        return refusal
    if order.purpose == "deny":
        return Denied(reason=Reason.ACCESS_DENIED_HERE, portal=portal)
    if order.purpose == "fail":
        return Unavailable(reason=Reason.STORE_UNAVAILABLE, portal=portal)
    return refusal


def _is_for_lack_of_a_sign_in(refusal: Refusal) -> bool:
    # A portal that programs may enter takes the order for a token that it does not know.
    return isinstance(refusal, AuthenticationRequired) or (
        isinstance(refusal, Denied) and refusal.bearer_error is not None
    )


def _echo(record: RequestRecord, target: RequestTarget, reason: Reason, nonce: str) -> OwnAnswer:
    said = consent.echoed(
        nonce,
        {
            "by": record.dialect or "proxy",
            "method": target.method,
            "host": target.host,
            "target": quote(target.origin_form, safe=_UNQUOTED),
            "client": record.client,
        },
    )
    answer = refusals.problem(401, reason, record.request_id)
    answer.headers += b"WWW-Authenticate: %s\r\n" % said.encode()
    return answer


def arrived(head: RequestHead, target: RequestTarget) -> bytes:
    """A line for the doctor's page with the names of all fields that have arrived, as they are spelled. The
    page needs it, because the edge removes what clients must not send. For every other target it is empty."""
    if target.path != own_paths.DOCTOR:
        return b""
    return b"X-Authproxy-Arrived: %s\r\n" % b",".join(name for name, _ in head.fields)
