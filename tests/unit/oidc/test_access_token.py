"""Which access tokens let a program in: RFC 9068 §4, and the traps of RFC 8725."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.hostile_provider import ec_jwk, ec_key, es256, hs256, jws, rs, rsa_jwk, rsa_key

from authproxy.oidc import access_token, key_set
from authproxy.oidc.access_token import AccessToken, TokenAgreement
from authproxy.oidc.refused import TokenRefused
from tests.support.machine_builders import AUDIENCE, ISSUER, JWK, SIGNING, claims, token
from tests.support.session_builders import NOW

AGREEMENT = TokenAgreement(issuer=ISSUER, audience=AUDIENCE, jwks_url="https://tokens.example/jwks")
[KEY] = key_set.read({"keys": [JWK]}, "RS256").keys
SECONDS = int(NOW.timestamp())
MINUTE = timedelta(minutes=1)


def verified(text, *, agreement=AGREEMENT, key=KEY, now=NOW):
    return access_token.verified(access_token.read(text, agreement), key, agreement, now=now)


def refused(text, found, **how):
    with pytest.raises(TokenRefused, match=f"^access token: .*{found}") as caught:
        verified(text, **how)
    assert "batch" not in str(caught.value)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", ...])
def test_a_programs_token_is_believed_with_and_without_the_type_of_the_profile(typ):
    assert verified(token({"typ": typ})) == AccessToken(
        client_id="batch",
        scopes=frozenset({"payments", "reports"}),
        ends_at=NOW + 10 * MINUTE + AGREEMENT.leeway,
    )


@pytest.mark.parametrize(
    ("scopes", "read"),
    [
        ({"scope": ...}, set()),
        ({"scope": ""}, set()),
        ({"scope": "a  b"}, {"a", "b"}),
        ({"scope": ["a", "b"]}, {"a", "b"}),
        ({"scope": ..., "scp": ["a"]}, {"a"}),
        ({"scope": ..., "scp": "a b"}, {"a", "b"}),
        ({"scope": "a", "scp": "b"}, {"a"}),
    ],
)
def test_scopes_are_words_or_a_list(scopes, read):
    assert verified(token(**scopes)).scopes == read


@pytest.mark.parametrize(
    "changes", [{"aud": [AUDIENCE]}, {"aud": ["account", AUDIENCE]}, {"iat": ...}, {"nbf": SECONDS + 59}]
)
def test_other_audiences_may_stand_beside_ours_and_iat_may_be_missing(changes):
    assert verified(token(**changes)).client_id == "batch"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"iss": "https://tokens.example/"}, "iss"),
        ({"iss": ...}, "iss"),
        ({"iss": [ISSUER]}, "iss"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": AUDIENCE + "/"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": ...}, "aud"),
        ({"aud": [AUDIENCE, 5]}, "aud"),
        ({"aud": {"a": AUDIENCE}}, "aud"),
        ({"exp": ...}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": 10**30}, "exp"),
        ({"exp": SECONDS - 60}, "expired"),
        ({"nbf": SECONDS + 61}, "valid only in"),
        ({"iat": SECONDS + 61}, "valid only in"),
        ({"client_id": ...}, "client_id is missing"),
        ({"client_id": ""}, "client_id is missing"),
        ({"client_id": 7}, "client_id is missing"),
        ({"client_id": "a\r\nX-Auth-Level: 30"}, "client_id is missing"),
        ({"client_id": "x" * 256}, "client_id is missing"),
        ({"scope": 5}, "scope"),
        ({"scope": ["a", 5]}, "scope"),
        ({"scope": None}, "scope"),
    ],
)
def test_a_token_of_others_for_others_or_of_another_time_is_refused(changes, found):
    refused(token(**changes), found)


def test_a_token_ends_by_its_time_and_the_leeway():
    made = token()
    assert verified(made, now=NOW + 11 * MINUTE - timedelta(seconds=1))
    refused(made, "expired", now=NOW + 11 * MINUTE)


PERSON = {"sub": "90342.KRZTQWMA"}


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "n"},
        {"at_hash": "h"},
        {"c_hash": "h"},
        {"auth_time": SECONDS},
        {"amr": ["pwd"]},
        {"sid": "s"},
        {"session_state": "s"},
    ],
)
def test_a_token_about_a_person_who_has_signed_in_lets_no_program_in(changes):
    refused(token({"typ": "JWT"}, **PERSON, **changes), "about a person")


def test_by_the_profile_a_token_whose_subject_is_not_the_client_speaks_for_a_person():
    refused(token(**PERSON), "speaks for somebody else")
    refused(token(azp="another"), "speaks for somebody else")


def test_a_plain_token_may_name_an_account_of_the_program_as_its_subject():
    """As Keycloak and Entra ID do."""
    keycloak = token(
        {"typ": "JWT"}, sub="0b0e4a52-6a3e-4a4f-8a0e-1c1a6b9c9b60", azp="batch", acr="1", typ="Bearer"
    )
    assert verified(keycloak).client_id == "batch"
    by_azp = replace(AGREEMENT, subject_claim="azp")
    assert verified(keycloak, agreement=by_azp).client_id == "batch"


def test_where_sub_names_the_client_nothing_else_may_name_another():
    by_sub = replace(AGREEMENT, subject_claim="sub")
    assert verified(token({"typ": "JWT"}, client_id=...), agreement=by_sub).client_id == "batch"
    refused(token({"typ": "JWT"}, **PERSON), "speaks for somebody else", agreement=by_sub)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"events": {}}, "another kind"),
        ({"cnf": {"jkt": "x"}}, "bound to a key"),
        ({"cnf": {"x5t#S256": "x"}}, "bound to a key"),
    ],
)
def test_logout_tokens_and_tokens_that_need_a_proof_of_their_own_are_refused(changes, found):
    refused(token({"typ": "JWT"}, **changes), found)


PUBLIC_PEM = SIGNING.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HEADER = {"alg": "RS256", "typ": "at+jwt", "kid": "m1"}


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (jws({**HEADER, "alg": "none"}, claims(), lambda _: b""), "another algorithm"),
        (jws({**HEADER, "alg": "None"}, claims(), lambda _: b""), "another algorithm"),
        (jws({**HEADER, "alg": "HS256"}, claims(), hs256(PUBLIC_PEM)), "another algorithm"),
        (jws({**HEADER, "alg": "RS512"}, claims(), rs(SIGNING)), "another algorithm"),
        (jws({**HEADER, "alg": "ES256"}, claims(), es256(ec_key("x"))), "another algorithm"),
        (jws({**HEADER, "alg": ["RS256"]}, claims(), rs(SIGNING)), "another algorithm"),
        (jws(HEADER, claims(), hs256(PUBLIC_PEM)), "signature is wrong"),
        (jws(HEADER, claims(), rs(rsa_key("thief"))), "signature is wrong"),
        (jws(HEADER, claims(), lambda _: b""), "signature is wrong"),
        (jws({**HEADER, "jku": "https://evil.example/jwks"}, claims(), rs(SIGNING)), "header has jku"),
        (jws({**HEADER, "jwk": rsa_jwk(rsa_key("thief"))}, claims(), rs(rsa_key("thief"))), "header has jwk"),
        (jws({**HEADER, "x5u": "https://evil.example/"}, claims(), rs(SIGNING)), "header has x5u"),
        (jws({**HEADER, "x5c": ["MII="]}, claims(), rs(SIGNING)), "header has x5c"),
        (jws({**HEADER, "crit": ["b64"], "b64": False}, claims(), rs(SIGNING)), "header has b64, crit"),
        (jws({**HEADER, "zip": "DEF"}, claims(), rs(SIGNING)), "header has zip"),
        (jws({**HEADER, "kid": 1}, claims(), rs(SIGNING)), "kid is no text"),
        (jws({**HEADER, "kid": ["m1"]}, claims(), rs(SIGNING)), "kid is no text"),
        (jws({**HEADER, "typ": "logout+jwt"}, claims(), rs(SIGNING)), "typed as something else"),
        (jws({**HEADER, "typ": "dpop+jwt"}, claims(), rs(SIGNING)), "typed as something else"),
        (jws(HEADER, b'{"exp":9999999999,"exp":1}', rs(SIGNING)), "twice"),
        (jws(HEADER, b'{"exp":NaN}', rs(SIGNING)), "not JSON"),
        (jws(HEADER, b"[]", rs(SIGNING)), "not an object"),
        (jws(HEADER, {"pad": "x" * 16_384}, rs(SIGNING)), "longer than"),
        (token() + ".x", "three parts"),
        (token()[:-1] + "=", "base64url"),
        ("a.b.c.d.e", "three parts"),
    ],
)
def test_the_known_traps_of_signed_tokens_are_refused(made, found):
    refused(made, found)


def test_a_key_for_another_algorithm_verifies_nothing():
    curve = ec_key("machines")
    [published] = key_set.read({"keys": [ec_jwk(curve, kid="m1"), JWK]}, "ES256").keys
    by_curve = replace(AGREEMENT, algorithm="ES256")
    made = jws({"alg": "ES256", "typ": "at+jwt", "kid": "m1"}, claims(), es256(curve))
    assert verified(made, agreement=by_curve, key=published).client_id == "batch"
    refused(token(), "another algorithm", agreement=by_curve)


@pytest.mark.parametrize(
    "impossible",
    [
        {"issuer": ""},
        {"audience": ""},
        {"subject_claim": ""},
        {"algorithm": "HS256"},
        {"jwks_url": "http://tokens.example/jwks"},
        {"jwks_url": "https://user@tokens.example/jwks"},
        {"jwks_url": "file:///etc/passwd"},
    ],
)
def test_an_impossible_agreement_is_refused_at_the_start(impossible):
    with pytest.raises(ValueError, match=r".+"):
        replace(AGREEMENT, **impossible)
