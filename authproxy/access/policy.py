"""PURE: what a session lacks for a route. Never looks at what was asked for at sign-in, only at what came
back."""

from __future__ import annotations

from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.access.routes import Portal, Route
from authproxy.access.target import RequestTarget
from authproxy.identity.session import Session


def route_of(portal: Portal, target: RequestTarget) -> Route | None:
    """The route that covers the target. None if there is none, or if two readings of the path (merged
    slashes, dropped parameters) fall under different routes: then nobody can say which demand the portal's
    answer would need."""
    readings = target.readings()
    if len(readings) == 1:
        return portal.route(readings[0], target.method)
    routes = {id(route): route for route in (portal.route(reading, target.method) for reading in readings)}
    return next(iter(routes.values())) if len(routes) == 1 else None


def unmet(session: Session, portal: Portal, route: Route, now: datetime) -> Reason | None:
    """The first demand that the session does not meet; None if it meets all. The order is from what signing
    in again might mend to what it cannot; a fresh proof is asked of those only whom it would let in."""
    if session.portal != portal.portal_id:
        return Reason.SESSION_OF_ANOTHER_PORTAL
    if portal.members == "register" and session.person.member is None:
        # Which portals a member may enter is judged at sign-in; a change ends the sessions. This is for a
        # portal whose setting has changed.
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
