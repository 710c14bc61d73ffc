"""PURE: `authproxy explain` in words: which portal and route a request falls under, what is demanded there,
and why.

Parser, hosts and rules are those that decide about requests, so the gateway would decide the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from authproxy.access import other_targets, policy, target
from authproxy.access.decision import Reason
from authproxy.access.own_paths import is_own_path
from authproxy.access.routes import Portal, Portals, Requirement, Route
from authproxy.access.sender import Sender
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.identity.assurance import STEP_UP_METHODS, Level
from authproxy.identity.person import Issuer, MemberId, Person, Subject
from authproxy.identity.session import NoSession, Session, SessionStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    text: str
    is_served: bool
    """Whether anybody could reach the portal with it, or the gateway answers it itself."""


def explained(
    method: str,
    url: str,
    portals: Portals,
    *,
    address: str | None = None,
    roles: Collection[str] | None = None,
    session: SessionStanding | NoSession | None = None,
) -> Explanation:
    """What the gateway would do with a request of this method for this URL. With a client's address, a
    person's roles or their session, also whether the route would stop them."""
    parts = urlsplit(url)
    default_port = {"http": 80, "https": 443}.get(parts.scheme.lower())
    if default_port is None or not parts.netloc:
        return _refused(
            method, url, Reason.REQUEST_UNREADABLE, "not a whole URL such as `https://acq.bankart.si/reports`"
        )
    # The target as it was written. `parts.path` would be another spelling than the one the gateway receives.
    _, _, rest = url.partition("://")
    written = (rest[len(parts.netloc) :] or "/").encode("utf-8", "surrogateescape")
    origin_form = target.with_encoded_query(written).decode("utf-8", "surrogateescape")
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
        request = policy.without_sessions(portal, asked)
    except TargetRefused as refused:
        return _refused(method, url, refused.reason, str(refused))
    explanation = _explained(portal, request, address, roles, session)
    if request is asked:
        return explanation
    first, _, others = explanation.text.partition("\n")
    removed = "path     goes on without the portal's session in it (`cookies.end_with_session`)"
    return replace(explanation, text=f"{first}\n{removed}\n{others}")


def _explained(
    portal: Portal,
    request: RequestTarget,
    address: str | None,
    roles: Collection[str] | None,
    session: SessionStanding | NoSession | None,
) -> Explanation:
    lines = [f"{request.method} {portal.origin}{request.origin_form}", f"portal   {portal.portal_id}"]
    if is_own_path(request):
        lines += ["route    the gateway's own pages; the portal's are never reached there"]
        return _answered_by_us(lines, session)
    if request.method not in portal.methods:
        because = f"the portal is asked with {', '.join(sorted(portal.methods))}"
        return Explanation(
            text="\n".join([*lines, f"refused  {Reason.METHOD_UNSUPPORTED}: {because}"]), is_served=False
        )
    if policy.is_sign_out(portal, request):
        lines += ["route    the portal's own sign-out (`sign_out_paths`); it leads to the gateway's page"]
        return _answered_by_us(lines, session)
    route = policy.route_of(portal, request)
    if route is None:
        return Explanation(
            text="\n".join([*lines, f"refused  {Reason.TARGET_AMBIGUOUS}: {_why_no_route(portal, request)}"]),
            is_served=False,
        )
    others = other_targets.judged_with(portal, request, None, ())
    lines += [
        *_route_lines(portal, route),
        *_demands(portal, route),
        *_machines(route),
        *_other_targets(portal, request, route, others),
        *_about(session),
    ]
    found = (policy.route_of(portal, each) for each in (request, *others))
    judged = [each for each in found if each is not None]
    stopped = [line for each in judged for line in _stopped(each, address, roles)][:1]
    if stopped or session is None:
        return Explanation(text="\n".join([*lines, *stopped]), is_served=not stopped)
    verdict, is_served = _verdict(session, portal, judged, address)
    return Explanation(text="\n".join([*lines, *verdict]), is_served=is_served)


