"""The issuer of access tokens for programs: verifies a token with the issuer's published keys.

The keys are fetched as those of the provider are (`metadata.py`): again after an hour, and the last good ones
are kept. Anybody may send a token, so an unknown key is looked for at most once a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import aiohttp

from authproxy.oidc import access_token, key_set
from authproxy.oidc.access_token import AccessToken, TokenAgreement
from authproxy.oidc.exchange import cannot_ask
from authproxy.oidc.key_set import KeySet
from authproxy.oidc.metadata import LastGood, UnsolicitedKeys, fetched_document
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.wire import Unreadable


class TokenIssuer:
    """The caller closes the session."""

    def __init__(
        self, agreement: TokenAgreement, session: aiohttp.ClientSession, *, clock: Callable[[], datetime]
    ) -> None:
        self._agreement = agreement
        self._session = session
        self._clock = clock
        self.keys: LastGood[KeySet] = LastGood(self._fetch, clock)
        self._key_search = UnsolicitedKeys(self.keys, clock)

    async def verified(self, text: str) -> AccessToken:
        """What the token says. Raises TokenRefused, and CannotAsk while there are no keys."""
        token = access_token.read(text, self._agreement)
        key = await self._key_search.key(token.key_id)
        if key is None:
            raise TokenRefused("access token: the issuer publishes no such key")
        return access_token.verified(token, key, self._agreement, now=self._clock())

    async def refresh(self) -> None:
        """Fetches the keys in advance. A failure is stored in `keys.failure`, and the last good keys stay."""
        await self.keys.refresh()

    async def _fetch(self) -> KeySet:
        agreement = self._agreement
        document = await fetched_document(
            self._session, "JWK set of access tokens", agreement.jwks_url, agreement.timeout
        )
        try:
            return key_set.read(document, agreement.algorithm)
        except Unreadable as found:
            raise cannot_ask(f"JWK set of access tokens: {found}") from None
