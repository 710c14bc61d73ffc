"""Our reading of lists and answers against that of `pyhanko-certvalidator`: where it can read the evidence,
it must agree."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as answers
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import InsufficientRevinfoError, RevokedError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.validate import async_validate_path

from authproxy.certificates import crl, ocsp
from authproxy.certificates.ocsp import OcspQuestion, OcspTerms
from authproxy.certificates.second_opinion import finish
from authproxy.certificates.status import Good, IssuedCertificate, UnusableEvidence
from tests.support.certificate_builder import NOW, Authority, at, der, lists_at, partition, responder_at

SUB = Authority.root()
URL = "http://lists.example.si/1.crl"
OTHER_URL = "http://lists.example.si/2.crl"
LEAF = SUB.person(lists=lists_at(URL), responder=responder_at("http://ocsp.example.si/"))
SUBJECT = IssuedCertificate(certificate=LEAF, issuer=SUB.certificate)
DELTA = (x509.DeltaCRLIndicator(1), True)


def ours(*, listed=None, answered=None):
    try:
        if answered is not None:
            found = ocsp.status(
                answered, OcspQuestion(subject=SUBJECT), OcspTerms(max_age=timedelta(hours=8)), now=NOW
            )
        else:
            found = crl.read(listed.public_bytes(Encoding.DER), [SUB.certificate]).status(
                SUBJECT, now=NOW, max_stale=timedelta(0)
            )
    except UnusableEvidence:
        return "unknown"
    return "good" if isinstance(found, Good) else "revoked"


def theirs(*, listed=None, answered=None):
    anchor, leaf = (asn1.Certificate.load(der(each)) for each in (SUB.certificate, LEAF))
    context = ValidationContext(
        trust_roots=[anchor],
        moment=NOW,
        revocation_mode="require",
        time_tolerance=timedelta(0),
        crls=[listed.public_bytes(Encoding.DER)] if listed is not None else [],
        ocsps=[answered] if answered is not None else [],
    )
    try:
        finish(async_validate_path(context, ValidationPath(CertTrustAnchor(anchor), [], leaf)))
    except RevokedError:
        return "revoked"
    except InsufficientRevinfoError:
        return "unknown"
    return "good"


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        ("good", {"listed": SUB.crl()}),
        ("good", {"listed": SUB.crl(point=partition(x509.UniformResourceIdentifier(URL)))}),
        ("revoked", {"listed": SUB.crl(LEAF)}),
        ("revoked", {"listed": SUB.crl(LEAF, reason=x509.ReasonFlags.certificate_hold)}),
        ("unknown", {"listed": Authority.root().crl()}),
        ("unknown", {"listed": SUB.crl(key=Authority.root().key)}),
        ("unknown", {"listed": SUB.crl(next_update=at(seconds=-1))}),
        ("unknown", {"listed": SUB.crl(point=partition(x509.UniformResourceIdentifier(OTHER_URL)))}),
        ("unknown", {"listed": SUB.crl(point=partition(only_contains_ca_certs=True))}),
        ("unknown", {"listed": SUB.crl(others=(DELTA,))}),
        ("good", {"answered": SUB.answer(LEAF)}),
        ("good", {"answered": SUB.responder().answer(LEAF, issuer=SUB)}),
        ("revoked", {"answered": SUB.answer(LEAF, status=answers.OCSPCertStatus.REVOKED)}),
        ("unknown", {"answered": SUB.answer(LEAF, status=answers.OCSPCertStatus.UNKNOWN)}),
        ("unknown", {"answered": SUB.answer(SUB.person())}),
        ("unknown", {"answered": Authority.root().answer(LEAF, issuer=SUB)}),
        ("unknown", {"answered": SUB.responder(usages=None).answer(LEAF, issuer=SUB)}),
        ("unknown", {"answered": SUB.answer(LEAF, this_update=at(seconds=-9), next_update=at(seconds=-1))}),
    ],
)
def test_our_reading_and_that_of_the_library_agree(said, evidence):
    assert (ours(**evidence), theirs(**evidence)) == (said, said)
