"""The endpoints that relying parties call directly: token, revocation, introspection (RFC 6749 §4.1.3, RFC
7009, RFC 7662)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from authproxy.sandbox.identity_provider.openid import authorization, tokens
from authproxy.sandbox.identity_provider.openid.clients import BadCredentials, Client
from authproxy.sandbox.identity_provider.openid.quirk import Quirk
from authproxy.sandbox.identity_provider.openid.tokens import AuthorizationGrant
from authproxy.sandbox.identity_provider.provider import PROVIDER, Provider

_SLOW_SECONDS = 20
_FLOOD = 2 * 1024 * 1024
_PRIVATE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class _NotGranted(Exception):  # noqa: N818
    error: str
    description: str


async def token(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    form = await _form(request)
    try:
        client = provider.authentication.client(
            request.headers.get("Authorization"), form, now=provider.clock()
        )
    except BadCredentials as fault:
        return _bad_credentials(fault)
    for quirk in provider.quirks.of(client.client_id):
        if (failure := await _failure(provider, request, quirk, form)) is not None:
            return failure
    if form.get("grant_type") == "refresh_token":
        return _refreshed(provider, client, form.get("refresh_token", ""))
    if form.get("grant_type") == "client_credentials" and client.audience is not None:
        return _for_itself(provider, client.client_id, client.audience, form.get("scope", ""))
    try:
        grant = _granted(provider, client, form)
    except _NotGranted as fault:
        return web.json_response(
            {"error": fault.error, "error_description": fault.description}, status=400, headers=_PRIVATE
        )
    return web.json_response(_answer(provider, client, grant), headers=_PRIVATE)


async def _failure(
    provider: Provider, request: web.Request, quirk: Quirk, form: dict[str, str]
) -> web.Response | None:
    """A quirk's answer instead of the tokens, if it has one."""
    match quirk.redeeming:
        case "stalls":
            await asyncio.sleep(_SLOW_SECONDS)
        case "forgets":
            provider.codes.take(form.get("code", ""))
        case "breaks":
            return provider.pages.render(request, "error.html", status=500, problem="maintenance")
        case "floods":
            return web.json_response({"token_type": "Bearer", "padding": "x" * _FLOOD}, headers=_PRIVATE)
        case "stammers":
            return web.Response(
                text='{"token_type": "Bearer", "access_token": ',
                content_type="application/json",
                headers=_PRIVATE,
            )
        case "mislabels":
            return web.Response(text='{"token_type": "Bearer"}', content_type="text/html", headers=_PRIVATE)
    return None


async def revoke(request: web.Request) -> web.Response:
    """200 for an unknown token, 403 for a token of another client."""
    provider = request.app[PROVIDER]
    form = await _form(request)
    try:
        client = provider.authentication.client(
            request.headers.get("Authorization"), form, now=provider.clock()
        )
    except BadCredentials as fault:
        return _bad_credentials(fault)
    given = form.get("token", "")
    refreshing = provider.refresh_tokens.get(given)
    grant = refreshing or provider.access_tokens.get(given)
    if grant is not None and grant.request.client_id != client.client_id:
        return web.Response(status=403)
    if refreshing is not None:
        _end(provider, refreshing)
    provider.access_tokens.take(given)
    return web.Response(status=200)


async def introspect(request: web.Request) -> web.Response:
    """403 for a client that is not registered for introspection."""
    provider = request.app[PROVIDER]
    form = await _form(request)
    try:
        client = provider.authentication.client(
            request.headers.get("Authorization"), form, now=provider.clock()
        )
    except BadCredentials as fault:
        return _bad_credentials(fault)
    if not client.may_introspect:
        return web.Response(status=403)
    given = form.get("token", "")
    grant = provider.access_tokens.get(given) or provider.refresh_tokens.get(given)
    if grant is None:
        return web.json_response({"active": False})
    expires = int(grant.issued_at.timestamp()) + tokens.ACCESS_TOKEN_SECONDS
    return web.json_response(
        {
            "active": True,
            "scope": " ".join(grant.request.scopes),
            "exp": expires,
            "sub": grant.subject,
            "user_id": grant.login_name,
            "client_id": grant.request.client_id,
            "token_type": "Bearer",
        }
    )


