"""The provider's metadata (OpenID Connect Discovery 1.0 §4) and keys. They are fetched rarely, and the last
good ones are kept.

The provider's `Cache-Control` is ignored: how old our knowledge may be is our decision, and MITREid sends no
useful one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
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
"""After a failure the provider is not asked for this long. Otherwise every user would ask a provider that is
down."""
UNSOLICITED_KEY_SEARCH_INTERVAL = timedelta(minutes=1)
"""For a token that anybody may send, an unknown key is looked for at most this often."""
KEY_SEARCHES = 5
"""How often in a row an unknown key is looked for because of tokens from the token endpoint, which come from
the provider itself."""
KEY_SEARCH_BACK_AFTER = timedelta(seconds=10)
"""After this time one more search is allowed, up to `KEY_SEARCHES`."""
_TRIED_AGAIN_AFTER = (0.1, 0.4)
"""Seconds. A code can be redeemed once, so the keys for its token are asked for again before the sign-in
fails."""
_SIZE_LIMIT = 256 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The part of the provider's metadata that is used. Every URL has passed `is_endpoint`."""

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
    """Whether the provider refuses authorization requests that were not pushed (RFC 9126 §5)."""
    userinfo_algorithms: tuple[Algorithm, ...] = ()
    """The algorithms by which the provider signs userinfo, as far as they may be trusted."""


def read(document: Mapping[str, Any], issuer: str) -> Metadata:
    """The metadata in a discovery document. Raises Unreadable unless its issuer is the configured one, byte
    for byte (OpenID Connect Discovery §4.3), and the endpoints can be used."""
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
        """The URL of an endpoint that most sign-ins do not need. An unusable one counts as absent; the rest
        of the document stays valid."""
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
    """The announced algorithms that may be trusted: signatures by a public key, never `none`, never HMAC with
    the client secret."""
    return tuple(known for known in ALGORITHMS if isinstance(announced, list) and known in announced)


class LastGood(Generic[T]):
    """A value that is fetched if it is missing or an hour old. If that fails, the last good value is kept.

    Only one caller asks at a time: the holder of the lock. If that caller is cancelled, the next one asks. So
    one caller's cancellation does not fail another one, and no task outlives its request.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._asking = asyncio.Lock()
        self.failures = 0
        """The number of failed questions since the start."""
        self._renewed_at: datetime | None = None
        self._failed_at: datetime | None = None
        self.value: T | None = None
        self.fetched_at: datetime | None = None
        self.failure: str | None = None
        """Why the last question failed; None if it did not. For operators, without secrets."""

    async def current(self) -> T:
        """Returns the value. Raises CannotAsk only if there has never been one."""
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
        """Returns the value. It is fetched again unless that was tried within the interval. Raises CannotAsk
        if the last try failed."""
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
        """Returns a value other than `seen`, and whether this call has fetched it; None if `may_ask` allows
        no question.

        Raises CannotAsk if the question failed, or if another caller's has failed since the count was
        `failures`: of many callers that retry, one asks. A failure just before that does not keep this call
        from asking.
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
        """Fetches the value, however recent it is. A failure is stored in `failure`, not raised."""
        async with self._asking:
            with suppress(CannotAsk):
                await self._ask()

    def _is_fresh(self) -> bool:
        return self._is_within(FRESH_FOR, self.fetched_at)

    def _is_within(self, span: timedelta, since: datetime | None) -> bool:
        # `since` must not be in the future: a clock that was set back must not stretch the span.
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
            # An answer that breaks its reader counts as no answer.
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
    """The number of searches for unknown keys that are left: a token bucket."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._left = float(KEY_SEARCHES)
        self._counted_at = clock()

    def take(self) -> bool:
        """Takes one search, and returns whether there was one. If the clock goes back, none is added."""
        now = self._clock()
        self._left = min(
            KEY_SEARCHES, self._left + max(now - self._counted_at, timedelta(0)) / KEY_SEARCH_BACK_AFTER
        )
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class UnsolicitedKeys:
    """Keys for tokens that anybody may send. An unknown key is looked for at most once a minute, so forged
    tokens cause few questions."""

    def __init__(self, keys: LastGood[KeySet], clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._found = LastGood(self._find, clock)

    async def key(self, key_id: str | None) -> VerificationKey | None:
        """The key that a token names; None if it is not published."""
        known = (await self._keys.current()).key_for(key_id)
        return known or (await self._found.renewed(interval=UNSOLICITED_KEY_SEARCH_INTERVAL)).key_for(key_id)

    async def _find(self) -> KeySet:
        await self._keys.refresh()
        if self._keys.failure is not None:
            raise cannot_ask(self._keys.failure)
        return await self._keys.current()


async def fetched_document(
    session: aiohttp.ClientSession,
    name: str,
    url: str,
    time_limit: timedelta,
    *,
    dated: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The JSON object at a URL. `dated` hears the field Date of the answer. Raises CannotAsk."""
    question = ProviderQuestion(name=name, url=url, size_limit=_SIZE_LIMIT)
    answer = await ask(session, question, time_limit=time_limit)
    if dated is not None:
        dated(answer.date)
    if answer.status != 200:
        raise cannot_ask(f"{name} answered {answer.status}")
    try:
        return answer.json_object()
    except AnswerInvalid as found:
        raise cannot_ask(str(found)) from None


