from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.certificates.leaf import Leaf
from authproxy.certificates.verdict import Validated
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


def test_it_is_what_was_validated_without_the_anchor():
    leaf = Leaf(
        fingerprint=SHOWN.fingerprint,
        issuer=SHOWN.issuer,
        serial_number=SHOWN.serial,
        not_before=NOW,
        not_after=SHOWN.not_after,
        policies=(),
        common_name="Ana",
        given_name=None,
        surname=None,
        organization=None,
        email=None,
        tax_number=SHOWN.tax_number,
    )
    validated = Validated(leaf=leaf, path=(SHOWN.leaf, b"SUB", b"ROOT"), status=())
    shown = shown_certificate.of(validated, shown_at=NOW)
    assert replace(shown, tax_number=SHOWN.tax_number) == SHOWN
