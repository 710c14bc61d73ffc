"""NIST's Public Key Interoperability Test Suite (PKITS), which `make pkits` fetches: certificates and lists
by their names, and our verdict on each certificate with all CAs and lists that could belong to it."""

from __future__ import annotations

import contextlib
import secrets
import zipfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from aiohttp import web
from cryptography import x509

from authproxy.access.unavailable import CannotAsk
from authproxy.certificates import presentation
from authproxy.certificates.addresses import SourceAddresses
from authproxy.certificates.fetching import Fetcher, client_session
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import Profile
from authproxy.certificates.revocation import RevocationRules, RevocationSources
from authproxy.certificates.status import RevocationMode
from authproxy.certificates.validator import CertificateValidator
from authproxy.certificates.verdict import CertificateRefused
from tests.support.ports import free_port

FETCHED = Path(__file__).parent / "pkits" / "fetched"
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ANCHOR = "TrustAnchorRootCertificate"


def policies(*numbers: int) -> frozenset[str]:
    """The suite's own policies 1 to 6."""
    return frozenset(f"2.16.840.1.101.3.2.1.48.{number}" for number in numbers)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Octets by the names of files without their endings."""

    certificates: dict[str, bytes]
    lists: dict[str, bytes]

    @classmethod
    def read(cls) -> Suite | None:
        """None if it has not been fetched."""
        archive = next(FETCHED.glob("cryptography_vectors-*.whl"), None)
        if archive is None:
            return None
        with zipfile.ZipFile(archive) as opened:
            inside = {PurePosixPath(name): name for name in opened.namelist() if "/PKITS_data/" in name}
            found = {
                place: opened.read(name) for place, name in inside.items() if place.suffix in {".crt", ".crl"}
            }
        return cls(
            certificates={place.stem: octets for place, octets in found.items() if place.suffix == ".crt"},
            lists={place.stem: octets for place, octets in found.items() if place.suffix == ".crl"},
        )

    @property
    def leaves(self) -> list[str]:
        return sorted(name for name in self.certificates if name.endswith("EE"))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`detail` is empty for a certificate that was accepted."""

    is_accepted: bool
    is_revoked: bool = False
    detail: str = ""


class Bench:
    """Judges the suite's certificates as the gateway does, with its lists served over HTTP."""

    def __init__(self, suite: Suite, fetcher: Fetcher, origin: str) -> None:
        self._suite = suite
        self.leaves = suite.leaves
        self._fetcher = fetcher
        self._origin = origin
        read = {name: _certificate(octets) for name, octets in suite.certificates.items()}
        self._authorities = [
            each
            for name, each in read.items()
            if each is not None and not name.endswith("EE") and name != ANCHOR
        ]
        self._anchor = read[ANCHOR]
        self._issuers_of_lists = {
            name: _folded(x509.load_der_x509_crl(octets).issuer) for name, octets in suite.lists.items()
        }

    async def verdict(
        self, name: str, accepted: frozenset[str] = frozenset(), *, mode: RevocationMode = RevocationMode.HARD
    ) -> Verdict:
        assert self._anchor is not None
        shown = presentation.presented(self._suite.certificates[name])
        if isinstance(shown, CertificateRefused):
            return Verdict(is_accepted=False, detail=shown.detail)
        authorities, names = self._above(shown)
        lists = tuple(
            f"{self._origin}/{each}" for each, issuer in self._issuers_of_lists.items() if issuer in names
        )
        profile = Profile(
            anchors=(self._anchor,), intermediates=tuple(authorities), accepted_policies=accepted
        )
        sources = RevocationSources(
            RevocationRules(addresses=SourceAddresses(crl_urls=lists)),
            self._fetcher,
            _Nothing(),
            authorities=profile.authorities,
            clock=lambda: NOW,
            random_bytes=secrets.token_bytes,
        )
        await sources.refresh()
        validator = CertificateValidator(profile, sources)
        try:
            found = await validator.validate(shown, now=NOW, mode=mode)
        except CannotAsk as unknown:
            return Verdict(is_accepted=False, detail=str(unknown))
        finally:
            validator.close()
        if isinstance(found, CertificateRefused):
            return Verdict(
                is_accepted=False, is_revoked=found.reason == "certificate_revoked", detail=found.detail
            )
        return Verdict(is_accepted=True)

    def _above(self, shown: Presented) -> tuple[list[x509.Certificate], set[str]]:
        """Every CA that may be above the certificate by its name, however written, and their names."""
        found: list[x509.Certificate] = []
        names: set[str] = set()
        waiting = [_folded(x509.load_der_x509_certificate(shown.leaf).issuer)]
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                above = [each for each in self._authorities if _folded(each.subject) == name]
                found += above
                waiting += [_folded(each.issuer) for each in above]
        return found, names


@contextlib.asynccontextmanager
async def open_bench(suite: Suite) -> AsyncIterator[Bench]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=suite.lists[request.match_info["name"]])

    application = web.Application()
    application.router.add_get("/{name}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    session = client_session(public_only=False)
    try:
        yield Bench(suite, Fetcher(named=session, public=session), f"http://127.0.0.1:{port}")
    finally:
        await session.close()
        await runner.cleanup()


class _Nothing:
    """A store that keeps nothing."""

    async def get(self, key: str) -> bytes | None:
        return None

    async def put(self, *_: object) -> None:
        return None


def numbered(prefix: str, numbers: Iterable[int]) -> set[str]:
    """`ValidPolicyMappingTest`, 1 → `ValidPolicyMappingTest1EE`."""
    return {f"{prefix}{number}EE" for number in numbers}


def _certificate(octets: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(octets)
    except ValueError:
        return None  # DSA without parameters


def _folded(name: x509.Name) -> str:
    """RFC 5280 §7.1, roughly: enough to find who might be meant."""
    return " ".join(name.rfc4514_string().lower().split())
