"""The only page of the certificate host: it takes the certificate that the browser has shown, and sends the
browser back to its portal.

It has a host of its own and no cookie. A refusal closes the connection, because a browser shows the same
certificate for as long as the connection lasts (RFC 9440 §3.3). Browsers may remember the choice even longer,
until they are closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates import presentation
from authproxy.certificates.presentation import Presented, Terminator
from authproxy.certificates.verdict import CertificateRefused, Validated
from authproxy.flows.sign_in.certificate import CertificateSignIn, Hop
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.logging import bound
from authproxy.telemetry.metrics import Metrics
from authproxy.web import request_context
from authproxy.web.assets import Assets
from authproxy.web.certificate_listener.tls import CERTIFICATES
from authproxy.web.limiting import Limiting
from authproxy.web.middlewares import answering_failures, securing
from authproxy.web.pages import PREFIX, Links, Pages
from authproxy.web.rates import Rates
from authproxy.web.refusals import HELD, RETURN_TO, Particulars, Refusals, code_of
from authproxy.web.request_context import NO_PORTAL, PortalPresentation
from authproxy.web.request_keys import CONTEXT
from authproxy.web.templating import templates

Presenting = Callable[[web.Request], Presented | CertificateRefused]
"""The certificate that was shown on the connection of a request, or forwarded with the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateServices:
    """What the page needs. `client_of` gives the client's address of a request, and whether it is the address
    of a terminator that does not name its client. `no_portal` is shown while it is not known for which portal
    a certificate is shown."""

    login: CertificateSignIn
    presenting: Presenting
    client_of: Callable[[str, Iterable[bytes]], tuple[str, bool]]
    portals: Mapping[str, PortalPresentation]
    links: Links
    audit: Audit
    metrics: Metrics
    clock: Callable[[], datetime]
    new_request_id: Callable[[], str]
    zone: tzinfo
    rates: Rates = field(default_factory=lambda: Rates({}))
    hsts: str | None = None
    no_portal: PortalPresentation = NO_PORTAL


def certificate_application(services: CertificateServices) -> web.Application:
    spoken = templates(services.zone)
    assets = Assets(spoken)
    pages = Pages(templates=spoken, assets=assets, links=services.links)
    refusals = Refusals(pages)
    page = _CertificatePage(services, pages, refusals)
    limiting = Limiting(rates=services.rates, metrics=services.metrics, clock=services.clock)
    built = web.Application(
        middlewares=[_in_context(services), answering_failures(refusals)], client_max_size=1024
    )
    built.on_response_prepare.append(securing(services.hsts))
    built.router.add_routes(
        [
            # No HEAD: it would examine the certificate for nothing.
            web.get("/", limiting.limit_all("callbacks", page.show), allow_head=False),
            web.get(PREFIX + "static/{name}", assets.answer),
        ]
    )
    return built


def shown_to_us(request: web.Request) -> Presented | CertificateRefused:
    """The certificate from the handshake of our own TLS."""
    return presentation.presented(*request.get_extra_info(CERTIFICATES, ()))


def forwarded_by(terminator: Terminator, is_trusted: Callable[[str], bool]) -> Presenting:
    """The certificate that a trusted terminator says it was shown. Anybody else who connects has shown
    none."""

    def presenting(request: web.Request) -> Presented | CertificateRefused:
        if not is_trusted(_peer(request)):
            return CertificateRefused(
                reason=Reason.UNTRUSTED_PEER, detail="not one of `acnlb.trusted_terminators`"
            )
        return presentation.from_headers(request.headers.items(), terminator)

    return presenting


