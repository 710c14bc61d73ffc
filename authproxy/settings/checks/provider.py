"""PURE: checks of audiences, and of the further parameters of authorization requests: `rekono.parameters` and
`rekono_parameters` of portals and routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from authproxy.access.provider_demand import (
    EssentialClaim,
    NotAskable,
    ProviderDemand,
    check,
    provider_demand,
)
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import PortalSettings, ProviderSettings, StepUpDemandSettings
from authproxy.settings.validation import Sections

_INSTEAD = {"scope": "rekono.scopes", "prompt": "rekono.prompt", "max_age": "rekono.max_age"}


def remarks(sections: Sections) -> Iterator[Remark]:
    """Remarks about audiences, parameters, and essential claims that nobody would check."""
    common: Mapping[str, str] = {}
    if sections.rekono is not None:
        common = sections.rekono.parameters
        yield from _audiences(sections.rekono)
        yield from _parameters(("rekono", "parameters"), common)
        yield from _essential(("rekono", "parameters"), (common,), common, sections)
    for name, portal in sections.portals.items():
        yield from _portal(("portals", name), portal, common, sections)


def _portal(
    path: KeyPath, portal: PortalSettings, common: Mapping[str, str], sections: Sections
) -> Iterator[Remark]:
    parameters = portal.rekono_parameters
    portal_path = (*path, "rekono_parameters")
    yield from _parameters(portal_path, parameters)
    yield from _essential(portal_path, (common, parameters), parameters, sections)
    if parameters and portal.sign_in is not None and "rekono" not in portal.sign_in:
        problem = "are sent for proofs by `rekono` only: nobody signs in there at this portal"
        yield Remark(path=portal_path, problem=problem, severity="warning")
    for at, route in enumerate(portal.routes):
        route_path = (*path, "routes", at, "rekono_parameters")
        yield from _parameters(route_path, route.rekono_parameters)
        yield from _essential(
            route_path, (common, parameters, route.rekono_parameters), route.rekono_parameters, sections
        )
        demanded = _asked(route.rekono_parameters)
        if demanded is not None and demanded.essential:
            yield from _passable(route_path, demanded.essential, route.step_up or portal.step_up)


def _audiences(rekono: ProviderSettings) -> Iterator[Remark]:
    for at, audience in enumerate(rekono.audiences):
        if audience == rekono.client_id or audience in rekono.audiences[:at]:
            problem = "has no effect: this audience is trusted already"
            yield Remark(
                path=("rekono", "audiences", at), problem=problem, read=shown(audience), severity="warning"
            )


def _parameters(path: KeyPath, parameters: Mapping[str, str]) -> Iterator[Remark]:
    for name, value in parameters.items():
        try:
            check(name, value)
        except NotAskable as problem:
            instead = _INSTEAD.get(name.lower())
            yield Remark(
                path=(*path, name),
                problem=str(problem),
                valid="" if instead is None else f"the setting `{instead}`",
            )


def _essential(
    path: KeyPath, layers: tuple[Mapping[str, str], ...], own: Mapping[str, str], sections: Sections
) -> Iterator[Remark]:
    """A remark if these parameters call a claim essential that the gateway would never see."""
    asked = _asked(*layers) if "claims" in own else None
    if asked is None or sections.rekono is None or sections.rekono.userinfo != "off":
        return
    if any(claim.source == "userinfo" for claim in asked.essential):
        problem = "lets nobody in: it calls a claim of userinfo essential, and `rekono.userinfo` is `off`"
        yield Remark(
            path=(*path, "claims"),
            problem=problem,
            valid="`id_token` instead of `userinfo`, or `rekono.userinfo: required`",
        )


def _passable(
    path: KeyPath, essential: tuple[EssentialClaim, ...], demand: StepUpDemandSettings
) -> Iterator[Remark]:
    """A session that began at another page reaches the route without the essential claims. Only a step-up
    that the route demands can prevent that."""
    values = [
        claim for claim in essential if claim.source == "id_token" and claim.name == "acr" and claim.values
    ]
    if values and demand.required and set(demand.methods or ()) == {"rekono"}:
        return
    problem = (
        "calls claims essential. They are checked when somebody signs in or steps up for this route, so "
        "somebody who has signed in for another page comes in without them"
    )
    valid = "values of an essential `acr` in `id_token`, and `step_up: {methods: [rekono]}`"
    yield Remark(path=(*path, "claims"), problem=problem, valid=valid, severity="warning")


def _asked(*layers: Mapping[str, str]) -> ProviderDemand | None:
    """None for parameters that cannot be sent; another remark is about these."""
    try:
        return provider_demand(layers)
    except NotAskable:
        return None
