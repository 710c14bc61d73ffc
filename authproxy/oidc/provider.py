"""The OpenID provider as sign-in sees it: where to send the browser, and who has come back.

The checks follow the order of OpenID Connect Core §3.1: response, code, ID token, userinfo. Nothing is sent
before the previous answer has been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import aiohttp

from authproxy.identity.grant import Grant
from authproxy.oidc import authorization, back_channel_logout, end_session, id_token
from authproxy.oidc.account import AccountQuestions, Stands, Withdrawn
from authproxy.oidc.back_channel_logout import LogoutToken
from authproxy.oidc.client_credentials import ClientCredentials
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.oidc.id_token import Expectation, VerifiedClaims
from authproxy.oidc.metadata import ProviderMetadata
from authproxy.oidc.pushed_requests import PushedRequests
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.token_endpoint import TokenAnswer, TokenEndpoint
from authproxy.oidc.userinfo import UserInfo
from authproxy.oidc.wire import with_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A sign-in that has passed every check of the protocol. `id_token` is kept only as a hint for the
    logout. `grant` is used later to ask about the account; None if the provider offers no way."""

    claims: VerifiedClaims
    userinfo: Mapping[str, object] = field(repr=False)
    id_token: str = field(repr=False)
    grant: Grant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """What is known about the provider, without asking it."""

    metadata_known: bool
    metadata_age: timedelta | None
    usable_keys: int
    last_error: str | None
    """Why the last question failed; None if it succeeded. Contains no secret."""
    seconds_ahead: float | None = None
    """By how much its clock is ahead of ours, as of the last metadata; None if it has not said."""


