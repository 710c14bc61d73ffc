"""Lists and answers, member by member. A foreign reader, `openssl`, has its say in tests/integration."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus

from authproxy.sandbox.certificate_authority.crl import Issue, Revocation, revocation_list
from authproxy.sandbox.certificate_authority.issuing import distribution_point
from authproxy.sandbox.certificate_authority.ocsp import Behaviour, Responder, Status, answer, unsuccessful
from authproxy.sandbox.certificate_authority.orders import ordered

STOLEN, UNSAID = x509.ReasonFlags.key_compromise, x509.ReasonFlags.unspecified


def listed(made, entries=(), **different):
    issue = {
        "number": 7,
        "this_update": made.now,
        "next_update": made.now + timedelta(minutes=10),
    } | different
    return revocation_list(made.sub, entries, Issue(**issue))


def idp(crl):
    return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)


def test_a_list_names_what_is_revoked_since_when_and_why(made):
    crl = listed(
        made, [(5, Revocation(at=made.now, reason=STOLEN)), (6, Revocation(at=made.now, reason=UNSAID))]
    )
    assert crl.is_signature_valid(made.sub.key.public_key())
    stolen, unsaid = crl
    assert (stolen.serial_number, stolen.revocation_date_utc) == (5, made.now)
    assert stolen.extensions.get_extension_for_class(x509.CRLReason).value.reason is STOLEN
    assert list(unsaid.extensions) == []
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    assert crl.next_update_utc - crl.last_update_utc == timedelta(minutes=10)


def test_a_complete_list_has_no_scope_and_a_partition_has_that_of_its_certificates(made):
    with pytest.raises(x509.ExtensionNotFound):
        idp(listed(made))
    scope = distribution_point(made.addresses, of="sub", common_name="ACNLB SubCA", partition=1)
    found = idp(listed(made, scope=scope))
    assert found.critical
    assert list(found.value.full_name) == list(scope)
    points = (
        made.personal(ordered("ana"))
        .certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
        .value
    )
    assert set(scope) < {name for point in points for name in point.full_name}


def test_a_delta_and_an_indirect_list_say_so_critically(made):
    delta = listed(made, kind="delta").extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert (delta.critical, delta.value.crl_number) == (True, 6)
    indirect = idp(listed(made, kind="indirect"))
    assert (indirect.critical, indirect.value.indirect_crl) == (True, True)


def question(made, certificate, *, nonce=None, algorithm=None, issuer=None):
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        certificate, issuer or made.sub.certificate, algorithm or hashes.SHA1()
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def answered(made, asked, *, knows=lambda serial: Status(), **behaviour):
    responder = Responder(issuer=made.sub.certificate, signer=made.responder, of=knows)
    behaves = Behaviour(
        **({"this_update": made.now, "next_update": made.now + timedelta(minutes=1)} | behaviour)
    )
    return ocsp.load_der_ocsp_response(answer(asked, [responder], behaves))


@pytest.fixture
def ana(made):
    return made.personal(ordered("ana")).certificate


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])
def test_a_good_certificate_is_good_for_a_minute_by_a_signed_answer(made, ana, algorithm):
    told = answered(made, question(made, ana, algorithm=algorithm))
    assert (told.certificate_status, told.serial_number) == (OCSPCertStatus.GOOD, ana.serial_number)
    assert told.next_update_utc - told.this_update_utc == timedelta(minutes=1)
    assert told.hash_algorithm.name == algorithm.name
    assert told.certificates == [made.responder.certificate]
    made.responder.key.public_key().verify(
        told.signature, told.tbs_response_bytes, PKCS1v15(), hashes.SHA256()
    )


@pytest.mark.parametrize(("reason", "said"), [(STOLEN, STOLEN), (UNSAID, None)])
def test_a_revoked_one_is_revoked_since_then(made, ana, reason, said):
    told = answered(
        made, question(made, ana), knows=lambda serial: Status(revoked=Revocation(at=made.now, reason=reason))
    )
    assert (told.certificate_status, told.revocation_time_utc, told.revocation_reason) == (
        OCSPCertStatus.REVOKED,
        made.now,
        said,
    )


def test_what_was_never_issued_is_unknown(made, ana):
    assert (
        answered(made, question(made, ana), knows=lambda serial: None).certificate_status
        is OCSPCertStatus.UNKNOWN
    )


def test_a_certificate_of_another_issuer_is_none_of_our_business(made, ana):
    asked = question(made, ana, issuer=made.root.certificate)
    assert answered(made, asked).response_status is OCSPResponseStatus.UNAUTHORIZED


@pytest.mark.parametrize("length", [1, 16, 32, 128])
def test_a_nonce_is_repeated(made, ana, length):
    told = answered(made, question(made, ana, nonce=b"n" * length))
    assert told.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * length


@pytest.mark.parametrize("length", [0, 129])
def test_a_nonce_of_no_lawful_length_makes_the_question_malformed(made, ana, length):
    assert (
        answered(made, question(made, ana, nonce=b"n" * length)).response_status
        is OCSPResponseStatus.MALFORMED_REQUEST
    )


@pytest.mark.parametrize("asked", [b"", b"GET / HTTP/1.1", bytes(64)])
def test_what_is_no_question_is_malformed(made, asked):
    assert answered(made, asked).response_status is OCSPResponseStatus.MALFORMED_REQUEST


def test_other_extensions_of_a_question_do_not_matter(made, ana):
    builder = ocsp.OCSPRequestBuilder().add_certificate(ana, made.sub.certificate, hashes.SHA1())
    asked = builder.add_extension(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=False
    ).build()
    told = answered(made, asked.public_bytes(Encoding.DER))
    assert told.certificate_status is OCSPCertStatus.GOOD
    assert list(told.extensions) == []


def test_each_lie_is_the_one_that_was_asked_for(made, ana):
    asked = question(made, ana, nonce=b"n" * 32)
    assert answered(made, asked, is_always_unknown=True).certificate_status is OCSPCertStatus.UNKNOWN
    assert answered(made, asked, serial_offset=1).serial_number == ana.serial_number + 1
    assert list(answered(made, asked, nonce=lambda _: None).extensions) == []
    other = made.personal(ordered("gregor"))
    assert answered(made, asked, signer=other).certificates == [other.certificate]


def test_a_responder_can_ask_for_patience(made):
    told = ocsp.load_der_ocsp_response(unsuccessful(OCSPResponseStatus.TRY_LATER))
    assert told.response_status is OCSPResponseStatus.TRY_LATER
