"""What the provider needs so that people can confirm a sign-in with a certificate: the certificates that are
linked to accounts, and TLS that asks for one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.certificate_sign_in import ENROLLED, HOST_CERTIFICATE, HOST_KEY, certificate_of
from authproxy.sandbox.identity_provider.front_end.linked_certificates import LinkedCertificates
from authproxy.web.certificate_listener import tls


def linked_certificates(
    accounts: Iterable[ProviderAccount], authority: Path, *, url: str, authority_url: str
) -> LinkedCertificates:
    """The certificates of people who also have an account. `authority` is the authority's folder; browsers
    show certificates at `url`."""
    names = {account.email: account.email.partition("@")[0] for account in accounts}
    return LinkedCertificates(
        url=url,
        crl_url=f"{authority_url}/ca/crl.der",
        issuer=_authority(authority, "sub"),
        fingerprints={
            email: certificate_of(name, authority).fingerprint(hashes.SHA256()).hex()
            for email, name in names.items()
            if name in ENROLLED
        },
    )


@asynccontextmanager
async def asking_for_certificates(
    application: web.Application, listener: socket.socket, folder: Path, authority: Path
) -> AsyncIterator[None]:
    """Serves `application` on `listener` over TLS for the length of the block, and closes both afterwards.

    TLS asks browsers for a certificate of the authority and accepts any. `folder` contains the host's own
    certificate.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    try:
        context = tls.context(
            certificate_file=str(folder / HOST_CERTIFICATE),
            key_file=str(folder / HOST_KEY),
            authorities=(_authority(authority, "root"), _authority(authority, "sub")),
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101  # after `setup` there is one
        connections = tls.TlsConnections(context, runner.server)
        server = await asyncio.get_running_loop().create_server(connections, sock=listener)
        try:
            yield
        finally:
            server.close()
            connections.abort()
    finally:
        await runner.cleanup()
        listener.close()


def _authority(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
