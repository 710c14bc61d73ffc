"""Forms that wait for a fresh proof or a sign-in: keeps one, and later releases it once, if its person may
send it then.

A failure before the form is on its way to the portal leaves it in the store.
"""

from __future__ import annotations

from authproxy.access import bound_proof
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Denied,
    PerRequestDecision,
    Reason,
    Refusal,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Portal
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.access.unavailable import CannotAsk
from authproxy.edge.rules import held_forms
from authproxy.edge.rules.refusals import is_page_load
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.site import FormKeeping, Gate
from authproxy.identity.session import EndedSession, Session


class FormRefused:
    """The answer to the request. `kept_as` is the name of the form that waits in the store, if one does."""

    __slots__ = ("kept_as", "refusal")

    def __init__(self, refusal: Refusal, kept_as: str | None = None) -> None:
        self.refusal = refusal
        self.kept_as = kept_as


class FormReleased:
    """A form that was taken out of the store. It goes to the portal now, or back into the store."""

    __slots__ = ("_gate", "_keeping", "_name", "_proof", "_session", "allowed", "form")

    def __init__(
        self,
        allowed: Allowed,
        session: Session,
        form: HeldRequest,
        gate: Gate,
        keeping: FormKeeping,
        name: str,
        proof: str,
    ) -> None:
        self.allowed = allowed
        self._session = session
        self.form = form
        self._gate = gate
        self._keeping = keeping
        self._name = name
        self._proof = proof

    async def give_back(self) -> None:
        """Puts the form back. When a person presses the button twice, the browser gives up its first request,
        and the second must find the form."""
        await self._keeping.requests.give_back(self._name, self._session, self.form)
        if self._proof:
            await self._gate.access.give_back(self._proof)


def may_keep(gate: Gate, portal: Portal, head: RequestHead) -> bool:
    """Whether this is a form that can be kept until its person has given a proof or signed in."""
    keeping = gate.form_keeping
    return (
        keeping is not None
        and is_page_load(head, head.method)
        and held_forms.may_keep(head, portal.origin, keeping.requests.takes)
    )


async def keep(
    gate: Gate,
    keeping: FormKeeping,
    required: StepUpRequired | AuthenticationRequired,
    owner: Session | EndedSession,
    form: HeldRequest,
) -> FormRefused:
    """Keeps a form of that session's person, and returns the answer to its request. If the store cannot be
    asked, that is a 503: no form is lost without notice. If every form needs a proof of its own and this one
    is not kept, it is refused, because a proof for it would be useless."""
    try:
        name = await keeping.requests.keep(owner, form, now=gate.clock())
    except CannotAsk as refused:
        return FormRefused(Unavailable(reason=refused.reason, portal=required.portal))
    if name is not None:
        return FormRefused(required, name)
    if isinstance(required, AuthenticationRequired):
        return FormRefused(not_sent(required))
    return FormRefused(unbound(required) if required.is_per_request else required)


def not_sent(required: AuthenticationRequired) -> AuthenticationRequired:
    """The refusal of a form that nobody keeps while its person signs in."""
    return AuthenticationRequired(reason=Reason.NOT_SENT, portal=required.portal)


def unbound(required: StepUpRequired) -> Denied:
    """The refusal of a request that needs a proof of its own, where no proof can be bound to it."""
    return Denied(
        reason=Reason.REQUEST_CANNOT_BE_BOUND,
        portal=required.portal,
        route=required.route,
        session=required.session,
    )


async def release(
    gate: Gate,
    keeping: FormKeeping,
    portal: Portal,
    target: RequestTarget,
    head: RequestHead,
    *,
    sender: Sender,
    name: str,
) -> FormReleased | FormRefused:
    """Takes the form of that name out of the store. Before that it judges who asks, whether the route allows
    them now, and whether our own page has sent the request."""
    decision = gate.access.decide_now(portal, target, sender, gate.clock())
    if decision is None:
        decision = await gate.access.decide(portal, target, sender, gate.clock())
    is_per_request = isinstance(decision, StepUpRequired) and decision.is_per_request
    if not isinstance(decision, Allowed) and not is_per_request:
        return FormRefused(decision, name)
    if not held_forms.comes_from_portal(head, portal.origin):
        return FormRefused(Denied(reason=Reason.FOREIGN_ORIGIN, portal=portal))
    proof = ""
    try:
        if isinstance(decision, StepUpRequired):
            admitted = await _admitted(gate, keeping, decision, target, name)
            decision, proof = admitted.decision, admitted.proof
        if not isinstance(decision, Allowed):
            return FormRefused(decision, name)
        if decision.session is None:
            # Everybody may enter the route now. The form is still its person's.
            return FormRefused(AuthenticationRequired(reason=Reason.NO_SESSION, portal=portal), name)
        form = await keeping.requests.take(name, decision.session, target.origin_form)
    except CannotAsk as refused:
        if proof:
            await gate.access.give_back(proof)
        return FormRefused(Unavailable(reason=refused.reason, portal=portal))
    if form is None:
        return FormRefused(Denied(reason=Reason.HELD_REQUEST_GONE, portal=portal))
    return FormReleased(decision, decision.session, form, gate, keeping, name, proof)


async def _admitted(
    gate: Gate, keeping: FormKeeping, required: StepUpRequired, target: RequestTarget, name: str
) -> PerRequestDecision:
    """Whether a proof was given for exactly this form. Raises CannotAsk."""
    form = await keeping.requests.find(name, required.session)
    if form is None or form.target != target.origin_form:
        return PerRequestDecision(decision=Denied(reason=Reason.HELD_REQUEST_GONE, portal=required.portal))
    return await gate.access.admit_once(required, target, bound_proof.of_form(name, form), gate.clock())
