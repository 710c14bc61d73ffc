"""PURE: several routes as one, for a path that a portal might take for several.

Whoever meets the combined demand meets that of each route. Where no single demand says so, nothing is
combined, and the request is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from authproxy.access.client_networks import Network
from authproxy.access.provider_demand import ProviderDemand
from authproxy.access.routes import MachineDemand, Requirement, Route, RouteAccess, StepUp

BETWEEN_NAMES: Final = " + "
"""Stands between the names of the parts. No name of a route contains it, because no path has a blank."""

_Value = TypeVar("_Value")


class _NotOne(Exception):  # noqa: N818
    """There is no single demand that says the same as all of them."""


def combined(routes: Sequence[Route]) -> Route | None:
    """The one route whose demand is that of all these; None if there is none. `routes` are at least two
    different ones, in the order of the portal."""
    if len({route.upstream for route in routes}) > 1:
        return None
    # What a public or a closed route says about people has no effect. From where it may be asked does count.
    access = _access([route.access for route in routes])
    demanding = [route for route in routes if route.access == access]
    try:
        return Route(
            name=BETWEEN_NAMES.join(route.name for route in routes),
            path=BETWEEN_NAMES.join(dict.fromkeys(route.path for route in routes)),
            # It stands for one request, whose method all of them cover.
            methods=(),
            access=access,
            requirement=_requirement(
                [route.requirement for route in demanding],
                networks=_all([route.requirement.networks for route in routes]),
            ),
            strict=any(route.strict for route in routes),
            provider_demand=_provider_demand([route.provider_demand for route in demanding]),
            upstream=routes[0].upstream,
            # The edge chooses among those of the parts.
            way=0,
            parts=tuple(routes),
        )
    except _NotOne:
        return None


def _access(stated: Sequence[RouteAccess]) -> RouteAccess:
    if "deny" in stated:
        return "deny"
    return "required" if "required" in stated else "public"


def _requirement(demands: Sequence[Requirement], *, networks: tuple[frozenset[Network], ...]) -> Requirement:
    return Requirement(
        level=max(demand.level for demand in demands),
        methods=_common([demand.methods for demand in demands]),
        claims=_all([demand.claims for demand in demands]),
        step_up=_step_up([demand.step_up for demand in demands if demand.step_up is not None]),
        networks=networks,
        roles=_all([demand.roles for demand in demands]),
        machines=_machines([demand.machines for demand in demands]),
    )


def _machines(demands: Sequence[MachineDemand | None]) -> MachineDemand | None:
    """Programs may come in where all of the routes let them."""
    together: MachineDemand | None = MachineDemand(tokens=True, keys=True)
    for demand in demands:
        together = together.with_all_of(demand) if together is not None and demand is not None else None
    return together


def _step_up(demands: Sequence[StepUp]) -> StepUp | None:
    """One proof that satisfies each of them. That is more than a proof for each, and never less."""
    if not demands:
        return None
    methods = _common([demand.methods for demand in demands])
    stated = [demand.acr for demand in demands if demand.acr]
    acr = tuple(value for value in stated[0] if all(value in other for other in stated)) if stated else ()
    if stated and not acr:
        # No proof by the provider states what both demand. An empty `acr` would accept every one.
        methods = _some(tuple(method for method in methods if method != "rekono"))
    ages = [demand.max_age for demand in demands if demand.max_age is not None]
    return StepUp(
        methods=methods,
        max_age=min(ages, default=None),
        acr=acr,
        shows=_all([demand.shows for demand in demands]),
    )


def _provider_demand(demands: Sequence[ProviderDemand]) -> ProviderDemand:
    parameters: dict[str, str] = {}
    for demand in demands:
        for name, value in demand.parameters.items():
            # Parameters are wishes, and the first route has the narrower ones. `claims` asks for what must
            # come back.
            if parameters.setdefault(name, value) != value and name == "claims":
                raise _NotOne
    return ProviderDemand(
        parameters=parameters,
        essential=tuple(claim for demand in demands for claim in demand.essential),
    )


def _common(lists: Sequence[tuple[_Value, ...]]) -> tuple[_Value, ...]:
    return _some(tuple(value for value in lists[0] if all(value in other for other in lists)))


def _some(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    if not values:
        raise _NotOne
    return values


def _all(lists: Iterable[tuple[_Value, ...]]) -> tuple[_Value, ...]:
    return tuple(dict.fromkeys(value for values in lists for value in values))
