"""Whether a certificate is revoked (RFC 5280 §6.3, RFC 6960): what the lists at hand say, then OCSP, then
lists asked for on the spot.

Whatever says "revoked" and may be believed decides; "good" needs one voice. If nobody can say, that is
CannotAsk, never "good".
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
    """How revocation is found out. Spans of time; sizes in octets."""

    addresses: SourceAddresses
    ocsp_timeout: timedelta = timedelta(seconds=4)
    ocsp_fresh_for: timedelta = timedelta(minutes=5)
    """An answer younger than this is not asked for again."""
    ocsp_max_age: timedelta = timedelta(hours=8)
    """How long an answer does, from its `thisUpdate`, while the responder is away; never beyond its
    `nextUpdate`."""
    ocsp_requires_nonce: bool = False
    answers_at_most: int = 10_000
    """How many are kept; the one that came first goes first."""
    list_timeout: timedelta = timedelta(seconds=20)
    list_octets: int = 8 * 1024 * 1024
    refresh_every: timedelta = timedelta(hours=1)
    max_stale: timedelta = timedelta(0)
    """How long a list does after its `nextUpdate`, while no newer one can be had."""

    patience: timedelta = timedelta(seconds=10)
    """How long one question about one certificate may take altogether."""

    @property
    def terms(self) -> OcspTerms:
        return OcspTerms(max_age=self.ocsp_max_age, requires_nonce=self.ocsp_requires_nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What is known of one source, without asking it. `failure` is why the last question failed, free of
    secrets."""

    source: StatusSource
    address: str
    answered_at: datetime | None
    this_update: datetime | None = None
    next_update: datetime | None = None
    failure: str | None = None
    is_usable: bool
    """Whether it can answer now: a list that is in date (or within `max_stale`), a responder whose last
    answer did not fail."""


