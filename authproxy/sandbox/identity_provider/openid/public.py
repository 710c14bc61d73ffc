"""The public endpoints (discovery, keys), and userinfo for the bearer of an access token (OpenID Connect Core
§5.3, RFC 6750)."""

from __future__ import annotations

from aiohttp import web

from authproxy.sandbox.identity_provider.openid.authorization import SCOPES, TAX_NUMBER_SCOPE
from authproxy.sandbox.identity_provider.openid.claims import released
from authproxy.sandbox.identity_provider.provider import PROVIDER

_SIGNED = [
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
]


async def discovery(request: web.Request) -> web.Response:
    """Discovery as MITREid writes it, with its traps: it advertises `none`, does not advertise the tax
    number's scope, and lacks acr_values_supported.

    Only request objects are left out, because this provider does not read them.
    """
    provider = request.app[PROVIDER]
    endpoints = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "jwks_uri": "jwk",
        "registration_endpoint": "register",
        "introspection_endpoint": "introspect",
        "revocation_endpoint": "revoke",
        "end_session_endpoint": "endsession",
        "device_authorization_endpoint": "devicecode",
        "service_documentation": "about",
        "op_policy_uri": "about",
        "op_tos_uri": "about",
    }
    return web.json_response(
        provider.quirks.discovery(
            {
                "issuer": provider.issuer,
                **{member: provider.endpoint(path) for member, path in endpoints.items()},
                "scopes_supported": [
                    *(scope for scope in SCOPES if scope != TAX_NUMBER_SCOPE),
                    "offline_access",
                ],
                "response_types_supported": ["code", "token"],
                "grant_types_supported": [
                    "authorization_code",
                    "implicit",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer",
                    "client_credentials",
                    "urn:ietf:params:oauth:grant_type:redelegate",
                    "urn:ietf:params:oauth:grant-type:device_code",
                ],
                "subject_types_supported": ["public", "pairwise"],
                "id_token_signing_alg_values_supported": [*_SIGNED, "none"],
                "userinfo_signing_alg_values_supported": _SIGNED,
                "token_endpoint_auth_signing_alg_values_supported": _SIGNED,
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "client_secret_basic",
                    "client_secret_jwt",
                    "private_key_jwt",
                    "none",
                ],
                "claim_types_supported": ["normal"],
                "claims_supported": [
                    "sub",
                    "name",
                    "preferred_username",
                    "given_name",
                    "family_name",
                    "middle_name",
                    "nickname",
                    "profile",
                    "picture",
                    "website",
                    "gender",
                    "zoneinfo",
                    "locale",
                    "updated_at",
                    "birthdate",
                    "email",
                    "email_verified",
                    "phone_number",
                    "phone_number_verified",
                    "address",
                ],
                "claims_parameter_supported": False,
                "request_parameter_supported": False,
                "request_uri_parameter_supported": False,
                "require_request_uri_registration": False,
                "code_challenge_methods_supported": ["plain", "S256"],
            }
        )
    )


async def jwk(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    active = tuple(provider.quirks.everybodys())
    return web.json_response(
        provider.keys.published(
            with_old=any(quirk.publishes_old_keys for quirk in active),
            with_elliptic=any(quirk.signature == "ES256" for quirk in active),
        )
    )


async def userinfo(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
    grant = provider.access_tokens.get(access_token.strip()) if scheme.lower() == "bearer" else None
    if grant is None:
        return web.json_response(
            {"error": "invalid_token", "error_description": "Invalid access token"},
            status=401,
            headers={"WWW-Authenticate": 'Bearer realm="openid", error="invalid_token"'},
        )
    if "openid" not in grant.request.scopes:
        return web.json_response({"error": "insufficient_scope", "scope": "openid"}, status=403)
    account = provider.accounts.find(grant.login_name)
    if account is None:
        return web.json_response({"error": "unknown_user"}, status=404)
    client_id = grant.request.client_id
    claims = provider.quirks.userinfo(client_id, released(account, grant.request.scopes))
    if any(quirk.signs_userinfo for quirk in provider.quirks.of(client_id)):
        return web.Response(
            text=provider.keys.sign(claims | {"iss": provider.issuer, "aud": client_id}),
            content_type="application/jwt",
        )
    return web.json_response(claims)


async def closed(_: web.Request) -> web.Response:
    """Registration and device codes: advertised, as by Rekono, but closed to the public."""
    return web.json_response({"error": "access_denied"}, status=403)
