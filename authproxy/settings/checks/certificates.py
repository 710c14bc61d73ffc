"""Checks of the section `acnlb`: where certificates are shown, who may forward them, who issues them, and who
is asked about revocation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.access.target import TargetRefused, canonical_host
from authproxy.certificates.addresses import SourceAddresses
from authproxy.certificates.profiles import ACNLB_ROOT, ACNLB_SUB, issued
from authproxy.settings.certificates import AcnlbSettings, RevocationSettings
from authproxy.settings.checks import urls
from authproxy.settings.checks.gateway import trusted_peer
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.settings_file import octets_of
from authproxy.settings.validation import Sections
from authproxy.settings.values import SocketPath, listen_address, url_of

_LARGEST = 64 * 1024
_SMALLEST_LIST = 1024
_PEM = b"-----BEGIN CERTIFICATE-----"


class UnfitAuthority(ValueError):  # noqa: N818
    """The file holds no certificate of an authority; the message says why."""


def remarks(sections: Sections) -> Iterator[Remark]:
    """Remarks on the section `acnlb`, if there is one."""
    acnlb = sections.acnlb
    if acnlb is None:
        return
    yield from _host_and_listener(acnlb, sections)
    yield from _presented(acnlb)
    if acnlb.warn_from > acnlb.stop_at:
        yield Remark(
            path=("acnlb", "warn_from"),
            problem="is later than `stop_at`: nobody would be told",
            read=str(acnlb.warn_from),
        )
    if acnlb.revocation.largest_list < _SMALLEST_LIST:
        problem, read = (
            "is less than a list needs, so that none could be read",
            str(acnlb.revocation.largest_list),
        )
        yield Remark(
            path=("acnlb", "revocation", "largest_list"),
            problem=problem,
            read=read,
            valid="1KiB or more; 8MiB is usual",
        )
    faults = list(_addresses(acnlb.revocation))
    yield from faults
    authorities: dict[str, x509.Certificate] = {}
    yield from _authorities(acnlb, authorities)
    if len(authorities) == 2 and issued(authorities["root_file"], authorities["sub_ca_file"]) and not faults:
        yield from _nobody_to_ask(acnlb.revocation, authorities["sub_ca_file"], sections)


def authority(file: Path) -> x509.Certificate:
    """The one certificate in a PEM or DER file. Raises OSError or UnfitAuthority."""
    octets = octets_of(file, _LARGEST)
    try:
        certificates = (
            x509.load_pem_x509_certificates(octets)
            if _PEM in octets
            else [x509.load_der_x509_certificate(octets)]
        )
    except ValueError:
        raise UnfitAuthority("holds no certificate in PEM or DER form") from None
    if len(certificates) > 1:
        raise UnfitAuthority(f"holds {len(certificates)} certificates instead of one")
    return certificates[0]


def _host_and_listener(acnlb: AcnlbSettings, sections: Sections) -> Iterator[Remark]:
    path = ("acnlb", "url")
    url = url_of(acnlb.url)
    try:
        host = canonical_host(url.netloc if url else "", 443)
    except TargetRefused as refused:
        yield Remark(path=path, problem=str(refused), read=shown(acnlb.url))
        host = None
    for name, portal in sections.portals.items():
        theirs = url_of(portal.url)
        if (
            theirs
            and theirs.scheme == "https"
            and url
            and (theirs.hostname, theirs.port or 443) == (url.hostname, url.port or 443)
        ):
            problem = (
                f"is the host of portal {name}: browsers keep their choice of a certificate for a whole host"
            )
            yield Remark(
                path=path,
                problem=problem,
                read=shown(acnlb.url),
                valid=f"a host or a port of its own, not {host}",
            )
    try:
        address = listen_address(acnlb.listen)
    except ValueError as error:
        yield Remark(path=("acnlb", "listen"), problem=str(error), read=shown(acnlb.listen))
        return
    taken = {*sections.server.listen, sections.server.management} if sections.server else set()
    if acnlb.listen in taken:
        yield Remark(
            path=("acnlb", "listen"), problem="is the same as another listener", read=shown(acnlb.listen)
        )
    if isinstance(address, SocketPath) and acnlb.presented_by == "listener":
        problem = (
            "is a Unix socket, to which no browser connects; with `presented_by: listener` the gateway ends "
            "TLS itself"
        )
        yield Remark(
            path=("acnlb", "listen"), problem=problem, read=shown(acnlb.listen), valid="`address:port`"
        )


def _presented(acnlb: AcnlbSettings) -> Iterator[Remark]:
    is_own = acnlb.presented_by == "listener"
    if is_own and acnlb.tls is None:
        yield Remark(
            path=("acnlb", "tls"),
            problem="is missing: with `presented_by: listener` the gateway ends TLS itself",
        )
    if not is_own and acnlb.tls is not None:
        problem = f"has no effect: with `presented_by: {acnlb.presented_by}` somebody else ends TLS"
        yield Remark(path=("acnlb", "tls"), problem=problem, severity="warning")
    for name in ("trusted_terminators", "certificate_header", "chain_header", "verify_header"):
        if is_own and getattr(acnlb, name):
            problem = "has no effect with `presented_by: listener`"
            yield Remark(path=("acnlb", name), problem=problem, severity="warning")
    if acnlb.chain_header and acnlb.presented_by not in {"listener", "rfc9440"}:
        problem = f"has no effect with `presented_by: {acnlb.presented_by}`"
        yield Remark(path=("acnlb", "chain_header"), problem=problem, severity="warning")
    if not is_own and not acnlb.listen.startswith("unix:") and not acnlb.trusted_terminators:
        valid = "the addresses of the terminator, or a Unix socket as `listen`"
        yield Remark(
            path=("acnlb", "trusted_terminators"), problem="is empty: nobody would be answered", valid=valid
        )
    for at, text in enumerate(acnlb.trusted_terminators):
        yield from trusted_peer(("acnlb", "trusted_terminators", at), text)


def _addresses(revocation: RevocationSettings) -> Iterator[Remark]:
    path: KeyPath = ("acnlb", "revocation")
    named = [((*path, "crl_urls", at), text) for at, text in enumerate(revocation.crl_urls)]
    named += [((*path, "moved", begins), text) for begins, text in revocation.moved.items()]
    if revocation.ocsp_url is not None:
        named.append(((*path, "ocsp_url"), revocation.ocsp_url))
    for key_path, text in named:
        yield from urls.asked(key_path, text, valid="`http://…` or `https://…`")


def _nobody_to_ask(
    revocation: RevocationSettings, sub_ca: x509.Certificate, sections: Sections
) -> Iterator[Remark]:
    """A remark if nobody may be asked whether SubCA is revoked: every sign-in asks that, too, and would end
    with 503."""
    hard = [
        name
        for name, portal in sections.portals.items()
        if portal.revocation == "hard" and "acnlb" in (portal.sign_in or ("acnlb",))
    ]
    addresses = SourceAddresses(
        allowed_hosts=frozenset(revocation.allowed_hosts),
        moved=revocation.moved,
        ocsp_url=revocation.ocsp_url,
        crl_urls=revocation.crl_urls,
    )
    if not hard or addresses.has_any(sub_ca):
        return
    named = ", ".join(SourceAddresses.stated_in(sub_ca)[:3]) or "none"
    yield Remark(
        path=("acnlb", "revocation"),
        problem="no list and no responder may be asked whether ACNLB SubCA is revoked, so that nobody "
        f"could sign in with a certificate at {', '.join(hard)} (`revocation: hard`)",
        read=f"addresses in SubCA: {named}",
        valid="`ocsp_url`, `crl_urls`, or the host of such an address in `allowed_hosts` or `moved`",
    )


def _authorities(acnlb: AcnlbSettings, authorities: dict[str, x509.Certificate]) -> Iterator[Remark]:
    """Remarks about RootCA and SubCA. Adds those that can be read to `authorities`."""
    for key, file in (("root_file", acnlb.root_file), ("sub_ca_file", acnlb.sub_ca_file)):
        try:
            authorities[key] = authority(Path(file))
        except OSError as error:
            yield Remark(path=("acnlb", key), problem=f"cannot be read: {error.strerror}", read=file)
        except UnfitAuthority as error:
            yield Remark(path=("acnlb", key), problem=str(error), read=file)
    for key, name, wanted in (("root_file", "RootCA", ACNLB_ROOT), ("sub_ca_file", "SubCA", ACNLB_SUB)):
        certificate = authorities.get(key)
        if certificate is not None:
            yield from _authority(("acnlb", key), certificate, acnlb, f"ACNLB {name}", wanted)
    if len(authorities) == 2 and not issued(authorities["root_file"], authorities["sub_ca_file"]):
        yield Remark(
            path=("acnlb", "sub_ca_file"),
            problem="was not issued by the authority in `root_file`",
            read=acnlb.sub_ca_file,
        )


def _authority(
    path: KeyPath, certificate: x509.Certificate, acnlb: AcnlbSettings, name: str, wanted: str
) -> Iterator[Remark]:
    read = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    if read != wanted:
        problem = f"is not the {name} of AC NLB: whoever holds its key decides who signs in here"
        yield Remark(path=path, problem=problem, read=f"SHA-256 {read}", valid=wanted, severity="warning")
    ends_at = certificate.not_valid_after_utc
    if ends_at < datetime.combine(acnlb.stop_at, time(), UTC):
        problem = "ends before `acnlb.stop_at`: from then on nobody signs in with a certificate"
        yield Remark(path=path, problem=problem, read=f"valid until {ends_at:%Y-%m-%d}", severity="warning")
