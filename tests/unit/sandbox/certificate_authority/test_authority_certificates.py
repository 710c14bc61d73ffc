"""Certificates against what is known of AC NLB's: the bytes of its two CA certificates, and the profile of
its leaves."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authproxy.sandbox.certificate_authority.orders import ORDERS, ordered
from authproxy.sandbox.certificate_authority.statements import qualified

# The subject of AC NLB's issuing CA, as it stands in the EU trusted list of Slovenia.
REAL_SUB_NAME = bytes.fromhex(
    "304f310b30090603550406130253493111300f060355040a13084e4c4220642e642e311730150603550461130e56415453492d3931313332353530311430120603550403130b"
    "41434e4c42205375624341"
)


def value(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def test_names_are_those_of_the_real_authority_byte_for_byte(made):
    assert made.sub.certificate.subject.public_bytes() == REAL_SUB_NAME
    assert made.sub.certificate.issuer == made.root.certificate.subject


def test_serial_numbers_are_four_random_bytes_four_zeros_and_a_time(made):
    for certificate in (made.root.certificate, made.sub.certificate, made.personal(ORDERS[0]).certificate):
        written = certificate.serial_number.to_bytes(12, "big")
        assert written[:8] == bytes.fromhex("ee61ade000000000")
        assert int.from_bytes(written[8:], "big") == int(certificate.not_valid_before_utc.timestamp())


def test_key_identifiers_have_eight_bytes_and_lead_from_the_leaf_to_the_root(made):
    leaf = made.personal(ORDERS[0]).certificate
    chain = [leaf, made.sub.certificate, made.root.certificate, made.root.certificate]
    for certificate, issuer in pairwise(chain):
        above = value(issuer, x509.SubjectKeyIdentifier).digest
        assert value(certificate, x509.AuthorityKeyIdentifier).key_identifier == above
        assert len(above) == 8
        assert above[0] >> 4 == 4
    leaf.verify_directly_issued_by(made.sub.certificate)
    made.sub.certificate.verify_directly_issued_by(made.root.certificate)


def test_the_issuing_ca_may_have_no_ca_below_it_and_any_policy(made):
    certificate = made.sub.certificate
    assert value(certificate, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)
    assert [
        policy.policy_identifier.dotted_string for policy in value(certificate, x509.CertificatePolicies)
    ] == ["2.5.29.32.0"]
    assert sorted(
        extension.oid.dotted_string for extension in certificate.extensions if extension.critical
    ) == ["2.5.29.15", "2.5.29.19"]
    assert value(made.root.certificate, x509.BasicConstraints) == x509.BasicConstraints(
        ca=True, path_length=None
    )
    assert len(made.root.certificate.extensions) == 4


def test_a_certificate_says_where_its_status_is_told(made):
    leaf = made.personal(ordered("cvetka")).certificate
    assert [access.access_location.value for access in value(leaf, x509.AuthorityInformationAccess)] == [
        "http://localhost:8084/ca/sub.cer",
        "http://localhost:8084/ocsp",
    ]
    address, directory = value(leaf, x509.CRLDistributionPoints)
    assert [name.value for name in address.full_name] == [
        "http://localhost:8084/crl/sub-2.crl",
        "ldap://localhost/cn=ACNLB%20SubCA,organizationIdentifier=VATSI-91132550,o=NLB%20d.d.,c=SI?certificateRevocationList",
    ]
    assert (
        directory.full_name[0].value.rfc4514_string()
        == "CN=CRL2,CN=ACNLB SubCA,2.5.4.97=VATSI-91132550,O=NLB d.d.,C=SI"
    )


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_every_order_is_met(made, order):
    leaf = made.personal(order).certificate
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == order.common_name
    assert [policy.policy_identifier.dotted_string for policy in value(leaf, x509.CertificatePolicies)] == [
        f"1.3.6.1.4.1.7597.1.5.{order.policy}",
        "0.4.0.194112.1.1" if order.is_seal else "0.4.0.194112.1.0",
    ]
    usage = value(leaf, x509.KeyUsage)
    assert [
        name
        for name in ("digital_signature", "content_commitment", "key_encipherment", "key_cert_sign")
        if getattr(usage, name)
    ] == list(order.usages)
    times = {
        "now": leaf.not_valid_before_utc < made.now < leaf.not_valid_after_utc,
        "past": leaf.not_valid_after_utc < made.now,
        "future": made.now < leaf.not_valid_before_utc,
    }
    assert times[order.valid]
    assert (
        timedelta(days=1825) <= leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=1827)
    )
    # Also the one by SHA-1 is a good signature, only a weak one.
    algorithm = hashes.SHA1() if order.is_sha1 else hashes.SHA256()
    assert leaf.signature_hash_algorithm == algorithm
    made.sub.key.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, PKCS1v15(), algorithm)


def test_the_name_of_a_person_stands_beside_their_number_in_one_rdn_or_apart(made):
    together, apart = (made.personal(ordered(name)).certificate.subject for name in ("ana", "single-valued"))
    assert sorted(attribute.oid.dotted_string for attribute in together.rdns[-1]) == ["2.5.4.3", "2.5.4.5"]
    assert [len(list(rdn)) for rdn in apart.rdns] == [1] * 5
    employee = made.personal(ordered("employee")).certificate.subject
    assert employee.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)[0].value == "VATSI-99990202"
    seal = made.personal(ordered("seal")).certificate.subject
    assert seal.get_attributes_for_oid(NameOID.GIVEN_NAME) == []


def test_carons_can_be_written_as_two_bytes_each(made):
    subject = made.personal(ordered("caron")).certificate.subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Živa Češčut"
    assert "Živa".encode("utf-16-be") in subject.public_bytes()


def test_extended_key_usage_and_mail_are_there_only_where_ordered(made):
    ana, server, seal = (made.personal(ordered(name)).certificate for name in ("ana", "server-only", "seal"))
    assert list(value(server, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert value(ana, x509.SubjectAlternativeName).get_values_for_type(x509.RFC822Name) == [
        "ana.novak@example.si"
    ]
    for certificate, absent in ((ana, x509.ExtendedKeyUsage), (seal, x509.SubjectAlternativeName)):
        with pytest.raises(x509.ExtensionNotFound):
            value(certificate, absent)


def test_a_responder_is_delegated_by_the_ca_and_need_not_be_asked_about(made):
    certificate = made.responder.certificate
    certificate.verify_directly_issued_by(made.sub.certificate)
    assert list(value(certificate, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert value(certificate, x509.OCSPNoCheck) == x509.OCSPNoCheck()


@pytest.mark.parametrize(("is_seal", "kind"), [(False, "01"), (True, "02")])
def test_a_qualified_certificate_says_for_what_and_where_one_can_read_about_it(is_seal, kind):
    compliance, qualified_for = (
        "3008 0606 04008e460101",
        f"3013 0606 04008e460106 3009 0607 04008e460106{kind}",
    )
    disclosure = "301b 0606 04008e460105 3011 300f 1609 687474703a2f2f612f 1302 736c"
    written = qualified(is_seal=is_seal, disclosure="http://a/")
    assert written.oid.dotted_string == "1.3.6.1.5.5.7.1.3"
    assert written.value == bytes.fromhex(f"303c {compliance} {qualified_for} {disclosure}")


def test_a_long_address_is_written_with_a_longer_length():
    written = qualified(is_seal=False, disclosure="http://localhost:8084/" + "a" * 90).value
    assert written[:2] == b"\x30\x81"
    assert written[2] == len(written) - 3
