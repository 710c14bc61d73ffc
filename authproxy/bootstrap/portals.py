"""The section `portals` of the settings → what the edge and the flows know of a portal."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from ipaddress import ip_network
from urllib.parse import urlsplit

from authproxy.access.header_names import PRESETS, HeaderNames
from authproxy.access.methods import ORDINARY, WEBDAV
from authproxy.access.path_readings import as_compared
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.provider_demand import NOTHING, ProviderDemand, provider_demand
from authproxy.access.routes import MachineDemand, Portal, Portals, Requirement, Route, StepUp
from authproxy.access.target import canonical_host
from authproxy.bootstrap import ways
from authproxy.bootstrap.keys import cookie_key
from authproxy.bootstrap.provider import step_up_by
from authproxy.edge.rules.headers import RequestFilter
from authproxy.edge.site import Site, Way
from authproxy.flows.sign_in.attempts import SignInDemand
from authproxy.identity.assurance import STEP_UP_METHODS, SignInMethod
from authproxy.settings.schema import PortalSettings, RouteSettings, Settings, StepUpDemandSettings


def all_portals(settings: Settings) -> Portals:
    """The portals with their routes, by canonical host."""
    portals = [
        portal_of(
            portal_id,
            portal_settings,
            sign_in_methods(settings, portal_settings),
            parameters_everywhere=settings.rekono.parameters,
            personal_cookies=personal_cookies(portal_id, settings),
        )
        for portal_id, portal_settings in settings.portals.items()
    ]
    if not step_up_by(settings.rekono).is_possible:
        portals = [_without_provider_proofs(portal) for portal in portals]
    return Portals({portal.host: portal for portal in portals})


def _without_provider_proofs(portal: Portal) -> Portal:
    """The portal without `rekono` among its step-up methods, so that nobody is sent to the provider for a
    proof that would not count."""
    return dataclasses.replace(
        portal,
        routes=tuple(
            dataclasses.replace(route, requirement=_without_provider_proof(route.requirement))
            for route in portal.routes
        ),
    )


def _without_provider_proof(requirement: Requirement) -> Requirement:
    step_up = requirement.step_up
    if step_up is None:
        return requirement
    methods = tuple(method for method in step_up.methods if method != "rekono")
    return dataclasses.replace(requirement, step_up=dataclasses.replace(step_up, methods=methods))


def sign_in_methods(settings: Settings, portal: PortalSettings) -> tuple[SignInMethod, ...]:
    """The methods that the portal names, or all that are set up."""
    if portal.sign_in is not None:
        return portal.sign_in
    return ("rekono",) if settings.acnlb is None else ("rekono", "acnlb")


def portal_of(
    portal_id: str,
    settings: PortalSettings,
    methods: tuple[SignInMethod, ...],
    *,
    parameters_everywhere: Mapping[str, str] | None = None,
    personal_cookies: PersonalCookies | None = None,
) -> Portal:
    """`parameters_everywhere` are `rekono.parameters`, which hold for every portal."""
    url = urlsplit(settings.url)
    host = canonical_host(url.netloc, 443 if url.scheme == "https" else 80)
    parameters = (parameters_everywhere or {}, settings.rekono_parameters)
    portal_demand = provider_demand(parameters)
    routes = [
        Route(
            name=" ".join((f"{portal_id}{route.path}", *route.methods)),
            path=route.path,
            methods=route.methods,
            requirement=_requirement(route, settings, methods, route_demand),
            access=route.access,
            strict=route.strict,
            provider_demand=route_demand,
            upstream="" if route.upstream in {None, settings.upstream} else route.upstream or "",
            way=way,
        )
        for route, way in zip(settings.routes, ways.numbers(settings), strict=True)
        for route_demand in [provider_demand((*parameters, route.rekono_parameters))]
    ]
    requirement = Requirement(
        level=settings.level, methods=methods, step_up=step_up(settings.step_up, portal_demand)
    )
    routes.append(Route(name=portal_id, path="/", requirement=requirement, provider_demand=portal_demand))
    return Portal(
        portal_id=portal_id,
        origin=f"{url.scheme}://{host}",
        host=host,
        routes=tuple(routes),
        required_claims=settings.required_claims,
        members=settings.members,
        methods=passed_methods(settings),
        webdav=settings.webdav,
        passes_preflights=settings.preflight == "pass",
        accepts_encoded_slash=settings.accepts_encoded_slash,
        accepts_encoded_percent=settings.accepts_encoded_percent,
        machines=_machines(settings),
        paths=settings.paths,
        binds_assertion=settings.binds_assertion,
        activity=frozenset(settings.activity),
        personal_cookies=personal_cookies,
        sign_out_paths=frozenset(as_compared(path, settings.paths) for path in settings.sign_out_paths),
    )


def personal_cookies(portal_id: str, settings: Settings) -> PersonalCookies | None:
    """The portal's cookies that belong to one person; None if the settings name none."""
    portal = settings.portals[portal_id]
    if not portal.cookies.end_with_session:
        return None
    return PersonalCookies(
        portal.cookies.end_with_session,
        portal_id=portal_id,
        secret=cookie_key(settings.sessions),
        is_secure=portal.url.startswith("https:"),
        carries_values=portal.sign_out_url is not None,
    )


