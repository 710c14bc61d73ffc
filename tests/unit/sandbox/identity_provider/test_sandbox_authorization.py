from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from authproxy.sandbox.identity_provider.openid.authorization import (
    SCOPES,
    AuthorizationRefused,
    NotAnswerable,
    Step,
    answer,
    next_step,
    read,
    verifier_fits,
)
from authproxy.sandbox.identity_provider.openid.clients import Client

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CLIENTS = {
    "rp": Client(client_id="rp", client_secret="s", redirect_uris=("https://rp.example.si/cb",), name="RP")
}
ASKED = {
    "client_id": "rp",
    "redirect_uri": "https://rp.example.si/cb",
    "response_type": "code",
    "scope": "openid",
}


def request(**changed: str):
    return read(list((ASKED | changed).items()), CLIENTS)


def test_no_scope_means_every_scope():
    assert request(scope="").scopes == SCOPES


@pytest.mark.parametrize("hint", ["https://elsewhere.example", "http://elsewhere.example"])
def test_a_login_hint_that_looks_like_a_url_is_dropped(hint):
    assert request(login_hint=hint).login_hint == ""
    assert request(login_hint="ana@example.si").login_hint == "ana@example.si"


@pytest.mark.parametrize("max_age", ["", "-", "1.5", "x", "²"])
def test_a_max_age_that_is_no_number_is_an_error_of_the_server(max_age):
    with pytest.raises(NotAnswerable) as caught:
        request(max_age=max_age)
    assert caught.value.status == 500


@pytest.mark.parametrize("changed", [{"client_id": "x"}, {"redirect_uri": "https://rp.example.si/cb/"}])
def test_nothing_is_sent_to_an_address_that_is_not_registered(changed):
    with pytest.raises(NotAnswerable):
        request(**changed)
    with pytest.raises(NotAnswerable):
        read([*ASKED.items(), ("scope", "email")], CLIENTS)


@pytest.mark.parametrize(
    "changed",
    [{"response_type": "id_token"}, {"scope": "x"}, {"code_challenge": "x", "code_challenge_method": "x"}],
)
def test_a_refusal_goes_to_the_registered_address(changed):
    with pytest.raises(AuthorizationRefused) as caught:
        request(**changed, state="a b")
    assert caught.value.location.startswith("https://rp.example.si/cb?error=")
    assert caught.value.location.endswith("&state=a+b")


@pytest.mark.parametrize(
    ("changed", "age", "just_signed_in", "consented", "step"),
    [
        ({}, None, False, False, Step.SIGN_IN),
        ({}, 0, False, False, Step.CONSENT),
        ({}, 9999, False, True, Step.ISSUE),
        ({"max_age": "300"}, 300, False, True, Step.ISSUE),
        ({"max_age": "300"}, 301, False, True, Step.SIGN_IN),
        ({"max_age": "0"}, 1, True, True, Step.ISSUE),
        ({"prompt": "login"}, 0, False, True, Step.SIGN_IN),
        ({"prompt": "login"}, 0, True, True, Step.ISSUE),
        ({"prompt": "consent", "max_age": "1"}, 2, False, True, Step.ISSUE),
        ({"prompt": "none"}, None, False, True, Step.LOGIN_REQUIRED),
        ({"prompt": "none", "max_age": "1"}, 2, False, True, Step.ISSUE),
        ({"prompt": "none"}, 0, False, False, Step.INTERACTION_REQUIRED),
    ],
)
def test_what_comes_next(changed, age, just_signed_in, consented, step):
    authenticated_at = None if age is None else NOW - timedelta(seconds=age)
    assert (
        next_step(
            request(**changed),
            authenticated_at=authenticated_at,
            just_signed_in=just_signed_in,
            consented=consented,
            now=NOW,
        )
        is step
    )


def test_an_answer_is_added_to_the_query_that_is_there():
    assert (
        answer("https://rp.example.si/cb?a=1", code="c", state=None) == "https://rp.example.si/cb?a=1&code=c"
    )
    assert answer("https://rp.example.si/cb", state="") == "https://rp.example.si/cb?state="


def test_the_example_of_rfc_7636_fits():
    challenge, verifier = (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    )
    assert verifier_fits(challenge, "S256", verifier)
    assert not verifier_fits(challenge, "plain", verifier)
    assert verifier_fits(verifier, "plain", verifier)
