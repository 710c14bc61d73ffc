"""PURE: who may not enter a route, and what a session lacks for it. It judges what came back from the
sign-in, never what was asked for."""

from __future__ import annotations

from datetime import datetime

from authproxy.access.client_networks import is_in
from authproxy.access.decision import Reason
from authproxy.access.routes import Portal, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget
from authproxy.identity.session import Session


def route_of(portal: Portal, target: RequestTarget) -> Route | None:
    """The route that covers the target. None if there is none, or if two readings of the path (merged
    slashes, dropped parameters) fall under different routes: then the gateway cannot know which demand
    applies to what the portal will serve."""
    readings = target.readings()
    if len(readings) == 1:
        return portal.route(readings[0], target.method)
    routes = {id(route): route for route in (portal.route(reading, target.method) for reading in readings)}
    return next(iter(routes.values())) if len(routes) == 1 else None


def is_sign_out(portal: Portal, target: RequestTarget) -> bool:
    """Whether the portal could take the target for one of its `sign_out_paths`. Somebody who is led to our
    sign-out page by mistake loses nothing, because nothing ends there without their consent."""
    return not portal.sign_out_paths.isdisjoint(target.readings())


def barred(route: Route, sender: Sender) -> Reason | None:
    """Why the request may not enter the route, whoever has sent it; None if it may. It is judged before
    anybody is asked to sign in, because no sign-in would help."""
    if route.access == "deny":
        return Reason.ACCESS_DENIED_HERE
    for networks in route.requirement.networks:
        if not is_in(networks, sender.address):
            return Reason.NETWORK_NOT_ALLOWED
    return None


def unmet(session: Session, portal: Portal, route: Route, sender: Sender, now: datetime) -> Reason | None:
    """The first demand that is not met; None if all are. What no other sign-in of this person would change
    comes first. A fresh proof comes last: only somebody who would then be let in is asked for it. A public
    route demands nothing of a session but that it is one of a person of this portal."""
    if session.portal != portal.portal_id:
        return Reason.SESSION_OF_ANOTHER_PORTAL
    reason = barred(route, sender)
    if reason is not None:
        return reason
    if portal.members == "register" and session.person.member is None:
        # Sign-in checks which portals a member may enter, and a change ends their sessions. This line is for
        # a portal whose setting has changed.
        return Reason.NOT_A_MEMBER
    if route.access == "public":
        return None
    demand = route.requirement
    if demand.roles:
        return Reason.ROLE_MISSING  # nobody has roles yet
    if session.method not in demand.methods:
        return Reason.METHOD_NOT_ALLOWED_HERE
    if session.level < demand.level:
        return Reason.LEVEL_TOO_LOW
    missing = [claim for claim in demand.claims if claim not in session.claims]
    if missing:
        return Reason.TAX_NUMBER_MISSING if "tax_number" in missing else Reason.PERSONAL_DATA_MISSING
    if demand.step_up is not None and not demand.step_up.is_met_by(session.events, now, demand.level):
        return Reason.STEP_UP_REQUIRED
    return None
