"""PURE: what the provider is asked for beyond the protocol, by the route to which a sign-in or a proof
leads."""

from __future__ import annotations

from collections.abc import Iterable

from authproxy.access.policy import named_route, route_at
from authproxy.access.provider_demand import NOTHING, ProviderDemand
from authproxy.access.routes import Portal
from authproxy.identity.attempt import Attempt


class ProviderDemands:
    """A proof is for the route that demands it. A sign-in is for the route to which the browser goes
    afterwards. If no route is known, the portal's own demand counts, which is that of its last route."""

    def __init__(self, portals: Iterable[Portal]) -> None:
        self._portals = {portal.portal_id: portal for portal in portals}

    def __call__(self, attempt: Attempt) -> ProviderDemand:
        portal = self._portals.get(attempt.portal)
        if portal is None or not portal.routes:
            return NOTHING
        route = (
            named_route(portal, attempt.route)
            if attempt.step_up_of is not None
            else route_at(portal, "GET", attempt.return_to)
        )
        return (route or portal.routes[-1]).provider_demand
