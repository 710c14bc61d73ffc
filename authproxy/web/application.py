"""The pages as one application: every route, and the order of the middlewares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.access import own_paths, request_senders
from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.flows.access import Access
from authproxy.flows.ending.back_channel_logout import BackChannelLogout
from authproxy.flows.ending.logout import Logout
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.step_up.challenges import StepUpChallenges
from authproxy.flows.step_up.enrolling import Enrolling
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.web.assets import Assets
from authproxy.web.back_channel_logout import BackChannelLogoutEndpoint
from authproxy.web.doctor import DoctorPage
from authproxy.web.enrolments import EnrolmentPages
from authproxy.web.held_requests import HeldRequestPages
from authproxy.web.limiting import Limiting
from authproxy.web.login import LoginPages
from authproxy.web.logout import LogoutPages
from authproxy.web.middlewares import REFUSAL_PATH, answering_failures, in_context, securing
from authproxy.web.navigations import Navigations
from authproxy.web.pages import PREFIX, Links, Pages
from authproxy.web.rates import Rates
from authproxy.web.refusals import PAGES, Refusals, particulars_in
from authproxy.web.refused_sign_ins import PATH, RefusalSeals, RefusedSignIns
from authproxy.web.request_context import NO_PORTAL, PortalPresentation
from authproxy.web.request_keys import CONTEXT
from authproxy.web.session_page import SessionPages
from authproxy.web.step_up import StepUpPages
from authproxy.web.step_up_answers import StepUpAnswers
from authproxy.web.templating import templates

if TYPE_CHECKING:  # a gateway without `acnlb` does not import it
    from authproxy.flows.sign_in.certificate import CertificateSignIn

LARGEST_FORM = 16 * 1024
"""Bytes. Our largest form holds a return-to of 2 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpServices:
    """What the pages of step-ups and of methods call."""

    step_ups: StepUpChallenges
    held_requests: HeldRequests
    enrolling: Enrolling


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the pages call and show."""

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
    random_text: Callable[[int], str]
    """URL-safe text of so many random bytes, without padding."""
    zone: tzinfo
    """The zone of the times on pages."""
    step_up: StepUpServices
    rates: Rates = field(default_factory=lambda: Rates({}))
    hsts: str | None = None
    """The value of `Strict-Transport-Security`; None sends no such header."""
    no_portal: PortalPresentation = NO_PORTAL
    """Stands for the portal at a host that belongs to none."""
    certificate_login: CertificateSignIn | None = None
    seals: RefusalSeals | None = None
    """Without it, a refused sign-in is shown at the address of its callback."""
    certificates_end: Callable[[datetime], datetime | None] = lambda _now: None
    """When certificates stop being accepted; None as long as people need not be told."""
    return_to_fits: Callable[[str], bool] = lambda _return_to: True
    personal_cookies: Mapping[str, PersonalCookies] = field(default_factory=dict)
    """By portal id: the portals' cookies that end at sign-out."""
    doctor: DoctorPage | None = None


def application(services: Services) -> web.Application:
    """The application that answers below `/.authproxy/`, and gives the edge its refusal pages. It trusts the
    `X-Authproxy-*` headers of requests, so it must listen where only the edge can connect."""
    localized = templates(services.zone)
    assets = Assets(localized)
    pages = Pages(templates=localized, assets=assets, links=services.links)
    refusals = Refusals(pages)
    login = LoginPages(
        login=services.login,
        sessions=services.sessions,
        pages=pages,
        refusals=refusals,
        audit=services.audit,
        metrics=services.metrics,
        clock=services.clock,
        random_text=services.random_text,
        held_requests=services.step_up.held_requests,
        certificate_login=services.certificate_login,
        certificates_end=services.certificates_end,
        return_to_fits=services.return_to_fits,
        personal_cookies=services.personal_cookies,
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
        personal_cookies=services.personal_cookies,
    )
    provider_logout = BackChannelLogoutEndpoint(
        logout=services.back_channel_logout,
        audit=services.audit,
        metrics=services.metrics,
        clock=services.clock,
    )
    limiting = Limiting(rates=services.rates, metrics=services.metrics, clock=services.clock)
    navigations = Navigations(services.audit)
    refused_sign_ins = (
        []
        if services.seals is None
        else [RefusedSignIns(refusals=refusals, seals=services.seals, clock=services.clock)]
    )
    middlewares = [
        in_context(services.portals, services.no_portal),
        *(page.leaving for page in refused_sign_ins),
    ]
    middlewares.append(answering_failures(refusals, services.no_portal))
    built = web.Application(middlewares=middlewares, client_max_size=LARGEST_FORM)
    built.on_response_prepare.append(securing(services.hsts))
    built.router.add_routes(
        [
            web.get(PREFIX + "login", login.choose),
            web.post(PREFIX + "login", limiting.limit_all("sign_ins", login.begin)),
            # No HEAD: it would use up the state and the code that the GET after it needs.
            web.get(
                PREFIX + "callback/rekono", limiting.limit_all("callbacks", login.complete), allow_head=False
            ),
            web.get(
                PREFIX + "callback/acnlb",
                limiting.limit_all("callbacks", login.complete_certificate),
                allow_head=False,
            ),
            web.get(PREFIX + "session", navigations.or_scripts(session.show)),
            web.post(PREFIX + "session/extend", session.extend),
            web.post(PREFIX + "session/end", navigations.without_worker(session.end_others)),
            web.get(PREFIX + "logout", logout.ask),
            web.post(PREFIX + "logout", logout.end),
            web.post(
                PREFIX + "backchannel-logout",
                limiting.limit_refused("logout_tokens", provider_logout.receive),
            ),
            web.get(PREFIX + "jwks.json", _published(services.jwks)),
            web.get(PREFIX + "static/{name}", assets.answer),
            web.get(REFUSAL_PATH, _refusal(refusals)),
            *([] if services.doctor is None else [web.get(own_paths.DOCTOR, services.doctor.show)]),
            *(web.get(PREFIX + PATH, page.show) for page in refused_sign_ins),
            *_step_up_routes(services, pages, refusals, limiting, navigations),
        ]
    )
    return built


