"""What the provider says of itself: its metadata (OpenID Connect Discovery 1.0 §4) and its keys, asked for
rarely and kept well.

The provider's `Cache-Control` is not looked at: how stale our knowledge may be is our decision, and MITREid
sends none that helps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import aiohttp

from authproxy.access.unavailable import CannotAsk
from authproxy.oidc import key_set
from authproxy.oidc.exchange import ProviderQuestion, ask, cannot_ask
from authproxy.oidc.key_set import KeySet, VerificationKey
from authproxy.oidc.refused import AnswerInvalid
from authproxy.oidc.relying_party import ALGORITHMS, Algorithm, RelyingParty, is_endpoint
from authproxy.oidc.wire import Unreadable
from authproxy.telemetry.logging import logger

FRESH_FOR = timedelta(hours=1)
COOL_DOWN = timedelta(seconds=5)
"""After a failure nobody asks again for this long: a dead provider is not asked once per user."""
STRANGERS_KEY_SEARCH_INTERVAL = timedelta(minutes=1)
"""Tokens that anybody may send make us look for an unknown key at most this often."""
KEY_SEARCHES = 5
"""How often in a row tokens of the token endpoint, which are the provider's own, may make us look for an
unknown key."""
KEY_SEARCH_BACK_AFTER = timedelta(seconds=10)
"""After this long there is one search more, up to `KEY_SEARCHES`."""
_TRIED_AGAIN_AFTER = (0.1, 0.4)
"""Seconds. A code is valid once: the keys that its token needs are asked for again before the sign-in is
given up."""
_SIZE_LIMIT = 256 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The part of the provider's metadata that is used. Every URL in it has passed `is_endpoint`."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    announces_issuer: bool
    """Whether authorization responses must carry `iss` (RFC 9207 §3)."""
    pushed_authorization_request_endpoint: str | None = None
    demands_pushed_requests: bool = False
    """Whether it refuses authorization requests that were not pushed (RFC 9126 §5)."""
    userinfo_algorithms: tuple[Algorithm, ...] = ()
    """By which of the algorithms that may be believed it says that it signs userinfo."""


def read(document: Mapping[str, Any], issuer: str) -> Metadata:
    """The metadata in a discovery document. Raises Unreadable unless it is this issuer's, to the byte, and
    names usable endpoints."""
    stated = document.get("issuer")
    if stated != issuer:
        hint = (
            ": they differ in the slash at the end"
            if isinstance(stated, str) and stated.rstrip("/") == issuer.rstrip("/")
            else ""
        )
        raise Unreadable(f"the issuer in the discovery document is not the configured one, to the byte{hint}")

    def optional(name: str) -> str | None:
        url = document.get(name)
        if url is not None and not (isinstance(url, str) and is_endpoint(url, issuer=issuer)):
            raise Unreadable(f"the discovery document's {name} is no URL that may be used")
        return url

    def usable(name: str) -> str | None:
        """The URL of something that most sign-ins do without: one that may not be used is none, and the rest
        of the document holds."""
        url = document.get(name)
        return url if isinstance(url, str) and is_endpoint(url, issuer=issuer) else None

    def required(name: str) -> str:
        if (url := optional(name)) is None:
            raise Unreadable(f"the discovery document has no {name}")
        return url

    return Metadata(
        authorization_endpoint=required("authorization_endpoint"),
        token_endpoint=required("token_endpoint"),
        jwks_uri=required("jwks_uri"),
        userinfo_endpoint=optional("userinfo_endpoint"),
        end_session_endpoint=optional("end_session_endpoint"),
        revocation_endpoint=usable("revocation_endpoint"),
        introspection_endpoint=usable("introspection_endpoint"),
        announces_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        pushed_authorization_request_endpoint=usable("pushed_authorization_request_endpoint"),
        demands_pushed_requests=document.get("require_pushed_authorization_requests") is True,
        userinfo_algorithms=_algorithms(document.get("userinfo_signing_alg_values_supported")),
    )


def _algorithms(announced: object) -> tuple[Algorithm, ...]:
    """Those that may be believed: signatures by a public key, never `none` and never by the client secret."""
    return tuple(known for known in ALGORITHMS if isinstance(announced, list) and known in announced)


class LastGood(Generic[T]):
    """A value that is asked for when it is missing or an hour old; the last good one is kept when the asking
    fails.

    However many wait, one asks: whoever holds the lock. If that one is cancelled the next in line asks, so
    nobody's impatience is another's failure and no task outlives its request.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._asking = asyncio.Lock()
        self.failures = 0
        """How many questions have failed since the start."""
        self._renewed_at: datetime | None = None
        self._failed_at: datetime | None = None
        self.value: T | None = None
        self.fetched_at: datetime | None = None
        self.failure: str | None = None
        """Why the last question failed; None if it did not. For operators, free of secrets."""

    async def current(self) -> T:
        """The value. Raises CannotAsk only if there has never been one."""
        if self.value is not None and (self._is_fresh() or self._asking.locked()):
            return self.value
        async with self._asking:
            if self.value is not None and self._is_fresh():
                return self.value
            try:
                return await self._ask()
            except CannotAsk:
                if self.value is None:
                    raise
                return self.value

    async def renewed(self, *, interval: timedelta) -> T:
        """The value, asked for again unless that has been tried within the interval. Raises CannotAsk while
        the last trial failed."""
        async with self._asking:
            if self.value is None or not self._is_within(interval, self._renewed_at):
                self._renewed_at = self._clock()
                return await self._ask()
            if self.failure is not None:
                raise cannot_ask(self.failure)
            return self.value

    async def newer_than(
        self, seen: T | None, may_ask: Callable[[], bool], *, failures: int
    ) -> tuple[T, bool] | None:
        """Another value than the one that was seen, and whether it has been asked for in this call; None if
        none may be asked for now.

        Raises CannotAsk if the question failed, or if somebody else's has failed since there were so many
        `failures`: however many try again, one asks. That a question has failed a moment before that is no
        reason here not to ask.
        """
        async with self._asking:
            if self.value is not None and self.value is not seen:
                return self.value, False
            if self.failures > failures and self.failure is not None:
                raise cannot_ask(self.failure)
            if may_ask():
                return await self._ask(at_once=True), True
            if self.failure is not None:
                raise cannot_ask(self.failure)
            return None

    async def refresh(self) -> None:
        """Asks for the value, however fresh it is. A failure is kept in `failure`, not raised."""
        async with self._asking:
            with suppress(CannotAsk):
                await self._ask()

    def _is_fresh(self) -> bool:
        return self._is_within(FRESH_FOR, self.fetched_at)

    def _is_within(self, span: timedelta, since: datetime | None) -> bool:
        # Not before either: a clock that was set back must not stretch the span.
        return since is not None and timedelta(0) <= self._clock() - since < span

    async def _ask(self, *, at_once: bool = False) -> T:
        if self.failure is not None and not at_once and self._is_within(COOL_DOWN, self._failed_at):
            raise cannot_ask(self.failure)
        try:
            self.value = await self._fetch()
        except CannotAsk as failure:
            self._failed(str(failure))
            raise
        except Exception as failure:  # noqa: BLE001  (see below)
            # Whatever an answer has done to its reader: nobody knows more than if there had been none.
            logger("oidc").exception("provider.answer_failed")
            raise cannot_ask(
                self._failed(f"its answer could not be read: {type(failure).__name__}")
            ) from None
        self.failure, self.fetched_at = None, self._clock()
        return self.value

    def _failed(self, found: str) -> str:
        self.failures += 1
        self.failure, self._failed_at = found, self._clock()
        return found


