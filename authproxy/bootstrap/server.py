"""The section `server` of the settings, and the listener of `acnlb` → addresses, TLS, limits and rates.

Reads certificates and keys of the gateway's own listeners.
"""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from authproxy.bootstrap.starting import Unusable
from authproxy.edge.client.sockets import ListenAddress
from authproxy.edge.site import EdgeLimits
from authproxy.settings.certificates import AcnlbSettings
from authproxy.settings.schema import HstsSettings, ServerSettings, Settings
from authproxy.settings.value_types import TlsSettings
from authproxy.settings.values import SocketPath, listen_address
from authproxy.web.rates import Rates


def all_addresses(settings: Settings) -> tuple[ListenAddress, ...]:
    """Every address on which the gateway listens."""
    acnlb = () if settings.acnlb is None else (certificate_address(settings.server, settings.acnlb),)
    return (*edge_addresses(settings.server), management_address(settings.server), *acnlb)


def edge_addresses(server: ServerSettings) -> tuple[ListenAddress, ...]:
    """Where browsers and front proxies connect."""
    return tuple(_address(server, "server.listen", text) for text in server.listen)


def management_address(server: ServerSettings) -> ListenAddress:
    return _address(server, "server.management", server.management)


def certificate_address(server: ServerSettings, acnlb: AcnlbSettings) -> ListenAddress:
    """Where browsers show certificates, or where the proxy that has seen them forwards them."""
    return _address(server, "acnlb.listen", acnlb.listen)


def _address(server: ServerSettings, key: str, text: str) -> ListenAddress:
    address = listen_address(text)
    if isinstance(address, SocketPath):
        return ListenAddress(
            key=key,
            unix_path=Path(address.path),
            unix_socket_mode=int(server.unix_socket_mode, 8),
            unix_socket_group=server.unix_socket_group,
        )
    return ListenAddress(key=key, host=address.host, port=address.port)


def server_tls(server: ServerSettings, now: datetime) -> ssl.SSLContext | None:
    """None without `server.tls`. Raises OSError or ValueError for a certificate that cannot be used now."""
    tls = server.tls
    if tls is None:
        return None
    refuse_expired("server.tls", tls, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except ssl.SSLError:
        raise Unusable(
            f"server.tls: {tls.certificate_file} and {tls.key_file} are no certificate and its key"
        ) from None
    return context


def refuse_expired(key: str, tls: TlsSettings, now: datetime) -> None:
    """Raises ValueError for an expired certificate, which no browser would accept, and OSError for a file
    that cannot be read. An operator who starts the gateway looks at what it says, so it says so then."""
    leaf = x509.load_pem_x509_certificates(Path(tls.certificate_file).read_bytes())[0]
    ends_at = leaf.not_valid_after_utc
    if ends_at < now:
        raise Unusable(
            f"{key}.certificate_file: {tls.certificate_file} expired at {ends_at:%Y-%m-%d %H:%M} UTC; no "
            "browser accepts it"
        )


def limits(server: ServerSettings) -> EdgeLimits:
    """What the edge takes, and how long it waits."""
    sizes, timeouts = server.limits, server.timeouts
    return EdgeLimits(
        head_size=sizes.head_size,
        target_size=sizes.target_size,
        header_count=sizes.header_count,
        body_size=sizes.body_size,
        body_rate=sizes.body_rate,
        connections=sizes.connections,
        head_timeout=timeouts.head.total_seconds(),
        idle_timeout=timeouts.idle.total_seconds(),
        body_timeout=timeouts.body.total_seconds(),
        first_byte_timeout=timeouts.first_byte.total_seconds(),
        whole_timeout=timeouts.whole.total_seconds(),
    )


def rates(server: ServerSettings) -> Rates:
    """How many requests a minute the pages take from one address."""
    per_minute = server.limits.per_minute
    return Rates(
        {
            "sign_ins": per_minute.sign_ins,
            "callbacks": per_minute.callbacks,
            "logout_tokens": per_minute.logout_tokens,
            "codes": per_minute.codes,
            "machines": per_minute.machines,
        }
    )


def hsts(settings: HstsSettings | None) -> str | None:
    """The value of `Strict-Transport-Security` (RFC 6797 §6.1), or None where it is not sent."""
    if settings is None:
        return None
    return f"max-age={settings.max_age // timedelta(seconds=1)}" + (
        "; includeSubDomains" if settings.include_subdomains else ""
    )
