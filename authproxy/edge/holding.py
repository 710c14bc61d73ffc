"""Forms that wait for a fresh proof: keeps one, and sends one on as the portal would have got it, once, if
its person may send it now.

What goes wrong before a form is on its way leaves it where it is.
"""

from __future__ import annotations

from authproxy.access import bound_proof
from authproxy.access.decision import (
    Allowed,
    Denied,
    PerRequestDecision,
    Reason,
    Refusal,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Portal
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.edge.rules import held_forms as held
from authproxy.edge.rules.refusals import is_page_load
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import Gate, Holding


class Refused:
    """`kept_as` is the name of the form that waits."""

    __slots__ = ("kept_as", "refusal")

    def __init__(self, refusal: Refusal, kept_as: str | None = None) -> None:
        self.refusal = refusal
        self.kept_as = kept_as


class Released:
    """A form that was taken: it goes to the portal now, or back."""

    __slots__ = ("_gate", "_holding", "_name", "_proof", "allowed", "form")

    def __init__(
        self, allowed: Allowed, form: HeldRequest, gate: Gate, holding: Holding, name: str, proof: str
    ) -> None:
        self.allowed = allowed
        self.form = form
        self._gate = gate
        self._holding = holding
        self._name = name
        self._proof = proof

    async def give_back(self) -> None:
        """A browser that was told twice to send gives the first request up: the second must find the form."""
        await self._holding.requests.give_back(self._name, self.allowed.session, self.form)
        if self._proof:
            await self._gate.access.give_back(self._proof)


def may_keep(gate: Gate, required: StepUpRequired, head: RequestHead) -> bool:
    """Whether this is a form of a person that can be kept until they have proved themselves."""
    holding = gate.holding
    return (
        holding is not None
        and is_page_load(head, head.method)
        and held.may_keep(head, required.portal.origin, holding.requests)
    )


async def keep(gate: Gate, holding: Holding, required: StepUpRequired, form: HeldRequest) -> Refused:
    """Keeps a form, and answers its request. A store that is away loses nothing without a word. Where each
    form needs a proof of its own, one for a form that is not kept would be for nothing."""
    try:
        name = await holding.requests.keep(required.session, form, now=gate.clock())
    except CannotAsk as refused:
        return Refused(Unavailable(reason=refused.reason, portal=required.portal))
    return Refused(unbound(required)) if name is None and required.is_per_request else Refused(required, name)


def unbound(required: StepUpRequired) -> Denied:
    """The refusal of a request that needs a proof of its own and to which none can be bound."""
    return Denied(
        reason=Reason.REQUEST_CANNOT_BE_BOUND,
        portal=required.portal,
        route=required.route,
        session=required.session,
    )


async def release(
    gate: Gate,
    holding: Holding,
    portal: Portal,
    target: RequestTarget,
    head: RequestHead,
    *,
    ticket: str | None,
    name: str,
) -> Released | Refused:
    """Takes the form of that name, after everything else has been judged: who asks, whether the route lets
    them in now, and whether it was our page that asked."""
    decision = gate.access.decide_now(portal, target, ticket, gate.clock())
    if decision is None:
        decision = await gate.access.decide(portal, target, ticket, gate.clock())
    is_per_request = isinstance(decision, StepUpRequired) and decision.is_per_request
    if not isinstance(decision, Allowed) and not is_per_request:
        return Refused(decision, name)
    if not held.comes_from_portal(head, portal.origin):
        return Refused(Denied(reason=Reason.FOREIGN_ORIGIN, portal=portal))
    proof = ""
    try:
        if isinstance(decision, StepUpRequired):
            admitted = await _admitted(gate, holding, decision, target, name)
            decision, proof = admitted.decision, admitted.proof
        if not isinstance(decision, Allowed):
            return Refused(decision, name)
        form = await holding.requests.take(name, decision.session, target.origin_form)
    except CannotAsk as refused:
        if proof:
            await gate.access.give_back(proof)
        return Refused(Unavailable(reason=refused.reason, portal=portal))
    if form is None:
        return Refused(Denied(reason=Reason.HELD_REQUEST_GONE, portal=portal))
    return Released(decision, form, gate, holding, name, proof)


async def _admitted(
    gate: Gate, holding: Holding, required: StepUpRequired, target: RequestTarget, name: str
) -> PerRequestDecision:
    """Whether there is a proof for exactly this form. Raises CannotAsk."""
    form = await holding.requests.find(name, required.session)
    if form is None or form.target != target.origin_form:
        return PerRequestDecision(decision=Denied(reason=Reason.HELD_REQUEST_GONE, portal=required.portal))
    return await gate.access.admit_once(required, target, bound_proof.of_form(name, form), gate.clock())
