"""PURE: where an authority's lists and responders may be asked: at addresses that the operator named, and, of
those that a certificate names, at allowed hosts only. Whoever issues certificates must not choose whom we
connect to (server-side request forgery)."""

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
    """`is_named`: the operator wrote it down, so that it may lead to a private network. Other addresses lead
    to public ones only."""

    url: str
    is_named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAddresses:
    """Raises ValueError for an address of the operator that cannot be asked."""

    allowed_hosts: frozenset[str] = frozenset()
    """`host` (on the scheme's own port) or `host:port`, for addresses that certificates name."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """How an address that a certificate names begins → what is asked instead of that beginning. The longest
    one counts."""
    ocsp: str | None = None
    """The responder to ask, whatever certificates name."""
    crls: tuple[str, ...] = ()
    """Lists to keep, whatever certificates name."""

    def __post_init__(self) -> None:
        for url in (*self.overrides.values(), *self.crls, *filter(None, [self.ocsp])):
            if _host(url) is None:
                raise ValueError(f"{url} is not an address for HTTP without user name and fragment")

    def of_responders(self, certificate: x509.Certificate) -> tuple[SourceAddress, ...]:
        """Whom to ask by OCSP about the certificate, in this order."""
        if self.ocsp is not None:
            return (SourceAddress(self.ocsp, is_named=True),)
        return tuple(dict.fromkeys(self._permitted(_responders(certificate))))

    def lead_anywhere(self, certificate: x509.Certificate) -> bool:
        """Whether there is anything to ask about the certificate."""
        return bool(self.of_named_lists or self.of_responders(certificate) or self.of_lists(certificate))

    @property
    def of_named_lists(self) -> tuple[SourceAddress, ...]:
        return tuple(SourceAddress(url, is_named=True) for url in self.crls)

    def of_lists(self, certificate: x509.Certificate) -> tuple[SourceAddress, ...]:
        """Where the lists are that the certificate names as its own."""
        return tuple(dict.fromkeys(self._permitted(_lists(certificate))))

    @staticmethod
    def named_in(certificate: x509.Certificate) -> tuple[str, ...]:
        """Every address of a responder or a list that the certificate names, whether it may be asked or
        not."""
        return tuple(dict.fromkeys((*_responders(certificate), *_lists(certificate))))

    def _permitted(self, urls: Iterable[str]) -> Iterator[SourceAddress]:
        for url in urls:
            begins = max(
                (beginning for beginning in self.overrides if url.startswith(beginning)),
                key=len,
                default=None,
            )
            if begins is not None:
                replaced = self.overrides[begins] + url.removeprefix(begins)
                # What follows the beginning is the certificate's: it must not move the address to another
                # host.
                if _host(replaced) == _host(self.overrides[begins]):
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
    """`host`, or `host:port` where the port is not the scheme's own; None for what is not asked: ldap, user
    names, fragments."""
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
