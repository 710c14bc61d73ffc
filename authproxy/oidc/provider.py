"""The OpenID provider as sign-in sees it: where to send the browser, and whom its return has proved.

The order of the checks is that of OpenID Connect Core §3.1: response, code, ID token, userinfo. Nobody is
asked before the answer at hand has been checked.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A sign-in at the provider that has passed every check of the protocol. `id_token` is kept as a hint for
    the logout only; `grant` is what the account may be asked about with later, None if there is no way to."""

    claims: VerifiedClaims
    userinfo: Mapping[str, object] = field(repr=False)
    id_token: str = field(repr=False)
    grant: Grant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """What is known of the provider, without asking it."""

    metadata_known: bool
    metadata_age: timedelta | None
    usable_keys: int
    last_error: str | None
    """Why the last question failed; None once it has succeeded. Holds no secret."""


class OpenIdProvider:
    """The relying party's side. Everything here raises CannotAsk while the provider cannot be asked.

    Raises ValueError at construction if the relying party's own key cannot sign. The session stays the
    caller's: it closes it.
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
        # Whoever is sent a `max_age` has to state `auth_time` (OpenID Connect Core §2).
        self._dating = (
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
        """The URL to send the browser to. `anew`: the provider is to ask who it is, whoever is signed in
        there; `dated`: and to state when it did. `extra` are parameters beyond those of the protocol."""
        metadata = await self._metadata.current()
        requested = authorization.parameters(
            self._dating if dated else self._relying_party,
            redirect_uri=redirect_uri,
            state=state,
            nonce=nonce,
            code_verifier=code_verifier,
            ui_locales=ui_locales,
            anew=anew,
            extra=extra or {},
        )
        return authorization.address(
            metadata.authorization_endpoint, await self._pushed_requests.parameters(metadata, requested)
        )

    async def authenticate(
        self, parameters: Sequence[tuple[str, str]], *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Authenticated:
        """Whom the authorization response proves, after its state has been taken and its browser recognised.

        Raises AuthorizationRefused if it proves nobody. The code is used up either way.
        """
        metadata = await self._metadata.current()
        response = authorization.read_response(
            parameters,
            expected_issuer=self._relying_party.issuer,
            issuer_is_announced=metadata.announces_issuer,
        )
        await self._metadata.have_keys()  # without them the code would be spent in vain
        tokens = await self._token_endpoint.redeem(
            metadata.token_endpoint,
            code=response.code,
            redirect_uri=redirect_uri,
            code_verifier=code_verifier,
        )
        claims = await self._verified(tokens, nonce)
        userinfo = await self._userinfo.told(
            metadata, access_token=tokens.access_token, subject=claims.subject
        )
        grant = self._grant(tokens, can_introspect=metadata.introspection_endpoint is not None)
        return Authenticated(claims=claims, userinfo=userinfo, id_token=tokens.id_token, grant=grant)

    async def logout_token(self, text: str) -> LogoutToken:
        """What a logout token asks for. Raises TokenRefused if it must not be believed; whether it was used
        before is not known here."""
        token = back_channel_logout.read(text, self._relying_party)
        key = await self._metadata.key_for_stranger(token.key_id)
        if key is None:
            raise token.kind.refused("no usable key of the provider is the one that it names")
        return back_channel_logout.verified(token, key, self._relying_party, now=self._clock())

    async def end_session_request(
        self, *, id_token: str, post_logout_redirect_uri: str, state: str
    ) -> EndSessionRequest | None:
        """How a browser ends its session at the provider; None where it is sent nowhere: by the settings, for
        want of an endpoint, or because the provider has not answered lately, and the browser would show no
        page of anybody's."""
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
        """Whether the account that the grant was given for still stands."""
        return await self._account.ask(grant)

    async def end_grant(self, grant: Grant) -> None:
        """Tells the provider that the grant is not needed any more."""
        await self._account.end(grant)

    async def refresh(self) -> None:
        """Asks for metadata and keys ahead of need. Never raises CannotAsk: `health` tells."""
        await self._metadata.refresh()

    def health(self, now: datetime) -> ProviderHealth:
        metadata, keys = self._metadata.metadata, self._metadata.keys
        return ProviderHealth(
            metadata_known=metadata.value is not None,
            metadata_age=None if metadata.fetched_at is None else now - metadata.fetched_at,
            usable_keys=0 if keys.value is None else len(keys.value.keys),
            last_error=metadata.failure or keys.failure,
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
        # The time is read only now: `iat` is younger than the response that brought the code.
        expected = Expectation(nonce=nonce, access_token=tokens.access_token, now=self._clock())
        return id_token.verified(token, key, self._relying_party, expected)
