"""The watch over certificates on which sessions rest: one that cannot be asked about does not keep the others
from being asked about."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.status import Good, Revoked, StatusSource
from authproxy.flows.ending.certificate_watch import CertificateWatch
from authproxy.flows.sign_in.kept_certificates import KeptCertificates
from authproxy.flows.sign_in.shown_certificate import ShownCertificate
from authproxy.storage.memory import MemorySharedOctets
from tests.support.log_lines import log_lines

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclasses.dataclass(frozen=True)
class Summary:
    session_id: str
    certificates: tuple[str, ...]
    method: str = "acnlb"
    provider_session: str | None = None


class Sessions:
    def __init__(self, *found: str | Summary, fails_for: str = "") -> None:
        self._summaries = [
            each if isinstance(each, Summary) else Summary(f"session of {each}", (each,)) for each in found
        ]
        self._fails_for = fails_for
        self.revoked: list[str] = []

    async def all_summaries(self, *, now):
        assert now == NOW
        for each in self._summaries:
            yield each

    async def revoke_all(self, session_ids):
        if self._fails_for in session_ids:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")
        self.revoked += session_ids
        return frozenset(session_ids)


class Certificates:
    """All are kept but one."""

    def __init__(self, *, lacks: str = "") -> None:
        self._lacks = lacks

    async def watched(self, fingerprint):
        return () if fingerprint == self._lacks else (fingerprint.encode(),)


class Validator:
    """Answers what the test wants for each leaf, or raises it if it is an exception."""

    def __init__(self, **said: object) -> None:
        self._said = {fingerprint.encode(): outcome for fingerprint, outcome in said.items()}

    async def recheck(self, leaf, *above, now):
        self.above = above
        outcome = self._said[leaf]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


GOOD = Good(source=StatusSource.CRL, this_update=NOW, next_update=NOW, is_stale=False, evidence=b"")
REVOKED = Revoked(source=StatusSource.CRL, at=NOW, reason="keyCompromise")


@pytest.mark.parametrize(
    "fault",
    [TypeError("otherName"), AttributeError("CertID"), CannotAsk(Reason.REVOCATION_UNAVAILABLE, "away")],
)
async def test_a_certificate_that_cannot_be_looked_at_is_unknown_and_the_others_are_looked_at(fault):
    sessions = Sessions("odd", "fine", "revoked")
    watch = CertificateWatch(
        sessions=sessions,
        certificates=Certificates(),
        validator=Validator(odd=fault, fine=GOOD, revoked=REVOKED),
    )
    with log_lines() as log:
        looked = await watch.look(now=NOW)
    assert ("certificates.look_failed" in log.getvalue()) is not isinstance(fault, CannotAsk)
    assert (looked.unknown, looked.good, [each.session_id for each in looked.ended]) == (
        1,
        1,
        ["session of revoked"],
    )
    assert sessions.revoked == ["session of revoked"]
    assert watch.unknown == 1


async def test_the_authorities_that_were_above_the_certificate_are_asked_about_too():
    kept, validator = KeptCertificates(MemorySharedOctets(clock=lambda: NOW)), Validator(ana=GOOD)
    shown = ShownCertificate(
        shown_at=NOW,
        fingerprint="ana",
        issuer="CN=CA",
        serial=1,
        tax_number=None,
        not_after=NOW,
        leaf=b"ana",
        above=(b"2", b"1"),
    )
    await kept.keep_watched(shown, timedelta(hours=1))
    looked = await CertificateWatch(sessions=Sessions("ana"), certificates=kept, validator=validator).look(
        now=NOW
    )
    assert (looked.good, validator.above) == (1, (b"2", b"1"))


async def test_what_has_been_ended_is_told_although_the_store_goes_away_meanwhile():
    sessions = Sessions("first", "second", fails_for="session of second")
    watch = CertificateWatch(
        sessions=sessions, certificates=Certificates(), validator=Validator(first=REVOKED, second=REVOKED)
    )
    looked = await watch.look(now=NOW)
    assert ([each.session_id for each in looked.ended], looked.unknown) == (["session of first"], 1)


@pytest.mark.parametrize(
    "watch",
    [{"lacks": "gone"}, {"gone": ValueError("no authority of ours has issued it")}],
    ids=["lost", "of no authority any more"],
)
async def test_a_session_whose_certificate_nobody_can_ask_about_any_more_ends(watch):
    sessions = Sessions("gone", "fine")
    looked = await CertificateWatch(
        sessions=sessions,
        certificates=Certificates(lacks=watch.get("lacks", "")),
        validator=Validator(fine=GOOD, gone=watch.get("gone", GOOD)),
    ).look(now=NOW)
    assert (sessions.revoked, looked.good, looked.unknown) == (["session of gone"], 1, 0)


async def test_a_session_of_an_earlier_version_is_watched_by_the_certificate_that_signed_it_in():
    earlier = Summary("earlier", (), provider_session="revoked")
    others = (
        Summary("at the provider", (), method="rekono", provider_session="revoked"),
        Summary("older still", ()),
    )
    sessions = Sessions(earlier, *others)
    looked = await CertificateWatch(
        sessions=sessions, certificates=Certificates(), validator=Validator(revoked=REVOKED)
    ).look(now=NOW)
    assert (sessions.revoked, looked.ended, looked.good) == (["earlier"], (earlier,), 0)
