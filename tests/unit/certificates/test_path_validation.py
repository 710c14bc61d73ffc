"""Paths: which are valid, and which must be refused."""

from __future__ import annotations

import ipaddress
import time

import pytest
from cryptography import x509

from authproxy.access.decision import Reason
from authproxy.certificates import profiles
from authproxy.certificates.path_validation import examination
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import CertificateCheck, Profile
from authproxy.certificates.verdict import CertificateRefused
from tests.support.certificate_builder import (
    ABSENT,
    ANY_USAGE,
    CLIENT_AUTH,
    NOW,
    PERSON,
    Authority,
    at,
    der,
    ec_key,
    name,
    person,
    policies,
    rsa_key,
    signed_with_sha1,
    usage,
)

ROOT = Authority.root()
SUB = ROOT.authority()
UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True)


def trusting(root, *intermediates, **changes):
    return Profile(
        anchors=(root.certificate,),
        intermediates=tuple(each.certificate for each in intermediates),
        accepted_policies=profiles.ACNLB_PERSONS,
        seal_policies=profiles.ACNLB_SEALS,
        **changes,
    )


def examined(leaf, *chain, profile=None, now=NOW):
    shown = Presented(leaf=der(leaf), chain=tuple(der(each.certificate) for each in chain))
    return examination(shown, profile or trusting(ROOT, SUB), now=now)


def reason(leaf, *chain, profile=None, now=NOW):
    outcome = examined(leaf, *chain, profile=profile, now=now).outcome
    return outcome.reason if isinstance(outcome, CertificateRefused) else None


def test_a_leaf_alone_finds_its_path_by_the_authority_that_we_supply():
    leaf = SUB.person()
    found = examined(leaf)
    assert found.outcome.certificates == (leaf, SUB.certificate, ROOT.certificate)
    assert found.outcome.der == (der(leaf), der(SUB.certificate), der(ROOT.certificate))
    assert found.outcome.pairs == ((leaf, SUB.certificate), (SUB.certificate, ROOT.certificate))
    assert [check for check, _ in found.checks] == list(CertificateCheck)[:10]


def test_a_chain_that_came_along_does_as_well():
    assert reason(SUB.person(), SUB, profile=trusting(ROOT)) is None
    assert reason(SUB.person(), profile=trusting(ROOT)) is Reason.CERTIFICATE_UNTRUSTED


def test_superfluous_certificates_in_the_chain_do_no_harm():
    assert reason(SUB.person(), Authority.root("Other"), SUB, ROOT) is None


def test_an_odd_name_does_not_matter():
    assert reason(SUB.person(person("Žiga Čop", serial="PNOSI-0101006500006"))) is None
    assert reason(SUB.person(email=ABSENT)) is None


def test_unknown_extensions_of_the_banks_profile_are_tolerated():
    client = x509.ExtendedKeyUsage([CLIENT_AUTH])
    period = x509.PrivateKeyUsagePeriod(
        not_before=at(-30).replace(tzinfo=None), not_after=at(30).replace(tzinfo=None)
    )
    for extensions in (
        {"aki": ABSENT},
        {"usage": ABSENT, "others": ((usage(digital_signature=True), False),)},
        {"others": ((client, True),)},
        {"usages": x509.ExtendedKeyUsage([ANY_USAGE])},
        {"others": ((x509.BasicConstraints(ca=False, path_length=None), False), (period, False))},
        {"policies": ABSENT, "others": ((policies(PERSON), True),)},
    ):
        assert reason(SUB.person(**extensions)) is None


def test_rsa_as_the_bank_has_it_is_fine():
    root = Authority.root("RSA RootCA", key=rsa_key(3072))
    sub = root.authority("RSA SubCA", key=rsa_key(3072, "sub"))
    assert reason(sub.person(key=rsa_key(2048)), profile=trusting(root, sub)) is None


def test_the_rule_that_people_are_told_of_comes_before_the_path():
    found = examined(SUB.person(end=at(seconds=-1)))
    assert found.outcome.reason is Reason.CERTIFICATE_EXPIRED
    assert found.leaf.common_name == "Ana Novak"
    assert CertificateCheck.PATH not in dict(found.checks)


