from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from support.hostile_provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    MODES,
    NONCE,
    REDIRECT_URI,
    SUBJECT,
    VERIFIER,
    HostileProvider,
    jws,
    rs,
    rsa_jwk,
    rsa_key,
)

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.refused import AuthorizationRefused, TokenRefused
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.fixture
async def provider(hostile):
    relying_party = RelyingParty(
        issuer=hostile.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, max_age=timedelta(minutes=5)
    )
    async with client_session(None) as session:
        yield OpenIdProvider(relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size)


def returned(provider: OpenIdProvider, *parameters: tuple[str, str]):
    response = parameters or (("code", CODE), ("state", "s"))
    return provider.authenticate(response, redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER)


def request(provider: OpenIdProvider, **how: bool):
    return provider.authorization_request(
        redirect_uri=REDIRECT_URI, state="s", nonce=NONCE, code_verifier=VERIFIER, ui_locales="sl", **how
    )


async def test_the_browser_is_sent_to_the_endpoint_that_discovery_names(hostile, provider):
    url = urlsplit(await request(provider))

    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{hostile.issuer}authorize"
    assert parse_qs(url.query)["redirect_uri"] == [REDIRECT_URI]


@pytest.mark.parametrize(("agreed", "sent"), [(None, "0"), (timedelta(minutes=5), "300")])
async def test_a_proof_is_asked_for_with_a_time_also_where_no_age_is_agreed(hostile, agreed, sent):
    relying_party = RelyingParty(
        issuer=hostile.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, max_age=agreed
    )
    async with client_session(None) as session:
        provider = OpenIdProvider(
            relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size
        )
        asked = {
            dated: parse_qs(urlsplit(await request(provider, anew=True, dated=dated)).query)
            for dated in (True, False)
        }
    assert (asked[True]["prompt"], asked[True]["max_age"]) == (["login"], [sent])
    assert ("max_age" in asked[False]) is (agreed is not None)


