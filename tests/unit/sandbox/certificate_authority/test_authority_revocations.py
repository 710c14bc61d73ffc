from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from authproxy.sandbox.certificate_authority.crl import Revocation
from authproxy.sandbox.certificate_authority.revocations import Revocations

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STOLEN, SUPERSEDED = x509.ReasonFlags.key_compromise, x509.ReasonFlags.superseded


@pytest.fixture(params=["in memory", "in a file"])
def revocations(request, tmp_path):
    file = tmp_path / "revoked.json" if request.param == "in a file" else None
    return lambda: Revocations(["erik"], now=NOW, file=file)


def test_the_first_date_and_reason_stay(revocations):
    held = revocations()
    held.revoke("ana", reason=SUPERSEDED, now=NOW)
    held.revoke("ana", reason=STOLEN, now=NOW + timedelta(days=1))
    assert dict(held) == {
        "erik": Revocation(at=NOW, reason=STOLEN),
        "ana": Revocation(at=NOW, reason=SUPERSEDED),
    }


def test_a_revocation_can_be_taken_back_and_made_again_later(revocations):
    held = revocations()
    held.restore("erik")
    held.restore("nobody")
    assert held.of("erik") is None
    held.revoke("erik", reason=SUPERSEDED, now=NOW + timedelta(days=1))
    assert held.of("erik") == Revocation(at=NOW + timedelta(days=1), reason=SUPERSEDED)


def test_a_file_outlives_whoever_wrote_it(tmp_path):
    file = tmp_path / "revoked.json"
    first = Revocations(["erik"], now=NOW, file=file)
    first.restore("erik")
    first.revoke("ana", reason=SUPERSEDED, now=NOW)
    assert dict(Revocations(["erik"], now=NOW + timedelta(days=1), file=file)) == {
        "ana": Revocation(at=NOW, reason=SUPERSEDED)
    }
