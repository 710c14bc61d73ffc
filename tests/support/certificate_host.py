"""The certificate host of a house, the sandbox's authority behind it, and browsers whose people show certificates."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509

from authproxy.certificates import leaf
from authproxy.identity.member import CertificateName
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from authproxy.sandbox.certificate_authority import application as certificate_authority
from tests.support.clock import Clock
from tests.support.counterparty import Counterparty
from tests.support.http_client import Answer, Browser
from tests.support.ports import free_port

_AUTHORITY_PORT = free_port()


def make_authority(folder: Path) -> Path:
    """The authority's state for `open_house(authority=…)`. Made once for many tests: looking for primes takes
    seconds."""
    certificate_authority.application(
        base_url=f"http://localhost:{_AUTHORITY_PORT}", clock=lambda: datetime.now(UTC), state_dir=folder
    )
    return folder


@dataclass(kw_only=True)
class CertificateHost:
    authority: Counterparty
    folder: Path
    """With `root.pem` and `sub.pem`, and `private/NAME.pem` for everybody who has a certificate."""
    server_ca: trustme.CA
    port: int
    environment: dict[str, str]
    """The settings of the section `acnlb`, and that nobody is asked for a fresh proof because of them."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def browser(
        self, shows: str | None = None, *, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> Browser:
        """A browser whose person shows the certificate of that name, or none."""
        context = ssl.create_default_context()
        context.maximum_version = maximum
        self.server_ca.configure_trust(context)
        if shows is not None:
            # Small keys and old hashes are shown by those who have them.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.load_cert_chain(self.folder / "private" / f"{shows}.pem")
        return Browser(tls=context)

    def named(self, name: str) -> CertificateName:
        found = self.leaf(name)
        return CertificateName(fingerprint=found.fingerprint, issuer=found.issuer, serial=found.serial_number)

    def leaf(self, name: str) -> leaf.Leaf:
        return leaf.read(
            x509.load_pem_x509_certificates((self.folder / "private" / f"{name}.pem").read_bytes())[0]
        )

    async def revokes(self, name: str) -> None:
        answer = await Browser().request(
            "POST",
            f"http://localhost:{_AUTHORITY_PORT}/api/revoke",
            headers={"Content-Type": "application/json"},
            body=json.dumps({"name": name}).encode(),
        )
        assert answer.status in {200, 204}


@contextlib.asynccontextmanager
async def running_certificate_host(state: Path, clock: Clock) -> AsyncIterator[CertificateHost]:
    """`state` is that of `make_authority`, and stays as it is."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="authproxy-certificates-") as made:
        folder = Path(made)
        shutil.copytree(state, folder / "authority")
        server_ca = trustme.CA()
        issued = server_ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(folder / "host.key"))
        (folder / "host.key").chmod(0o600)
        (folder / "host.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        authority = Counterparty(
            lambda: certificate_authority.application(
                base_url=f"http://localhost:{_AUTHORITY_PORT}", clock=clock, state_dir=folder / "authority"
            ),
            _AUTHORITY_PORT,
        )
        await authority.start()
        settings = {
            "URL": f"https://localhost:{port}",
            "LISTEN": f"127.0.0.1:{port}",
            "TLS__CERTIFICATE_FILE": str(folder / "host.pem"),
            "TLS__KEY_FILE": str(folder / "host.key"),
            "ROOT_FILE": str(folder / "authority" / "root.pem"),
            "SUB_CA_FILE": str(folder / "authority" / "sub.pem"),
            "REVOCATION__MOVED": (
                f'{{"http://localhost:{_AUTHORITY_PORT}/": "http://localhost:{_AUTHORITY_PORT}/"}}'
            ),
        }
        # Whoever comes with a certificate would be asked for a fresh proof everywhere; the tests of that say
        # where.
        unasked = {f"AUTHPROXY__PORTALS__{name}__STEP_UP__REQUIRED": "false" for name in ("ACQ", "B2B")}
        try:
            yield CertificateHost(
                authority=authority,
                folder=folder / "authority",
                server_ca=server_ca,
                port=port,
                environment={f"AUTHPROXY__ACNLB__{name}": value for name, value in settings.items()}
                | unasked,
            )
        finally:
            await authority.stop()


def ana(host: CertificateHost, *, portals: Sequence[str] = ("*",), **changes: Any) -> ListedPerson:
    listed = ListedPerson(
        member_id=MemberId("ana"),
        name="Ana Novak",
        tax_number=TaxNumber("99990008"),
        email="ana.novak@example.si",
        portals=tuple(portals),
        certificates=(host.named("ana.novak"),),
    )
    return replace(listed, **changes)


async def to_certificate_host(browser: Browser, place: str) -> Answer:
    """From a page of the portal by way of the chooser to the answer of the certificate host."""
    return await browser.follow(await choosing(browser, place))


async def choosing(browser: Browser, place: str) -> Answer:
    """The answer to the click on the chooser."""
    page = await browser.navigate(place)
    if page.is_redirect:
        page = await browser.follow(page)
    [form] = [form for form in page.forms if ("method", "acnlb") in form.buttons]
    return await browser.submit(page, form, {"method": "acnlb"})


async def signs_in(browser: Browser, place: str) -> Answer:
    """The same, and on as a browser goes on by itself, to the page at the end."""
    answer = await to_certificate_host(browser, place)
    while answer.is_redirect:
        answer = await browser.follow(answer)
    return answer
