"""The authority's HTTP side: files for browsers, operators and scripts, and buttons that revoke certificates
and switch on faults."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.sandbox.certificate_authority.authority import Authority, Entry, Of
from authproxy.sandbox.certificate_authority.downloads import FILES, PASSWORD, PEM_TYPE
from authproxy.sandbox.certificate_authority.faults import WAYS, Service, StatusFaults, status_fault
from authproxy.sandbox.certificate_authority.revocations import REASONS, USUAL_REASON
from authproxy.sandbox.certificate_authority.status_services import StatusServices
from authproxy.sandbox.faults import NotAFault
from authproxy.sandbox.web_pages.pages import SandboxPages, is_of_another_site, json_object

_INTERFACE = {
    "GET /people/NAME.p12": (
        f"key, certificate and chain for a browser, password {PASSWORD}; .legacy.p12 for old systems"
    ),
    "GET /people/NAME.pem": "key, certificate and chain; .crt is the certificate alone",
    "GET /api/certificates": "every certificate: name, subject, serial number, SHA-256, state",
    "GET /ca/root.pem": "also sub.pem, root.cer, sub.cer",
    "GET /ca/crl.pem": "also crl.der: everything that the issuing CA has revoked; root-crl.pem, root-crl.der",
    "GET /crl/sub-1.crl": "partition 1; also sub-2, root-1; .pem instead of .crl; sub-1-delta.crl",
    "POST /ocsp": "an OCSP request; also GET /ocsp/BASE64",
    "POST /api/revoke": {"name": "ana.novak", "reason": " | ".join(REASONS)},
    "POST /api/unrevoke": {"name": "ana.novak"},
    "GET /api/break": "what is broken on purpose",
    "POST /api/break": {
        "service": "ocsp | crl",
        "how": {service: " | ".join(ways) for service, ways in WAYS.items()},
        "seconds": 30,
    },
    "DELETE /api/break?service=ocsp": "works again; without `service` everything",
}


def application(
    *,
    base_url: str,
    clock: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    state_dir: Path | None = None,
) -> web.Application:
    """An authority at `base_url` (without a slash at its end). Its certificates contain this address.

    Its keys are made here, which takes about a second, or read from `state_dir`, which also keeps the
    revocations. `root.pem` and `sub.pem` in this folder are for relying parties. Raises StoredKeysBroken,
    RevocationsBroken or OSError.
    """
    service = _Service(Authority(base_url=base_url, clock=clock, random_bytes=random_bytes, folder=state_dir))
    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/", service.page)
    app.router.add_post("/revoke", service.revoke_by_form)
    app.router.add_post("/unrevoke", service.unrevoke_by_form)
    app.router.add_post("/break", service.break_by_form)
    app.router.add_post("/mend", service.mend_by_form)
    app.router.add_get("/people/{file}", service.file)
    app.router.add_get(r"/ca/{of:root|sub}.{form:pem|cer}", service.certificate)
    StatusServices(service.authority, service.faults).route(app.router)
    app.router.add_get("/api/", service.interface)
    app.router.add_get("/api/certificates", service.certificates)
    app.router.add_post("/api/revoke", service.revoke)
    app.router.add_post("/api/unrevoke", service.unrevoke)
    app.router.add_get("/api/break", service.broken)
    app.router.add_post("/api/break", service.breaks)
    app.router.add_delete("/api/break", service.mended)
    service.pages.install(app, style="/style.css")
    return app


class _Service:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.faults = StatusFaults()
        self.pages = SandboxPages("authproxy.sandbox.certificate_authority")

    # For browsers

    async def page(self, request: web.Request) -> web.Response:
        return self.pages.render(
            request,
            "authority.html",
            entries=list(self.authority.entries()),
            ways=WAYS,
            password=PASSWORD,
            faults={fault.service: fault.how for fault in self.faults},
            done=request.query.get("done"),
        )

    async def revoke_by_form(self, request: web.Request) -> web.Response:
        form = await _form(request)
        return self._done("revoked", known=self.authority.revoke(form.get("name", ""), REASONS[USUAL_REASON]))

    async def unrevoke_by_form(self, request: web.Request) -> web.Response:
        form = await _form(request)
        return self._done("unrevoked", known=self.authority.restore(form.get("name", "")))

    async def break_by_form(self, request: web.Request) -> web.Response:
        try:
            self.faults.add(status_fault(await _form(request)))
        except NotAFault:
            raise web.HTTPBadRequest from None
        return self._done("broken", known=True)

    async def mend_by_form(self, request: web.Request) -> web.Response:
        service = _service((await _form(request)).get("service"))
        self.faults.mend(service)
        return self._done("mended", known=True)

    @staticmethod
    def _done(what: str, *, known: bool) -> web.Response:
        if not known:
            raise web.HTTPBadRequest
        raise web.HTTPSeeOther(f"/?done={what}")

    # Files

    async def file(self, request: web.Request) -> web.Response:
        file_name = request.match_info["file"]
        end = next((end for end in FILES if file_name.endswith(end)), None)
        ordered = self.authority.person(file_name.removesuffix(end)) if end else None
        if end is None or ordered is None:
            raise web.HTTPNotFound
        order, certified_key = ordered
        media_type, content_of = FILES[end]
        headers = {"Content-Disposition": f'attachment; filename="{order.name}{end}"'}
        return web.Response(
            body=content_of(certified_key, order.common_name), content_type=media_type, headers=headers
        )

    async def certificate(self, request: web.Request) -> web.Response:
        certificate = self.authority.authority(cast("Of", request.match_info["of"])).certificate
        if request.match_info["form"] == "pem":
            return web.Response(body=certificate.public_bytes(Encoding.PEM), content_type=PEM_TYPE)
        return web.Response(body=certificate.public_bytes(Encoding.DER), content_type="application/pkix-cert")

    # For scripts

    async def interface(self, _: web.Request) -> web.Response:
        return web.json_response(_INTERFACE)

    async def certificates(self, _: web.Request) -> web.Response:
        return web.json_response([_as_json(entry) for entry in self.authority.entries()])

    async def revoke(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        reason = body.get("reason", USUAL_REASON)
        if not isinstance(reason, str) or reason not in REASONS:
            return _wrong("reason")
        return self._changed(body, lambda name: self.authority.revoke(name, REASONS[reason]))

    async def unrevoke(self, request: web.Request) -> web.Response:
        return self._changed(await json_object(request), self.authority.restore)

    @staticmethod
    def _changed(body: dict[str, Any], change: Callable[[str], bool]) -> web.Response:
        name = body.get("name")
        return web.Response(status=204) if isinstance(name, str) and change(name) else _wrong("name")

    async def broken(self, _: web.Request) -> web.Response:
        return web.json_response([fault.as_json() for fault in self.faults])

    async def breaks(self, request: web.Request) -> web.Response:
        try:
            self.faults.add(status_fault(await json_object(request)))
        except NotAFault as wrong:
            return _wrong(str(wrong))
        return await self.broken(request)

    async def mended(self, request: web.Request) -> web.Response:
        self.faults.mend(_service(request.query.get("service")))
        return web.Response(status=204)


async def _form(request: web.Request) -> dict[str, str]:
    """The form of our own page; 403 for a form of another site."""
    if is_of_another_site(request):
        raise web.HTTPForbidden
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _service(named: str | None) -> Service | None:
    if named is not None and named not in WAYS:
        raise web.HTTPBadRequest
    return cast("Service | None", named)


def _wrong(member: str) -> web.Response:
    return web.json_response({"error": "invalid", "member": member}, status=400)


def _as_json(entry: Entry) -> dict[str, Any]:
    certificate: x509.Certificate = entry.certificate
    return {
        "name": entry.order.name,
        "group": entry.order.group,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_number": entry.serial,
        "sha256": entry.sha256,
        "state": entry.state,
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "email": entry.order.email,
    }
