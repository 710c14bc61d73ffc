"""Requests that act on more than their own target (WebDAV, RFC 4918). The other targets are judged first, and
the first refusal is the answer."""

from __future__ import annotations

from authproxy.access import other_targets
from authproxy.access.decision import Allowed, Decision, Reason, StepUpRequired
from authproxy.access.routes import Portal
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.edge import held_requests
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import Gate, Site


def further_targets(site: Site, target: RequestTarget, head: RequestHead) -> list[RequestTarget]:
    """The targets that must be allowed beside the request's own. Raises TargetRefused.

    Also rewrites `Destination` in the head to the target that was judged, with the portal's own scheme and
    host: behind plain HTTP, mod_dav takes an `https` destination for one of another server, and refuses a
    mere path."""
    portal = site.portal
    destination = other_targets.destination_of(portal, target, head.all(b"destination"))
    # A field that Connection names is not passed on (RFC 9110 §7.6.1), so the portal acts as if it were
    # absent.
    depth = () if b"depth" in head.connection.lower() else head.all(b"depth")
    judged = other_targets.judged_with(portal, target, destination, depth)
    if destination is not None:
        way = site.way_of(target)
        there = [other for other in judged if other.path == destination.path]
        if any(site.way_of(other).pool.upstream is not way.pool.upstream for other in there):
            raise TargetRefused(Reason.FOREIGN_ORIGIN, "Destination is at another server of the portal")
        destination_url = b"%s://%s%s" % (
            way.scheme,
            way.host or target.host.encode(),
            destination.path.encode(),
        )
        head.fields = [
            (name, destination_url if name.lower() == b"destination" else value)
            for name, value in head.fields
        ]
    return judged


async def decide(
    gate: Gate, portal: Portal, target: RequestTarget, others: list[RequestTarget], sender: Sender
) -> Decision:
    """The decision on the target if all others are allowed; otherwise the decision on the first that is
    not."""
    for other in others:
        other_decision = await _decision_on(gate, portal, other, sender)
        if isinstance(other_decision, StepUpRequired) and other_decision.is_per_request:
            return held_requests.unbound(other_decision)
        if not isinstance(other_decision, Allowed):
            return other_decision
    return await _decision_on(gate, portal, target, sender)


async def _decision_on(gate: Gate, portal: Portal, target: RequestTarget, sender: Sender) -> Decision:
    decision = gate.access.decide_now(portal, target, sender, gate.clock())
    if decision is None:
        decision = await gate.access.decide(portal, target, sender, gate.clock())
    return decision