class ProviderMetadata:
    """The metadata and the keys of one provider."""

    def __init__(
        self, relying_party: RelyingParty, session: aiohttp.ClientSession, *, clock: Callable[[], datetime]
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self._clock = clock
        self.seconds_ahead: float | None = None
        """By how much the provider's clock is ahead of ours, to the second; None if it has not said."""
        self.metadata = LastGood(self._fetch_metadata, clock)
        self.keys = LastGood(self._fetch_keys, clock)
        self._jwks: Mapping[str, Any] = {"keys": []}
        self._searches = _Searches(clock)
        self._keys_for_unsolicited = UnsolicitedKeys(self.keys, clock)

    async def current(self) -> Metadata:
        return await self.metadata.current()

    async def have_keys(self) -> None:
        """Fetches the keys if there are none, with retries. Raises CannotAsk."""
        if self.keys.value is None:
            await self._newer_keys(None, lambda: True)

    async def key(self, key_id: str | None) -> VerificationKey | None:
        """The key that a token from the token endpoint names. If it is unknown, the keys are fetched again,
        with retries. None if it is still unknown."""
        keys = await self.keys.current()
        # A fetch that another caller had begun when the token arrived may be older than the token's key. Then
        # one more fetch is made.
        for _ in range(2):
            known = keys.key_for(key_id)
            newer = None if known is not None else await self._newer_keys(keys, self._searches.take)
            if newer is None:
                return known
            keys, is_newest = newer
            if is_newest:
                break
        return keys.key_for(key_id)

    async def key_instead(self, key: VerificationKey, key_id: str | None) -> VerificationKey | None:
        """Another key for a token from the token endpoint, after `key` did not verify it: a provider may
        replace a key without a new `kid`, or use no `kid`. None if there is no other key."""
        keys = await self.keys.current()
        if keys.key_for(key_id) is key:
            newer = await self._newer_keys(keys, self._searches.take)
            keys = keys if newer is None else newer[0]
        other = keys.key_for(key_id)
        return None if other is key else other

    async def key_for_unsolicited(self, key_id: str | None) -> VerificationKey | None:
        """Like `key`, for tokens that anybody may send. They have a search limit of their own, so that forged
        tokens do not use up the searches that sign-ins need after a change of keys."""
        return await self._keys_for_unsolicited.key(key_id)

    async def userinfo_key(self, key_id: str | None, algorithm: Algorithm) -> VerificationKey | None:
        """Like `key`, for signed userinfo, which may use another algorithm than ID tokens."""
        if algorithm == self._relying_party.algorithm:
            return await self.key(key_id)
        keys = await self.keys.current()
        known = self._published(algorithm).key_for(key_id)
        if known is None:
            await self._newer_keys(keys, self._searches.take)
            known = self._published(algorithm).key_for(key_id)
        return known

    def _published(self, algorithm: Algorithm) -> KeySet:
        return key_set.read(self._jwks, algorithm)

    async def refresh(self) -> None:
        """Fetches both in advance. Never raises CannotAsk: a failure is stored in `failure`, and the last
        good values stay."""
        await self.metadata.refresh()
        await self.keys.refresh()

    def _dated(self, date: str) -> None:
        try:
            said = parsedate_to_datetime(date)
        except ValueError:
            return
        if said.tzinfo is not None:
            # The field has no parts of a second, so half a second is what it leaves out on average.
            self.seconds_ahead = (said - self._clock()).total_seconds() + 0.5

    async def _fetch_metadata(self) -> Metadata:
        issuer = self._relying_party.issuer
        # OpenID Connect Discovery §4.1: a slash at the end of the issuer is removed for this URL only.
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
        """Like `LastGood.newer_than`, but a failed question is repeated, all within the time limit of one
        question."""
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

    async def _document(self, name: str, url: str) -> dict[str, Any]:
        return await fetched_document(
            self._session, name, url, self._relying_party.timeout, dated=self._dated
        )