def _answered_by_us(lines: list[str], session: SessionStanding | NoSession | None) -> Explanation:
    return Explanation(
        text="\n".join([*lines, *_about(session)]), is_served=not isinstance(session, NoSession)
    )


def _stopped(route: Route, address: str | None, roles: Collection[str] | None) -> list[str]:
    """Which rule of the route stops everybody, this address, or a person with these roles."""
    if route.access == "deny":
        return [f"refused  {Reason.ACCESS_DENIED_HERE}: {route.name} lets nobody in"]
    if address is not None and policy.barred(route, Sender(address=address)) is not None:
        return [f"refused  {Reason.NETWORK_NOT_ALLOWED}: {route.name} is not open to {address}"]
    if roles is not None and policy.lacks_role(route, roles):
        return [f"refused  {Reason.ROLE_MISSING}: {_not_open_with(route, roles)}"]
    return []


def _not_open_with(route: Route, roles: Collection[str]) -> str:
    return f"{route.name} is not open to somebody with {_named(roles)}"


def _named(roles: Collection[str]) -> str:
    return f"the role {' and '.join(sorted(roles))}" if roles else "no role"


def _about(session: SessionStanding | NoSession | None) -> list[str]:
    """Whose session it is, and until when it is open."""
    if session is None:
        return []
    if isinstance(session, NoSession):
        return ["open     no: no session has this id, or it has ended"]
    summary = session.summary
    started, active, ends = map(_moment, (summary.started_at, summary.last_active_at, summary.expires_at))
    lines = [
        f"whose    {_whose(session)}",
        f"by       {summary.method}, level {int(summary.level)}, at {summary.portal}, since {started}",
        f"open     as {summary.session_id}, last active at {active}, until {ends} at the latest",
    ]
    if session.roles is not None:
        lines.append(f"has      {_named(session.roles)} in the register now")
    if session.is_blocked:
        lines.append("blocked  and still open: it ends at the next proof, or by `authproxy sessions revoke`")
    return lines


def _whose(session: SessionStanding) -> str:
    summary, person = session.summary, session.summary.person
    if person is None:
        return "not known: an older version of the gateway has started it"
    number = "-" if summary.tax_number is None else summary.tax_number
    whose = f"{person.subject_for_portals}, {person.name or '-'}, tax number {number}"
    return " ".join(whose.splitlines())  # a name must not write lines of its own here


def _moment(moment: datetime) -> str:
    return format(moment, "%Y-%m-%dT%H:%M:%SZ")


def _verdict(
    session: SessionStanding | NoSession, portal: Portal, routes: Iterable[Route], address: str | None
) -> tuple[list[str], bool]:
    """What the gateway decides about this session on all of these routes, and whether it lets the request
    in."""
    counts_for_nothing: Reason | None = None
    doubts: dict[str, None] = {}
    for route in routes:
        reason, unknown = (
            (Reason.SESSION_ENDED, ())
            if isinstance(session, NoSession)
            else _judgement(session, portal, route, address)
        )
        if reason is None:
            doubts |= dict.fromkeys(unknown)
        elif route.access == "public":
            counts_for_nothing = reason
        else:
            return [f"refused  {reason}: {_because(reason, session, route)}"], False
    if counts_for_nothing is not None:
        return [
            f"passes   as a request of nobody ({counts_for_nothing}): the portal is told of no session"
        ], not isinstance(session, NoSession)
    if not doubts:
        return ["passes   with this session"], True
    return ["passes   with this session, unless what is not known from here stops it:", *doubts], True