def _step_up_routes(
    services: Services, pages: Pages, refusals: Refusals, limiting: Limiting, navigations: Navigations
) -> list[web.RouteDef]:
    step_up_services = services.step_up
    answers = StepUpAnswers(
        refusals=refusals, audit=services.audit, metrics=services.metrics, clock=services.clock
    )
    step_up = StepUpPages(
        step_ups=step_up_services.step_ups,
        answers=answers,
        pages=pages,
        refusals=refusals,
        audit=services.audit,
        metrics=services.metrics,
        clock=services.clock,
        random_text=services.random_text,
    )
    held_requests = HeldRequestPages(
        held_requests=step_up_services.held_requests,
        sessions=services.sessions,
        pages=pages,
        refusals=refusals,
        audit=services.audit,
        clock=services.clock,
    )
    methods = EnrolmentPages(
        enrolling=step_up_services.enrolling, pages=pages, audit=services.audit, clock=services.clock
    )
    only, without_worker = navigations.only, navigations.without_worker
    return [
        web.get(PREFIX + "step-up", only(step_up.show)),
        web.post(PREFIX + "step-up", limiting.limit_all("codes", step_up.act)),
        web.get(PREFIX + "step-up/status", step_up.status),
        web.get(PREFIX + "step-up/send", only(held_requests.confirm)),
        web.post(PREFIX + "step-up/discard", only(held_requests.discard)),
        web.post(PREFIX + "session/methods", limiting.limit_all("codes", without_worker(methods.begin))),
        web.post(
            PREFIX + "session/methods/finish", limiting.limit_all("codes", without_worker(methods.finish))
        ),
        web.get(PREFIX + "session/methods/remove", without_worker(methods.ask_removal)),
        web.post(PREFIX + "session/methods/remove", without_worker(methods.remove)),
    ]


def _published(jwks: Callable[[], Mapping[str, object]]) -> Handler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(jwks(), dumps=json.dumps, headers={"Cache-Control": "public, max-age=300"})

    return answer


def _refusal(refusals: Refusals) -> Handler:
    """The page of a refusal by the edge, with the edge's status. The browser sees it at the address that it
    has asked for, so a link to the same address tries again."""

    async def answer(request: web.Request) -> web.StreamResponse:
        text = request.headers.get("X-Authproxy-Reason", "")
        reason = Reason(text) if text in PAGES else Reason.UNEXPECTED
        status = request.headers.get("X-Authproxy-Status", "")
        is_stated = len(status) == 3 and status.isdecimal() and status[0] in "45"
        given_return_to = request.headers.get("X-Authproxy-Return-To", "")
        return_to = request[CONTEXT].portal.return_to(unquote(given_return_to))
        whole = None
        if request_senders.is_in_frame(request.raw_headers):
            # Where a link to the frame's own address shows the whole refusal, that is what helps.
            whole = request.headers.get("X-Authproxy-Location", return_to if given_return_to else "")
            if request.headers["Sec-Fetch-Dest"].lower() == "object":
                # HTML §4.8.7: an `object` shows nothing of an answer whose status is an error.
                status, is_stated = "200", True
        page = refusals.answer(
            request,
            reason,
            status=int(status) if is_stated else None,
            retry="",
            about=particulars_in(request.headers),
            return_to=return_to,
            whole=whole,
        )
        # At the same address there is something else for others, as the edge's own answers say too.
        page.headers["Vary"] = "Cookie, Accept, Sec-Fetch-Mode"
        return page

    return answer
