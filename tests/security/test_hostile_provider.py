"""Every lie and fault of the hostile provider ends the sign-in with its own reason; every oddity of an honest
one does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.hostile_provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    MODES,
    NONCE,
    ODDITIES,
    REDIRECT_URI,
    SUBJECT,
    VERIFIER,
    HostileProvider,
)

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import Authenticated, OpenIdProvider
from authproxy.oidc.refused import AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
INVALID, REFUSED, UNAVAILABLE = (
    Reason.PROVIDER_ANSWER_INVALID,
    Reason.PROVIDER_REFUSED,
    Reason.PROVIDER_UNAVAILABLE,
)
NEVER_ENDING = {"tokens never", "tokens begun and never ended", "userinfo never"}

# Which check finds which mode out. A mode that is caught by another check than its own would leave its own
# untested.
FOUND = {
    INVALID: {
        "signed with another algorithm than RS256": (
            "alg none",
            "alg NoNe",
            "alg absent",
            "HS256 with the client secret",
            "HS256 with the public key",
            "HS256 with nothing",
            "RS384 by the right key",
            "ES256 by a published key",
        ),
        "typed as something else": ("typ at+jwt", "typ logout+jwt", "typ no text"),
        "header has jku": ("jku to the canary",),
        "header has x5u": ("x5u to the canary",),
        "header has jwk": ("jwk in the header",),
        "header has x5c": ("x5c in the header",),
        "header has crit": ("crit",),
        "header has b64": ("b64 false",),
        "header has zip": ("zip",),
        "kid is no text": ("kid no text",),
        "no usable key of the provider": (
            "kid unknown",
            "kid a path",
            "kid absent and two keys",
            "RSA of 1024 bits",
            "key for encryption",
            "key that may only sign",
            "key for another algorithm",
            "two keys of one kid",
            "key that is a secret",
            "key whose private half is published",
            "key padded",
            "no keys",
        ),
        "the signature is wrong": ("signed by another key", "signature absent", "claims exchanged"),
        "bits left over": ("signature in a second spelling",),
        "not three parts": ("five parts", "two parts"),
        "not base64url": ("padded", "white space", "not ASCII"),
        "longer than 65536": ("longer than 64 KiB",),
        "encoding: a JSON member occurs twice": ("a header member twice",),
        "encoding: not JSON": ("header no JSON",),
        "claims: a JSON member occurs twice": ("a claim twice", "a nested claim twice"),
        "claims: not JSON": ("claims in UTF-16", "a claim NaN", "claims nested too deep", "exp infinite"),
        "claims: JSON, but not an object": ("claims no object",),
        "iss is not": ("iss of another", "iss without its slash", "iss absent"),
        "aud is not": ("aud of another", "aud absent", "aud of two", "aud empty", "aud nested"),
        "azp is another": ("azp of another",),
        "nonce is not": ("nonce of another", "nonce absent", "nonce no text"),
        "exp is missing or no time": ("exp absent", "exp text", "exp true", "exp beyond all years"),
        "expired 61 s ago": ("exp past",),
        "iat is missing or no time": ("iat absent", "iat text"),
        "valid only in 61 s": ("iat ahead", "nbf ahead"),
        "issued 601 s ago": ("iat stale",),
        "nbf is missing or no time": ("nbf text",),
        "auth_time is missing, though": ("auth_time absent",),
        "auth_time lies 61 s ahead": ("auth_time ahead",),
        "auth_time is missing or no time": ("auth_time text",),
        "sub is missing, too long or invisible": (
            "sub absent",
            "sub empty",
            "sub a number",
            "sub too long",
            "sub with a control",
            "sub with a direction override",
            "sub half a character",
        ),
        "at_hash belongs to another": ("at_hash of another",),
        "token endpoint: a JSON member occurs twice": ("tokens with the ID token twice",),
        "no ID token": ("tokens without an ID token",),
        "no access token": ("tokens without an access token", "access token with a line end"),
        "type is not Bearer": ("tokens of type mac", "tokens of no type"),
        "without an error code": ("400 without a reason",),
        "another subject": ("userinfo of another", "userinfo of nobody"),
        "userinfo endpoint: a JSON member occurs twice": ("userinfo with sub twice",),
        "userinfo: signed with another algorithm than RS256": ("userinfo as a JWT",),
        "userinfo endpoint: 40": ("userinfo 401", "userinfo 403", "userinfo 404"),
    },
    Reason.PROOF_TOO_OLD: {"authenticated 361 s ago": ("auth_time too old",)},
    REFUSED: {
        "the code was refused": ("invalid_grant", "invalid_request"),
        "does not accept this relying party": (
            "invalid_client",
            "invalid_client as 400",
            "unauthorized_client",
            "unauthorized for another reason",
            "unauthorized as a page",
        ),
    },
    UNAVAILABLE: {
        "JWK set: not a JWK set": ("keys no list",),
        "JWK set answered 200 with something other than JSON": ("keys HTML",),
        "JWK set answered with more than": ("keys without end",),
        "JWK set answered 302": ("keys elsewhere",),
        "not the configured one": ("discovery of another issuer",),
        "slash at the end": ("discovery issuer without its slash",),
        "token_endpoint is no URL that may be used": ("discovery with a token endpoint in the clear",),
        "jwks_uri is no URL that may be used": (
            "discovery with a file for keys",
            "discovery with a number for keys",
        ),
        "no token_endpoint": ("discovery without a token endpoint",),
        "discovery document answered 200 with something other than JSON": ("discovery HTML",),
        "discovery document: a JSON member occurs twice": ("discovery with a member twice",),
        "discovery document answered 301": ("discovery elsewhere",),
        "discovery document answered with more than": ("discovery without end",),
        "discovery document answered 404": ("discovery not found",),
        "token endpoint answered 30": (
            "tokens elsewhere, 302",
            "tokens elsewhere, 307",
            "tokens elsewhere, 308",
        ),
        "token endpoint answered 500": ("tokens 500 HTML",),
        "token endpoint answered 429": ("tokens 429",),
        "token endpoint answered 204": ("tokens 204",),
        "something other than JSON": ("tokens 200 HTML", "tokens as text", "400 HTML", "userinfo HTML"),
        "token endpoint answered 200: not JSON": ("tokens no JSON",),
        "not an object": ("tokens a list",),
        "token endpoint answered with more than 262144 bytes": ("longer than 10 MB", "tokens without end"),
        "encoding that was not asked for": ("tokens as a gzip bomb",),
        "no answer within 0.3 s": ("tokens never", "tokens begun and never ended", "userinfo never"),
        "ServerDisconnectedError": ("tokens hung up",),
        "userinfo endpoint answered 503": ("userinfo 503",),
        "userinfo endpoint answered 307": ("userinfo elsewhere",),
        "userinfo endpoint answered with more than": ("userinfo without end",),
    },
}
EXPECTED = {
    mode: (reason, found)
    for reason, checks in FOUND.items()
    for found, modes in checks.items()
    for mode in modes
}


@pytest.fixture
async def hostile():
    async with HostileProvider(NOW) as provider:
        yield provider


async def sign_in(hostile: HostileProvider, **changes: object) -> Authenticated:
    relying_party = replace(
        RelyingParty(
            issuer=hostile.issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            max_age=timedelta(minutes=5),
        ),
        **changes,
    )
    async with client_session(None) as session:
        provider = OpenIdProvider(
            relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size
        )
        response = [("code", CODE), ("state", "s")]
        return await provider.authenticate(
            response, redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER
        )


@pytest.mark.parametrize("mode", MODES)
async def test_a_hostile_answer_signs_nobody_in(hostile, mode):
    MODES[mode](hostile)
    patience = timedelta(seconds=0.3 if mode in NEVER_ENDING else 20)

    with pytest.raises((AuthorizationRefused, CannotAsk)) as refusal:
        await sign_in(hostile, timeout=patience)

    reason, found = EXPECTED[mode]
    assert refusal.value.reason == reason, str(refusal.value)
    assert found in str(refusal.value)
    assert isinstance(refusal.value, CannotAsk) == (reason is UNAVAILABLE)
    assert hostile.canary_hits == 0
    for secret in (CODE, CLIENT_SECRET, ACCESS_TOKEN, VERIFIER, NONCE, SUBJECT):
        assert secret not in f"{refusal.value} {refusal.value!r} {refusal.value.__cause__}"


@pytest.mark.parametrize("oddity", ODDITIES)
async def test_an_honest_oddity_is_lived_with(hostile, oddity):
    ODDITIES[oddity](hostile)

    authenticated = await sign_in(hostile)

    assert authenticated.claims.subject == SUBJECT
    assert authenticated.claims.issuer == hostile.issuer
    assert authenticated.userinfo.get("name", "Ana Novak") == "Ana Novak"


async def test_the_message_says_how_far_the_clocks_are_apart(hostile):
    MODES["iat ahead"](hostile)

    with pytest.raises(AuthorizationRefused, match=r"only in 61 s.*clocks"):
        await sign_in(hostile)


async def test_the_code_is_sent_once_with_its_verifier_and_nothing_follows_a_refusal(hostile):
    MODES["nonce of another"](hostile)

    with pytest.raises(AuthorizationRefused):
        await sign_in(hostile)

    forms = [form for endpoint, _, form in hostile.requests if endpoint == "token"]
    assert forms == [
        {
            "grant_type": "authorization_code",
            "code": CODE,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
    ]
    assert hostile.hits["userinfo"] == 0


async def test_nothing_of_the_answers_shows_in_a_repr(hostile):
    shown = repr(await sign_in(hostile))

    assert "Ana Novak" not in shown
    assert "99990008" not in shown
    assert hostile.id_token() not in shown


async def test_a_provider_that_does_not_listen_cannot_be_asked(hostile):
    await hostile.close()

    with pytest.raises(CannotAsk) as refusal:
        await sign_in(hostile)

    assert refusal.value.reason == UNAVAILABLE


async def test_without_max_age_no_auth_time_is_needed_but_a_wrong_one_is_refused(hostile):
    MODES["auth_time absent"](hostile)
    assert (await sign_in(hostile, max_age=None)).claims.auth_time is None

    MODES["auth_time ahead"](hostile)
    with pytest.raises(AuthorizationRefused):
        await sign_in(hostile, max_age=None)


async def test_with_a_prompt_auth_time_may_be_absent_but_not_old(hostile):
    MODES["auth_time absent"](hostile)
    assert (await sign_in(hostile, prompt="login")).claims.auth_time is None

    MODES["auth_time too old"](hostile)
    with pytest.raises(AuthorizationRefused, match="longer than max_age"):
        await sign_in(hostile, prompt="login")


async def test_an_answer_without_its_announced_issuer_redeems_nothing(hostile):
    hostile.discovery["authorization_response_iss_parameter_supported"] = True

    with pytest.raises(AuthorizationRefused) as refusal:
        await sign_in(hostile)

    assert refusal.value.reason == INVALID
    assert hostile.hits["token"] == 0
