from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.flows.sign_in import shown_certificate
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.identity.person import TaxNumber
from tests.support.session_builders import NOW

SHOWN = ShownCertificate(
    shown_at=NOW,
    fingerprint="a1" * 32,
    issuer="CN=ACNLB SubCA,O=NLB d.d.,C=SI",
    serial=0xEE61ADE0 << 64,
    tax_number=TaxNumber("99990008"),
    not_after=NOW + timedelta(days=9),
    leaf=bytes(range(256)),
    above=(b"SUB",),
)


def test_what_was_shown_comes_back_as_it_was():
    assert shown_certificate.read(SHOWN.octets(), shown_at=NOW) == SHOWN


def test_an_earlier_version_names_no_authorities():
    fields = json.loads(SHOWN.octets())
    del fields["above"]
    assert shown_certificate.read(json.dumps(fields).encode(), shown_at=NOW) == replace(SHOWN, above=())


@pytest.mark.parametrize(
    "octets",
    [b"", b"[]", b"null", b"{}", b"\xff", json.dumps({**json.loads(SHOWN.octets()), "serial": "x"}).encode()],
)
def test_another_shape_is_nothing(octets):
    assert shown_certificate.read(octets, shown_at=NOW) is None


def test_numbers_are_not_shown():
    assert "99990008" not in repr(SHOWN)