@dataclass(slots=True, kw_only=True)
class _Responder:
    answered_at: datetime | None = None
    failure: str | None = None
    pauses: Pauses = field(default_factory=Pauses)
    probe: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """After a failure one question goes ahead, and the others wait for how it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptAnswer:
    octets: bytes = field(repr=False)
    asked_at: datetime


class RevocationSources:
    """The lists and responders of some authorities. `authorities` are the CAs whose own revocation lists are
    kept from the start.

    `clock` gives the time of an answer, which is later than that of the question. `random_bytes(n)`
    returns n random octets.
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
            FetchLimits(timeout=rules.list_timeout, octets=rules.list_octets),
            refresh_every=rules.refresh_every,
            max_stale=rules.max_stale,
            jitter=self._jitter,
            clock=clock,
        )
        self._answers: OrderedDict[tuple[bytes, int], _KeptAnswer] = OrderedDict()
        self._responders: dict[str, _Responder] = {}
        self.nobody_to_ask_at: datetime | None = None
        """When somebody last showed a certificate about which no list and no responder may be asked."""
        self._named_lists = self._keep_own_lists(tuple(authorities))

    async def run(self) -> None:
        """Keeps the lists ahead of need, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(_LOOK_EVERY)

    async def refresh(self) -> None:
        """Asks for the lists that are due now. Never raises CannotAsk: `freshness` tells."""
        await self._lists.refresh(now=self._clock())

    async def status(
        self, subject: IssuedCertificate, *, now: datetime, stapled: bytes | None = None
    ) -> Good | Revoked:
        """What is said of the certificate, whose path has been validated: only then may its addresses be
        asked.

        Raises CannotAsk if nobody says anything that may be believed.
        """
        said: list[str] = []
        try:
            async with asyncio.timeout(self._rules.patience.total_seconds()):
                found = await self._found(subject, now, stapled, said)
        except TimeoutError:
            found = None
            said.append(f"nothing found out within {self._rules.patience.total_seconds():g} s")
        if found is None:
            raise CannotAsk(
                Reason.REVOCATION_UNAVAILABLE, "; ".join(said) or self._nobody_to_ask(subject, now)
            )
        return found

    def _nobody_to_ask(self, subject: IssuedCertificate, now: datetime) -> str:
        if self._rules.addresses.lead_anywhere(subject.certificate):
            return "nobody has answered"
        self.nobody_to_ask_at = now
        named = ", ".join(self._rules.addresses.named_in(subject.certificate)[:3]) or "none"
        return f"no list and no responder may be asked (addresses in the certificate: {named})"

    def freshness(self, now: datetime) -> tuple[Freshness, ...]:
        """What is known of every list and responder, for readiness and metrics."""
        lists = (
            Freshness(
                source=StatusSource.CRL,
                address=held.address.url,
                answered_at=held.fetched_at,
                this_update=held.list.this_update if held.list else None,
                next_update=held.list.next_update if held.list else None,
                failure=held.failure,
                is_usable=held.list is not None and now <= held.list.next_update + self._rules.max_stale,
            )
            for held in self._lists.all
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
        """Those that the operator names, and those about the authorities themselves. Returns the former."""
        now = self._clock()
        for authority in authorities:
            for issuer in authorities:
                if issuer != authority and profiles.issued(issuer, authority):
                    self._lists.keep(self._rules.addresses.of_lists(authority), (issuer,), now=now)
        return self._lists.keep(self._rules.addresses.of_named_lists, authorities, now=now)

    async def _found(
        self, subject: IssuedCertificate, now: datetime, stapled: bytes | None, said: list[str]
    ) -> Good | Revoked | None:
        held = [
            *self._lists.keep(
                self._rules.addresses.of_lists(subject.certificate), (subject.issuer,), now=now
            ),
            *self._named_lists,
        ]
        question = OcspQuestion(subject=subject, nonce=self._random_bytes(ocsp.NONCE_OCTETS))
        return (
            self._listed(held, subject, now)
            or self._stapled(stapled, subject, now, said)
            or await self._recent(subject, now)
            or await self._asked(question, said)
            or await self._in_lists(held, subject, now, said)
            or self._kept(subject, now)
        )

    def _listed(self, held: list[KeptList], subject: IssuedCertificate, now: datetime) -> Revoked | None:
        """Whether a list at hand names the certificate, whatever else may say that it is good."""
        for each in held:
            for stated in filter(None, (each.list, each.partial)):
                with suppress(UnusableEvidence):
                    found = stated.status(subject, now=now, max_stale=self._rules.max_stale)
                    if isinstance(found, Revoked):
                        return found
        return None

    def _stapled(
        self, stapled: bytes | None, subject: IssuedCertificate, now: datetime, said: list[str]
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
        except UnusableEvidence as found:
            said.append(f"stapled: {found}")
            return None

    async def _recent(self, subject: IssuedCertificate, now: datetime) -> Good | Revoked | None:
        """An answer that is too young to be asked for again, of this instance or of another."""
        if (known := self._answers.get(_identity(subject))) is None:
            known = await self._shared(subject, now)
        is_young = known is not None and timedelta(0) <= now - known.asked_at < self._rules.ocsp_fresh_for
        return self._kept(subject, now) if is_young else None

    async def _shared(self, subject: IssuedCertificate, now: datetime) -> _KeptAnswer | None:
        with suppress(CannotAsk, UnusableEvidence):
            octets = await self._store.get(_key(subject))
            if octets is not None:
                found = ocsp.status(octets, OcspQuestion(subject=subject), self._rules.terms, now=now)
                # When it was asked for, only the store says; when it was made, the responder. Of a revocation
                # we ask again at once.
                return self._remember(
                    subject,
                    octets,
                    found.this_update if isinstance(found, Good) else now - self._rules.ocsp_fresh_for,
                )
        return None

    def _kept(self, subject: IssuedCertificate, now: datetime) -> Good | Revoked | None:
        """The last answer, as long as it may be believed."""
        if (known := self._answers.get(_identity(subject))) is None:
            return None
        with suppress(UnusableEvidence):
            return ocsp.status(known.octets, OcspQuestion(subject=subject), self._rules.terms, now=now)
        return None

    async def _asked(self, question: OcspQuestion, said: list[str]) -> Good | Revoked | None:
        for address in self._rules.addresses.of_responders(question.subject.certificate):
            responder = self._responders.setdefault(address.url, _Responder())
            try:
                return await self._answered_in_turn(address, responder, question)
            except (NoAnswer, UnusableEvidence) as failure:
                said.append(f"OCSP: {failure}")
        return None

    async def _answered_in_turn(
        self, address: SourceAddress, responder: _Responder, question: OcspQuestion
    ) -> Good | Revoked:
        """Everybody asks a responder that answers. One that has failed rests, and then is asked by one at a
        time until it answers."""
        if not responder.pauses.in_a_row:
            return await self._answered(address, responder, question)
        async with responder.probe:
            if responder.pauses.is_resting(self._clock()):
                raise NoAnswer(f"{responder.failure}, a moment ago")
            if responder.pauses.in_a_row:
                return await self._answered(address, responder, question)
        return await self._answered(address, responder, question)

    async def _answered(
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
            found = ocsp.status(octets, question, self._rules.terms, now=now)
        except UnusableEvidence as failure:
            responder.failure = str(failure)
            raise
        responder.failure = None
        self._remember(question.subject, octets, now)
        with suppress(CannotAsk):
            # One that says "revoked" must not leave an older one that says "good" to the other instances.
            await self._store.put(_key(question.subject), octets, self._lives_for(found, now))
        return found

    async def _in_lists(
        self, held: list[KeptList], subject: IssuedCertificate, now: datetime, said: list[str]
    ) -> Good | Revoked | None:
        for each in held:
            found = await self._lists.current(each, now=now)
            if (revoked := self._listed([each], subject, now)) is not None:
                return revoked
            try:
                if found is not None:
                    return found.status(subject, now=now, max_stale=self._rules.max_stale)
                said.append(f"CRL: {each.failure}")
            except UnusableEvidence as failure:
                said.append(f"CRL: {failure}" + (f" ({each.failure})" if each.failure else ""))
        return None

    def _remember(self, subject: IssuedCertificate, octets: bytes, asked_at: datetime) -> _KeptAnswer:
        answer = self._answers[_identity(subject)] = _KeptAnswer(octets=octets, asked_at=asked_at)
        self._answers.move_to_end(_identity(subject))
        if len(self._answers) > self._rules.answers_at_most:
            self._answers.popitem(last=False)
        return answer

    def _lives_for(self, found: Good | Revoked, now: datetime) -> timedelta:
        if isinstance(found, Revoked):
            return self._rules.ocsp_max_age
        ends_at = min(filter(None, (found.this_update + self._rules.ocsp_max_age, found.next_update)))
        return max(ends_at - now, timedelta(seconds=1))

    def _jitter(self) -> float:
        return int.from_bytes(self._random_bytes(2)) / 0xFFFF


def _identity(subject: IssuedCertificate) -> tuple[bytes, int]:
    return subject.issuer.fingerprint(hashes.SHA256()), subject.certificate.serial_number


def _key(subject: IssuedCertificate) -> str:
    issuer, serial = _identity(subject)
    return f"ocsp:{hashlib.sha256(issuer + serial.to_bytes(20)).hexdigest()[:40]}"