def test_an_unreadable_certificate_is_said_to_be_one():
    found = examination(Presented(leaf=b"\x30\x00"), trusting(ROOT), now=NOW)
    assert (found.outcome.reason, found.leaf) == (Reason.CERTIFICATE_UNREADABLE, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"others": (UNKNOWN,)},
        {"constraints": x509.BasicConstraints(ca=True, path_length=None)},
        {"usage": usage(digital_signature=True, key_cert_sign=True)},
    ],
    ids=["critical extension unknown", "a CA", "may sign certificates"],
)
def test_a_leaf_with_a_property_that_no_persons_certificate_has_is_refused(wrong):
    assert reason(SUB.person(**wrong)) is Reason.CERTIFICATE_UNTRUSTED


@pytest.mark.parametrize(
    "wrong",
    [
        {"end": at(seconds=-1)},
        {"start": at(seconds=1)},
        {"constraints": x509.BasicConstraints(ca=False, path_length=None)},
        {"constraints": ABSENT},
        {"usage": usage(crl_sign=True)},
        {"others": (UNKNOWN,)},
        {"ski": ABSENT},
        {"aki": ABSENT},
        {"key": rsa_key(1024)},
        {"key": rsa_key(2052)},
        {"usages": x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")])},
        {
            "names": x509.NameConstraints(
                permitted_subtrees=[x509.RFC822Name("other.si")], excluded_subtrees=None
            )
        },
        {
            "names": x509.NameConstraints(
                permitted_subtrees=None, excluded_subtrees=[x509.RFC822Name("example.si")]
            )
        },
    ],
    ids=[
        "expired",
        "not yet valid",
        "no CA",
        "no basic constraints",
        "may not sign",
        "critical extension unknown",
        "no key identifier",
        "no authority key identifier",
        "RSA-1024",
        "RSA-2052",
        "for servers",
        "name not permitted",
        "name excluded",
    ],
)
def test_certificates_below_a_faulty_authority_are_refused(wrong):
    faulty = ROOT.authority(**wrong)
    assert reason(faulty.person(), profile=trusting(ROOT, faulty)) is Reason.CERTIFICATE_UNTRUSTED


def test_certificates_below_an_authority_that_is_signed_with_sha1_are_refused():
    root = Authority.root(key=rsa_key())
    sound = root.authority()
    assert reason(sound.person(), profile=trusting(root, sound)) is None
    weak = Authority(
        x509.load_der_x509_certificate(signed_with_sha1(der(sound.certificate), root.key)), sound.key
    )
    assert reason(weak.person(), profile=trusting(root, weak)) is Reason.CERTIFICATE_UNTRUSTED


def test_certificates_below_a_weak_or_expired_anchor_are_refused():
    for root in (Authority.root(key=rsa_key(1024)), Authority.root(end=at(seconds=-1))):
        sub = root.authority()
        assert reason(sub.person(), profile=trusting(root, sub)) is Reason.CERTIFICATE_UNTRUSTED


def test_an_authority_below_a_path_length_of_zero_is_refused():
    below = SUB.authority("Below", pathlen=None)
    assert reason(below.person(), below) is Reason.CERTIFICATE_UNTRUSTED


def test_a_persons_certificate_cannot_issue_another_one():
    key = ec_key()
    ana = Authority(SUB.person(key=key), key)
    assert reason(ana.person(), ana) is Reason.CERTIFICATE_UNTRUSTED


def test_an_anchor_signs_nobody_in():
    assert reason(ROOT.certificate, profile=Profile(anchors=(ROOT.certificate,))) is not None


def test_a_self_signed_certificate_is_untrusted():
    key = ec_key()
    itself = Authority(SUB.certificate, key).person()
    assert reason(itself) is Reason.CERTIFICATE_UNTRUSTED


def test_an_authority_of_the_same_name_with_another_key_is_untrusted():
    twin = Authority.root().authority()
    assert reason(twin.person(), twin) is Reason.CERTIFICATE_UNTRUSTED


def test_a_path_finds_its_way_by_the_right_one_of_two_cross_signed_authorities():
    elsewhere = Authority.root("Elsewhere")
    crossed = elsewhere.authority(key=SUB.key)
    assert crossed.certificate.subject == SUB.certificate.subject
    assert reason(SUB.person(), crossed) is None
    assert reason(SUB.person(), crossed, SUB, profile=trusting(ROOT)) is None
    assert reason(SUB.person(), crossed, profile=trusting(ROOT)) is Reason.CERTIFICATE_UNTRUSTED


def test_four_authorities_in_a_row_are_too_many():
    root = Authority.root()
    row = [root.authority("0", pathlen=None)]
    for number in range(1, 4):
        row.append(row[-1].authority(str(number), pathlen=None))
    assert reason(row[2].person(), *row[:3], profile=trusting(root)) is None
    assert reason(row[3].person(), *row, profile=trusting(root)) is Reason.CERTIFICATE_UNTRUSTED


def test_many_authorities_that_sign_one_another_are_searched_quickly():
    keys = [ec_key() for _ in range(4)]
    ring = [
        Authority(Authority.root().authority(name_, key=key, pathlen=None).certificate, key)
        for name_, key in zip("abcd", keys, strict=True)
    ]
    crossed = [
        one.authority(
            other.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value,
            key=other.key,
            pathlen=None,
        )
        for one in ring
        for other in ring
    ]
    started = time.process_time()
    assert reason(ring[0].person(), *crossed) is Reason.CERTIFICATE_UNTRUSTED
    assert time.process_time() - started < 2


def test_a_detail_does_not_repeat_the_holder():
    for leaf in (SUB.person(others=(UNKNOWN,)), SUB.person(name("Ana Novak"), policies=policies("1.2.3"))):
        refused = examined(leaf).outcome
        assert "Ana" not in repr(refused)
        assert refused.detail


def constrained(*permitted, excluded=None):
    return ROOT.authority(
        names=x509.NameConstraints(permitted_subtrees=list(permitted) or None, excluded_subtrees=excluded)
    )


@pytest.mark.parametrize("is_permitted", [True, False])
def test_name_constraints_that_not_every_library_understands_are_refused_by_name(is_permitted):
    other = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03ana")
    sub = constrained(other) if is_permitted else constrained(excluded=[other])
    outcome = examined(sub.person(), profile=trusting(ROOT, sub)).outcome
    assert (outcome.reason, outcome.detail) == (
        Reason.CERTIFICATE_UNTRUSTED,
        "a CA of the path constrains names of a kind that is not understood here",
    )


def test_constraints_on_addresses_matter_to_certificates_that_name_some():
    sub = constrained(x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("10.0.0.1"))])
    assert reason(sub.person(), profile=trusting(ROOT, sub)) is None
    assert reason(sub.person(email=ABSENT), profile=trusting(ROOT, sub)) is None
    assert examined(sub.person(email=address), profile=trusting(ROOT, sub)).outcome.detail == (
        "a certificate names an IP address, and a CA above it constrains those"
    )
    assert reason(SUB.person(email=address)) is None


