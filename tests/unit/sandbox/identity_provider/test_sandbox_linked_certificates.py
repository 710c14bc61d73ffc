"""Which certificate confirms a sign-in at the provider, and what is said of the others."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.sandbox.identity_provider.front_end.linked_certificates import LinkedCertificates, read
from tests.support.certificate_builder import NOW, Authority, at, der, ec_key

ANA, BOR = "ana.novak@example.si", "bor.kranjc@example.si"
ROOT = Authority.root()
SUB = ROOT.authority()
OWN, OTHER, OLD, EARLY = SUB.person(), SUB.person(), SUB.person(end=at(-1)), SUB.person(start=at(1))
IMPOSTOR = Authority.root("Impostor").authority()  # the same name over another key
LINKED = LinkedCertificates(
    url="https://localhost:8445",
    crl_url="http://localhost:8084/ca/crl.der",
    issuer=SUB.certificate,
    fingerprints={ANA: OWN.fingerprint(hashes.SHA256()).hex()},
)


def listed(*revoked, **more):
    return SUB.crl(*revoked, **more).public_bytes(Encoding.DER)


def refused(certificate, *, email=ANA, revoked=None):
    return LINKED.refusal(certificate, email=email, revoked=listed() if revoked is None else revoked, now=NOW)


def test_the_account_s_own_certificate_confirms():
    assert LINKED.has(ANA)
    assert refused(OWN) is None


def test_a_certificate_of_anybody_else_confirms_nothing():
    assert not LINKED.has(BOR)
    assert refused(OTHER) == refused(OWN, email=BOR) == "not_linked"
    assert refused(None) == "none_shown"


@pytest.mark.parametrize("certificate", [IMPOSTOR.person(), ROOT.person(), SUB.certificate])
def test_only_the_one_issuer_counts_whatever_name_another_has(certificate):
    assert refused(certificate) == "foreign"


@pytest.mark.parametrize("certificate", [OLD, EARLY])
def test_a_certificate_must_be_valid_now(certificate):
    assert refused(certificate) == "not_valid"


def test_a_revoked_certificate_is_told_to_be_so_also_to_strangers():
    assert refused(OWN, revoked=listed(OWN)) == "revoked"
    assert refused(OTHER, revoked=listed(OTHER, OWN)) == "revoked"


@pytest.mark.parametrize(
    "revoked",
    [
        b"",
        b"<html>",
        listed(next_update=at(seconds=0)),
        listed(this_update=at(seconds=1)),
        listed(key=ec_key()),
        listed(issuer=ROOT.certificate.subject),
    ],
)
def test_without_a_current_list_of_the_issuer_nothing_is_confirmed(revoked):
    assert refused(OWN, revoked=revoked) == "unknown"
    assert LINKED.refusal(OWN, email=ANA, revoked=None, now=NOW) == "unknown"


def test_a_browser_s_own_certificate_is_the_first_that_it_shows():
    assert read((der(OWN), der(SUB.certificate))) == OWN
    assert read(()) is read((b"no certificate",)) is None
