"""PURE: the addresses at which revocation lists and OCSP responders may be asked: those that the operator
configured, and those that a certificate names if their host is allowed. Otherwise the issuer of a certificate
could make the gateway connect to any host (server-side request forgery)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from authproxy.certificates.crl import points

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, order=True)
class SourceAddress:
    """`is_named`: the operator configured it, so it may lead to a private network. Other addresses may lead
    to public hosts only."""

    url: str
    is_named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAddresses:
    """Raises ValueError for a configured address that cannot be asked."""

    allowed_hosts: frozenset[str] = frozenset()
    """`host` (default port of the scheme) or `host:port`: where addresses that certificates name may lead."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """Maps the beginning of an address that certificates name to what replaces it. The longest match
    counts."""
    ocsp_url: str | None = None
    """If set, this responder is asked instead of those that certificates name."""
    crl_urls: tuple[str, ...] = ()
    """Lists that are kept in addition to those that certificates name."""

    def __post_init__(self) -> None:
        for url in (*self.moved.values(), *self.crl_urls, *filter(None, [self.ocsp_url])):
            if _host(url) is None:
                raise ValueError(f"{url} is not an address for HTTP without user name and fragment")

    def responders(self, certificate: x509.Certificate) -> tuple[SourceAddress, ...]:
        """The OCSP responders for the certificate, in the order of asking."""
        if self.ocsp_url is not None:
            return (SourceAddress(self.ocsp_url, is_named=True),)
        return tuple(dict.fromkeys(self._permitted(_responders(certificate))))

    def has_any(self, certificate: x509.Certificate) -> bool:
        """Whether there is any address to ask about the certificate."""
        return bool(self.named_lists or self.responders(certificate) or self.lists(certificate))

    @property
    def named_lists(self) -> tuple[SourceAddress, ...]:
        return tuple(SourceAddress(url, is_named=True) for url in self.crl_urls)

    def lists(self, certificate: x509.Certificate) -> tuple[SourceAddress, ...]:
        """The addresses of the revocation lists that the certificate names."""
        return tuple(dict.fromkeys(self._permitted(_lists(certificate))))

    @staticmethod
    def stated_in(certificate: x509.Certificate) -> tuple[str, ...]:
        """All addresses of responders and lists that the certificate names, allowed or not."""
        return tuple(dict.fromkeys((*_responders(certificate), *_lists(certificate))))

    def _permitted(self, urls: Iterable[str]) -> Iterator[SourceAddress]:
        for url in urls:
            begins = max(
                (beginning for beginning in self.moved if url.startswith(beginning)),
                key=len,
                default=None,
            )
            if begins is not None:
                replaced = self.moved[begins] + url.removeprefix(begins)
                # The rest of the address comes from the certificate and must not change the host.
                if _host(replaced) == _host(self.moved[begins]):
                    yield SourceAddress(replaced, is_named=True)
            elif _host(url) in self.allowed_hosts:
                yield SourceAddress(url, is_named=False)


def _lists(certificate: x509.Certificate) -> list[str]:
    return [name.value for point in points(certificate) for name in point.full_name or () if _is_url(name)]


def _responders(certificate: x509.Certificate) -> list[str]:
    with suppress(x509.ExtensionNotFound):
        stated = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        return [access.access_location.value for access in stated if _is_responder(access)]
    return []


def _is_responder(access: x509.AccessDescription) -> bool:
    return access.access_method == AuthorityInformationAccessOID.OCSP and _is_url(access.access_location)


def _is_url(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier)


def _host(url: str) -> str | None:
    """`host`, or `host:port` if the port is not the default of the scheme; None for addresses that are never
    asked: LDAP, with a user name, with a fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if (
        parts.scheme not in _PORTS
        or not host
        or parts.username is not None
        or parts.fragment
        or not url.isascii()
        or not url.isprintable()
    ):
        return None
    if "\\" in url or " " in url:
        return None
    return host if port in {None, _PORTS[parts.scheme]} else f"{host}:{port}"
