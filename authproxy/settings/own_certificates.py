"""PURE: what is wrong with a certificate that the gateway itself shows, or soon will be. `check-config` and
readiness use the same sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from authproxy.settings.certificates import AcnlbSettings
from authproxy.settings.schema import PortalSettings, ServerSettings
from authproxy.settings.value_types import TlsSettings
from authproxy.settings.values import url_of

WARNED_AHEAD = timedelta(days=21)
"""Automatic renewal begins 30 days before the end. A certificate with 21 days left was not renewed."""


def troubles(chain: Sequence[x509.Certificate], hosts: Iterable[str], *, now: datetime) -> Iterator[str]:
    """Sentences without their subject about a chain (leaf first) that browsers are shown at these hosts."""
    if not chain:
        return
    yield from of_time(chain[0], now=now)
    names = _names(chain[0])
    for host in sorted(set(hosts)):
        if not any(_covers(name, host) for name in names):
            shown = ", ".join(sorted(names)[:5]) or "no host"
            yield f"is not for {host}: browsers refuse it there (it is for {shown})"
    yield from _of_chain(chain)


def shown(
    server: ServerSettings | None, acnlb: AcnlbSettings | None, portals: Mapping[str, PortalSettings]
) -> Iterator[tuple[str, TlsSettings, list[str]]]:
    """The certificates of our own listeners: section, files, and the hosts at which browsers connect."""
    if server is not None and server.tls is not None:
        urls = [url_of(portal.url) for portal in portals.values() if portal.url.startswith("https:")]
        yield "server", server.tls, [url.hostname for url in urls if url and url.hostname]
    if acnlb is not None and acnlb.tls is not None and acnlb.presented_by == "listener":
        own = url_of(acnlb.url)
        yield "acnlb", acnlb.tls, [own.hostname] if own and own.hostname else []


def of_time(certificate: x509.Certificate, *, now: datetime) -> Iterator[str]:
    ends_at = certificate.not_valid_after_utc
    if now > ends_at:
        yield f"has expired on {ends_at:%Y-%m-%d %H:%M} UTC: browsers refuse it"
    elif ends_at - now < WARNED_AHEAD:
        yield f"expires on {ends_at:%Y-%m-%d %H:%M} UTC, in {max((ends_at - now).days, 0)} days"
    if now < certificate.not_valid_before_utc:
        yield f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"


def _of_chain(chain: Sequence[x509.Certificate]) -> Iterator[str]:
    for below, above in pairwise(chain):
        if below.issuer != above.subject:
            yield (
                "is followed by a certificate that has not issued the one before it; the order is own "
                "certificate, its issuer, and so on"
            )
            return
    # Public authorities issue host certificates from intermediate ones, and these certificates name the
    # address of the issuer's certificate (caIssuers, RFC 5280 §4.2.2.1).
    if len(chain) == 1 and chain[0].issuer != chain[0].subject and _names_its_issuers_certificate(chain[0]):
        yield (
            "stands alone: put the certificate of the authority that has issued it behind it, or some "
            "clients find no way to a root"
        )


def _names_its_issuers_certificate(certificate: x509.Certificate) -> bool:
    try:
        stated = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(access.access_method == AuthorityInformationAccessOID.CA_ISSUERS for access in stated)


def _names(certificate: x509.Certificate) -> set[str]:
    """The alternative names: browsers ignore all others (RFC 9525 §6)."""
    try:
        stated = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return {name.lower() for name in stated.get_values_for_type(x509.DNSName)} | {
        str(address) for address in stated.get_values_for_type(x509.IPAddress)
    }


def _covers(name: str, host: str) -> bool:
    try:
        return str(ip_address(host)) == name
    except ValueError:
        pass
    # An asterisk stands for exactly one label (RFC 9525 §6.3).
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])