def _requirement(
    route: RouteSettings, portal: PortalSettings, methods: tuple[SignInMethod, ...], demand: ProviderDemand
) -> Requirement:
    """What a route demands. A public one demands nothing of a session, also nothing of what the portal
    demands elsewhere."""
    networks = () if route.networks is None else (frozenset(map(ip_network, route.networks)),)
    machines = None if route.machines is None else MachineDemand(**dataclasses.asdict(route.machines))
    if route.access == "public":
        return Requirement(methods=methods, networks=networks, machines=machines)
    return Requirement(
        level=route.level or portal.level,
        methods=route.sign_in or methods,
        claims=route.required_claims,
        step_up=step_up(route.step_up or portal.step_up, demand),
        networks=networks,
        roles=() if route.roles is None else (frozenset(route.roles),),
        machines=machines,
    )


def _machines(settings: PortalSettings) -> MachineDemand | None:
    """The kinds of credentials that some route takes."""
    taken = [route.machines for route in settings.routes if route.machines is not None]
    if not taken:
        return None
    return MachineDemand(tokens=any(each.tokens for each in taken), keys=any(each.keys for each in taken))


def passed_methods(settings: PortalSettings) -> frozenset[str]:
    """The HTTP methods that are passed on to the portal."""
    methods = ORDINARY if settings.methods is None else frozenset(settings.methods)
    return methods | WEBDAV if settings.webdav else methods


def step_up(settings: StepUpDemandSettings, demand: ProviderDemand = NOTHING) -> StepUp | None:
    """The fresh proof that is demanded, or None."""
    if not settings.required:
        return None
    return StepUp(
        methods=settings.methods or STEP_UP_METHODS,
        max_age=settings.max_age,
        acr=demand.acr,
        shows=settings.shows,
    )


def site(portal: Portal, settings: PortalSettings, to: tuple[Way, ...]) -> Site:
    """`to` are the ways of the portal (`ways.py`)."""
    scheme = portal.origin.partition(":")[0]
    names = header_names(settings)
    added = added_headers(settings)
    return Site(
        portal=portal,
        way=to[0],
        ways=to[1:],
        filter=RequestFilter((*names.used, *settings.strip, *(name for name, _ in added))),
        forwarded=b"X-Forwarded-Proto: %s\r\nX-Forwarded-Host: %s\r\n"
        % (scheme.encode(), portal.host.encode())
        + b"".join(b"%s: %s\r\n" % (name.encode("ascii"), value.encode("ascii")) for name, value in added),
        websocket_origins=frozenset(
            origin.encode() for origin in (portal.origin, *settings.websocket_origins)
        ),
    )


def added_headers(settings: PortalSettings) -> list[tuple[str, str]]:
    """The headers that every request to the portal gets besides the identity, as name and value."""
    added = [(name, value.get_secret_value()) for name, value in settings.set.items()]
    basic, bearer = settings.authorization.basic, settings.authorization.bearer
    if basic is not None:
        # RFC 7617 §2: in UTF-8, as browsers send it.
        encoded = base64.b64encode(basic.get_secret_value().encode()).decode()
        added.append(("Authorization", f"Basic {encoded}"))
    elif bearer is not None:
        added.append(("Authorization", f"Bearer {bearer.get_secret_value()}"))
    return added


def default_site(sites: Mapping[str, Site], default_portal: str | None) -> Site | None:
    """The site that answers requests without a host: the one of `server.default_portal`, or the only one."""
    if default_portal is None:
        return next(iter(sites.values())) if len(sites) == 1 else None
    return next(site for site in sites.values() if site.portal.portal_id == default_portal)


def header_names(settings: PortalSettings) -> HeaderNames:
    """The preset's names, except those that the settings replace."""
    replaced = {
        name: value
        for name, value in dataclasses.asdict(settings.headers).items()
        if name != "preset" and value is not None
    }
    return dataclasses.replace(PRESETS[settings.headers.preset], **replaced)


def sign_in_demand(settings: Settings, portal: Portal) -> SignInDemand:
    """What the portal demands of a sign-in."""
    portal_settings = settings.portals[portal.portal_id]
    return SignInDemand(
        portal_id=portal.portal_id,
        origin=portal.origin,
        required_claims=portal.required_claims,
        level=portal_settings.level,
        idle_for=portal_settings.idle or settings.sessions.idle,
        absolute_lifetime=settings.sessions.absolute,
        members=portal.members,
        route_levels={route.name: route.requirement.level for route in portal.routes},
    )
