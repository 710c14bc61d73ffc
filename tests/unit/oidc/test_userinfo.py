"""What the userinfo endpoint may answer, as JSON or as a signed JWT, and what counts if it does not
answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from support.hostile_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    MODES,
    NONCE,
    REDIRECT_URI,
    SUBJECT,
    VERIFIER,
    ec_jwk,
    ec_key,
    es256,
    hs256,
    jws,
    rs,
    rsa_jwk,
    rsa_key,
)

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.refused import AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


async def told(hostile, **agreement):
    relying_party = RelyingParty(
        issuer=hostile.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, **agreement
    )
    async with client_session(None) as session:
        provider = OpenIdProvider(
            relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size
        )
        response = [("code", CODE), ("state", "s")]
        return (
            await provider.authenticate(
                response, redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER
            )
        ).userinfo


# An endpoint that may fail, or is not asked.


@pytest.mark.parametrize(
    "mode",
    [
        "userinfo 401",
        "userinfo 403",
        "userinfo 404",
        "userinfo 503",
        "userinfo HTML",
        "userinfo elsewhere",
        "userinfo never",
    ],
)
async def test_if_no_answer_is_needed_the_id_token_alone_counts(hostile, mode):
    MODES[mode](hostile)
    assert (
        await told(
            hostile, userinfo="optional", timeout=timedelta(seconds=0.3 if mode == "userinfo never" else 20)
        )
        == {}
    )
    assert (hostile.hits["userinfo"], hostile.canary_hits) == (1, 0)


@pytest.mark.parametrize(
    "mode", ["userinfo of another", "userinfo of nobody", "userinfo with sub twice", "userinfo as a JWT"]
)
async def test_an_answer_that_must_not_be_believed_is_refused_even_if_none_is_needed(hostile, mode):
    MODES[mode](hostile)
    with pytest.raises(AuthorizationRefused) as refusal:
        await told(hostile, userinfo="optional")
    assert refusal.value.reason is Reason.PROVIDER_ANSWER_INVALID


async def test_an_answer_counts_even_if_none_is_needed(hostile):
    assert (await told(hostile, userinfo="optional"))["taxnumber"] == "99990008"


async def test_an_endpoint_that_is_off_is_not_asked(hostile):
    MODES["userinfo of another"](hostile)
    assert await told(hostile, userinfo="off") == {}
    assert hostile.hits["userinfo"] == 0


# Signed answers.


def signed(hostile, claims=None, *, header=None, sign=None, **changes):
    """Lets the endpoint answer with a JWT of the claims; a claim that is `...` is left out."""
    every = (
        {"iss": hostile.issuer, "aud": CLIENT_ID, **hostile.userinfo, **changes} if claims is None else claims
    )
    every = (
        {name: value for name, value in every.items() if value is not ...}
        if isinstance(every, dict)
        else every
    )
    token = jws({"alg": "RS256", "kid": "rsa1", **(header or {})}, every, sign or rs(hostile.key))
    hostile.always("userinfo", body=token.encode(), headers={"Content-Type": "application/jwt;charset=UTF-8"})


async def test_a_signed_answer_is_believed(hostile):
    signed(hostile, iat=SECONDS, jti="j")
    assert (await told(hostile))["taxnumber"] == "99990008"


@pytest.mark.parametrize("times", [{"exp": SECONDS - 59}, {"iat": SECONDS + 60}, {"nbf": SECONDS + 60}, {}])
async def test_a_signed_answer_needs_no_times_but_those_it_has_are_checked(hostile, times):
    signed(hostile, **times)
    assert (await told(hostile))["name"] == "Ana Novak"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"iss": "https://evil.example/"}, "iss is not"),
        ({"iss": ...}, "iss is not"),
        ({"aud": "somebody-else"}, "aud is not"),
        ({"aud": ...}, "aud is not"),
        ({"aud": [CLIENT_ID, "somebody-else"]}, "aud is not"),
        ({"azp": "somebody-else"}, "azp is another"),
        ({"sub": "eve"}, "another subject"),
        ({"sub": ...}, "another subject"),
        ({"exp": SECONDS - 60}, "expired 60 s ago"),
        ({"exp": "never"}, "exp is missing or no time"),
        ({"iat": SECONDS + 61}, "valid only in 61 s"),
        ({"nbf": SECONDS + 61}, "valid only in 61 s"),
        ({"header": {"alg": "none"}, "sign": lambda _: b""}, "another algorithm"),
        ({"header": {"alg": "HS256"}, "sign": hs256(CLIENT_SECRET.encode())}, "another algorithm"),
        ({"header": {"typ": "at+jwt"}}, "typed as something else"),
        ({"header": {"kid": "rsa9"}}, "no usable key"),
        ({"sign": rs(rsa_key("thief"))}, "signature is wrong"),
        ({"claims": b'{"sub":"eve","sub":"' + SUBJECT.encode() + b'"}'}, "occurs twice"),
    ],
)
async def test_a_signed_answer_of_or_for_others_or_of_another_time_is_refused(hostile, changes, found):
    signed(hostile, **changes)
    with pytest.raises(AuthorizationRefused, match=f"userinfo.*{found}") as refusal:
        await told(hostile, userinfo="optional")
    assert refusal.value.reason is Reason.PROVIDER_ANSWER_INVALID
    assert hostile.canary_hits == 0


async def test_an_encrypted_answer_is_refused(hostile):
    hostile.always("userinfo", body=b"a.b.c.d.e", content_type="application/jwt")
    with pytest.raises(AuthorizationRefused, match="not three parts"):
        await told(hostile)


def by_elliptic_curve(hostile, *, announced):
    hostile.jwks.append(ec_jwk(ec_key("userinfo"), kid="ec1", use="sig"))
    hostile.discovery["userinfo_signing_alg_values_supported"] = announced
    signed(hostile, header={"alg": "ES256", "kid": "ec1"}, sign=es256(ec_key("userinfo")))


async def test_another_algorithm_is_believed_if_the_provider_has_announced_it_for_userinfo(hostile):
    by_elliptic_curve(hostile, announced=["none", "HS256", "ES256"])
    assert (await told(hostile))["name"] == "Ana Novak"


@pytest.mark.parametrize("announced", [..., [], ["PS256"], "ES256", {"ES256": True}])
async def test_an_algorithm_that_nobody_has_announced_is_refused(hostile, announced):
    by_elliptic_curve(hostile, announced=announced)
    with pytest.raises(AuthorizationRefused, match="another algorithm"):
        await told(hostile)


async def test_announcing_no_signature_or_one_by_the_client_secret_makes_none_believed(hostile):
    hostile.discovery["userinfo_signing_alg_values_supported"] = ["none", "HS256", "RS256"]
    for header, sign in (({"alg": "none"}, lambda _: b""), ({"alg": "HS256"}, hs256(CLIENT_SECRET.encode()))):
        signed(hostile, header=header, sign=sign)
        with pytest.raises(AuthorizationRefused, match="another algorithm"):
            await told(hostile)


async def test_a_new_key_for_userinfo_alone_is_found(hostile):
    by_elliptic_curve(hostile, announced=["ES256"])
    late = hostile.jwks.pop()

    async def publishes_it_now(request):
        hostile.jwks.append(late)
        del hostile.handlers["userinfo"]
        signed(hostile, header={"alg": "ES256", "kid": "ec1"}, sign=es256(ec_key("userinfo")))
        return await hostile.handlers["userinfo"](request)

    hostile.on("userinfo", publishes_it_now)
    assert (await told(hostile))["name"] == "Ana Novak"
    assert hostile.hits["jwk"] == 2


async def test_without_keys_a_signed_answer_cannot_be_judged(hostile):
    signed(hostile, header={"kid": "rsa9"})
    keys = {"keys": [rsa_jwk(hostile.key, kid="rsa1")]}

    async def once(request):
        hostile.always("jwk", status=503)
        return web.json_response(keys)

    hostile.on("jwk", once)
    with pytest.raises(CannotAsk):
        await told(hostile)


async def test_json_that_only_looks_signed_is_json(hostile):
    hostile.always(
        "userinfo",
        body=json.dumps({**hostile.userinfo, "iss": "https://evil.example/"}).encode(),
        content_type="application/json",
    )
    assert (await told(hostile))["name"] == "Ana Novak"
