"""Whether a certificate is revoked (RFC 5280 §6.3, RFC 6960). It looks at stored lists first, then asks by
OCSP, then fetches lists.

One credible "revoked" decides. "Good" needs one credible source. If no source can tell, CannotAsk is raised;
that never counts as "good".
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates import ocsp, profiles
from authproxy.certificates.addresses import SourceAddress, SourceAddresses
from authproxy.certificates.fetching import Fetcher, FetchLimits, NoAnswer
from authproxy.certificates.lists import KeptList, RevocationLists, RevocationStore
from authproxy.certificates.ocsp import OcspQuestion, OcspTerms
from authproxy.certificates.pauses import Pauses
from authproxy.certificates.status import Good, IssuedCertificate, Revoked, StatusSource, UnusableEvidence

_OCSP_OCTETS = 64 * 1024
_LOOK_EVERY = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRules:
    """How revocation is checked. Sizes are in bytes."""

    addresses: SourceAddresses
    ocsp_timeout: timedelta = timedelta(seconds=4)
    ocsp_fresh_for: timedelta = timedelta(minutes=5)
    """While an answer is younger than this, the responder is not asked again."""
    ocsp_max_age: timedelta = timedelta(hours=8)
    """How long an answer is used after its `thisUpdate` while the responder is down; never after its
    `nextUpdate`."""
    ocsp_requires_nonce: bool = False
    answers_at_most: int = 10_000
    """How many answers are kept; the oldest one is dropped first."""
    list_timeout: timedelta = timedelta(seconds=20)
    largest_list: int = 8 * 1024 * 1024
    refresh_every: timedelta = timedelta(hours=1)
    max_stale: timedelta = timedelta(0)
    """How long a list is used after its `nextUpdate` while no newer one is available."""

    patience: timedelta = timedelta(seconds=10)
    """How long the whole check of one certificate may take."""

    @property
    def terms(self) -> OcspTerms:
        return OcspTerms(max_age=self.ocsp_max_age, requires_nonce=self.ocsp_requires_nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What is known about one source without asking it. `failure` is why the last question failed, without
    secrets."""

    source: StatusSource
    address: str
    answered_at: datetime | None
    this_update: datetime | None = None
    next_update: datetime | None = None
    failure: str | None = None
    is_usable: bool
    """Whether the source can answer now: a list that is current (or within `max_stale`), or a responder whose
    last answer was usable."""


