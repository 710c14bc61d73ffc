"""The pages as one application: every route and the order of the middlewares stand here, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.access.decision import Reason
from authproxy.flows.access import Access
from authproxy.flows.ending.back_channel_logout import BackChannelLogout
from authproxy.flows.ending.logout import Logout
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.sign_in.certificate import CertificateSignIn
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.step_up.challenges import StepUpChallenges
from authproxy.flows.step_up.enrolling import Enrolling
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.web.assets import Assets
from authproxy.web.back_channel_logout import BackChannelLogoutEndpoint
from authproxy.web.enrolments import EnrolmentPages
from authproxy.web.held_requests import HeldRequestPages
from authproxy.web.limiting import Limiting
from authproxy.web.login import LoginPages
from authproxy.web.logout import LogoutPages
from authproxy.web.middlewares import REFUSAL_PATH, answering_failures, in_context, securing
from authproxy.web.navigations import Navigations
from authproxy.web.pages import PREFIX, Links, Pages
from authproxy.web.proofs import Proofs
from authproxy.web.rates import Rates
from authproxy.web.refusals import PAGES, Refusals, particulars_in
from authproxy.web.refused_sign_ins import PLACE, RefusalSeals, RefusedSignIns
from authproxy.web.request_context import NO_PORTAL, PortalPresentation
from authproxy.web.request_keys import CONTEXT
from authproxy.web.session_page import SessionPages
from authproxy.web.step_up import StepUpPages
from authproxy.web.templating import templates

LARGEST_FORM = 16 * 1024
"""Bytes; our largest form holds a return-to of 2 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpServices:
    """What the pages of fresh proofs ask."""

    step_ups: StepUpChallenges
    held: HeldRequests
    enrolling: Enrolling


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the pages ask. `fresh` gives so many random bytes as URL-safe text without padding; `zone` is the
    one times are shown in. `hsts` is the value of `Strict-Transport-Security`, None for no such header;
    `nowhere` stands for the portal of a host that is nobody's. `certificates_end` tells when certificates
    stop being accepted, once people are to be told. Without `seals` a refused sign-in is told at the address
    of its callback."""

    login: OpenIdSignIn
    logout: Logout
    back_channel_logout: BackChannelLogout
    sessions: Access
    portals: Mapping[str, PortalPresentation]
    links: Links
    jwks: Callable[[], Mapping[str, object]]
    audit: Audit
    metrics: Metrics
    clock: Callable[[], datetime]
    fresh: Callable[[int], str]
    zone: tzinfo
    step_up: StepUpServices
    rates: Rates = field(default_factory=lambda: Rates({}))
    hsts: str | None = None
    nowhere: PortalPresentation = NO_PORTAL
    certificate_login: CertificateSignIn | None = None
    seals: RefusalSeals | None = None
    certificates_end: Callable[[datetime], datetime | None] = lambda _now: None
    keeps: Callable[[str], bool] = lambda _place: True


def application(services: Services) -> web.Application:
    """The application that answers below `/.authproxy/`, and the edge's own questions for refusal pages. It
    trusts the `X-Authproxy-*` headers that it is sent: it must listen where only the edge can connect."""
    spoken = templates(services.zone)
    assets = Assets(spoken)
    pages = Pages(templates=spoken, assets=assets, links=services.links)
    refusals = Refusals(pages)
    login = LoginPages(
        login=services.login,
        sessions=services.sessions,
        pages=pages,
        refusals=refusals,
        audit=services.audit,
        metrics=services.metrics,
        clock=services.clock,
        fresh=services.fresh,
        certificate_login=services.certificate_login,
        certificates_end=services.certificates_end,
        keeps=services.keeps,
    )
    session = SessionPages(
        sessions=services.sessions,
        pages=pages,
        audit=services.audit,
        portals=services.portals,
        clock=services.clock,
        certificates_end=services.certificates_end,
        enrolling=services.step_up.enrolling,
    )
    logout = LogoutPages(
        logout=services.logout,
        sessions=services.sessions,
        pages=pages,
        audit=services.audit,
        clock=services.clock,
    )
    provider_logout = BackChannelLogoutEndpoint(
        logout=services.back_channel_logout,
        audit=services.audit,
        metrics=services.metrics,
        clock=services.clock,
    )
    limiting = Limiting(rates=services.rates, metrics=services.metrics, clock=services.clock)
    navigations = Navigations(services.audit)
    leaving = (
        []
        if services.seals is None
        else [RefusedSignIns(refusals=refusals, seals=services.seals, clock=services.clock)]
    )
    middlewares = [in_context(services.portals, services.nowhere), *(each.leaving for each in leaving)]
    middlewares.append(answering_failures(refusals, services.nowhere))
    built = web.Application(middlewares=middlewares, client_max_size=LARGEST_FORM)
    built.on_response_prepare.append(securing(services.hsts))
    built.router.add_routes(
        [
            web.get(PREFIX + "login", login.choose),
            web.post(PREFIX + "login", limiting.every("sign_ins", login.begin)),
            # A HEAD would spend the state and the code that the GET after it needs.
            web.get(
                PREFIX + "callback/rekono", limiting.every("callbacks", login.complete), allow_head=False
            ),
            web.get(
                PREFIX + "callback/acnlb",
                limiting.every("callbacks", login.complete_certificate),
                allow_head=False,
            ),
            web.get(PREFIX + "session", navigations.or_scripts(session.show)),
            web.post(PREFIX + "session/extend", session.extend),
            web.post(PREFIX + "session/end", navigations.without_worker(session.end_others)),
            web.get(PREFIX + "logout", logout.ask),
            web.post(PREFIX + "logout", logout.end),
            web.post(
                PREFIX + "backchannel-logout", limiting.refused("logout_tokens", provider_logout.receive)
            ),
            web.get(PREFIX + "jwks.json", _published(services.jwks)),
            web.get(PREFIX + "static/{name}", assets.answer),
            web.get(REFUSAL_PATH, _refusal(refusals)),
            *(web.get(PREFIX + PLACE, each.show) for each in leaving),
            *_of_step_ups(services, pages, refusals, limiting, navigations),
        ]
    )
    return built


def _of_step_ups(
    services: Services, pages: Pages, refusals: Refusals, limiting: Limiting, navigations: Navigations
) -> list[web.RouteDef]:
    asked = services.step_up
    proofs = Proofs(refusals=refusals, audit=services.audit, metrics=services.metrics, clock=services.clock)
    step_up = StepUpPages(
        step_ups=asked.step_ups,
        proofs=proofs,
        pages=pages,
        refusals=refusals,
        audit=services.audit,
        metrics=services.metrics,
        clock=services.clock,
        fresh=services.fresh,
    )
    held = HeldRequestPages(
        held=asked.held,
        sessions=services.sessions,
        pages=pages,
        refusals=refusals,
        audit=services.audit,
        clock=services.clock,
    )
    methods = EnrolmentPages(
        enrolling=asked.enrolling, pages=pages, audit=services.audit, clock=services.clock
    )
    only, without_worker = navigations.only, navigations.without_worker
    return [
        web.get(PREFIX + "step-up", only(step_up.show)),
        web.post(PREFIX + "step-up", limiting.every("codes", step_up.act)),
        web.get(PREFIX + "step-up/status", step_up.status),
        web.get(PREFIX + "step-up/send", only(held.confirm)),
        web.post(PREFIX + "step-up/discard", only(held.discard)),
        web.post(PREFIX + "session/methods", limiting.every("codes", without_worker(methods.begin))),
        web.post(PREFIX + "session/methods/finish", limiting.every("codes", without_worker(methods.finish))),
        web.get(PREFIX + "session/methods/remove", without_worker(methods.ask_removal)),
        web.post(PREFIX + "session/methods/remove", without_worker(methods.remove)),
    ]


def _published(jwks: Callable[[], Mapping[str, object]]) -> Handler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(jwks(), dumps=json.dumps, headers={"Cache-Control": "public, max-age=300"})

    return answer


def _refusal(refusals: Refusals) -> Handler:
    """The page of a refusal that the edge has decided on, with the edge's status. It stands at the address
    that was asked for, so that asking again is a link to the same place."""

    async def answer(request: web.Request) -> web.StreamResponse:
        text = request.headers.get("X-Authproxy-Reason", "")
        reason = Reason(text) if text in PAGES else Reason.UNEXPECTED
        status = request.headers.get("X-Authproxy-Status", "")
        is_error = len(status) == 3 and status.isdecimal() and status[0] in "45"
        return refusals.answer(
            request,
            reason,
            status=int(status) if is_error else None,
            retry="",
            about=particulars_in(request.headers),
            return_to=request[CONTEXT].portal.place(
                unquote(request.headers.get("X-Authproxy-Return-To", ""))
            ),
        )

    return answer
