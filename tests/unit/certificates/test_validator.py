"""From what was shown to the verdict, with whatever is known of revocation."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates import crl, ocsp, profiles
from authproxy.certificates.explain import CheckOutcome, lines
from authproxy.certificates.ocsp import OcspQuestion, OcspTerms
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import CertificateCheck, Profile, Sunset
from authproxy.certificates.status import Good, RevocationMode, Revoked, UnusableEvidence
from authproxy.certificates.validator import CertificateValidator
from authproxy.certificates.verdict import CertificateRefused, Validated
from tests.support.certificate_builder import NOW, Authority, at, der, person, policies
from tests.support.waiting import PATIENCE

ROOT = Authority.root()
SUB = ROOT.authority()
LEAF = SUB.person(person("Ana Novak", serial="TINSI-99990008"))
SHOWN = Presented(leaf=der(LEAF))


class Lists:
    """Revocation statuses from lists that this test has signed. A certificate without a list cannot be asked
    about."""

    def __init__(self, *lists, issuers=(ROOT, SUB)):
        self._lists = [
            crl.read(each.public_bytes(Encoding.DER), [issuer.certificate for issuer in issuers])
            for each in lists
        ]
        self.asked = []

    async def status(self, subject, *, now, stapled=None):
        self.asked.append((subject.certificate, stapled))
        for each in self._lists:
            try:
                return each.status(subject, now=now, max_stale=timedelta(0))
            except UnusableEvidence:
                continue
        raise CannotAsk(Reason.REVOCATION_UNAVAILABLE, "nobody answers")


def profile(**changes):
    return Profile(
        anchors=(ROOT.certificate,),
        intermediates=(SUB.certificate,),
        accepted_policies=profiles.ACNLB_PERSONS,
        seal_policies=profiles.ACNLB_SEALS,
        **changes,
    )


@pytest.fixture
def validating():
    validators = []

    def make(*lists, **changes):
        validators.append(CertificateValidator(profile(**changes), Lists(*lists)))
        return validators[-1]

    yield make
    for each in validators:
        each.close()


async def test_a_good_certificate_signs_its_holder_in(validating):
    verdict = await validating(SUB.crl(), ROOT.crl()).validate(SHOWN, now=NOW, mode=RevocationMode.HARD)
    assert isinstance(verdict, Validated)
    assert verdict.leaf.known_as == "Ana Novak"
    assert verdict.path == (der(LEAF), der(SUB.certificate), der(ROOT.certificate))
    assert [type(each) for each in verdict.status] == [Good, Good]
    assert (verdict.unchecked, verdict.ends_at, verdict.tax_number) == (None, None, None)


async def test_a_tax_number_counts_only_if_the_profile_says_so(validating):
    verdict = await validating(SUB.crl(), ROOT.crl(), believes_tax_numbers=True).validate(
        SHOWN, now=NOW, mode=RevocationMode.HARD
    )
    assert verdict.tax_number == "99990008"
    assert "99990008" not in repr(verdict)


async def test_people_are_warned_before_the_sunset(validating):
    verdict = await validating(
        SUB.crl(), ROOT.crl(), sunset=Sunset(warn_from=at(-1), stop_at=at(9))
    ).validate(SHOWN, now=NOW, mode=RevocationMode.HARD)
    assert verdict.ends_at == at(9)


@pytest.mark.parametrize("mode", RevocationMode)
async def test_a_revoked_certificate_signs_nobody_in_whatever_the_mode_and_whatever_else_is_unknown(
    validating, mode
):
    for made in ((SUB.crl(LEAF),), (SUB.crl(), ROOT.crl(SUB.certificate)), (ROOT.crl(SUB.certificate),)):
        verdict = await validating(*made).validate(SHOWN, now=NOW, mode=mode)
        assert verdict.reason is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(
    "made",
    [(), (SUB.crl(),), (ROOT.crl(),)],
    ids=["nothing", "nothing about the CA", "nothing about the leaf"],
)
async def test_an_unknown_status_raises_in_mode_hard_and_is_noted_in_mode_alarm(validating, made):
    with pytest.raises(CannotAsk) as raised:
        await validating(*made).validate(SHOWN, now=NOW, mode=RevocationMode.HARD)
    assert raised.value.reason is Reason.REVOCATION_UNAVAILABLE
    verdict = await validating(*made).validate(SHOWN, now=NOW, mode=RevocationMode.ALARM)
    assert (verdict.unchecked, len(verdict.status)) == ("nobody answers", len(made))


async def test_authorities_are_not_checked_if_the_profile_says_so(validating):
    validator = validating(SUB.crl(), checks_intermediates=False)
    assert isinstance(await validator.validate(SHOWN, now=NOW, mode=RevocationMode.HARD), Validated)


async def test_nobody_is_asked_about_a_certificate_without_a_valid_path():
    lists = Lists(SUB.crl(), ROOT.crl())
    validator = CertificateValidator(profile(), lists)
    for leaf in (Authority.root().authority().person(), SUB.person(end=at(-1))):
        assert isinstance(
            await validator.validate(Presented(leaf=der(leaf)), now=NOW, mode=RevocationMode.HARD),
            CertificateRefused,
        )
    assert lists.asked == []
    await validator.validate(SHOWN, now=NOW, mode=RevocationMode.HARD, stapled=b"stapled")
    assert lists.asked == [(LEAF, b"stapled"), (SUB.certificate, None)]
    validator.close()


async def test_an_examination_lists_every_check(validating):
    examination, verdict = await validating(SUB.crl(), ROOT.crl()).examine(
        SHOWN, now=NOW, mode=RevocationMode.HARD
    )
    assert isinstance(verdict, Validated)
    assert {line.outcome for line in lines(examination)} == {CheckOutcome.PASSED}
    examination, verdict = await validating(SUB.crl(LEAF)).examine(SHOWN, now=NOW, mode=RevocationMode.HARD)
    assert verdict.reason is Reason.CERTIFICATE_REVOKED
    assert [line.check for line in lines(examination) if line.outcome is CheckOutcome.FAILED] == [
        CertificateCheck.REVOCATION
    ]
    assert [line.check for line in lines(examination) if line.outcome is CheckOutcome.NOT_REACHED] == [
        CertificateCheck.SECOND_OPINION
    ]


async def test_the_second_opinion_has_a_veto(validating):
    narrow = ROOT.authority("Narrow", policies=policies("1.3.6.1.4.1.7597.1.5.12"))
    shown = Presented(leaf=der(narrow.person()), chain=(der(narrow.certificate),))
    examination, verdict = await validating().examine(shown, now=NOW, mode=RevocationMode.ALARM)
    assert verdict.reason is Reason.CERTIFICATE_UNTRUSTED
    assert lines(examination)[-1].outcome is CheckOutcome.FAILED


async def test_an_accepted_certificate_is_checked_again(validating):
    assert isinstance(await validating(SUB.crl(), ROOT.crl()).recheck(der(LEAF), now=NOW), Good)
    assert isinstance(
        await validating(SUB.crl(), checks_intermediates=False).recheck(der(LEAF), now=NOW), Good
    )
    assert (await validating(SUB.crl(LEAF)).recheck(der(LEAF), now=NOW)).at == at(-2)
    for made in ((), (SUB.crl(),), (ROOT.crl(),)):
        with pytest.raises(CannotAsk):
            await validating(*made).recheck(der(LEAF), now=NOW)
    with pytest.raises(ValueError):
        await validating().recheck(der(Authority.root().authority().person()), now=NOW)


async def test_if_an_authority_is_revoked_its_certificates_are_revoked_too(validating):
    for made in ((SUB.crl(), ROOT.crl(SUB.certificate)), (ROOT.crl(SUB.certificate),)):
        assert isinstance(await validating(*made).recheck(der(LEAF), now=NOW), Revoked)
    assert isinstance(
        await validating(ROOT.crl()).recheck(der(ROOT.person()), now=NOW), Good
    )  # by the anchor itself


async def test_an_authority_that_only_the_browser_sent_is_checked_again_too():
    own = ROOT.authority("Another SubCA")
    leaf = own.person()
    for made, kind in (
        ((own.crl(), ROOT.crl()), Good),
        ((own.crl(leaf), ROOT.crl()), Revoked),
        ((own.crl(), ROOT.crl(own.certificate)), Revoked),
    ):
        validator = CertificateValidator(profile(), Lists(*made, issuers=(ROOT, own)))
        assert isinstance(await validator.recheck(der(leaf), der(own.certificate), now=NOW), kind)
        with pytest.raises(ValueError):
            await validator.recheck(der(leaf), now=NOW)
        validator.close()
    stranger = Authority.root("Elsewhere").authority()
    with pytest.raises(ValueError):
        await CertificateValidator(profile(), Lists()).recheck(
            der(stranger.person()), der(stranger.certificate), now=NOW
        )


async def test_a_failure_of_our_own_is_not_taken_for_an_outage():
    class Broken:
        async def status(self, subject, *, now, stapled=None):
            raise LookupError("a bug")

    validator = CertificateValidator(profile(), Broken())
    with pytest.raises(LookupError):
        await validator.validate(SHOWN, now=NOW, mode=RevocationMode.ALARM)
    validator.close()


async def test_work_that_does_not_end_is_abandoned_and_others_go_on():
    validator = CertificateValidator(profile(), Lists(SUB.crl(), ROOT.crl()), workers=2, seconds=0.2)
    ends = threading.Event()
    with pytest.raises(CannotAsk, match="longer"):
        await validator.computed(ends.wait)
    assert await validator.computed(lambda: "the other thread") == "the other thread"
    ends.set()
    validator.close()


async def test_nobody_waits_for_ever_for_a_free_thread():
    validator = CertificateValidator(profile(), Lists(), workers=1, seconds=0.2, patience=0.2)
    ends = threading.Event()
    for word in ("longer", "no thread"):
        with pytest.raises(CannotAsk, match=word):
            await validator.computed(ends.wait)
    ends.set()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert await validator.computed(lambda: "free again") == "free again"
                break
            except CannotAsk:
                continue
    validator.close()


async def test_two_hundred_at_once_leave_the_loop_free():
    validator = CertificateValidator(profile(), Lists(SUB.crl(), ROOT.crl()), patience=60)
    began = asyncio.get_running_loop().time()
    longest, last, stop = 0.0, began, False

    async def watch():
        nonlocal longest, last
        while not stop:
            await asyncio.sleep(0)
            longest, last = (
                max(longest, asyncio.get_running_loop().time() - last),
                asyncio.get_running_loop().time(),
            )

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        verdicts = await asyncio.gather(
            *(validator.validate(SHOWN, now=NOW, mode=RevocationMode.HARD) for _ in range(200))
        )
        stop = True
    assert {type(verdict) for verdict in verdicts} == {Validated}
    assert longest < (last - began) / 4
    validator.close()


async def test_a_list_that_refers_to_a_delta_list_is_accepted_whatever_its_size(validating):
    """RFC 5280 §5.2.6: delta lists are for those who want them."""
    at_hand = (
        x509.FreshestCRL(
            [
                x509.DistributionPoint(
                    [x509.UniformResourceIdentifier("http://lists.example.si/delta.crl")], None, None, None
                )
            ]
        ),
        False,
    )
    for others in ((), [SUB.person() for _ in range(40)] * 100):
        made = SUB.crl(*others, others=(at_hand,))
        assert isinstance(
            await validating(made, ROOT.crl()).validate(SHOWN, now=NOW, mode=RevocationMode.HARD), Validated
        )


async def test_an_answer_that_names_the_certificate_by_any_usual_hash_is_accepted(validating):
    class Answers:
        async def status(self, subject, *, now, stapled=None):
            issuer = SUB if subject.certificate == LEAF else ROOT
            octets = issuer.answer(subject.certificate, id_hash=hashes.SHA384())
            return ocsp.status(
                octets, OcspQuestion(subject=subject), OcspTerms(max_age=timedelta(hours=8)), now=now
            )

    validator = CertificateValidator(profile(), Answers())
    assert isinstance(await validator.validate(SHOWN, now=NOW, mode=RevocationMode.HARD), Validated)
    validator.close()
