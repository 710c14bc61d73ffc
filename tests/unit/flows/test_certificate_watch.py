"""Looking after the certificates on which sessions rest: one that cannot be looked at does not keep the others from it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.status import Good, Revoked, Source
from authproxy.flows.certificate_watch import CertificateWatch
from authproxy.flows.shown_certificate import certificate_key
from tests.support.log_lines import log_lines

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclasses.dataclass(frozen=True)
class Summary:
    session_id: str
    certificates: tuple[str, ...]
    method: str = "acnlb"
    provider_session: str | None = None


class Sessions:
    def __init__(self, *fingerprints: str, fails_for: str = "") -> None:
        self._summaries = [Summary(f"session of {each}", (each,)) for each in fingerprints]
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


class Kept:
    async def get(self, key):
        return key.encode()


class Validator:
    """What it says of a leaf is the test's; an exception is raised."""

    def __init__(self, **said: object) -> None:
        self._said = {certificate_key(fingerprint).encode(): outcome for fingerprint, outcome in said.items()}

    async def recheck(self, leaf, *, now):
        outcome = self._said[leaf]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


GOOD = Good(source=Source.CRL, this_update=NOW, next_update=NOW, is_stale=False, evidence=b"")
REVOKED = Revoked(source=Source.CRL, at=NOW, reason="keyCompromise")


@pytest.mark.parametrize("fault", [TypeError("otherName"), AttributeError("CertID"), CannotAsk(Reason.REVOCATION_UNAVAILABLE, "away")])
async def test_a_certificate_that_cannot_be_looked_at_is_unknown_and_the_others_are_looked_at(fault):
    sessions = Sessions("odd", "fine", "revoked")
    watch = CertificateWatch(sessions=sessions, kept=Kept(), validator=Validator(odd=fault, fine=GOOD, revoked=REVOKED))
    with log_lines():
        looked = await watch.look(now=NOW)
    assert (looked.unknown, looked.good, [each.session_id for each in looked.ended]) == (1, 1, ["session of revoked"])
    assert sessions.revoked == ["session of revoked"]
    assert watch.unknown == 1


async def test_what_has_been_ended_is_told_although_the_store_goes_away_meanwhile():
    sessions = Sessions("first", "second", fails_for="session of second")
    watch = CertificateWatch(sessions=sessions, kept=Kept(), validator=Validator(first=REVOKED, second=REVOKED))
    looked = await watch.look(now=NOW)
    assert ([each.session_id for each in looked.ended], looked.unknown) == (["session of first"], 1)
