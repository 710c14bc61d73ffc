"""The second examination of a path: what it adds to the first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from authproxy.access.decision import Reason
from authproxy.certificates import profiles
from authproxy.certificates.path_validation import examination
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import Profile
from authproxy.certificates.second_opinion import finish, opinion
from authproxy.certificates.status import Good, Source
from tests.support.certificate_builder import NOW, PERSON, Authority, at, der, lists_at, partition, policies, responder_at

ROOT = Authority.root()
SUB = ROOT.authority()
URL = "http://lists.example.si/1.crl"
LEAF = SUB.person(lists=lists_at(URL), responder=responder_at("http://ocsp.example.si/"))


def path_of(leaf=LEAF, sub=SUB, root=ROOT, **changes):
    profile = Profile(**{"anchors": (root.certificate,), "intermediates": (sub.certificate,), "accepted_policies": profiles.ACNLB_PERSONS, **changes})
    found = examination(Presented(leaf=der(leaf)), profile, now=NOW)
    return found.outcome, profile


def by_list(made, *, is_stale=False):
    return Good(source=Source.CRL, this_update=NOW, next_update=at(1), is_stale=is_stale, evidence=made.public_bytes(Encoding.DER))


def by_answer(octets, source=Source.OCSP):
    return Good(source=source, this_update=NOW, next_update=at(1), evidence=octets)


def seen(*status, leaf=LEAF, **changes):
    path, profile = path_of(leaf, **changes)
    refused = opinion(path, status, profile, now=NOW)
    return refused and refused.reason


ABOVE = by_list(ROOT.crl())


@pytest.mark.parametrize(
    "status",
    [
        (by_list(SUB.crl()), ABOVE),
        (by_list(SUB.crl(point=partition(x509.UniformResourceIdentifier(URL)))), ABOVE),
        (by_answer(SUB.answer(LEAF)), ABOVE),
        (by_answer(SUB.responder().answer(LEAF, issuer=SUB)), ABOVE),
        (by_answer(SUB.answer(LEAF), Source.STAPLED), ABOVE),
        (by_answer(SUB.answer(LEAF, this_update=at(seconds=50))), ABOVE),
        (by_list(SUB.crl(next_update=at(seconds=-1)), is_stale=True), ABOVE),
        (by_list(SUB.crl()),),
        (None, None),
        (by_list(SUB.crl()), None),
    ],
    ids=["list", "partition", "answer", "delegated", "stapled", "a minute ahead", "stale", "the CA is not asked about", "nothing known", "leaf only"],
)
def test_what_the_first_examination_found_good_is_good(status):
    assert seen(*status) is None


@pytest.mark.parametrize(
    "status",
    [
        (by_list(SUB.crl(LEAF)), ABOVE),
        (by_answer(SUB.answer(LEAF, status=ocsp.OCSPCertStatus.REVOKED)), ABOVE),
        (by_list(SUB.crl()), by_list(ROOT.crl(SUB.certificate))),
    ],
    ids=["by list", "by answer", "the CA"],
)
def test_what_the_first_examination_overlooked_is_revoked(status):
    assert seen(*status) is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(
    "status",
    [
        (by_list(ROOT.crl()), ABOVE),
        (by_list(SUB.crl(next_update=at(seconds=-1))), ABOVE),
        (by_answer(SUB.answer(SUB.person())), ABOVE),
        (by_list(SUB.crl()), by_list(SUB.crl())),
        (by_list(SUB.crl(point=partition(x509.UniformResourceIdentifier("http://lists.example.si/2.crl")))), ABOVE),
    ],
    ids=["another issuer's list", "a list out of date", "an answer about somebody else", "nothing about the CA", "another partition"],
)
def test_evidence_that_does_not_hold_is_refused(status):
    assert seen(*status) is Reason.CERTIFICATE_UNTRUSTED


def test_a_responder_that_the_certificate_does_not_name_is_taken_from_the_first_examination():
    leaf = SUB.person()
    assert seen(by_answer(SUB.answer(leaf)), ABOVE, leaf=leaf) is None


def test_a_large_list_is_taken_from_the_first_examination():
    many = [SUB.person() for _ in range(3)]
    made = SUB.crl(*many * 1500)
    assert len(made.public_bytes(Encoding.DER)) > 128 * 1024
    started = time.monotonic()
    assert seen(by_list(made), ABOVE) is None
    assert time.monotonic() - started < 1


def test_an_authority_that_does_not_allow_the_policy_is_refused():
    narrow = ROOT.authority("Narrow", policies=policies("1.3.6.1.4.1.7597.1.5.12"))
    leaf = narrow.person(policies=policies(PERSON))
    assert seen(None, None, leaf=leaf, sub=narrow) is Reason.CERTIFICATE_UNTRUSTED
    assert seen(None, None, leaf=leaf, sub=narrow, accepted_policies=frozenset()) is None


def test_whatever_makes_the_library_fail_is_refused():
    broken = Good(source=Source.CRL, this_update=NOW, next_update=at(1), evidence=b"\x30\x03garbage")
    assert seen(broken, ABOVE) is Reason.CERTIFICATE_UNTRUSTED


def test_an_examination_that_waits_for_something_is_none():
    async def waiting():
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError):
        finish(waiting())


def test_time_has_no_tolerance():
    path, profile = path_of(SUB.person(end=at(1)))
    assert opinion(path, (None, None), profile, now=at(1)) is None
    assert opinion(path, (None, None), profile, now=at(1) + timedelta(seconds=1)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_the_library_for_roots_of_the_system_is_never_loaded():
    # It fails to load beside the OpenSSL of Debian 12, and would trust the system's roots.
    program = "import sys, authproxy.certificates.second_opinion; sys.exit('oscrypto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert seen(by_list(SUB.crl()), ABOVE) is None
    assert "oscrypto" not in sys.modules


def test_nothing_is_said_to_logs_about_holders(caplog):
    seen(by_list(SUB.crl(LEAF)), ABOVE)
    assert caplog.text == ""
