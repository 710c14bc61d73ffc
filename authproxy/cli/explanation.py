"""PURE: for `authproxy explain`: which portal and route a request falls under, what is demanded there and
why, in words.

It asks the same parser, the same hosts and the same rules that decide on requests: it cannot tell another
story than they.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from authproxy.access import other_targets, policy, target
from authproxy.access.decision import Reason
from authproxy.access.own_paths import is_own_path
from authproxy.access.routes import Portal, Portals, Requirement, Route
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.identity.assurance import STEP_UP_METHODS, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    text: str
    is_served: bool
    """Whether anybody at all could be let through to the portal (or the gateway answers itself)."""


def explained(method: str, url: str, portals: Portals) -> Explanation:
    """What would happen to a request of METHOD for the URL."""
    parts = urlsplit(url)
    default_port = {"http": 80, "https": 443}.get(parts.scheme.lower())
    if default_port is None or not parts.netloc:
        return _refused(
            method, url, Reason.REQUEST_UNREADABLE, "not a whole URL such as `https://acq.bankart.si/reports`"
        )
    # Not `parts.path`: taking apart and putting together again would hide what the gateway sees.
    _, _, rest = url.partition("://")
    origin_form = rest[len(parts.netloc) :] or "/"
    try:
        host = target.canonical_host(parts.netloc, default_port)
        portal = portals.at(host)
        if portal is None:
            known = ", ".join(sorted(portals.by_host)) or "none"
            return _refused(
                method, url, Reason.UNKNOWN_HOST, f"no portal has the host {host}; there are: {known}"
            )
        asked = target.parse(
            method=method,
            target=origin_form if origin_form.startswith("/") else f"/{origin_form}",
            host=host,
            default_port=default_port,
            accepts_encoded_slash=portal.accepts_encoded_slash,
            accepts_encoded_percent=portal.accepts_encoded_percent,
        )
    except TargetRefused as refused:
        return _refused(method, url, refused.reason, str(refused))
    return _told(portal, asked)


def _told(portal: Portal, asked: RequestTarget) -> Explanation:
    lines = [f"{asked.method} {portal.origin}{asked.origin_form}", f"portal   {portal.portal_id}"]
    if is_own_path(asked):
        lines += ["route    the gateway's own pages; the portal's are never reached there"]
        return Explanation(text="\n".join(lines), is_served=True)
    if asked.method not in portal.methods:
        because = f"the portal is asked with {', '.join(sorted(portal.methods))}"
        return Explanation(
            text="\n".join([*lines, f"refused  {Reason.METHOD_UNSUPPORTED}: {because}"]), is_served=False
        )
    route = policy.route_of(portal, asked)
    if route is None:
        ways = {
            (found.name if found else "none")
            for found in (portal.route(path, asked.method) for path in asked.readings())
        }
        because = (
            "the path can be read in several ways, which fall under different routes "
            f"({', '.join(sorted(ways))})"
            if len(ways) > 1
            else "no route covers it"
        )
        return Explanation(
            text="\n".join([*lines, f"refused  {Reason.TARGET_AMBIGUOUS}: {because}"]), is_served=False
        )
    return Explanation(
        text="\n".join([*lines, *_route_lines(portal, route), *_other_places(portal, asked)]), is_served=True
    )


def _other_places(portal: Portal, asked: RequestTarget) -> list[str]:
    """What else is judged, for a request without `Depth`."""
    lines = [
        f"also     must be allowed: {other.method} {other.path}"
        for other in other_targets.judged_with(portal, asked, None, ())
    ]
    if asked.method in {"COPY", "MOVE"}:
        lines.append("also     PUT and DELETE at the Destination, and everything below it")
    if asked.method == "OPTIONS" and portal.passes_preflights:
        lines.append("or       a CORS preflight: passed on for nobody, without a session")
    return lines


def _route_lines(portal: Portal, route: Route) -> list[str]:
    demand = route.requirement
    methods = f" ({', '.join(route.methods)})" if route.methods else ""
    position = portal.routes.index(route) + 1
    routes = len(portal.routes)
    reason = (
        f"the first of {routes} that covers path and method"
        if position == 1
        else f"number {position} of {routes}, and none before it covers path and method"
    )
    known = ", ".join(dict.fromkeys((*portal.required_claims, *demand.claims)))
    return [
        f"route    {route.name}: {route.path}{methods}",
        f"because  it is {reason}",
        f"demands  sign-in by {' or '.join(demand.methods)}, level {int(demand.level)} or more",
        f"knowing  {known or 'nothing but the account'}",
        f"proof    {_proof(demand)}",
        *(
            [f"asks     Rekono for {', '.join(route.provider_demand.parameters)}"]
            if route.provider_demand.parameters
            else []
        ),
        "session  asked of the store on every request"
        if route.strict
        else "session  from the near cache where it is fresh",
    ]


def _proof(demand: Requirement) -> str:
    wanted = demand.step_up
    if wanted is None:
        return "none beside the sign-in"
    level = "" if demand.level == Level.LOW else f", of level {int(demand.level)} or more"
    methods = "any method" if set(wanted.methods) == set(STEP_UP_METHODS) else " or ".join(wanted.methods)
    those = (
        f"; one by rekono with acr {' or '.join(wanted.acr)}"
        if wanted.acr and "rekono" in wanted.methods
        else ""
    )
    if wanted.is_per_request:
        seen = f", showing {', '.join(wanted.shows)}" if wanted.shows else ""
        return (
            f"a step-up by {methods} for this one request{level}{seen}{those}: a form that is kept, or a "
            "GET, used once\n         behind a front proxy that asks subrequests nothing can be bound: "
            f"refused with {Reason.REQUEST_CANNOT_BE_BOUND}"
        )
    when = "once in the session" if wanted.max_age is None else f"at most {_span(wanted.max_age)} old"
    return f"a step-up by {methods}, {when}{level}{those}"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return next(
        f"{seconds // size} {name}"
        for size, name in ((3600, "h"), (60, "min"), (1, "s"))
        if seconds % size == 0
    )


def _refused(method: str, url: str, reason: Reason, because: str) -> Explanation:
    return Explanation(text=f"{method} {url}\nrefused  {reason}: {because}", is_served=False)