class OpenIdProvider:
    """The gateway's view of the provider. Every method raises CannotAsk if the provider cannot be asked.

    Raises ValueError at construction if the relying party's own key cannot sign. The caller closes the
    session.
    """

    def __init__(
        self,
        relying_party: RelyingParty,
        session: aiohttp.ClientSession,
        *,
        clock: Callable[[], datetime],
        random_text: Callable[[int], str],
    ) -> None:
        self._relying_party = relying_party
        # A provider that gets a `max_age` must state `auth_time` (OpenID Connect Core §2).
        self._dated_relying_party = (
            relying_party
            if relying_party.max_age is not None
            else replace(relying_party, max_age=timedelta(0))
        )
        self._clock = clock
        self._metadata = ProviderMetadata(relying_party, session, clock=clock)
        credentials = ClientCredentials(relying_party, clock=clock, random_text=random_text)
        self._token_endpoint = TokenEndpoint(relying_party, session, credentials)
        self._pushed_requests = PushedRequests(relying_party, session, credentials)
        self._userinfo = UserInfo(relying_party, session, self._metadata, clock=clock)
        self._account = AccountQuestions(
            relying_party, session, credentials, metadata=self._metadata, clock=clock
        )

    async def authorization_request(
        self,
        *,
        redirect_uri: str,
        state: str,
        nonce: str,
        code_verifier: str,
        ui_locales: str,
        anew: bool = False,
        dated: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> str:
        """The URL to send the browser to. `anew`: the provider must authenticate the person again, even if
        somebody is signed in there. `dated`: it must state when it did. `extra` are parameters beyond those
        of the protocol."""
        metadata = await self._metadata.current()
        requested = authorization.parameters(
            self._dated_relying_party if dated else self._relying_party,
            redirect_uri=redirect_uri,
            state=state,
            nonce=nonce,
            code_verifier=code_verifier,
            ui_locales=ui_locales,
            anew=anew,
            extra=extra or {},
        )
        return with_parameters(
            metadata.authorization_endpoint, await self._pushed_requests.parameters(metadata, requested)
        )

    async def authenticate(
        self, parameters: Sequence[tuple[str, str]], *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Authenticated:
        """The person whom the authorization response proves. Its state and browser have been checked before.

        Raises AuthorizationRefused if it proves nobody. The code is used up in either case.
        """
        metadata = await self._metadata.current()
        response = authorization.read_response(
            parameters,
            expected_issuer=self._relying_party.issuer,
            issuer_is_announced=metadata.announces_issuer,
        )
        await self._metadata.have_keys()  # without keys the code would be wasted
        tokens = await self._token_endpoint.redeem(
            metadata.token_endpoint,
            code=response.code,
            redirect_uri=redirect_uri,
            code_verifier=code_verifier,
        )
        claims = await self._verified(tokens, nonce)
        userinfo = await self._userinfo.fetch(
            metadata, access_token=tokens.access_token, subject=claims.subject
        )
        grant = self._grant(tokens, can_introspect=metadata.introspection_endpoint is not None)
        return Authenticated(claims=claims, userinfo=userinfo, id_token=tokens.id_token, grant=grant)

    async def logout_token(self, text: str) -> LogoutToken:
        """Reads and verifies a logout token. Raises TokenRefused if it must not be believed. Whether it was
        used before is not checked here."""
        token = back_channel_logout.read(text, self._relying_party)
        key = await self._metadata.key_for_unsolicited(token.key_id)
        if key is None:
            raise token.kind.refused("no usable key of the provider is the one that it names")
        return back_channel_logout.verified(token, key, self._relying_party, now=self._clock())

    async def end_session_request(
        self, *, id_token: str, post_logout_redirect_uri: str, state: str
    ) -> EndSessionRequest | None:
        """How a browser ends its session at the provider; None if it is not sent there: because of the
        settings, because the provider has no such endpoint, or because the provider has not answered lately
        and the browser would show an error."""
        endpoint = (await self._metadata.current()).end_session_endpoint
        if endpoint is None or self._metadata.metadata.failure is not None:
            return None
        return end_session.request(
            self._relying_party,
            endpoint=endpoint,
            id_token=id_token,
            post_logout_redirect_uri=post_logout_redirect_uri,
            state=state,
        )

    async def ask_about(self, grant: Grant) -> Stands | Withdrawn:
        """Whether the account that the grant belongs to still exists."""
        return await self._account.ask(grant)

    async def end_grant(self, grant: Grant) -> None:
        """Revokes the grant at the provider."""
        await self._account.end(grant)

    async def refresh(self) -> None:
        """Fetches metadata and keys in advance. Never raises CannotAsk; `health` shows failures."""
        await self._metadata.refresh()

    def health(self, now: datetime) -> ProviderHealth:
        metadata, keys = self._metadata.metadata, self._metadata.keys
        return ProviderHealth(
            metadata_known=metadata.value is not None,
            metadata_age=None if metadata.fetched_at is None else now - metadata.fetched_at,
            usable_keys=0 if keys.value is None else len(keys.value.keys),
            last_error=metadata.failure or keys.failure,
            seconds_ahead=self._metadata.seconds_ahead,
        )

    def _grant(self, tokens: TokenAnswer, *, can_introspect: bool) -> Grant | None:
        if tokens.refresh_token is not None:
            return Grant(refresh_token=tokens.refresh_token)
        if not can_introspect or tokens.expires_in is None:
            return None
        return Grant(
            access_token=tokens.access_token, ends_at=self._clock() + timedelta(seconds=tokens.expires_in)
        )

    async def _verified(self, tokens: TokenAnswer, nonce: str) -> VerifiedClaims:
        token = id_token.read(tokens.id_token, self._relying_party.algorithm)
        key = await self._metadata.key(token.key_id)
        if key is None:
            raise token.kind.refused("no usable key of the provider is the one that it names")
        if not key.has_signed(token.signing_input, token.signature):
            key = await self._metadata.key_instead(key, token.key_id) or key
        # The clock is read only now: the token, and so its `iat`, is younger than the response that brought
        # the code.
        expected = Expectation(nonce=nonce, access_token=tokens.access_token, now=self._clock())
        return id_token.verified(token, key, self._relying_party, expected)