class _CertificatePage:
    def __init__(self, services: CertificateServices, pages: Pages, refusals: Refusals) -> None:
        self._services = services
        self._pages = pages
        self._refusals = refusals

    async def show(self, request: web.Request) -> web.StreamResponse:
        """GET /: 303 back to the portal, with the sealed text that says what was shown; or a page that says
        what is wrong with the certificate."""
        now = self._services.clock()
        hop = self._services.login.hop(request.query.get("hop", ""), now=now)
        portal = self._services.portals.get(hop.portal_id) if hop is not None else None
        if hop is None or portal is None:
            return self._begin_at_a_portal(request)
        # The portal's logo and font are served at the portal, and the content security policy of our pages
        # allows nothing from another host.
        own = self._services.no_portal
        presentation_here = replace(portal, logo=own.logo, colours=own.colours, font=own.font)
        request[CONTEXT] = replace(request[CONTEXT], portal=presentation_here, base=portal.origin)
        request[RETURN_TO] = hop.return_to
        if hop.held is not None:
            request[HELD] = hop.held
        with bound(portal=portal.portal_id):
            return await self._shown(request, hop, now)

    async def _shown(self, request: web.Request, hop: Hop, now: datetime) -> web.Response:
        presented = self._services.presenting(request)
        if isinstance(presented, CertificateRefused):
            return self._refuse(request, presented, hop, None)
        try:
            outcome = await self._services.login.show(hop, presented, now=now)
        except CannotAsk as failure:
            self._record_refused(failure.reason, str(failure), hop, presented)
            raise
        if isinstance(outcome, CertificateRefused):
            return self._refuse(request, outcome, hop, presented)
        self._record_accepted(outcome.validated, hop)
        return web.Response(status=303, headers={hdrs.LOCATION: outcome.location})

    def _begin_at_a_portal(self, request: web.Request) -> web.Response:
        accepting = [portal for portal in self._services.portals.values() if "acnlb" in portal.sign_in]
        return self._pages.answer(
            request,
            "certificate_host.html",
            status=400,
            portals=accepting,
            code=code_of(Reason.ATTEMPT_UNKNOWN, request[CONTEXT]),
            about=Particulars(),
        )

    def _refuse(
        self, request: web.Request, refused: CertificateRefused, hop: Hop, presented: Presented | None
    ) -> web.Response:
        self._record_refused(refused.reason, refused.detail, hop, presented)
        answer = self._refusals.answer(request, refused.reason, return_to=hop.return_to, about=_way_back(hop))
        answer.force_close()
        return answer

    def _record_refused(self, reason: Reason, detail: str, hop: Hop, presented: Presented | None) -> None:
        name = None if presented is None else hashlib.sha256(presented.leaf).hexdigest()
        detail = " ".join(filter(None, (name and f"certificate {name}:", detail)))
        self._services.audit.record(
            Event.CERTIFICATE_REFUSED, reason=reason, method=_method(hop), detail=detail
        )
        if hop.is_step_up:
            self._services.metrics.step_ups[_method(hop), reason] += 1
        else:
            self._services.metrics.sign_ins_refused[(reason,)] += 1

    def _record_accepted(self, validated: Validated, hop: Hop) -> None:
        if validated.unchecked:
            self._services.metrics.fail_open["certificate",] += 1
        known_by = ", ".join(dict.fromkeys(good.source.value for good in validated.status))
        self._services.audit.record(
            Event.CERTIFICATE_ACCEPTED,
            method=_method(hop),
            reason=Reason.REVOCATION_UNAVAILABLE if validated.unchecked else None,
            detail=f"certificate {validated.leaf.fingerprint}: not revoked, says {known_by}"
            if not validated.unchecked
            else f"certificate {validated.leaf.fingerprint}: {validated.unchecked}",
        )


def _method(hop: Hop) -> str:
    return "certificate" if hop.is_step_up else "acnlb"


def _way_back(hop: Hop) -> Particulars:
    """The way back from a refusal: a person who was to give a fresh proof chooses another way to do that, and
    not another way to sign in."""
    if not hop.is_step_up:
        return Particulars()
    query = {"rt": hop.return_to, "for": hop.route, "held": hop.held}
    return Particulars(step_up={name: value for name, value in query.items() if value})


def _in_context(services: CertificateServices) -> Middleware:
    """As for the other pages, but no header about the client is believed here, because the edge does not
    stand before this listener."""

    @web.middleware
    async def in_context(request: web.Request, handler: Handler) -> web.StreamResponse:
        known = request_context.of(
            request.headers,
            request.raw_headers,
            method=request.method,
            chosen_language=request.query.get("lang"),
            portals={},
        )
        forwarded = [
            value.encode("utf-8", "surrogateescape")
            for value in request.headers.getall(hdrs.X_FORWARDED_FOR, ())
        ]
        client, is_nobody = services.client_of(_peer(request), forwarded)
        context = replace(
            known,
            portal=services.no_portal,
            client=client,
            client_is_nobody=is_nobody,
            request_id=services.new_request_id(),
        )
        request[CONTEXT] = context
        with bound(request_id=context.request_id, client=context.client, portal=None):
            return await handler(request)

    return in_context


def _peer(request: web.Request) -> str:
    """The address of the other end of the connection; `local` for a Unix socket."""
    name = request.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else "local"
