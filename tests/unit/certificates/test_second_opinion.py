"""The second examination of a path: what it adds to the first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.access.decision import Reason
from authproxy.certificates import profiles
from authproxy.certificates.leaf import read
from authproxy.certificates.path_validation import CertificatePath, examination
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import Profile
from authproxy.certificates.second_opinion import finish, openssl_refusal, opinion
from tests.support.certificate_builder import ABSENT, NOW, PERSON, Authority, at, der, name, policies

ROOT = Authority.root()
SUB = ROOT.authority()
LEAF = SUB.person()


def path_of(leaf=LEAF, sub=SUB, root=ROOT, **changes):
    profile = Profile(
        **{
            "anchors": (root.certificate,),
            "intermediates": (sub.certificate,),
            "accepted_policies": profiles.ACNLB_PERSONS,
            **changes,
        }
    )
    found = examination(Presented(leaf=der(leaf)), profile, now=NOW)
    return found.outcome, profile


def seen(*, leaf=LEAF, **changes):
    path, profile = path_of(leaf, **changes)
    refused = opinion(path, profile, now=NOW)
    return refused and refused.detail


def held_to_be(*certificates):
    """A path as the first examination might return it if it overlooked something."""
    return CertificatePath(leaf=read(certificates[0]), certificates=certificates)


def test_the_second_examination_accepts_a_valid_path():
    assert seen() is None


def test_only_the_authorities_of_the_settings_are_kept_between_two_examinations():
    path, profile = path_of(intermediates=(SUB.certificate,))
    known = {}

    assert [opinion(path, profile, now=NOW, known=known) for _ in range(2)] == [None, None]
    assert set(known) == {der(SUB.certificate), der(ROOT.certificate)}
    # The same path, where a browser has sent the authority that the settings no longer name.
    known.clear()
    assert opinion(path, replace(profile, intermediates=()), now=NOW, known=known) is None
    assert set(known) == {der(ROOT.certificate)}


def test_what_is_kept_of_authorities_lets_nothing_pass_that_is_refused_without():
    good, profile = path_of()
    known = {}
    assert opinion(good, profile, now=NOW, known=known) is None
    forged = held_to_be(Authority.root().authority().person(), SUB.certificate, ROOT.certificate)

    assert opinion(forged, profile, now=NOW, known=known) is not None
    assert (
        opinion(good, profile, now=SUB.certificate.not_valid_after_utc + timedelta(1), known=known)
        is not None
    )
    stricter = replace(profile, accepted_policies=frozenset({"1.2.3"}))
    assert opinion(good, stricter, now=NOW, known=known) is not None
    assert opinion(good, profile, now=NOW, known=known) is None


def test_an_anchor_is_trusted_even_if_another_authority_has_signed_it():
    assert seen(root=SUB, intermediates=()) is None


def test_a_certificate_without_authority_key_identifier_or_for_any_usage_is_accepted():
    assert seen(leaf=SUB.person(aki=ABSENT)) is None
    assert (
        seen(leaf=SUB.person(usages=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])))
        is None
    )


@pytest.mark.parametrize(
    "now",
    [LEAF.not_valid_before_utc, LEAF.not_valid_after_utc + timedelta(microseconds=999_999)],
    ids=["first", "last"],
)
def test_a_certificate_is_valid_from_its_first_second_to_its_last(now):
    path, profile = path_of()
    assert opinion(path, profile, now=now) is None


def test_the_second_examination_refuses_what_the_first_one_overlooked():
    stranger = ROOT.authority()
    path = held_to_be(LEAF, stranger.certificate, ROOT.certificate)
    refused = opinion(path, path_of()[1], now=NOW)
    assert (refused.reason, refused.detail) == (
        Reason.CERTIFICATE_UNTRUSTED,
        "the second examination refuses the path: PathValidationError",
    )


def test_a_fault_that_only_openssl_finds_is_refused_by_name():
    """It reads a host's name in a common name where no alternative name is one, and applies constraints to
    it."""
    inside = ROOT.authority(
        names=x509.NameConstraints(
            permitted_subtrees=[x509.DNSName("bank.example.si")], excluded_subtrees=None
        )
    )
    leaf = inside.person(name("ana.example.com"))
    assert (
        seen(leaf=leaf, sub=inside)
        == "OpenSSL refuses the path: permitted subtree violation (code 47, certificate 0 of the path)"
    )
    assert seen(leaf=inside.person(), sub=inside) is None


def test_an_authority_that_does_not_allow_the_policy_is_refused():
    narrow = ROOT.authority("Narrow", policies=policies("1.3.6.1.4.1.7597.1.5.12"))
    leaf = narrow.person(policies=policies(PERSON))
    assert seen(leaf=leaf, sub=narrow) == "the second examination refuses the path: PathValidationError"
    assert seen(leaf=leaf, sub=narrow, accepted_policies=frozenset()) is None


def test_demands_of_an_authority_on_policies_below_it_are_applied():
    refusal = "the second examination refuses the path: PathValidationError"
    demanding = ROOT.authority("Demanding", others=[(x509.PolicyConstraints(0, None), True)])
    assert seen(leaf=demanding.person(), sub=demanding, accepted_policies=frozenset()) is None
    assert (
        seen(leaf=demanding.person(policies=ABSENT), sub=demanding, accepted_policies=frozenset()) == refusal
    )
    precise = ROOT.authority(
        "Precise", pathlen=None, policies=policies(PERSON), others=[(x509.InhibitAnyPolicy(0), True)]
    )
    for stated, said in ((policies(PERSON), None), (policies("2.5.29.32.0"), refusal)):
        below = precise.authority("Below", policies=stated)
        assert seen(leaf=below.person(), intermediates=(precise.certificate, below.certificate)) == said


def test_a_path_that_the_library_fails_on_is_refused_by_name():
    other = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03ana")
    odd = ROOT.authority(names=x509.NameConstraints(permitted_subtrees=[other], excluded_subtrees=None))
    refused = opinion(held_to_be(odd.person(), odd.certificate, ROOT.certificate), path_of()[1], now=NOW)
    assert refused.detail == "the second examination cannot judge the path: TypeError"


def test_a_path_that_openssl_cannot_read_is_refused_by_name():
    stated = asn1.Certificate.load(der(SUB.person(name("Zigb"))))
    # Bytes that are declared as UTF-8 and are not.
    signed = stated["tbs_certificate"].dump().replace(b"Zigb", b"\xff\xfe\xfdb")
    stated["tbs_certificate"] = asn1.TbsCertificate.load(signed)
    stated["signature_value"] = SUB.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    path, profile = path_of(x509.load_der_x509_certificate(stated.dump()))
    assert openssl_refusal(path).detail == "OpenSSL cannot judge the path"
    assert opinion(path, profile, now=NOW).reason is Reason.CERTIFICATE_UNTRUSTED


def test_an_examination_that_waits_for_something_is_an_error():
    async def waiting():
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError):
        finish(waiting())


def test_time_has_no_tolerance():
    path, profile = path_of(SUB.person(end=at(1)))
    assert opinion(path, profile, now=at(1)) is None
    assert opinion(path, profile, now=at(1) + timedelta(seconds=1)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_the_library_for_roots_of_the_system_is_never_loaded():
    # It fails to load beside the OpenSSL of Debian 12, and would trust the system's roots.
    program = "import sys, authproxy.certificates.second_opinion; sys.exit('oscrypto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert seen() is None
    assert "oscrypto" not in sys.modules


def test_logs_contain_nothing_about_holders(caplog):
    opinion(held_to_be(LEAF, ROOT.authority().certificate, ROOT.certificate), path_of()[1], now=NOW)
    assert caplog.text == ""