def _judgement(
    session: SessionStanding, portal: Portal, route: Route, address: str | None
) -> tuple[Reason | None, list[str]]:
    """What certainly stops the session. If nothing does, what may stop it. The rules that judge requests are
    asked, at first without the demands that need more than is known here, and then for each of those
    demands whether it would stop a session that has nothing for it. A known address was let in before."""

    def unmet(requirement: Requirement, roles: tuple[str, ...]) -> Reason | None:
        return policy.unmet(
            _as_far_as_known(session, roles),
            portal,
            replace(route, requirement=requirement),
            Sender(address=address or ""),
            session.asked_at,
        )

    demand = route.requirement
    bare = replace(demand, networks=(), roles=(), claims=(), step_up=None)
    stops = unmet(bare if session.roles is None else replace(bare, roles=demand.roles), session.roles or ())
    if stops is not None:
        return stops, []
    unknown = (
        (
            "whether the request comes from a network that is let in (`--address`)",
            replace(bare, networks=demand.networks),
        ),
        (
            "whether the sign-in has given it such a role; a newer one does not count",
            replace(bare, roles=demand.roles),
        ),
        (
            "whether the sign-in has stated the personal data that are demanded",
            replace(bare, claims=demand.claims),
        ),
        ("whether it has the proof that is demanded", replace(bare, step_up=demand.step_up)),
    )
    found = [(words, unmet(requirement, ())) for words, requirement in unknown]
    return None, [f"unknown  {words}; if not: {reason}" for words, reason in found if reason is not None]


def _as_far_as_known(session: SessionStanding, roles: tuple[str, ...]) -> Session:
    """The session with what its summary has, and with these roles. It has no proofs and no personal data.
    Somebody of whom the summary has nothing is taken for a person of the register: the sign-in has judged
    that."""
    summary = session.summary
    return Session(
        session_id=summary.session_id,
        portal=summary.portal,
        person=summary.person or Person(issuer=Issuer(""), subject=Subject(""), member=MemberId("")),
        method=summary.method,
        level=summary.level,
        events=(),
        started_at=summary.started_at,
        expires_at=summary.expires_at,
        idle_for=timedelta(),
        roles=roles,
    )


def _because(reason: Reason, session: SessionStanding | NoSession, route: Route) -> str:
    """Why a session is stopped, in words."""
    if isinstance(session, NoSession):
        return "no open session has this id, so the person must sign in"
    summary, demand = session.summary, route.requirement
    methods = " or ".join(demand.methods)
    level = f"level {int(demand.level)}, and the session has {int(summary.level)}"
    return {
        Reason.SESSION_OF_ANOTHER_PORTAL: f"the session is one at {summary.portal}",
        Reason.NOT_A_MEMBER: "the portal is for people of the register, and the person was not in it",
        Reason.ROLE_MISSING: _not_open_with(route, session.roles or ()),
        Reason.METHOD_NOT_ALLOWED_HERE: f"{route.name} demands a sign-in by {methods}",
        Reason.LEVEL_TOO_LOW: f"{route.name} demands {level}",
    }[reason]


def _why_no_route(portal: Portal, request: RequestTarget) -> str:
    readings = request.readings(portal.paths)
    if not readings:
        return "a portal might find a dot segment in the path, or read it in too many ways"
    found = [portal.possible_routes(reading, request.method) for reading in readings]
    names = sorted(
        {route.name for routes in found for route in routes} | {"none" for routes in found if not routes}
    )
    if len(names) == 1:
        return "no route covers it"
    return (
        f"the path can be read in several ways, which fall under different routes ({', '.join(names)}), and "
        "nobody can meet what each of them demands"
    )


def _other_targets(
    portal: Portal, request: RequestTarget, route: Route, others: Iterable[RequestTarget]
) -> list[str]:
    """What else must be allowed, for a WebDAV request without `Depth`."""
    lines = [f"also     must be allowed: {other.method} {other.path}" for other in others]
    if request.method in {"COPY", "MOVE"}:
        lines.append("also     PUT and DELETE at the Destination, and everything below it")
    if request.method == "OPTIONS" and portal.passes_preflights and route.access != "deny":
        lines.append("or       a CORS preflight: passed on for nobody, without a session")
    return lines


