from __future__ import annotations

import base64
from datetime import UTC, datetime
from urllib.parse import unquote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from support.hostile_provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    REDIRECT_URI,
    VERIFIER,
    HostileProvider,
    rsa_key,
)

from authproxy.oidc.client_credentials import ClientCredentials
from authproxy.oidc.exchange import client_session
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.token_endpoint import TokenEndpoint

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


async def redeemed(hostile: HostileProvider, **agreement):
    """The headers and the form of the token request."""
    relying_party = RelyingParty(issuer=hostile.issuer, client_id=CLIENT_ID, **agreement)
    async with client_session(None) as session:
        endpoint = TokenEndpoint(
            relying_party,
            session,
            ClientCredentials(relying_party, clock=lambda: NOW, random_text=lambda size: "f" * size),
        )
        tokens = await endpoint.redeem(
            f"{hostile.issuer}token", code=CODE, redirect_uri=REDIRECT_URI, code_verifier=VERIFIER
        )
    assert tokens.access_token == ACCESS_TOKEN
    assert ACCESS_TOKEN not in repr(tokens)
    [(_, headers, form)] = hostile.requests
    return headers, form


async def test_the_secret_can_travel_in_the_form(hostile):
    headers, form = await redeemed(
        hostile, client_secret=CLIENT_SECRET, client_authentication="client_secret_post"
    )

    assert (form["client_id"], form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
    assert "Authorization" not in headers


async def test_the_secret_can_travel_in_the_header_encoded_so_that_its_colon_stays_its_own(hostile):
    headers, form = await redeemed(
        hostile, client_secret=CLIENT_SECRET, client_authentication="client_secret_basic"
    )

    scheme, _, credentials = headers["Authorization"].partition(" ")
    user, _, secret = base64.b64decode(credentials).decode("ascii").partition(":")
    assert (scheme, unquote_plus(user), unquote_plus(secret)) == ("Basic", CLIENT_ID, CLIENT_SECRET)
    assert not {"client_id", "client_secret"} & form.keys()


@pytest.mark.parametrize(
    ("make", "algorithm", "reader"),
    [
        (lambda: rsa_key("first"), "RS256", RSAKey),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256", ECKey),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "ES384", ECKey),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "ES512", ECKey),
        (ed25519.Ed25519PrivateKey.generate, "EdDSA", OKPKey),
    ],
    ids=["RS256", "ES256", "ES384", "ES512", "EdDSA"],
)
@pytest.mark.filterwarnings(
    "ignore::joserfc.errors.SecurityWarning"
)  # joserfc prefers the name Ed25519 to EdDSA
async def test_no_secret_travels_when_a_key_signs_for_us(hostile, make, algorithm, reader):
    key = make()
    headers, form = await redeemed(
        hostile, client_key=pem(key), client_key_id="k1", client_authentication="private_key_jwt"
    )

    public = reader.import_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assertion = jwt.decode(form["client_assertion"], public, algorithms=[algorithm])
    assert assertion.header == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    issued_at = int(NOW.timestamp())
    assert assertion.claims == {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": f"{hostile.issuer}token",
        "jti": "f" * 16,
        "iat": issued_at,
        "exp": issued_at + 60,
    }
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert not {"client_id", "client_secret"} & form.keys()
    assert "Authorization" not in headers


async def test_a_key_without_a_name_is_not_given_one(hostile):
    _, form = await redeemed(
        hostile, client_key=pem(rsa_key("first")), client_authentication="private_key_jwt"
    )

    public = RSAKey.import_key(
        rsa_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    assert jwt.decode(form["client_assertion"], public, algorithms=["RS256"]).header == {
        "alg": "RS256",
        "typ": "JWT",
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n" % ((b"PRIVATE KEY",) * 2),
        lambda: pem(rsa_key("first"), BestAvailableEncryption(b"passphrase")),
        lambda: pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        lambda: pem(ec.generate_private_key(ec.SECP256K1())),
        lambda: rsa_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["rubbish", "encrypted", "RSA-1024", "secp256k1", "public"],
)
def test_a_key_that_cannot_sign_is_refused_at_the_start(make):
    relying_party = RelyingParty(
        issuer="https://idp/", client_id="acq", client_key=make(), client_authentication="private_key_jwt"
    )
    with pytest.raises(ValueError, match="client key"):
        ClientCredentials(relying_party, clock=lambda: NOW, random_text=lambda size: "f" * size)
