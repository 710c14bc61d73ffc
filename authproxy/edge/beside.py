"""Requests whose own target does not decide alone: what else they act on is judged first, and the first
refusal is the answer."""

from __future__ import annotations

from authproxy.access import other_targets
from authproxy.access.decision import Allowed, Decision, StepUpRequired
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget
from authproxy.edge import holding
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import Gate, Site


def also_judged(site: Site, target: RequestTarget, head: RequestHead) -> list[RequestTarget]:
    """What must be allowed beside the target. From now on `Destination` is the place that was judged, as the
    portal knows itself: behind plain HTTP mod_dav takes an `https` destination for another server's, and a
    mere path for a mistake. Raises TargetRefused."""
    portal = site.portal
    destination = other_targets.destination_of(portal, target, head.all(b"destination"))
    # A field that Connection names is not passed on: the portal would act as if it had never been there.
    depth = () if b"depth" in head.connection.lower() else head.all(b"depth")
    judged = other_targets.judged_with(portal, target, destination, depth)
    if destination is not None:
        there = b"%s://%s%s" % (
            site.scheme_for_upstream,
            site.host_for_upstream or target.host.encode(),
            destination.path.encode(),
        )
        head.fields = [
            (name, there if name.lower() == b"destination" else value) for name, value in head.fields
        ]
    return judged


async def decision(
    gate: Gate, portal: Portal, target: RequestTarget, others: list[RequestTarget], ticket: str | None
) -> Decision:
    """The decision on the target, if all others are allowed; otherwise that on the first one that is not."""
    for other in others:
        found = await _of(gate, portal, other, ticket)
        if isinstance(found, StepUpRequired) and found.is_per_request:
            return holding.unbound(found)
        if not isinstance(found, Allowed):
            return found
    return await _of(gate, portal, target, ticket)


async def _of(gate: Gate, portal: Portal, target: RequestTarget, ticket: str | None) -> Decision:
    found = gate.access.decide_now(portal, target, ticket, gate.clock())
    return found if found is not None else await gate.access.decide(portal, target, ticket, gate.clock())
