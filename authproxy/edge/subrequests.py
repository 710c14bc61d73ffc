"""Questions of front proxies: who may ask, what the question is about, and how a decision is answered.

The decision is made as for every other request; `exchange.py` asks for it.
"""

from __future__ import annotations

from authproxy.access import methods, own_paths, policy
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    StepUpRequired,
)
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.edge import doctor_orders, held_requests, joint_decision
from authproxy.edge.client_side import ClientSide
from authproxy.edge.request_record import RequestRecord
from authproxy.edge.rules import preflight, question, refusals, subrequest
from authproxy.edge.rules.preflight import Preflight
from authproxy.edge.rules.refusals import OwnAnswer, PageWanted
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import Dialect, OriginalUnreadable, SubrequestRefused
from authproxy.edge.site import Gate, Site


def read(
    gate: Gate, client: ClientSide, record: RequestRecord, dialect: Dialect
) -> OwnAnswer | PageWanted | list[RequestTarget]:
    """Reads the question that the record is about. Returns the answer if nothing is left to decide. Otherwise
    the record has site and original request afterwards, and what is returned are the further targets that
    must be allowed as well; mostly there are none."""
    head = record.head
    record.asked_by = dialect
    if not _may_ask(gate, client, record, dialect):
        record.outcome = Denied(reason=Reason.UNTRUSTED_PEER)
        return subrequest.refusal(Reason.UNTRUSTED_PEER, record.request_id)
    try:
        original = subrequest.original(head, dialect, gate.portal_at)
    except SubrequestRefused as refused:
        if not isinstance(refused, OriginalUnreadable):
            gate.warn_of_refused_question(client.peer, str(refused))
        record.outcome = Denied(reason=Reason.SUBREQUEST_UNREADABLE)
        if dialect.passes_refusals and refusals.is_page_load(head, "GET"):
            # In most cases the address that the person has opened is at fault, and not the proxy.
            return PageWanted(403, Reason.REQUEST_UNREADABLE)
        return subrequest.refusal(Reason.SUBREQUEST_UNREADABLE, record.request_id)
    site = gate.sites.get(original.host)
    record.target, record.site, record.ticket = original, site, head.ticket
    portal = site.portal if site is not None else None
    reason = _never_allowed(head, dialect, original, site)
    if reason is not None:
        return answer(gate, record, dialect, Denied(reason=reason, portal=portal))
    assert site is not None and portal is not None  # noqa: S101, PT018  (an unknown host is never allowed)
    if portal.sign_out_paths and policy.is_sign_out(portal, original):
        return subrequest.sign_out(portal, dialect)
    if original.method in methods.ON_ONE_TARGET:
        return []
    if preflight.is_passed(portal, head, original, record):
        record.outcome = Preflight(portal=portal)
        return subrequest.passed(record.request_id)
    try:
        return joint_decision.further_targets(site, original, head)
    except TargetRefused as ambiguous:
        return answer(gate, record, dialect, Denied(reason=ambiguous.reason, portal=portal))


def _may_ask(gate: Gate, client: ClientSide, record: RequestRecord, dialect: Dialect) -> bool:
    """Whether the question comes from a front proxy: by its address, or by a proof. A proof that does not
    hold is refused from every address."""
    if gate.unheard and dialect.name in gate.unheard:
        gate.warn_of_refused_question(client.peer, f"server.subrequests does not name {dialect.name}")
        return False
    if question.HEADER not in record.head.index():
        return client.is_trusted
    flaw = question.flaw(record.head, dialect, gate.question_keys, gate.clock().timestamp())
    if flaw:
        gate.warn_of_refused_question(client.peer, flaw)
        return False
    record.vouch_for_peer()
    record.request_id = record.given_request_id or record.request_id
    return True


def _never_allowed(
    head: RequestHead, dialect: Dialect, original: RequestTarget, site: Site | None
) -> Reason | None:
    """Why the original request is refused, whoever sends it; None if it may be judged."""
    if own_paths.is_own_path(original):
        # Our own pages are no part of the portal. Naming one must not let anybody in (a rival had a bypass of
        # CVSS 10 this way).
        return Reason.NOT_FOUND
    if site is None:
        return Reason.UNKNOWN_HOST
    if original.method not in site.portal.methods:
        return Reason.METHOD_UNSUPPORTED
    if dialect.shows_handshakes and subrequest.is_handshake(head) and not site.may_upgrade(head):
        return Reason.FOREIGN_ORIGIN
    return None


def answer(gate: Gate, record: RequestRecord, dialect: Dialect, decision: Decision) -> OwnAnswer | PageWanted:
    """The answer of a decision for this kind of front proxy. The original request is in the record."""
    head, original = record.head, record.target
    assert original is not None  # noqa: S101  (nothing is decided without a target)
    record.decided_at = gate.time()
    record.outcome = decision
    if isinstance(decision, Allowed):
        leave = subrequest.leave(decision, head, dialect, record.request_id)
        if gate.leave_kept_for and subrequest.may_be_kept(decision, original, dialect):
            leave.headers += b"X-Accel-Expires: %d\r\n" % gate.leave_kept_for
        return leave
    if isinstance(decision, StepUpRequired) and decision.is_per_request:
        # A front proxy keeps the body to itself, and may ask more than once for one request.
        decision = held_requests.unbound(decision)
    elif isinstance(decision, AuthenticationRequired) and refusals.is_entry(head, original.method):
        decision = held_requests.not_sent(decision)
    ordered = doctor_orders.obeyed(gate, record, decision)
    if isinstance(ordered, OwnAnswer):
        return ordered
    record.outcome = ordered
    return subrequest.answer(
        ordered, original=original, head=head, dialect=dialect, request_id=record.request_id
    )
