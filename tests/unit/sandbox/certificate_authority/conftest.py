"""An authority of the smallest keys that will do, once for all tests."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from authproxy.sandbox.certificate_authority import issuing
from authproxy.sandbox.certificate_authority.issuing import CertificateAddresses, Stamp

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def made():
    keys = [generate_private_key(65537, 2048) for _ in range(3)]
    addresses, stamp = (
        CertificateAddresses(base="http://localhost:8084"),
        Stamp(now=NOW, random=b"\xee\x61\xad\xe0"),
    )
    root = issuing.root(keys[0], stamp)
    sub = issuing.sub(keys[1], root, stamp, addresses)
    return SimpleNamespace(
        now=NOW,
        addresses=addresses,
        root=root,
        sub=sub,
        responder=issuing.responder(keys[2], sub, stamp),
        personal=lambda order: issuing.personal(order, keys[2], sub, stamp, addresses),
    )