async def test_a_sign_in_proves_a_subject_and_returns_its_claims(hostile, provider):
    authenticated = await returned(provider)

    assert authenticated.claims.subject == SUBJECT
    assert authenticated.userinfo["taxnumber"] == "99990008"
    assert authenticated.id_token.count(".") == 2
    userinfo = next(headers for endpoint, headers, _ in hostile.requests if endpoint == "userinfo")
    assert userinfo["Authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert userinfo["Accept"] == "application/json"


async def test_userinfo_is_asked_over_the_connection_of_the_code_and_every_other_question_over_its_own(
    hostile, provider
):
    await returned(provider)

    [of_the_code] = hostile.connections["token"]
    assert hostile.connections["userinfo"] == [of_the_code]
    others = [*hostile.connections["openid-configuration"], *hostile.connections["jwk"]]
    assert len({of_the_code, *others}) == 3


async def test_a_connection_that_the_provider_closes_after_the_code_costs_nobody_their_sign_in(
    hostile, provider
):
    async def closing_once(request):
        del hostile.handlers["userinfo"]
        request.transport.close()
        return web.Response()

    hostile.on("userinfo", closing_once)

    assert (await returned(provider)).userinfo["taxnumber"] == "99990008"
    assert (hostile.hits["token"], hostile.hits["userinfo"]) == (1, 2)


async def test_the_provider_may_change_its_key_between_two_sign_ins(hostile, provider):
    await returned(provider)
    hostile.key = rsa_key("second")
    hostile.header["kid"] = "rsa2"
    hostile.jwks = [rsa_jwk(hostile.key, kid="rsa2")]

    assert (await returned(provider)).claims.subject == SUBJECT


async def test_the_provider_may_change_its_key_under_the_same_name(hostile, provider):
    await returned(provider)
    hostile.key = rsa_key("second")
    hostile.jwks = [rsa_jwk(hostile.key, kid="rsa1")]
    assert (await returned(provider)).claims.subject == SUBJECT


async def test_tokens_with_a_wrong_signature_are_refused_as_such_however_many_come(hostile, provider):
    """Each makes the gateway look for a newer key, until it has looked often enough."""
    await returned(provider)
    hostile.key = rsa_key("second")
    for _ in range(8):
        with pytest.raises(TokenRefused, match="the signature is wrong"):
            await returned(provider)


async def test_a_token_that_names_no_key_of_the_provider_is_refused_however_many_come(hostile, provider):
    hostile.header["kid"] = "rsa9"
    for _ in range(8):
        with pytest.raises(TokenRefused, match="no usable key of the provider"):
            await returned(provider)


@pytest.mark.parametrize("endpoint", ["openid-configuration", "jwk"])
async def test_operators_see_which_part_of_the_provider_failed(hostile, provider, endpoint):
    await provider.refresh()
    assert (provider.health(NOW).last_error, provider.health(NOW).usable_keys) == (None, 1)
    hostile.always(endpoint, status=503)
    await provider.refresh()
    assert "503" in provider.health(NOW).last_error
    assert provider.health(NOW).usable_keys == 1


async def test_no_code_is_redeemed_while_there_are_no_keys(hostile, provider):
    hostile.always("jwk", status=503)
    with pytest.raises(CannotAsk):
        await returned(provider)
    assert hostile.hits["token"] == 0


async def test_after_a_refused_consent_nothing_more_is_sent_to_the_provider(hostile, provider):
    with pytest.raises(AuthorizationRefused) as refusal:
        await returned(
            provider, ("error", "access_denied"), ("error_description", "User denied access"), ("state", "s")
        )

    assert refusal.value.reason == Reason.CONSENT_REFUSED
    assert hostile.hits.keys() == {"openid-configuration"}


@pytest.mark.parametrize("mode", ["nonce of another", "signed by another key", "aud of two"])
async def test_userinfo_is_not_asked_on_behalf_of_a_token_that_is_not_genuine(hostile, provider, mode):
    MODES[mode](hostile)

    with pytest.raises(AuthorizationRefused):
        await returned(provider)

    assert hostile.hits["userinfo"] == 0


async def test_logout_goes_where_discovery_says_or_nowhere(hostile, provider):
    asked = await provider.end_session_request(
        id_token="e30.e30.e30", post_logout_redirect_uri="https://acq.example/bye", state="s"
    )

    assert (asked.by, asked.endpoint, asked.fields["client_id"]) == (
        "get",
        f"{hostile.issuer}endsession",
        CLIENT_ID,
    )


async def test_a_provider_without_logout_has_none(hostile, provider):
    hostile.discovery["end_session_endpoint"] = ...

    assert (
        await provider.end_session_request(
            id_token="e30.e30.e30", post_logout_redirect_uri="https://acq.example/bye", state="s"
        )
        is None
    )


async def test_nobody_is_sent_to_sign_out_at_a_provider_that_does_not_answer(hostile, provider):
    await provider.refresh()
    MODES["discovery HTML"](hostile)
    await provider.refresh()

    assert (
        await provider.end_session_request(
            id_token="e30.e30.e30", post_logout_redirect_uri="https://acq.example/bye", state="s"
        )
        is None
    )


async def test_the_gateway_starts_without_its_provider_and_knows_why(hostile, provider):
    before = provider.health(NOW)
    assert (before.metadata_known, before.metadata_age, before.usable_keys, before.last_error) == (
        False,
        None,
        0,
        None,
    )

    MODES["discovery HTML"](hostile)
    await provider.refresh()
    with pytest.raises(CannotAsk):
        await request(provider)

    assert provider.health(NOW).last_error == "discovery document answered 200 with something other than JSON"


async def test_health_tells_what_is_known_and_how_old_it_is(provider):
    await provider.refresh()

    health = provider.health(NOW + timedelta(minutes=3))
    assert (health.metadata_known, health.metadata_age, health.usable_keys, health.last_error) == (
        True,
        timedelta(minutes=3),
        1,
        None,
    )


async def test_a_cookie_of_the_provider_is_not_kept(hostile, provider):
    hostile.always(
        "token",
        status=400,
        text='{"error":"invalid_grant"}',
        content_type="application/json",
        headers={"Set-Cookie": "JSESSIONID=x"},
    )
    for _ in range(2):
        with pytest.raises(AuthorizationRefused):
            await returned(provider)

    assert all("Cookie" not in headers for _, headers, _ in hostile.requests)


async def test_a_proxy_in_the_environment_is_not_used(hostile, provider, monkeypatch):
    monkeypatch.setenv("http_proxy", hostile.canary)
    monkeypatch.setenv("no_proxy", "")

    assert (await returned(provider)).claims.subject == SUBJECT
    assert hostile.canary_hits == 0


def logout_token(hostile: HostileProvider, *, kid: str = "rsa1", **changes) -> str:
    claims = {
        "iss": hostile.issuer,
        "aud": CLIENT_ID,
        "iat": hostile.seconds,
        "exp": hostile.seconds + 120,
        "jti": "j",
        "sub": SUBJECT,
        "sid": "s",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        **changes,
    }
    return jws({"alg": "RS256", "kid": kid, "typ": "logout+jwt"}, claims, rs(hostile.key))


async def test_a_logout_token_is_judged_by_the_keys_that_the_provider_publishes(hostile, provider):
    token = await provider.logout_token(logout_token(hostile))
    assert (token.subject, token.provider_session) == (SUBJECT, "s")

    hostile.key = rsa_key("second")
    with pytest.raises(TokenRefused, match="signature"):
        await provider.logout_token(logout_token(hostile))
    hostile.jwks = [rsa_jwk(hostile.key, kid="rsa2")]
    assert (await provider.logout_token(logout_token(hostile, kid="rsa2"))).subject == SUBJECT


async def test_a_logout_token_of_an_unknown_key_is_refused(hostile, provider):
    with pytest.raises(TokenRefused, match="logout token: no usable key"):
        await provider.logout_token(logout_token(hostile, kid="rsa9"))


async def test_without_the_providers_keys_no_logout_token_is_judged(hostile, provider):
    hostile.always("jwk", status=500)
    with pytest.raises(CannotAsk) as failure:
        await provider.logout_token(logout_token(hostile))
    assert failure.value.reason is Reason.PROVIDER_UNAVAILABLE
