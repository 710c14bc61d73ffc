"""TLS of the front proxy: which versions it takes, and how long its certificate lasts."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from datetime import datetime

from cryptography import x509

from authproxy.doctor.wire import Door, in_words

_OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}
_PATIENCE = 5.0


async def old_versions(door: Door) -> dict[str, bool | None]:
    """Whether each old version is accepted; None if this machine cannot try it."""
    return {name: await _accepts(door, version) for name, version in _OLD.items()}


async def _accepts(door: Door, version: ssl.TLSVersion) -> bool | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        # What OpenSSL itself no longer offers by default.
        context.set_ciphers("ALL:@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return None
    door.budget.take()
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(
                door.address, door.port, ssl=context, server_hostname=door.server_name
            )
            writer.transport.abort()
    except (OSError, ssl.SSLError, TimeoutError):
        return False
    return True


async def days_left(door: Door, now: datetime) -> tuple[float | None, str]:
    """How many days the certificate lasts, and why the handshake failed, if it did."""
    door.budget.take()
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(
                door.address, door.port, ssl=door.context, server_hostname=door.server_name
            )
    except ssl.SSLCertVerificationError as error:
        return None, error.verify_message
    except TimeoutError:
        return None, "no answer in time"
    except OSError as error:
        return None, in_words(error)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    ends_at = x509.load_der_x509_certificate(shown).not_valid_after_utc
    return (ends_at - now).total_seconds() / 86400, ""