def _refreshed(provider: Provider, client: Client, refresh_token: str) -> web.Response:
    """As at MITREid, the same refresh token comes back, and an unknown one is 401 `invalid_token`. With the
    quirk each refresh token is valid once."""
    rotates = any(quirk.rotates_refresh_tokens for quirk in provider.quirks.of(client.client_id))
    spent = provider.spent_refresh_tokens.get(refresh_token)
    if spent is not None:
        _end(provider, spent)
    grant = provider.refresh_tokens.get(refresh_token)
    if grant is None or grant.request.client_id != client.client_id:
        fault = ("invalid_grant", 400) if rotates else ("invalid_token", 401)
        return web.json_response(
            {"error": fault[0], "error_description": f"Invalid refresh token: {refresh_token}"},
            status=fault[1],
            headers=_PRIVATE,
        )
    if rotates:
        provider.refresh_tokens.take(refresh_token)
        provider.spent_refresh_tokens.put(refresh_token, grant)
        refresh_token = provider.random_bytes(24).hex()
        provider.refresh_tokens.put(refresh_token, grant)
    return web.json_response(_answer(provider, client, grant, refresh_token=refresh_token), headers=_PRIVATE)


def _for_itself(provider: Provider, client_id: str, audience: str, scope: str) -> web.Response:
    """The token of a program that no person has sent (RFC 6749 §4.4). It gets every scope that it
    asks for."""
    claims = tokens.application_token_claims(
        client_id,
        audience,
        scope,
        issuer=provider.issuer,
        identifier=provider.new_uuid(),
        now=provider.clock(),
    )
    answer = {
        "access_token": provider.keys.application_token(claims),
        "token_type": "Bearer",
        "expires_in": tokens.ACCESS_TOKEN_SECONDS - 1,
        "scope": scope,
    }
    return web.json_response(answer, headers=_PRIVATE)


def _end(provider: Provider, grant: AuthorizationGrant) -> None:
    """Revokes all tokens of this grant."""
    provider.access_tokens.forget_where(lambda other: other is grant)
    provider.refresh_tokens.forget_where(lambda other: other is grant)


def _granted(provider: Provider, client: Client, form: dict[str, str]) -> AuthorizationGrant:
    """The grant of a code. The first use of a code spends it, even if that use fails."""
    if form.get("grant_type") != "authorization_code":
        raise _NotGranted("unsupported_grant_type", "Unsupported grant type")
    code = form.get("code", "")
    grant = provider.codes.take(code)
    if grant is None:
        # MITREid repeats the code here, so a relying party must not show or log this text.
        raise _NotGranted(
            "invalid_grant", f"JpaAuthorizationCodeRepository: no authorization code found for value {code}"
        )
    if grant.request.client_id != client.client_id:
        raise _NotGranted("invalid_grant", "Client ID mismatch")
    if grant.request.redirect_uri != form.get("redirect_uri"):
        raise _NotGranted("invalid_grant", "Redirect URI mismatch.")
    challenge = grant.request.code_challenge
    if challenge is not None and not authorization.verifier_fits(
        challenge,
        grant.request.code_challenge_method,
        form.get("code_verifier", ""),
    ):
        raise _NotGranted("invalid_request", "Code challenge and verifier do not match")
    return grant


def _answer(
    provider: Provider, client: Client, grant: AuthorizationGrant, *, refresh_token: str | None = None
) -> dict[str, str | int]:
    """The tokens. `refresh_token` is the one to return after a refresh."""
    now, quirks = provider.clock(), provider.quirks
    is_again = refresh_token is not None
    if refresh_token is None and "offline_access" in grant.request.scopes:
        refresh_token = provider.random_bytes(24).hex()
        provider.refresh_tokens.put(refresh_token, grant)
    access_token = provider.keys.sign(
        tokens.access_token_claims(grant, issuer=provider.issuer, identifier=provider.new_uuid(), now=now),
    )
    provider.access_tokens.put(access_token, grant)
    answer: dict[str, str | int] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": tokens.ACCESS_TOKEN_SECONDS - 1,
        "scope": " ".join(grant.request.scopes),
    }
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    if "openid" in grant.request.scopes:
        claims = tokens.id_token_claims(
            grant,
            issuer=provider.issuer,
            key_id=provider.keys.key_id,
            identifier=provider.new_uuid(),
            now=now,
        )
        if is_again:
            claims.pop("auth_time", None)
        answer["id_token"] = provider.keys.id_token(
            quirks.id_token(client.client_id, claims),
            signature=quirks.signature(client.client_id),
            names_key=all(quirk.names_key for quirk in quirks.of(client.client_id)),
            client_secret=client.client_secret,
        )
    return answer


async def _form(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _bad_credentials(fault: BadCredentials) -> web.Response:
    return web.json_response(
        {"error": fault.error, "error_description": "Bad client credentials"},
        status=401,
        headers=_PRIVATE | {"WWW-Authenticate": 'Basic realm="openid-connect-server-webapp"'},
    )
