"""Every lie and fault of the hostile provider ends the sign-in with its own reason; every oddity of an honest one does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.hostile_provider import (
    ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, CODE, MODES, NONCE, ODDITIES, REDIRECT_URI, SUBJECT, VERIFIER, HostileProvider,
)  # fmt: skip

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import Authenticated, OpenIdProvider
from authproxy.oidc.refused import AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
INVALID, REFUSED, UNAVAILABLE = Reason.PROVIDER_ANSWER_INVALID, Reason.PROVIDER_REFUSED, Reason.PROVIDER_UNAVAILABLE
NEVER_ENDING = {"tokens never", "tokens begun and never ended", "userinfo never"}

# Whatever is not listed here is an answer that must not be believed.
EXPECTED = dict.fromkeys(MODES, INVALID) | dict.fromkeys(
    {
        "longer than 10 MB", "keys no list", "keys HTML", "keys without end", "keys elsewhere",
        "discovery of another issuer", "discovery issuer without its slash", "discovery with a token endpoint in the clear",
        "discovery with a file for keys", "discovery without a token endpoint", "discovery with a number for keys", "discovery HTML",
        "discovery with a member twice", "discovery elsewhere", "discovery without end", "discovery not found",
        "tokens elsewhere, 302", "tokens elsewhere, 307", "tokens elsewhere, 308", "tokens 500 HTML", "tokens 200 HTML", "tokens 429",
        "tokens 204", "tokens no JSON", "tokens a list", "tokens as text", "tokens without end", "tokens as a gzip bomb", "tokens never",
        "tokens begun and never ended", "tokens hung up", "invalid_client", "invalid_client as 400", "unauthorized for another reason",
        "400 HTML", "userinfo 503", "userinfo HTML", "userinfo elsewhere", "userinfo without end", "userinfo never",
    },
    UNAVAILABLE,
) | {"invalid_grant": REFUSED, "invalid_request": REFUSED}  # fmt: skip


@pytest.fixture
async def hostile():
    provider = HostileProvider(NOW)
    await provider.start()
    yield provider
    await provider.close()


async def sign_in(hostile: HostileProvider, **changes: object) -> Authenticated:
    relying_party = replace(
        RelyingParty(issuer=hostile.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, max_age=timedelta(minutes=5)), **changes
    )
    async with client_session(None, relying_party.timeout) as session:
        provider = OpenIdProvider(relying_party, session, clock=lambda: NOW, fresh=lambda size: "f" * size)
        response = [("code", CODE), ("state", "s")]
        return await provider.authenticate(response, redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER)


@pytest.mark.parametrize("mode", MODES)
async def test_a_hostile_answer_signs_nobody_in(hostile, mode):
    MODES[mode](hostile)
    patience = timedelta(seconds=0.3 if mode in NEVER_ENDING else 20)

    with pytest.raises((AuthorizationRefused, CannotAsk)) as refusal:
        await sign_in(hostile, timeout=patience)

    assert refusal.value.reason == EXPECTED[mode], str(refusal.value)
    assert isinstance(refusal.value, CannotAsk) == (EXPECTED[mode] is UNAVAILABLE)
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
    assert forms == [{
        "grant_type": "authorization_code", "code": CODE, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER,
        "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
    }]  # fmt: skip
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
