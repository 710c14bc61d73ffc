"""TLS 1.2 and 1.3 that asks for a client certificate and lets the page behind it say what is wrong with the
one that was shown.

Python's own `ssl` cannot send the names of the accepted authorities (RFC 8446 §4.2.4), so that every
certificate of a browser would be offered, and ends the handshake of a certificate that it refuses with an
alert, of which a browser makes a page that helps nobody. Possession of the key is proved in the handshake in
any case (RFC 8446 §4.4.3).
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
"""Name of the transport's extra information: the DER of what the client has shown, its own certificate
first."""

TlsContext = SSL.Context
"""What connections are made with."""

_PIECE = 64 * 1024
_HANDSHAKE_OCTETS = MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES + 8 * 1024
"""As much as the certificates that are examined at all take, and room for the rest: the others would be read
for nothing."""
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"


def context(*, certificate_file: str, key_file: str, authorities: Sequence[x509.Certificate]) -> TlsContext:
    """Raises OSError or ValueError for files that are no certificate and key. Nothing is ever resumed: every
    connection shows anew."""
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
    # OpenSSL trusts nobody here, and follows no chain: whether the certificate holds is judged once, by
    # `certificates`.
    made.set_verify_depth(0)
    made.set_verify(SSL.VERIFY_PEER, _let_pass)
    return made


def _http(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _let_pass(
    _connection: SSL.Connection, _certificate: crypto.X509, _code: int, _depth: int, _passed: int
) -> bool:
    """The handshake goes on with whatever was shown, so that a page can say what is wrong with it."""
    return True


class TlsConnections:
    """A protocol factory: TLS on the outside, the protocol of `application` inside.

    A handshake takes at most `handshake_for` seconds; more than `limit` connections at a time are not
    answered.
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
        """From the next connection on."""
        self._tls = tls

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self._tls, self._application, self._handshake_for, self)

    def abort(self) -> None:
        """Ends them all at once."""
        for connection in tuple(self._open):
            connection.wire.abort()

    def left(self, connection: _Connection) -> None:
        self._open.discard(connection)

    def entered(self, connection: _Connection) -> bool:
        if len(self._open) >= self._limit:
            return False
        self._open.add(connection)
        return True


class _Connection(asyncio.Protocol):
    """Between the wire and the application. TLS works on octets in memory: here they go in and out."""

    def __init__(
        self,
        tls: SSL.Context,
        application: Callable[[], asyncio.Protocol],
        handshake_for: float,
        connections: TlsConnections,
    ) -> None:
        self._tls = SSL.Connection(tls, None)
        self._tls.set_accept_state()
        self._make = application
        self._inner: asyncio.Protocol | None = None
        self._handshake_for = handshake_for
        self._connections = connections
        self._is_closing = False
        self._room = _HANDSHAKE_OCTETS
        self._patience: asyncio.TimerHandle | None = None
        self.wire: asyncio.Transport

    # What the wire says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods and are no subclass.
        self.wire = cast("asyncio.Transport", transport)
        if not self._connections.entered(self):
            self.wire.abort()
            return
        self._patience = asyncio.get_running_loop().call_later(self._handshake_for, self.wire.abort)

    def data_received(self, data: bytes) -> None:
        # Of what comes before the handshake has ended no more is read than there is room for.
        now, later = (data, b"") if self._inner is not None else (data[: self._room], data[self._room :])
        self._room -= len(now)
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
            # The other side has closed, or does not keep to the protocol: an alert of ours for it may be
            # waiting.
            self._flush()
            self.wire.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._connections.left(self)
        if self._patience is not None:
            self._patience.cancel()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    # What the application says, through its transport.

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

    def told(self, name: str, default: Any) -> Any:
        if name == CERTIFICATES:
            return self._certificates()
        return self._tls.get_context() if name == "sslcontext" else self.wire.get_extra_info(name, default)

    def _begin(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._inner = self._make()
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
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in shown)


class _Transport(asyncio.Transport):
    """The connection as the application sees it."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self._connection = connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._connection.told(name, default)

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
