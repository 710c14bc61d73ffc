"""Forms that wait for a fresh proof: keeps one, and sends one on as the portal would have got it, once, if its person may send it now.

What goes wrong before a form is on its way leaves it where it is.
"""

from __future__ import annotations

from authproxy.access.decision import Allowed, Denied, Reason, Refusal, StepUpRequired, Unavailable
from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.edge import held
from authproxy.edge.refusals import is_page_load
from authproxy.edge.request_head import RequestHead
from authproxy.edge.site import Gate, Holding


class Refused:
    """`kept_as` is the name of the form that waits."""

    __slots__ = ("kept_as", "refusal")

    def __init__(self, refusal: Refusal, kept_as: str | None = None) -> None:
        self.refusal = refusal
        self.kept_as = kept_as


class Released:
    """A form that was taken: it goes to the portal now, or back."""

    __slots__ = ("_holding", "_name", "allowed", "form")

    def __init__(self, allowed: Allowed, form: HeldRequest, holding: Holding, name: str) -> None:
        self.allowed = allowed
        self.form = form
        self._holding = holding
        self._name = name

    async def give_back(self) -> None:
        """A browser that was told twice to send gives the first request up: the second must find the form."""
        await self._holding.requests.give_back(self._name, self.allowed.session, self.form)


def may_keep(gate: Gate, required: StepUpRequired, head: RequestHead) -> bool:
    """Whether this is a form of a person that can be kept until they have proved themselves."""
    holding = gate.holding
    return holding is not None and is_page_load(head, head.method) and held.may_keep(head, required.portal.origin, holding.requests)


async def keep(gate: Gate, holding: Holding, required: StepUpRequired, form: HeldRequest) -> Refused:
    """Keeps a form, and answers its request. A store that is away loses nothing without a word."""
    try:
        return Refused(required, await holding.requests.keep(required.session, form, now=gate.clock()))
    except CannotAsk as refused:
        return Refused(Unavailable(reason=refused.reason, portal=required.portal))


async def release(
    gate: Gate, holding: Holding, portal: Portal, target: RequestTarget, head: RequestHead, *, ticket: str | None, name: str
) -> Released | Refused:  # fmt: skip
    """Takes the form of that name, after everything else has been judged: who asks, whether the route lets them in now, and whether it was
    our page that asked."""
    decision = gate.access.decide_now(portal, target, ticket, gate.clock())
    if decision is None:
        decision = await gate.access.decide(portal, target, ticket, gate.clock())
    if not isinstance(decision, Allowed):
        return Refused(decision, name)
    if not held.comes_from_portal(head, portal.origin):
        return Refused(Denied(reason=Reason.FOREIGN_ORIGIN, portal=portal))
    try:
        form = await holding.requests.take(name, decision.session, target.origin_form)
    except CannotAsk as refused:
        return Refused(Unavailable(reason=refused.reason, portal=portal))
    if form is None:
        return Refused(Denied(reason=Reason.HELD_REQUEST_GONE, portal=portal))
    return Released(decision, form, holding, name)