def _route_lines(portal: Portal, route: Route) -> list[str]:
    methods = f" ({', '.join(route.methods)})" if route.methods else ""
    return [
        f"route    {route.name}: {route.path}{methods}",
        f"because  {_why(portal, route)}",
        *([f"server   {route.upstream}"] if route.upstream else []),
    ]


def _demands(portal: Portal, route: Route) -> list[str]:
    requirement = route.requirement
    lines = [
        f"from     {', '.join(sorted(map(str, networks)))}, and from nowhere else"
        for networks in requirement.networks
    ]
    if route.access == "deny":
        return ["access   deny: nobody comes in"]
    if route.access == "public":
        return [
            "access   public: everybody comes in, without a sign-in",
            *lines,
            "session  told to the portal if there is one, and not kept alive by this",
        ]
    lines += [f"roles    one of {', '.join(sorted(roles))}" for roles in requirement.roles]
    claims = ", ".join(dict.fromkeys((*portal.required_claims, *requirement.claims)))
    return [
        *lines,
        f"demands  sign-in by {' or '.join(requirement.methods)}, level {int(requirement.level)} or more",
        f"knowing  {claims or 'nothing but the account'}",
        f"proof    {_proof(requirement)}",
        *(
            [f"asks     Rekono for {', '.join(route.provider_demand.parameters)}"]
            if route.provider_demand.parameters
            else []
        ),
        "session  asked of the store on every request"
        if route.strict
        else "session  from the near cache where it is fresh",
    ]


def _machines(route: Route) -> list[str]:
    """Which programs come in, if any."""
    demand = route.requirement.machines
    if demand is None or route.access == "deny" or not (demand.tokens or demand.keys):
        return []
    kinds = [
        words for takes, words in ((demand.tokens, "an access token"), (demand.keys, "an API key")) if takes
    ]
    scopes = f" that has {' and '.join(demand.scopes)}" if demand.scopes else ""
    return [f"or       a program with {' or '.join(kinds)}{scopes}, without a person"]


def _why(portal: Portal, route: Route) -> str:
    if route.parts:
        return "the path can be read in several ways, so what each of these routes demands must be met"
    position, routes = portal.routes.index(route) + 1, len(portal.routes)
    if position == 1:
        return f"it is the first of {routes} that covers path and method"
    return f"it is number {position} of {routes}, and none before it covers path and method"


def _proof(requirement: Requirement) -> str:
    step_up = requirement.step_up
    if step_up is None:
        return "none beside the sign-in"
    level = "" if requirement.level == Level.LOW else f", of level {int(requirement.level)} or more"
    methods = "any method" if set(step_up.methods) == set(STEP_UP_METHODS) else " or ".join(step_up.methods)
    acr = (
        f"; one by rekono with acr {' or '.join(step_up.acr)}"
        if step_up.acr and "rekono" in step_up.methods
        else ""
    )
    if step_up.is_per_request:
        fields = f", showing {', '.join(step_up.shows)}" if step_up.shows else ""
        return (
            f"a step-up by {methods} for this one request{level}{fields}{acr}: a form that is kept, or a "
            "GET, used once\n         behind a front proxy that asks subrequests nothing can be bound: "
            f"refused with {Reason.REQUEST_CANNOT_BE_BOUND}"
        )
    when = "once in the session" if step_up.max_age is None else f"at most {_span(step_up.max_age)} old"
    return f"a step-up by {methods}, {when}{level}{acr}"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return next(
        f"{seconds // size} {name}"
        for size, name in ((3600, "h"), (60, "min"), (1, "s"))
        if seconds % size == 0
    )


def _refused(method: str, url: str, reason: Reason, because: str) -> Explanation:
    return Explanation(text=f"{method} {url}\nrefused  {reason}: {because}", is_served=False)
