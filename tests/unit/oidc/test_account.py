"""Whether the provider's answers mean that an account exists, that it does not, or neither."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from support.hostile_provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    NONCE,
    REDIRECT_URI,
    VERIFIER,
)

from authproxy.access.unavailable import CannotAsk
from authproxy.identity.grant import Grant
from authproxy.oidc.account import Stands, Withdrawn
from authproxy.oidc.exchange import client_session, has_been_sent
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
REFRESH, ACCESS = Grant(refresh_token="r1"), Grant(access_token="a1", ends_at=NOW + timedelta(hours=1))
TOKENS = {"access_token": "a2", "token_type": "Bearer"}


@pytest.fixture
def hostile(hostile):
    hostile.discovery |= {
        "introspection_endpoint": f"{hostile.issuer}introspect",
        "revocation_endpoint": f"{hostile.issuer}revoke",
    }
    return hostile


@pytest.fixture
async def provider(hostile):
    relying_party = RelyingParty(
        issuer=hostile.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, timeout=timedelta(seconds=2)
    )
    async with client_session(None) as session:
        yield OpenIdProvider(relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size)


def form(hostile, endpoint):
    return next(fields for name, _, fields in hostile.requests if name == endpoint)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (TOKENS, Stands()),
        (TOKENS | {"refresh_token": "r1"}, Stands()),
        (TOKENS | {"refresh_token": "r2"}, Stands(Grant(refresh_token="r2"))),
        (TOKENS | {"refresh_token": 7}, Stands()),
    ],
)
async def test_new_tokens_mean_that_the_account_exists(hostile, provider, answer, told):
    hostile.answer("token", answer)
    assert await provider.ask_about(REFRESH) == told
    sent = form(hostile, "token")
    assert (sent["grant_type"], sent["refresh_token"], sent["client_id"]) == (
        "refresh_token",
        "r1",
        CLIENT_ID,
    )


@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
async def test_the_secret_travels_in_the_header_where_that_is_agreed(hostile, endpoint):
    relying_party = RelyingParty(
        issuer=hostile.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        client_authentication="client_secret_basic",
        timeout=timedelta(seconds=2),
    )
    hostile.answer("token", TOKENS)
    hostile.answer("introspect", {"active": True})
    hostile.always("revoke")
    async with client_session(None) as session:
        provider = OpenIdProvider(
            relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size
        )
        work, grant = {
            "token": (provider.ask_about, REFRESH),
            "introspect": (provider.ask_about, ACCESS),
            "revoke": (provider.end_grant, REFRESH),
        }[endpoint]
        await work(grant)
    [headers] = [headers for name, headers, _ in hostile.requests if name == endpoint]
    assert headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "error"), [(400, "invalid_grant"), (401, "invalid_token"), (400, "invalid_token")]
)
async def test_a_refused_refresh_token_means_that_the_account_is_withdrawn(hostile, provider, status, error):
    hostile.answer("token", {"error": error, "error_description": "Invalid refresh token: r1"}, status=status)
    assert await provider.ask_about(REFRESH) == Withdrawn(f"refresh token: {error}")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "invalid_client"}),
        (400, {"error": "invalid_request"}),
        (400, {"error": "unsupported_grant_type"}),
        (403, {}),
        (404, {"error": "invalid_grant"}),
        (200, {}),
        (200, {"access_token": 7}),
        (500, {"error": "invalid_grant"}),
        (429, {"error": "invalid_grant"}),
        (302, {}),
        (500, TOKENS),
        (202, TOKENS),
        (400, TOKENS),
        (200, b"<html>"),
        (200, b'{"access_token": "a", "access_token": "b"}'),
        (400, b'{"error": "invalid_grant", "error": "x"}'),
    ],
)
async def test_every_other_answer_raises(hostile, provider, status, body):
    hostile.answer("token", body, status=status)
    with pytest.raises(CannotAsk) as found:
        await provider.ask_about(REFRESH)
    assert "r1" not in str(found.value)
    assert has_been_sent(found.value)


async def test_a_provider_that_is_away_has_not_been_asked_and_one_that_hangs_up_may_have_been(
    hostile, provider
):
    await provider.refresh()
    hostile.hang_up("token")
    with pytest.raises(CannotAsk) as found:
        await provider.ask_about(REFRESH)
    assert has_been_sent(found.value)
    await hostile.close()
    with pytest.raises(CannotAsk) as found:
        await provider.ask_about(REFRESH)
    assert not has_been_sent(found.value)


@pytest.mark.parametrize(
    ("active", "told"),
    [(True, Stands()), (False, Withdrawn("introspection: the access token is not active"))],
)
async def test_introspection_says_yes_or_no(hostile, provider, active, told):
    hostile.answer("introspect", {"active": active})
    assert await provider.ask_about(ACCESS) == told
    sent = form(hostile, "introspect")
    assert (sent["token"], sent["token_type_hint"], sent["client_id"]) == ("a1", "access_token", CLIENT_ID)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {}),
        (200, {}),
        (200, {"active": "false"}),
        (200, {"active": 0}),
        (401, {"active": False}),
        (500, {"active": False}),
    ],
)
async def test_every_other_introspection_answer_raises(hostile, provider, status, body):
    hostile.answer("introspect", body, status=status)
    with pytest.raises(CannotAsk):
        await provider.ask_about(ACCESS)


@pytest.mark.parametrize(
    "ends_at",
    [NOW - timedelta(seconds=1), NOW + timedelta(seconds=60), None],
    ids=["over", "about to be over", "unknown end"],
)
async def test_a_token_that_may_have_expired_is_not_introspected(hostile, provider, ends_at):
    hostile.answer("introspect", {"active": False})
    with pytest.raises(CannotAsk, match="access token is over"):
        await provider.ask_about(Grant(access_token="a1", ends_at=ends_at))
    assert hostile.hits["introspect"] == 0


async def test_without_a_token_or_an_endpoint_nobody_is_asked(hostile, provider):
    with pytest.raises(CannotAsk, match="no token to ask with"):
        await provider.ask_about(Grant())
    hostile.discovery["introspection_endpoint"] = "ftp://nowhere"
    with pytest.raises(CannotAsk):
        await provider.ask_about(ACCESS)
    assert set(hostile.hits) <= {"openid-configuration"}


@pytest.mark.parametrize(
    ("grant", "sent"), [(REFRESH, ("r1", "refresh_token")), (ACCESS, ("a1", "access_token"))]
)
async def test_the_right_token_is_revoked(hostile, provider, grant, sent):
    hostile.always("revoke")
    await provider.end_grant(grant)
    told = form(hostile, "revoke")
    assert (told["token"], told["token_type_hint"]) == sent


async def test_a_refused_revocation_raises(hostile, provider):
    hostile.on("revoke", lambda _: _refusing())
    with pytest.raises(CannotAsk, match="revocation endpoint answered 403"):
        await provider.end_grant(REFRESH)
    await provider.end_grant(Grant())
    assert hostile.hits["revoke"] == 1


async def test_without_an_endpoint_no_token_is_revoked(hostile, provider):
    del hostile.discovery["revocation_endpoint"]
    await provider.end_grant(REFRESH)
    assert set(hostile.hits) == {"openid-configuration"}


async def _refusing():
    return web.Response(status=403)


async def test_a_sign_in_brings_a_refresh_token_or_an_access_token_that_can_be_introspected(
    hostile, provider
):
    async def grant():
        response = (("code", CODE), ("state", "s"))
        return (
            await provider.authenticate(
                response, redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER
            )
        ).grant

    hostile.tokens = {"expires_in": 3600}
    assert await grant() == Grant(access_token=ACCESS_TOKEN, ends_at=NOW + timedelta(hours=1))
    for no_span in ("3600", 0, -1, True, 1.5, 10**15):
        hostile.tokens = {"expires_in": no_span}
        assert await grant() is None
    hostile.tokens = {"expires_in": 3600, "refresh_token": "r1"}
    assert await grant() == REFRESH


async def test_an_access_token_that_nobody_could_be_asked_about_is_not_kept(hostile, provider):
    del hostile.discovery["introspection_endpoint"]
    hostile.tokens = {"expires_in": 3600}
    response = (("code", CODE), ("state", "s"))
    assert (
        await provider.authenticate(response, redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER)
    ).grant is None
