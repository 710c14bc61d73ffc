"""PURE: who may not enter a route, and what a session lacks for it. It judges what came back from the
sign-in, never what was asked for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from authproxy.access.client_networks import is_in
from authproxy.access.combination import BETWEEN_NAMES, combined
from authproxy.access.decision import Reason
from authproxy.access.own_paths import is_own_reading
from authproxy.access.routes import Portal, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget, TargetRefused, parse
from authproxy.identity.session import Session

_MOST_COMBINATIONS: Final = 1024
"""How many a portal remembers. Which ones are needed is up to those who send requests."""


def without_sessions(portal: Portal, target: RequestTarget) -> RequestTarget:
    """The target as it goes to the portal: no session of the portal comes in by the address, if its cookie
    belongs to one person. It is parsed again, because what is sent must be what is judged. Raises
    TargetRefused."""
    personal = portal.personal_cookies
    path = target.path if personal is None else personal.without_sessions(target.path)
    if path == target.path:
        return target
    return parse(
        method=target.method,
        target=path if target.query is None else f"{path}?{target.query}",
        host=target.host,
        accepts_encoded_slash=portal.accepts_encoded_slash,
        accepts_encoded_percent=portal.accepts_encoded_percent,
    )


def route_of(portal: Portal, target: RequestTarget) -> Route | None:
    """The route whose demand counts for the target. If a portal might take the path for others that fall
    under other routes, it is a route that demands what each of them demands. None if no route covers the
    path, or if no single demand says so: then the gateway cannot know which demand applies to what the portal
    will serve."""
    readings = target.readings(portal.paths)
    if len(readings) == 1:
        return portal.route(readings[0], target.method)
    found: dict[int, Route] = {}
    for reading in readings:
        routes = portal.possible_routes(reading, target.method)
        if not routes or is_own_reading(reading):
            return None
        found.update((id(route), route) for route in routes)
    return _together(portal, found)


def route_at(portal: Portal, method: str, target: str) -> Route | None:
    """The route whose demand counts for a request of this method for this path and query. None if none
    does, or if the request would be refused anyway."""
    try:
        parsed = parse(
            method=method,
            target=target,
            host=portal.host,
            accepts_encoded_slash=portal.accepts_encoded_slash,
            accepts_encoded_percent=portal.accepts_encoded_percent,
        )
    except TargetRefused:
        return None
    return route_of(portal, parsed)


def named_route(portal: Portal, name: str) -> Route | None:
    """The route of that name, which may be a combined one."""
    by_name = {route.name: route for route in reversed(portal.routes)}
    parts = [by_name.get(part) for part in name.split(BETWEEN_NAMES)]
    found = {id(route): route for route in parts if route is not None}
    return _together(portal, found) if len(found) == len(parts) else None


def _together(portal: Portal, found: dict[int, Route]) -> Route | None:
    if len(found) < 2:
        return next(iter(found.values()), None)
    known = portal.table.combinations
    routes = tuple(route for route in portal.routes if id(route) in found)
    key = tuple(id(route) for route in routes)
    if key not in known:
        if len(known) >= _MOST_COMBINATIONS:
            known.clear()
        known[key] = combined(routes)
    return known[key]


def is_sign_out(portal: Portal, target: RequestTarget) -> bool:
    """Whether the portal could take the target for one of its `sign_out_paths`. Somebody who is led to our
    sign-out page by mistake loses nothing, because nothing ends there without their consent."""
    return not portal.sign_out_paths.isdisjoint(target.readings(portal.paths))


def barred(route: Route, sender: Sender) -> Reason | None:
    """Why the request may not enter the route, whoever has sent it; None if it may. It is judged before
    anybody is asked to sign in, because no sign-in would help."""
    if route.access == "deny":
        return Reason.ACCESS_DENIED_HERE
    for networks in route.requirement.networks:
        if not is_in(networks, sender.address):
            return Reason.NETWORK_NOT_ALLOWED
    return None


def lacks_role(route: Route, roles: Collection[str]) -> bool:
    """Whether the route demands a role that is not among these."""
    return any(wanted.isdisjoint(roles) for wanted in route.requirement.roles)


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
    if demand.roles and lacks_role(route, session.roles):
        return Reason.ROLE_MISSING
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
