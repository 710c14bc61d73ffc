"""Confirms a sign-in by a digital certificate. The browser shows it at an origin of its own, where TLS asks
for one. The verdict comes back by a token that is valid once, for a minute, and only in the browser that
began the sign-in."""

from __future__ import annotations

from aiohttp import ClientError, ClientTimeout, web

from authproxy.sandbox.identity_provider.front_end.attempts import begun_here, lost
from authproxy.sandbox.identity_provider.front_end.linked_certificates import LinkedCertificates, read
from authproxy.sandbox.identity_provider.provider import (
    FRONT_END,
    OUTGOING,
    PROVIDER,
    CertificateVerdict,
    LoginAttempt,
    Provider,
    redirect,
    see_other,
)

SHOW_PAGE = f"{FRONT_END}/certlogin.htm"
SHOWN_PAGE = f"{FRONT_END}/chooselogin/certificate.htm"
CERTIFICATES = "client_certificates"
"""Extra information of a transport: the certificates that the browser has shown, in DER, its own first."""
_PATIENCE = ClientTimeout(total=5)


def asked_for(provider: Provider, certificates: LinkedCertificates, csrf: str) -> web.Response:
    """Redirects to the address at which the browser shows its certificate."""
    token = provider.new_uuid()
    provider.certificates_asked_for.put(token, csrf)
    return redirect(f"{certificates.url}{SHOW_PAGE}?token={token}")


async def show(request: web.Request) -> web.Response:
    """Runs behind TLS that asks for a certificate. Judges the shown certificate and leads back to the
    confirmation window."""
    provider = request.app[PROVIDER]
    csrf = provider.certificates_asked_for.take(request.query.get("token", "")) or ""
    attempt = begun_here(request, csrf)
    if provider.certificates is None or attempt is None or attempt.email is None:
        return lost(request)
    certificate = read(request.get_extra_info(CERTIFICATES, ()))
    revoked = await _revoked(request, provider.certificates) if certificate is not None else None
    refusal = provider.certificates.refusal(
        certificate, email=attempt.email, revoked=revoked, now=provider.clock()
    )
    token = provider.new_uuid()
    provider.certificates_shown.put(
        token, CertificateVerdict(csrf=csrf, email=attempt.email, refusal=refusal)
    )
    return see_other(f"{provider.origin}{SHOWN_PAGE}?token={token}")


def shown(request: web.Request) -> tuple[CertificateVerdict, LoginAttempt] | None:
    """The verdict with which a browser comes back, and its attempt; None if it is not for this sign-in in
    this browser."""
    provider = request.app[PROVIDER]
    answer = provider.certificates_shown.take(request.query.get("token", ""))
    attempt = begun_here(request, answer.csrf) if answer is not None else None
    return (
        (answer, attempt)
        if answer is not None and attempt is not None and attempt.email == answer.email
        else None
    )


async def to_front(request: web.Request) -> web.Response:
    return see_other(f"{request.app[PROVIDER].origin}/")


async def _revoked(request: web.Request, certificates: LinkedCertificates) -> bytes | None:
    """The issuer's current list; None if it cannot be fetched."""
    try:
        async with request.app[OUTGOING].get(
            certificates.crl_url, timeout=_PATIENCE, allow_redirects=False
        ) as answer:
            return await answer.read() if answer.status == 200 else None
    except (ClientError, TimeoutError):
        return None
