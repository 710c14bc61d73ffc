"""PURE: what a session lacks for a route. It judges what came back from the sign-in, never what was asked
for."""

from __future__ import annotations

from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.access.routes import Portal, Route
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


def unmet(session: Session, portal: Portal, route: Route, now: datetime) -> Reason | None:
    """The first demand that the session does not meet; None if it meets all. Demands that a new sign-in might
    meet come first. A fresh proof comes last: only somebody who would then be let in is asked for it."""
    if session.portal != portal.portal_id:
        return Reason.SESSION_OF_ANOTHER_PORTAL
    if portal.members == "register" and session.person.member is None:
        # Sign-in checks which portals a member may enter, and a change ends their sessions. This line is for
        # a portal whose setting has changed.
        return Reason.NOT_A_MEMBER
    demand = route.requirement
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
