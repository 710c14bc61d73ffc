from __future__ import annotations

import contextlib
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA512
from hypothesis import given
from hypothesis import strategies as st
from support.hostile_provider import ACCESS_TOKEN, NONCE, at_hash, b64, jws, rs, rsa_jwk, rsa_key

from authproxy.access.decision import Reason
from authproxy.oidc import key_set
from authproxy.oidc.id_token import Expectation, VerifiedClaims, auth_time_in, read, verified
from authproxy.oidc.refused import AuthenticationTooOld, TokenRefused
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER = "https://idp.rekono.si/openid-connect-server-webapp/"
KEY = rsa_key("first")
PUBLIC = key_set.read({"keys": [rsa_jwk(KEY)]}, "RS256").keys[0]
CLAIMS = {
    "iss": ISSUER,
    "sub": "90342.A",
    "aud": "acq",
    "nonce": NONCE,
    "iat": SECONDS,
    "exp": SECONDS + 600,
    "auth_time": SECONDS - 20,
}
HEADER = {"alg": "RS256", "kid": "rsa1"}
TOKEN = jws(HEADER, CLAIMS, rs(KEY))


def judged(token: str, *, now: datetime = NOW, **agreement) -> VerifiedClaims:
    relying_party = RelyingParty(
        **{
            "issuer": ISSUER,
            "client_id": "acq",
            "client_secret": "s",
            "max_age": timedelta(minutes=5),
            **agreement,
        }
    )
    expected = Expectation(nonce=NONCE, access_token=ACCESS_TOKEN, now=now)
    return verified(read(token, "RS256"), PUBLIC, relying_party, expected)


def claiming(**changes) -> str:
    return jws(
        HEADER, {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}, rs(KEY)
    )


def test_a_genuine_token_proves_its_subject():
    claims = judged(claiming(level=20))

    assert (claims.issuer, claims.subject) == (ISSUER, "90342.A")
    assert claims.auth_time == NOW - timedelta(seconds=20)
    assert claims.every["level"] == 20
    assert "90342" not in repr(read(TOKEN, "RS256"))


def test_the_header_names_the_key_before_anything_is_believed():
    assert read(TOKEN, "RS256").key_id == "rsa1"
    assert read(jws({"alg": "RS256"}, CLAIMS, rs(KEY)), "RS256").key_id is None


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("x" * 65_537, "longer"),
        ("a.b", "three parts"),
        (TOKEN + ".c.d", "three parts"),
        (TOKEN.replace(".", "=.", 1), "base64url"),
        (jws(b"[]", CLAIMS, rs(KEY)), "not an object"),
        (jws(b'{"alg":"RS256","alg":"RS256"}', CLAIMS, rs(KEY)), "twice"),
        (jws({"alg": "none"}, CLAIMS, lambda _: b""), "algorithm"),
        (jws({**HEADER, "crit": ["b64"], "b64": False}, CLAIMS, rs(KEY)), "header has b64, crit"),
        (jws({**HEADER, "typ": "at+jwt"}, CLAIMS, rs(KEY)), "typed"),
        (jws({**HEADER, "typ": None}, CLAIMS, rs(KEY)), "typed"),
        (jws({**HEADER, "kid": 1}, CLAIMS, rs(KEY)), "kid"),
        (jws(HEADER, CLAIMS, rs(rsa_key("thief"))), "signature"),
        (jws(HEADER, b'{"a":1,"a":1}', rs(KEY)), "twice"),
        (claiming(iss=ISSUER.rstrip("/")), "iss"),
        (claiming(aud=["acq", "b2b"]), "aud"),
        (claiming(azp="b2b"), "azp"),
        (claiming(nonce="other"), "nonce"),
        (claiming(nonce=...), "nonce"),
        (claiming(nonce="\ud800"), "nonce"),
        (claiming(at_hash="other"), "at_hash"),
        (claiming(at_hash=5), "at_hash"),
        (claiming(exp=...), "exp is missing or no time"),
        (claiming(exp=True), "exp is missing or no time"),
        (claiming(exp="1"), "exp is missing or no time"),
        (claiming(iat=-1), "iat is missing or no time"),
        (claiming(exp=SECONDS - 60), "expired 60 s ago"),
        (claiming(iat=SECONDS + 61), "only in 61 s"),
        (claiming(nbf=SECONDS + 90), "only in 90 s"),
        (claiming(iat=SECONDS - 601), "issued 601 s ago"),
        (claiming(auth_time=...), "auth_time is missing, though"),
        (claiming(auth_time=SECONDS + 61), "61 s ahead"),
        (claiming(auth_time=SECONDS - 361), "361 s ago"),
        (claiming(sub=""), "sub"),
        (claiming(sub="x" * 256), "sub"),
        (claiming(sub="a\nb"), "sub"),
    ],
)
def test_any_other_token_is_refused_with_the_check_that_failed(token, found):
    with pytest.raises(TokenRefused, match=found):
        judged(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": SECONDS - 59},
        {"iat": SECONDS + 60},
        {"nbf": SECONDS + 60},
        {"iat": SECONDS - 600},
        {"auth_time": SECONDS - 360},
        {"auth_time": SECONDS + 60},
        {"exp": SECONDS + 0.5},
        {"exp": 253_402_300_799},
        {"aud": ["acq"]},
        {"azp": "acq"},
        {"at_hash": at_hash()},
        {"sub": "x" * 255},
        {"sub": "Žiga Č"},
    ],
)
def test_the_limits_themselves_are_allowed(changes):
    assert judged(claiming(**changes)).issuer == ISSUER


