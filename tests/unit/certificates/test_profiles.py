"""The rules of an authority's profile, one by one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from authproxy.access.decision import Reason
from authproxy.certificates import profiles
from authproxy.certificates.profiles import CertificateCheck, Profile, Sunset
from tests.support.certificate_builder import (
    ABSENT,
    ANY_USAGE,
    CLIENT_AUTH,
    NOW,
    PERSON,
    SEAL,
    SERVER_AUTH,
    Authority,
    at,
    der,
    policies,
    rsa_key,
    signed_with_sha1,
    usage,
)

ROOT = Authority.root()
SUB = ROOT.authority()
ACNLB = {"accepted_policies": profiles.ACNLB_PERSONS, "seal_policies": profiles.ACNLB_SEALS}


def profile(**changes):
    return Profile(
        **{"anchors": (ROOT.certificate,), "intermediates": (SUB.certificate,), **ACNLB, **changes}
    )


def failed(leaf, *, now=NOW, chain=(), **changes):
    return {
        check: refused.reason
        for check, refused in profiles.examined(leaf, profile(**changes), chain=chain, now=now)
        if refused
    }


def test_a_certificate_of_the_profile_passes_every_rule():
    found = list(profiles.examined(SUB.person(), profile(), chain=(), now=NOW))
    assert found == [(check, None) for check in list(CertificateCheck)[1:9]]


@pytest.mark.parametrize("policy", sorted(profiles.ACNLB_PERSONS))
def test_the_four_policies_of_persons_are_accepted(policy):
    assert failed(SUB.person(policies=policies(policy, "0.4.0.194112.1.0"))) == {}


@pytest.mark.parametrize("policy", sorted(profiles.ACNLB_SEALS))
def test_seals_are_refused_as_such_even_beside_a_persons_policy(policy):
    assert (
        failed(SUB.person(policies=policies(policy)))[CertificateCheck.SEAL] is Reason.CERTIFICATE_IS_A_SEAL
    )
    assert failed(SUB.person(policies=policies(PERSON, policy))) == {
        CertificateCheck.SEAL: Reason.CERTIFICATE_IS_A_SEAL
    }


@pytest.mark.parametrize("stated", [ABSENT, policies("1.3.6.1.4.1.7597.2"), policies("2.5.29.32.0")])
def test_other_policies_are_not_for_signing_in(stated):
    assert failed(SUB.person(policies=stated)) == {
        CertificateCheck.POLICY: Reason.CERTIFICATE_NOT_FOR_SIGNING_IN
    }


def test_a_profile_without_policies_accepts_any():
    assert (
        failed(SUB.person(policies=policies(SEAL)), accepted_policies=frozenset(), seal_policies=frozenset())
        == {}
    )


@pytest.mark.parametrize(
    ("stated", "is_fine"),
    [
        (usage(digital_signature=True), True),
        (usage(content_commitment=True), False),
        (usage(key_encipherment=True), False),
        (ABSENT, True),
    ],
)
def test_a_key_usage_that_is_stated_must_be_for_signatures(stated, is_fine):
    assert failed(SUB.person(usage=stated)) == (
        {} if is_fine else {CertificateCheck.KEY_USAGE: Reason.CERTIFICATE_NOT_FOR_SIGNING_IN}
    )


@pytest.mark.parametrize(
    ("stated", "is_fine"),
    [
        (x509.ExtendedKeyUsage([CLIENT_AUTH, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4")]), True),
        (x509.ExtendedKeyUsage([ANY_USAGE]), True),
        (x509.ExtendedKeyUsage([SERVER_AUTH]), False),
        (ABSENT, True),
    ],
)
def test_an_extended_key_usage_that_is_stated_must_be_for_clients(stated, is_fine):
    assert failed(SUB.person(usages=stated)) == (
        {} if is_fine else {CertificateCheck.EXTENDED_KEY_USAGE: Reason.CERTIFICATE_NOT_FOR_SIGNING_IN}
    )


def test_a_profile_can_require_both_usages():
    leaf = SUB.person(usage=ABSENT)
    assert set(failed(leaf, requires_key_usage=True, requires_extended_key_usage=True)) == {
        CertificateCheck.KEY_USAGE,
        CertificateCheck.EXTENDED_KEY_USAGE,
    }


def test_time_is_exact_to_the_second():
    leaf = SUB.person(start=at(-1), end=at(1))
    for moment in (at(-1), at(1)):
        assert failed(leaf, now=moment) == {}
    assert failed(leaf, now=at(-1) - timedelta(seconds=1)) == {
        CertificateCheck.TIME: Reason.CERTIFICATE_NOT_YET_VALID
    }
    assert failed(leaf, now=at(1) + timedelta(seconds=0.9)) == {}
    assert failed(leaf, now=at(1) + timedelta(seconds=1)) == {
        CertificateCheck.TIME: Reason.CERTIFICATE_EXPIRED
    }


def test_the_sunset_warns_and_then_ends():
    sunset = Sunset(warn_from=at(10), stop_at=at(20))
    ending = profile(sunset=sunset)
    assert [ending.ends_at(at(days)) for days in (9, 10, 19)] == [None, at(20), at(20)]
    assert failed(SUB.person(), now=at(20) - timedelta(seconds=1), sunset=sunset) == {}
    assert failed(SUB.person(), now=at(20), sunset=sunset) == {
        CertificateCheck.SUNSET: Reason.CERTIFICATE_SUNSET
    }
    assert profile().ends_at(at(9999)) is None


def test_a_sunset_without_warning_is_a_mistake():
    with pytest.raises(ValueError):
        Sunset(warn_from=at(2), stop_at=at(1))


def test_a_profile_without_anchors_is_a_mistake():
    with pytest.raises(ValueError):
        Profile(anchors=())


def test_a_certificate_of_a_stranger_is_untrusted_even_if_the_strangers_name_is_ours():
    stranger = Authority.root().authority()
    assert stranger.certificate.subject == SUB.certificate.subject
    assert failed(stranger.person()) == {CertificateCheck.ISSUER: Reason.CERTIFICATE_UNTRUSTED}
    assert (
        failed(stranger.person(), chain=(stranger.certificate,)) == {}
    )  # the path decides about what came along


@pytest.mark.parametrize(
    "changes",
    [
        {"key": rsa_key(1024)},
        {"key": rsa_key(2047)},
        {"key": ec.generate_private_key(ec.SECP192R1())},
        {"key": ec.generate_private_key(ec.SECP256K1())},
        {"key": dsa.generate_private_key(1024)},
    ],
    ids=["RSA-1024", "RSA-2047", "P-192", "secp256k1", "DSA"],
)
def test_weak_keys_are_refused(changes):
    assert failed(SUB.person(**changes)) == {CertificateCheck.STRENGTH: Reason.CERTIFICATE_WEAK}


def test_sha1_is_refused():
    signer = Authority.root("Old", key=rsa_key())
    leaf = x509.load_der_x509_certificate(signed_with_sha1(der(signer.person()), signer.key))
    assert failed(leaf, anchors=(signer.certificate,))[CertificateCheck.STRENGTH] is Reason.CERTIFICATE_WEAK
    assert failed(signer.person(), anchors=(signer.certificate,)) == {}


@pytest.mark.parametrize(
    "key",
    [
        rsa_key(2048),
        rsa_key(3072),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_strong_keys_are_accepted(key):
    assert failed(SUB.person(key=key)) == {}


def test_an_rsa_exponent_of_one_is_refused():
    class Key(rsa.RSAPublicKey):  # a key that `cryptography` refuses to make
        key_size = 2048

        def public_numbers(self):
            return rsa.RSAPublicNumbers(1, 3)

        __eq__ = __copy__ = __deepcopy__ = encrypt = public_bytes = recover_data_from_signature = verify = (
            None
        )

    assert not profiles.is_strong(Key())


def test_a_key_of_an_unknown_kind_is_weak():
    octets = der(SUB.person(key=ed25519.Ed25519PrivateKey.generate())).replace(
        bytes.fromhex("06032b6570"), bytes.fromhex("06032b6579"), 1
    )
    assert profiles.weakness(x509.load_der_x509_certificate(octets)) is not None


@pytest.mark.parametrize(
    ("serial_number", "is_fine"), [((1 << 160) - 1, True), (1 << 160, False), (1 << 300, False)]
)
def test_a_serial_number_has_a_maximum_length(serial_number, is_fine):
    octets = asn1.Certificate.load(der(SUB.person()))
    octets["tbs_certificate"]["serial_number"] = serial_number
    assert (profiles.weakness(x509.load_der_x509_certificate(octets.dump(force=True))) is None) == is_fine


def test_an_authority_has_issued_what_its_key_has_signed_under_its_name():
    leaf = SUB.person()
    assert profiles.issued(SUB.certificate, leaf)
    assert not profiles.issued(ROOT.certificate, leaf)
    assert not profiles.issued(Authority.root().authority().certificate, leaf)


def test_a_signature_of_an_unknown_kind_is_weak():
    octets = der(SUB.person()).replace(
        bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")
    )
    assert profiles.weakness(x509.load_der_x509_certificate(octets)).reason is Reason.CERTIFICATE_WEAK


def test_a_signature_without_a_hash_to_choose_is_strong():
    assert profiles.is_strong_hash(None)
