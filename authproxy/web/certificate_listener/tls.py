"""TLS 1.2 and 1.3 that asks for a client certificate, and lets the page behind it say what is wrong with the
certificate that was shown.

Python's own `ssl` does not do for two reasons. It cannot send the names of the accepted authorities (RFC 8446
§4.2.4), so browsers would offer all their certificates. And it ends the handshake of a certificate that it
refuses with an alert, from which browsers make a page that helps nobody. The handshake proves possession of
the key in any case (RFC 8446 §4.4.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from cryptography import x509
from OpenSSL import SSL, crypto

from authproxy.certificates.presentation import MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES

CERTIFICATES: Final = "client_certificates"
"""The name of the transport's extra information with the certificates that the client has shown, DER, its own
first."""

TlsContext = SSL.Context
"""The settings of TLS with which connections are made."""

_PIECE = 64 * 1024
_HANDSHAKE_OCTETS = MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES + 8 * 1024
"""The most that is read of a handshake: as many certificates as are examined, and room for the rest."""
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


def context(*, certificate_file: str, key_file: str, authorities: Sequence[x509.Certificate]) -> TlsContext:
    """Raises OSError or ValueError for files that are no certificate and key. No session of TLS is resumed,
    so the certificate is shown on every connection."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(SSL.TLS1_2_VERSION)
    made.set_cipher_list(_CIPHERS)
    made.set_options(
        SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_session_id(b"authproxy certificates")
    made.set_alpn_select_callback(_http)
    try:
        made.use_certificate_chain_file(certificate_file)
        made.use_privatekey_file(key_file)
        made.check_privatekey()
    except SSL.Error:
        raise ValueError(f"{certificate_file} and {key_file} are no certificate and its key") from None
    for authority in authorities:
        made.add_client_ca(authority)
    # OpenSSL checks no chain here. `certificates` alone judges whether the certificate is valid.
    made.set_verify_depth(0)
    made.set_verify(SSL.VERIFY_PEER, _let_pass)
    return made


def _http(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _let_pass(
    _connection: SSL.Connection, _certificate: crypto.X509, _code: int, _depth: int, _passed: int
) -> bool:
    """Accepts every certificate in the handshake, so that a page can say what is wrong with it."""
    return True


class TlsConnections:
    """A protocol factory: TLS on the outside, the protocol of `application` inside.

    A handshake may take `handshake_for` seconds. Connections beyond `limit` at one time are closed without an
    answer.
    """

    def __init__(
        self,
        tls: SSL.Context,
        application: Callable[[], asyncio.Protocol],
        *,
        limit: int = 2000,
        handshake_for: float = 10.0,
    ) -> None:
        self._tls = tls
        self._application = application
        self._handshake_for = handshake_for
        self._limit = limit
        self._open: set[_Connection] = set()

    def renew(self, tls: TlsContext) -> None:
        """Uses these settings from the next connection on."""
        self._tls = tls

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self._tls, self._application, self._handshake_for, self)

    @property
    def count(self) -> int:
        """How many are open, those in their handshake included."""
        return len(self._open)

    def abort(self) -> None:
        """Ends all connections at once."""
        for connection in tuple(self._open):
            connection.wire.abort()

    def closed(self, connection: _Connection) -> None:
        self._open.discard(connection)

    def opened(self, connection: _Connection) -> bool:
        if len(self._open) >= self._limit:
            return False
        self._open.add(connection)
        return True


class _Connection(asyncio.Protocol):
    """One connection, between the wire and the application. OpenSSL works on octets in memory; this class
    moves them in and out."""

    def __init__(
        self,
        tls: SSL.Context,
        application: Callable[[], asyncio.Protocol],
        handshake_for: float,
        connections: TlsConnections,
    ) -> None:
        self._tls = SSL.Connection(tls, None)
        self._tls.set_accept_state()
        self._make_application = application
        self._inner: asyncio.Protocol | None = None
        self._handshake_for = handshake_for
        self._connections = connections
        self._is_closing = False
        self._handshake_room = _HANDSHAKE_OCTETS
        self._handshake_timer: asyncio.TimerHandle | None = None
        self.wire: asyncio.Transport

    # Called by the transport of the wire.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have these methods, but are no subclass.
        self.wire = cast("asyncio.Transport", transport)
        if not self._connections.opened(self):
            self.wire.abort()
            return
        self._handshake_timer = asyncio.get_running_loop().call_later(self._handshake_for, self.wire.abort)

    def data_received(self, data: bytes) -> None:
        # Before the handshake has ended, no more is read than there is room for.
        room = len(data) if self._inner is not None else self._handshake_room
        now, later = data[:room], data[room:]
        self._handshake_room -= len(now)
        self._tls.bio_write(now)
        try:
            if self._inner is None:
                self._tls.do_handshake()
                self._begin()
            if later:
                self._tls.bio_write(later)
            self._read()
        except SSL.WantReadError:
            self._flush()
            if later and self._inner is None:
                self.wire.abort()
        except SSL.Error:
            # The other side has closed or has violated the protocol. An alert of ours may wait to be sent.
            self._flush()
            self.wire.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._connections.closed(self)
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    # Called by the application, through its transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing and data:
            with suppress(SSL.Error):
                self._tls.sendall(bytes(data))
            self._flush()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            with suppress(SSL.Error):
                self._tls.shutdown()
            self._flush()
            self.wire.close()

    @property
    def is_closing(self) -> bool:
        return self._is_closing

    def extra_info(self, name: str, default: Any) -> Any:
        if name == CERTIFICATES:
            return self._certificates()
        return self._tls.get_context() if name == "sslcontext" else self.wire.get_extra_info(name, default)

    def _begin(self) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        self._inner = self._make_application()
        self._inner.connection_made(_Transport(self))

    def _read(self) -> None:
        while self._inner is not None and not self._is_closing:
            self._inner.data_received(self._tls.recv(_PIECE))

    def _flush(self) -> None:
        with suppress(SSL.WantReadError):
            while True:
                self.wire.write(self._tls.bio_read(_PIECE))

    def _certificates(self) -> tuple[bytes, ...]:
        own = self._tls.get_peer_certificate()
        shown = [] if own is None else [own, *(self._tls.get_peer_cert_chain() or ())][: MAX_CERTIFICATES + 1]
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) for certificate in shown)


class _Transport(asyncio.Transport):
    """The transport that the application sees."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self._connection = connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._connection.extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.write(data)

    def is_closing(self) -> bool:
        return self._connection.is_closing

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._connection.wire.abort()

    def is_reading(self) -> bool:
        return self._connection.wire.is_reading()

    def pause_reading(self) -> None:
        self._connection.wire.pause_reading()

    def resume_reading(self) -> None:
        self._connection.wire.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._connection.wire.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._connection.wire.get_write_buffer_size()