@dataclass(slots=True, kw_only=True)
class _Responder:
    answered_at: datetime | None = None
    failure: str | None = None
    pauses: Pauses = field(default_factory=Pauses)
    probe: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """After a failure one question is sent and the others wait for its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptAnswer:
    octets: bytes = field(repr=False)
    asked_at: datetime


class RevocationSources:
    """The lists and responders of some authorities. The lists about the `authorities` themselves are kept
    from the start.

    `clock` gives the time of an answer, which is later than that of the question. `random_bytes(n)` returns n
    random bytes.
    """

    def __init__(
        self,
        rules: RevocationRules,
        fetcher: Fetcher,
        store: RevocationStore,
        *,
        authorities: Sequence[x509.Certificate],
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._rules = rules
        self._fetcher = fetcher
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes
        self._lists = RevocationLists(
            fetcher,
            store,
            FetchLimits(timeout=rules.list_timeout, octets=rules.largest_list),
            refresh_every=rules.refresh_every,
            max_stale=rules.max_stale,
            jitter=self._jitter,
            clock=clock,
        )
        self._answers: OrderedDict[tuple[bytes, int], _KeptAnswer] = OrderedDict()
        self._responders: dict[str, _Responder] = {}
        self.nobody_to_ask_at: datetime | None = None
        """When a certificate was last shown for which no list and no responder may be asked."""
        self._named_lists = self._keep_own_lists(tuple(authorities))

    async def run(self) -> None:
        """Refreshes the lists in advance, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(_LOOK_EVERY)

    async def refresh(self) -> None:
        """Fetches the lists that are due. Never raises CannotAsk; `freshness` shows failures."""
        await self._lists.refresh(now=self._clock())

    async def status(
        self, subject: IssuedCertificate, *, now: datetime, stapled: bytes | None = None
    ) -> Good | Revoked:
        """The status of a certificate whose path has been validated. (Only then may the addresses that it
        names be asked.)

        Raises CannotAsk if no source gives a credible answer.
        """
        problems: list[str] = []
        try:
            async with asyncio.timeout(self._rules.patience.total_seconds()):
                outcome = await self._determine(subject, now, stapled, problems)
        except TimeoutError:
            outcome = None
            problems.append(f"nothing found out within {self._rules.patience.total_seconds():g} s")
        if outcome is None:
            raise CannotAsk(
                Reason.REVOCATION_UNAVAILABLE, "; ".join(problems) or self._nobody_to_ask(subject, now)
            )
        return outcome

    def _nobody_to_ask(self, subject: IssuedCertificate, now: datetime) -> str:
        if self._rules.addresses.has_any(subject.certificate):
            return "nobody has answered"
        self.nobody_to_ask_at = now
        named = ", ".join(self._rules.addresses.stated_in(subject.certificate)[:3]) or "none"
        return f"no list and no responder may be asked (addresses in the certificate: {named})"

    def freshness(self, now: datetime) -> tuple[Freshness, ...]:
        """What is known about every list and responder, for readiness and metrics."""
        lists = (
            Freshness(
                source=StatusSource.CRL,
                address=kept_list.address.url,
                answered_at=kept_list.fetched_at,
                this_update=kept_list.list.this_update if kept_list.list else None,
                next_update=kept_list.list.next_update if kept_list.list else None,
                failure=kept_list.failure,
                is_usable=kept_list.list is not None
                and now <= kept_list.list.next_update + self._rules.max_stale,
            )
            for kept_list in self._lists.all
        )
        responders = (
            Freshness(
                source=StatusSource.OCSP,
                address=url,
                answered_at=responder.answered_at,
                failure=responder.failure,
                is_usable=responder.failure is None,
            )
            for url, responder in self._responders.items()
        )
        return (*lists, *responders)

    def _keep_own_lists(self, authorities: tuple[x509.Certificate, ...]) -> list[KeptList]:
        """Keeps the lists that the operator configured and those about the authorities themselves. Returns
        the former."""
        now = self._clock()
        for authority in authorities:
            for issuer in authorities:
                if issuer != authority and profiles.issued(issuer, authority):
                    self._lists.keep(self._rules.addresses.lists(authority), (issuer,), now=now)
        return self._lists.keep(self._rules.addresses.named_lists, authorities, now=now)

    async def _determine(
        self, subject: IssuedCertificate, now: datetime, stapled: bytes | None, problems: list[str]
    ) -> Good | Revoked | None:
        lists = [
            *self._lists.keep(self._rules.addresses.lists(subject.certificate), (subject.issuer,), now=now),
            *self._named_lists,
        ]
        question = OcspQuestion(subject=subject, nonce=self._random_bytes(ocsp.NONCE_OCTETS))
        return (
            self._revoked_by_a_list(lists, subject, now)
            or self._stapled_status(stapled, subject, now, problems)
            or await self._recent_answer(subject, now)
            or await self._ask_responders(question, problems)
            or await self._ask_lists(lists, subject, now, problems)
            or self._last_answer(subject, now)
        )

    def _revoked_by_a_list(
        self, lists: list[KeptList], subject: IssuedCertificate, now: datetime
    ) -> Revoked | None:
        """The revocation in a stored list that names the certificate. It outweighs every source that says
        "good"."""
        for kept_list in lists:
            for stated in filter(None, (kept_list.list, kept_list.partial)):
                with suppress(UnusableEvidence):
                    status = stated.status(subject, now=now, max_stale=self._rules.max_stale)
                    if isinstance(status, Revoked):
                        return status
        return None

    def _stapled_status(
        self, stapled: bytes | None, subject: IssuedCertificate, now: datetime, problems: list[str]
    ) -> Good | Revoked | None:
        if stapled is None:
            return None
        try:
            return ocsp.status(
                stapled,
                OcspQuestion(subject=subject),
                self._rules.terms,
                now=now,
                source=StatusSource.STAPLED,
            )
        except UnusableEvidence as unusable:
            problems.append(f"stapled: {unusable}")
            return None

    async def _recent_answer(self, subject: IssuedCertificate, now: datetime) -> Good | Revoked | None:
        """An answer, of this instance or another, that is too recent to ask again."""
        if (known := self._answers.get(_identity(subject))) is None:
            known = await self._shared_answer(subject, now)
        is_young = known is not None and timedelta(0) <= now - known.asked_at < self._rules.ocsp_fresh_for
        return self._last_answer(subject, now) if is_young else None

    async def _shared_answer(self, subject: IssuedCertificate, now: datetime) -> _KeptAnswer | None:
        with suppress(CannotAsk, UnusableEvidence):
            octets = await self._store.get(_key(subject))
            if octets is not None:
                status = ocsp.status(octets, OcspQuestion(subject=subject), self._rules.terms, now=now)
                # The store does not say when the answer was fetched, so its own time is used. After a
                # revocation the responder is asked again at once.
                return self._remember(
                    subject,
                    octets,
                    status.this_update if isinstance(status, Good) else now - self._rules.ocsp_fresh_for,
                )
        return None

    def _last_answer(self, subject: IssuedCertificate, now: datetime) -> Good | Revoked | None:
        """The last answer while it is still credible."""
        if (known := self._answers.get(_identity(subject))) is None:
            return None
        with suppress(UnusableEvidence):
            return ocsp.status(known.octets, OcspQuestion(subject=subject), self._rules.terms, now=now)
        return None

    async def _ask_responders(self, question: OcspQuestion, problems: list[str]) -> Good | Revoked | None:
        for address in self._rules.addresses.responders(question.subject.certificate):
            responder = self._responders.setdefault(address.url, _Responder())
            try:
                return await self._ask_in_turn(address, responder, question)
            except (NoAnswer, UnusableEvidence) as failure:
                problems.append(f"OCSP: {failure}")
        return None

    async def _ask_in_turn(
        self, address: SourceAddress, responder: _Responder, question: OcspQuestion
    ) -> Good | Revoked:
        """A responder that works is asked by everybody at once. After a failure it rests, and then is asked
        by one caller at a time until it answers."""
        if not responder.pauses.in_a_row:
            return await self._ask(address, responder, question)
        async with responder.probe:
            if responder.pauses.is_resting(self._clock()):
                raise NoAnswer(f"{responder.failure}, a moment ago")
            if responder.pauses.in_a_row:
                return await self._ask(address, responder, question)
        return await self._ask(address, responder, question)

    async def _ask(
        self, address: SourceAddress, responder: _Responder, question: OcspQuestion
    ) -> Good | Revoked:
        limits = FetchLimits(timeout=self._rules.ocsp_timeout, octets=_OCSP_OCTETS)
        asked_at = self._clock()
        try:
            octets = await self._fetcher.fetched(address, limits, question=question.octets())
        except NoAnswer as failure:
            responder.pauses.failed(asked_at=asked_at, now=self._clock())
            responder.failure = str(failure)
            raise
        now = self._clock()
        responder.answered_at = now
        responder.pauses.answered()
        try:
            status = ocsp.status(octets, question, self._rules.terms, now=now)
        except UnusableEvidence as failure:
            responder.failure = str(failure)
            raise
        responder.failure = None
        self._remember(question.subject, octets, now)
        with suppress(CannotAsk):
            # A "revoked" must replace an older "good" that other instances might read.
            await self._store.put(_key(question.subject), octets, self._lives_for(status, now))
        return status

    async def _ask_lists(
        self, lists: list[KeptList], subject: IssuedCertificate, now: datetime, problems: list[str]
    ) -> Good | Revoked | None:
        for kept_list in lists:
            current = await self._lists.current(kept_list, now=now)
            if (revoked := self._revoked_by_a_list([kept_list], subject, now)) is not None:
                return revoked
            try:
                if current is not None:
                    return current.status(subject, now=now, max_stale=self._rules.max_stale)
                problems.append(f"CRL: {kept_list.failure}")
            except UnusableEvidence as failure:
                problems.append(f"CRL: {failure}" + (f" ({kept_list.failure})" if kept_list.failure else ""))
        return None

    def _remember(self, subject: IssuedCertificate, octets: bytes, asked_at: datetime) -> _KeptAnswer:
        answer = self._answers[_identity(subject)] = _KeptAnswer(octets=octets, asked_at=asked_at)
        self._answers.move_to_end(_identity(subject))
        if len(self._answers) > self._rules.answers_at_most:
            self._answers.popitem(last=False)
        return answer

    def _lives_for(self, status: Good | Revoked, now: datetime) -> timedelta:
        if isinstance(status, Revoked):
            return self._rules.ocsp_max_age
        ends_at = min(filter(None, (status.this_update + self._rules.ocsp_max_age, status.next_update)))
        return max(ends_at - now, timedelta(seconds=1))

    def _jitter(self) -> float:
        return int.from_bytes(self._random_bytes(2)) / 0xFFFF


def _identity(subject: IssuedCertificate) -> tuple[bytes, int]:
    return subject.issuer.fingerprint(hashes.SHA256()), subject.certificate.serial_number


def _key(subject: IssuedCertificate) -> str:
    issuer, serial = _identity(subject)
    return f"ocsp:{hashlib.sha256(issuer + serial.to_bytes(20)).hexdigest()[:40]}"