def test_without_max_age_the_time_of_authentication_is_optional():
    assert judged(claiming(auth_time=...), max_age=None).auth_time is None
    assert judged(claiming(auth_time=SECONDS - 100_000), max_age=None).auth_time == NOW - timedelta(
        seconds=100_000
    )


@pytest.mark.parametrize(
    ("auth_time", "reason"), [(..., Reason.PROVIDER_ANSWER_INVALID), (SECONDS - 361, Reason.PROOF_TOO_OLD)]
)
def test_an_authentication_that_is_too_old_differs_from_an_invalid_token(auth_time, reason):
    with pytest.raises(AuthenticationTooOld) as old:
        judged(claiming(auth_time=auth_time))
    assert old.value.reason is reason  # a new sign-in helps against the second alone
    with pytest.raises(TokenRefused) as wrong:
        judged(claiming(auth_time=SECONDS + 3600))
    assert not isinstance(wrong.value, AuthenticationTooOld)


@pytest.mark.parametrize(("digest", "is_believed"), [("sha512", True), ("sha256", False)])
def test_at_hash_beside_ed25519_is_by_the_hash_of_that(digest, is_believed):
    key = Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    half = hashlib.new(digest, ACCESS_TOKEN.encode()).digest()
    token = jws({"alg": "EdDSA"}, {**CLAIMS, "at_hash": b64(half[: len(half) // 2])}, key.sign)
    relying_party = RelyingParty(issuer=ISSUER, client_id="acq", client_secret="s", algorithm="EdDSA")
    public = key_set.read({"keys": [jwk]}, "EdDSA").keys[0]
    with contextlib.nullcontext() if is_believed else pytest.raises(TokenRefused, match="at_hash"):
        verified(
            read(token, "EdDSA"),
            public,
            relying_party,
            Expectation(nonce=NONCE, access_token=ACCESS_TOKEN, now=NOW),
        )


def test_at_hash_follows_the_algorithm():
    key = key_set.read({"keys": [rsa_jwk(KEY)]}, "RS512").keys[0]
    relying_party = RelyingParty(issuer=ISSUER, client_id="acq", client_secret="s", algorithm="RS512")
    token = jws({"alg": "RS512"}, {**CLAIMS, "at_hash": at_hash()}, rs(KEY, SHA512()))
    with pytest.raises(TokenRefused, match="at_hash"):
        verified(
            read(token, "RS512"),
            key,
            relying_party,
            Expectation(nonce=NONCE, access_token=ACCESS_TOKEN, now=NOW),
        )


@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_no_token_survives_the_change_of_a_character(position, character):
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]

    if changed != TOKEN:
        with pytest.raises(TokenRefused):
            judged(changed)


@given(st.text(alphabet="AZaz09-_.", max_size=60) | st.text(max_size=20))
def test_any_text_is_refused_and_nothing_else_happens(text):
    with pytest.raises(TokenRefused):
        judged(text)


def test_claims_of_a_token_are_not_read_before_its_signature_holds():
    token = read(".".join([b64(b'{"alg":"RS256"}'), b64(b"not JSON"), b64(b"no signature")]), "RS256")

    with pytest.raises(TokenRefused, match="the signature is wrong"):
        judged(f"{token.signing_input.decode()}.{b64(token.signature)}")


@pytest.mark.parametrize(
    ("token", "at"),
    [
        (claiming(), NOW - timedelta(seconds=20)),
        (claiming(auth_time=...), None),
        (claiming(auth_time="then"), None),
        ("a.b", None),
        ("", None),
    ],
)
def test_when_somebody_authenticated_is_read_from_a_token_of_before(token, at):
    assert auth_time_in(token) == at