def test_constraints_on_uris_matter_to_certificates_that_name_some():
    sub = constrained(x509.UniformResourceIdentifier("example.si"))
    place = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("http://example.si/ana")])
    assert reason(sub.person(), profile=trusting(ROOT, sub)) is None
    assert reason(sub.person(email=place), profile=trusting(ROOT, sub)) is Reason.CERTIFICATE_UNTRUSTED
    assert reason(SUB.person(email=place)) is None


@pytest.mark.parametrize("is_critical", [True, False])
@pytest.mark.parametrize("stated", [x509.PolicyConstraints(0, 0), x509.InhibitAnyPolicy(0)])
def test_policy_extensions_of_an_authority_alone_refuse_nobody(stated, is_critical):
    strict = ROOT.authority(others=[(stated, is_critical)])
    assert reason(strict.person(), profile=trusting(ROOT, strict)) is None


def test_an_extension_of_an_authority_that_cannot_be_read_is_refused_by_name():
    odd = ROOT.authority(
        others=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.31"), b"\x30\x03abc"), False)]
    )
    outcome = examined(odd.person(), profile=trusting(ROOT, odd)).outcome
    assert (outcome.reason, outcome.detail) == (
        Reason.CERTIFICATE_UNTRUSTED,
        "a CA of the path has an extension that cannot be read",
    )