class _Searches:
    """How many searches for unknown keys are left: a token bucket."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._left = float(KEY_SEARCHES)
        self._counted_at = clock()

    def take(self) -> bool:
        """Whether there is one, which is then used up. A clock that goes back brings none."""
        now = self._clock()
        self._left = min(
            KEY_SEARCHES, self._left + max(now - self._counted_at, timedelta(0)) / KEY_SEARCH_BACK_AFTER
        )
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class ProviderMetadata:
    """The metadata and the keys of one provider."""

    def __init__(
        self, relying_party: RelyingParty, session: aiohttp.ClientSession, *, clock: Callable[[], datetime]
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self.metadata = LastGood(self._fetch_metadata, clock)
        self.keys = LastGood(self._fetch_keys, clock)
        self._jwks: Mapping[str, Any] = {"keys": []}
        self._searches = _Searches(clock)
        self._keys_for_strangers = LastGood(self._found_keys, clock)

    async def current(self) -> Metadata:
        return await self.metadata.current()

    async def have_keys(self) -> None:
        """Asks for the keys, more than once if need be, unless there are some. Raises CannotAsk."""
        if self.keys.value is None:
            await self._newer_keys(None, lambda: True)

    async def key(self, key_id: str | None) -> VerificationKey | None:
        """The key that a token of the token endpoint means; asks for the keys again, more than once if need
        be, if it is none that we know. None if it still is none."""
        keys = await self.keys.current()
        # What somebody else was asking for when the token arrived may be older than its key: then it is
        # looked for once more.
        for _ in range(2):
            known = keys.meant_by(key_id)
            newer = None if known is not None else await self._newer_keys(keys, self._searches.take)
            if newer is None:
                return known
            keys, is_newest = newer
            if is_newest:
                break
        return keys.meant_by(key_id)

    async def key_instead(self, key: VerificationKey, key_id: str | None) -> VerificationKey | None:
        """Another key that a token of the token endpoint means, after this one has not signed it: a provider
        may have put a new key in the place of the old one without a new name, or uses no names. None if there
        is no other."""
        keys = await self.keys.current()
        if keys.meant_by(key_id) is key:
            newer = await self._newer_keys(keys, self._searches.take)
            keys = keys if newer is None else newer[0]
        found = keys.meant_by(key_id)
        return None if found is key else found

    async def key_for_stranger(self, key_id: str | None) -> VerificationKey | None:
        """As `key`, for tokens that anybody may send: these have a search of their own, so that forged ones
        do not use up that of the sign-ins, which would then not find a new key."""
        known = (await self.keys.current()).meant_by(key_id)
        return known or (
            await self._keys_for_strangers.renewed(interval=STRANGERS_KEY_SEARCH_INTERVAL)
        ).meant_by(key_id)

    async def userinfo_key(self, key_id: str | None, algorithm: Algorithm) -> VerificationKey | None:
        """As `key`, for signed userinfo, whose algorithm need not be that of ID tokens."""
        if algorithm == self._relying_party.algorithm:
            return await self.key(key_id)
        keys = await self.keys.current()
        known = self._published(algorithm).meant_by(key_id)
        if known is None:
            await self._newer_keys(keys, self._searches.take)
            known = self._published(algorithm).meant_by(key_id)
        return known

    def _published(self, algorithm: Algorithm) -> KeySet:
        return key_set.read(self._jwks, algorithm)

    async def refresh(self) -> None:
        """Asks for both ahead of need. Never raises CannotAsk: what failed is found in `failure`, what was
        known stays known."""
        await self.metadata.refresh()
        await self.keys.refresh()

    async def _fetch_metadata(self) -> Metadata:
        issuer = self._relying_party.issuer
        # OpenID Connect Discovery §4: a slash at the end of the issuer is removed for this, and only for
        # this.
        document = await self._document(
            "discovery document", issuer.removesuffix("/") + "/.well-known/openid-configuration"
        )
        try:
            return read(document, issuer)
        except Unreadable as found:
            raise cannot_ask(str(found)) from None

    async def _fetch_keys(self) -> KeySet:
        document = await self._document("JWK set", (await self.current()).jwks_uri)
        try:
            usable = key_set.read(document, self._relying_party.algorithm)
        except Unreadable as found:
            raise cannot_ask(f"JWK set: {found}") from None
        self._jwks = document
        return usable

    async def _newer_keys(
        self, seen: KeySet | None, may_ask: Callable[[], bool]
    ) -> tuple[KeySet, bool] | None:
        """As `LastGood.newer_than`; a question that fails is asked again, as long as one may take
        altogether."""
        pauses, failures = list(_TRIED_AGAIN_AFTER), self.keys.failures
        try:
            async with asyncio.timeout(self._relying_party.timeout.total_seconds()):
                while True:
                    try:
                        return await self.keys.newer_than(seen, may_ask, failures=failures)
                    except CannotAsk:
                        if not pauses:
                            raise
                    failures = self.keys.failures
                    await asyncio.sleep(pauses.pop(0))
        except TimeoutError:
            raise cannot_ask(self.keys.failure or "JWK set was not there in time") from None

    async def _found_keys(self) -> KeySet:
        await self.keys.refresh()
        if self.keys.failure is not None:
            raise cannot_ask(self.keys.failure)
        return await self.keys.current()

    async def _document(self, name: str, url: str) -> dict[str, Any]:
        answer = await ask(
            self._session,
            ProviderQuestion(name=name, url=url, size_limit=_SIZE_LIMIT),
            time_limit=self._relying_party.timeout,
        )
        if answer.status != 200:
            raise cannot_ask(f"{name} answered {answer.status}")
        try:
            return answer.json_object()
        except AnswerInvalid as found:
            raise cannot_ask(str(found)) from None
