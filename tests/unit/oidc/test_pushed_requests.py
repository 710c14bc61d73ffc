from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import RSAKey
from support.hostile_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    NONCE,
    REDIRECT_URI,
    VERIFIER,
    rsa_key,
)

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
NAME = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"


@pytest.fixture
def hostile(hostile):
    hostile.discovery |= {
        "pushed_authorization_request_endpoint": f"{hostile.issuer}par",
        "require_pushed_authorization_requests": True,
    }
    answers(hostile, {"request_uri": NAME, "expires_in": 60})
    return hostile


def answers(provider, body, *, status=201, **more):
    provider.answer("par", body, status=status, **more)


async def asked(hostile, *, extra=None, **agreement):
    """The URL that the browser is sent to."""
    agreement = {"client_secret": CLIENT_SECRET, **agreement}
    relying_party = RelyingParty(issuer=hostile.issuer, client_id=CLIENT_ID, **agreement)
    async with client_session(None) as session:
        provider = OpenIdProvider(
            relying_party, session, clock=lambda: NOW, random_text=lambda size: "f" * size
        )
        return await provider.authorization_request(
            redirect_uri=REDIRECT_URI,
            state="s",
            nonce=NONCE,
            code_verifier=VERIFIER,
            ui_locales="sl",
            extra=extra,
        )


def pushed(hostile):
    """Headers and form of the one request that was pushed."""
    [found] = [(headers, form) for endpoint, headers, form in hostile.requests if endpoint == "par"]
    return found


async def test_a_provider_that_demands_it_gets_the_request_and_the_browser_its_name(hostile):
    url = urlsplit(await asked(hostile, max_age=timedelta(minutes=5), extra={"acr_values": "high"}))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{hostile.issuer}authorize"
    assert parse_qsl(url.query) == [("client_id", CLIENT_ID), ("request_uri", NAME)]
    _, form = pushed(hostile)
    assert form["client_secret"] == CLIENT_SECRET
    expected = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "state": "s",
        "nonce": NONCE,
        "max_age": "300",
        "acr_values": "high",
        "code_challenge_method": "S256",
        "ui_locales": "sl",
    }
    assert expected.items() <= form.items()
    assert not {"request_uri", "code_verifier"} & form.keys()


async def test_the_endpoints_own_parameters_stay_but_not_those_that_are_ours(hostile):
    hostile.discovery["authorization_endpoint"] += "?tenant=a&request_uri=evil"
    assert parse_qs(urlsplit(await asked(hostile)).query) == {
        "tenant": ["a"],
        "client_id": [CLIENT_ID],
        "request_uri": [NAME],
    }


@pytest.mark.parametrize(
    ("wish", "demanded", "is_pushed"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("auto", "true", False),
        ("always", False, True),
        ("never", True, False),
    ],
)
async def test_whether_a_request_is_pushed_is_for_the_provider_to_say_unless_settings_do(
    hostile, wish, demanded, is_pushed
):
    hostile.discovery["require_pushed_authorization_requests"] = demanded
    url = await asked(hostile, pushed_authorization_requests=wish)
    assert ("request_uri=" in url, hostile.hits["par"]) == (is_pushed, int(is_pushed))


async def test_a_signed_assertion_is_for_the_issuer_here(hostile):
    pem = rsa_key("first").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    await asked(hostile, client_secret=None, client_key=pem, client_authentication="private_key_jwt")
    _, form = pushed(hostile)
    public = RSAKey.import_key(
        rsa_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    assert jwt.decode(form["client_assertion"], public, algorithms=["RS256"]).claims["aud"] == hostile.issuer
    assert "client_secret" not in form


async def test_a_secret_in_the_header_is_not_in_the_form(hostile):
    await asked(hostile, client_authentication="client_secret_basic")
    headers, form = pushed(hostile)
    assert headers["Authorization"].startswith("Basic ")
    assert "client_secret" not in form


@pytest.mark.parametrize("url", ["http://elsewhere.example/par", 5, ""])
async def test_an_invalid_endpoint_that_is_not_needed_is_ignored(hostile, url):
    hostile.discovery |= {
        "require_pushed_authorization_requests": False,
        "pushed_authorization_request_endpoint": url,
    }
    assert "request_uri=" not in await asked(hostile)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (
            lambda p: answers(p, {"error": "invalid_client", "error_description": CLIENT_SECRET}, status=401),
            "does not accept the request (401, invalid_client)",
        ),
        (
            lambda p: answers(p, {"error": "invalid_scope"}, status=400),
            "does not accept the request (400, invalid_scope)",
        ),
        (lambda p: answers(p, {"request_uri": NAME, "expires_in": 60}, status=200), "answered 200"),
        (lambda p: answers(p, {"error": "server_error"}, status=500), "answered 500"),
        (lambda p: answers(p, b"<html>", content_type="text/html"), "other than JSON"),
        (
            lambda p: answers(
                p, json.dumps({"request_uri": NAME, "expires_in": 60})[:-1].encode() + b',"expires_in":1}'
            ),
            "occurs twice",
        ),
        (lambda p: answers(p, {"expires_in": 60}), "without a request_uri"),
        (lambda p: answers(p, {"request_uri": "", "expires_in": 60}), "without a request_uri"),
        (lambda p: answers(p, {"request_uri": "a b", "expires_in": 60}), "without a request_uri"),
        (lambda p: answers(p, {"request_uri": "x" * 2049, "expires_in": 60}), "without a request_uri"),
        (lambda p: answers(p, {"request_uri": NAME}), "over already"),
        (lambda p: answers(p, {"request_uri": NAME, "expires_in": 0}), "over already"),
        (lambda p: answers(p, {"request_uri": NAME, "expires_in": True}), "over already"),
        (lambda p: answers(p, {"request_uri": NAME, "expires_in": "60"}), "over already"),
        (lambda p: p.redirect("par", 307), "answered 307"),
        (lambda p: p.hang_up("par"), "ServerDisconnectedError"),
        (lambda p: p.stall("par"), "no answer within"),
        (lambda p: answers(p, {"padding": "x" * 16_384}), "more than 16384 bytes"),
        (
            lambda p: p.discovery.update(pushed_authorization_request_endpoint=...),
            "no usable pushed_authorization",
        ),
        (
            lambda p: p.discovery.update(
                pushed_authorization_request_endpoint="http://elsewhere.example/par"
            ),
            "no usable pushed_authorization",
        ),
    ],
)
async def test_a_request_that_is_refused_or_lost_on_the_way_cannot_be_asked(hostile, fault, found):
    fault(hostile)
    with pytest.raises(CannotAsk) as failure:
        await asked(hostile, timeout=timedelta(seconds=0.3 if found == "no answer within" else 20))
    assert failure.value.reason is (
        Reason.PROVIDER_REFUSED if "does not accept" in found else Reason.PROVIDER_UNAVAILABLE
    )
    assert found in str(failure.value)
    assert CLIENT_SECRET not in f"{failure.value!r} {failure.value.__cause__}"
    assert hostile.canary_hits == 0
