from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.hostile_provider import jws, rs, rsa_jwk, rsa_key

from authproxy.oidc import key_set, signed_token
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.signed_token import TokenKind

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
KIND = TokenKind("test token", frozenset({"TEST+JWT"}))
KEY = rsa_key("first")
PUBLIC = key_set.read({"keys": [rsa_jwk(KEY)]}, "RS256").keys[0]
OURS = RelyingParty(issuer="https://provider.example/", client_id="acq", client_secret="s")
HEADER = {"alg": "RS256", "typ": "test+jwt", "kid": "one"}
CLAIMS = {"iss": OURS.issuer, "aud": "acq", "iat": SECONDS, "exp": SECONDS + 60}
TIMES = {"leeway": timedelta(seconds=10), "now": NOW}


def test_a_token_of_its_kind_is_read_and_gives_its_claims_to_the_right_key():
    token = signed_token.read(jws(HEADER, CLAIMS, rs(KEY)), KIND, "RS256")
    assert (token.kind, token.key_id, token.algorithm) == (KIND, "one", "RS256")
    assert signed_token.claims_of(token, PUBLIC) == CLAIMS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x" * 16_385, "longer"),
        ("a.b", "three parts"),
        ("a.b.c.d.e", "three parts"),
        ("a.b.c=", "base64url"),
        (jws(b"[]", CLAIMS, rs(KEY)), "header or encoding"),
        (jws({**HEADER, "alg": "RS384"}, CLAIMS, rs(KEY)), "another algorithm"),
        (jws({**HEADER, "jku": "https://evil.example/"}, CLAIMS, rs(KEY)), "header has jku"),
        (jws({**HEADER, "typ": "JWT"}, CLAIMS, rs(KEY)), "typed as something else"),
        (jws({"alg": "RS256"}, CLAIMS, rs(KEY)), "typed as something else"),
        (jws({**HEADER, "typ": 1}, CLAIMS, rs(KEY)), "typed as something else"),
        (jws({**HEADER, "kid": 1}, CLAIMS, rs(KEY)), "kid"),
    ],
)
def test_a_malformed_token_is_refused_with_the_name_of_its_kind(text, found):
    with pytest.raises(TokenRefused, match=f"^test token: .*{found}"):
        signed_token.read(text, KIND, "RS256")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (jws(HEADER, CLAIMS, rs(rsa_key("thief"))), "signature is wrong"),
        (jws(HEADER, b'{"a":1,"a":2}', rs(KEY)), "twice"),
    ],
)
def test_a_forged_or_ambiguous_token_gives_no_claims(text, found):
    with pytest.raises(TokenRefused, match=found):
        signed_token.claims_of(signed_token.read(text, KIND, "RS256"), PUBLIC)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"iss": "https://provider.example"}, "iss"),
        ({"aud": ["acq", "b2b"]}, "aud"),
        ({"aud": "b2b"}, "aud"),
        ({"azp": "b2b"}, "azp"),
    ],
)
def test_a_token_of_others_or_for_others_is_refused(changes, found):
    with pytest.raises(TokenRefused, match=f"test token: {found}"):
        signed_token.check_parties({**CLAIMS, **changes}, KIND, OURS)


TRUSTING = replace(OURS, audiences=frozenset({"account", "realm-management"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["acq", "account"], "azp": "acq"},
        {"aud": ["realm-management", "acq", "account"], "azp": "acq"},
        {"aud": "acq"},
        {"aud": ["acq"]},
    ],
)
def test_audiences_that_the_settings_trust_are_allowed(changes):
    assert signed_token.check_parties({**CLAIMS, **changes}, KIND, TRUSTING) is None


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"aud": "account", "azp": "acq"}, "aud is not"),
        ({"aud": ["account"], "azp": "acq"}, "aud is not"),
        ({"aud": ["account", "realm-management"], "azp": "acq"}, "aud is not"),
        ({"aud": ["acq", "account", "thief"], "azp": "acq"}, "aud is not"),
        ({"aud": ["acq", 5], "azp": "acq"}, "aud is not"),
        ({"aud": ["acq", ["account"]], "azp": "acq"}, "aud is not"),
        ({"aud": {"acq": "account"}}, "aud is not"),
        ({"aud": ["acq", "account"]}, "aud names several"),
        ({"aud": ["acq", "account"], "azp": None}, "azp is another"),
        ({"aud": ["acq", "account"], "azp": "account"}, "azp is another"),
        ({"aud": "acq", "azp": "account"}, "azp is another"),
    ],
)
def test_other_audiences_are_refused_even_if_some_are_trusted(changes, found):
    with pytest.raises(TokenRefused, match=f"test token: {found}"):
        signed_token.check_parties({**CLAIMS, **changes}, KIND, TRUSTING)


def test_one_of_several_algorithms_will_do_and_is_known_afterwards():
    token = signed_token.read(jws(HEADER, CLAIMS, rs(KEY)), KIND, "ES256", "RS256")
    assert token.algorithm == "RS256"
    with pytest.raises(TokenRefused, match="another algorithm than ES256 or PS256"):
        signed_token.read(jws(HEADER, CLAIMS, rs(KEY)), KIND, "ES256", "PS256")


@pytest.mark.parametrize("changes", [{}, {"aud": ["acq"]}, {"azp": "acq"}])
def test_a_token_of_the_provider_for_us_alone_is_accepted(changes):
    assert signed_token.check_parties({**CLAIMS, **changes}, KIND, OURS) is None


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"exp": SECONDS - 10}, "expired 10 s ago"),
        ({"iat": SECONDS + 11}, "only in 11 s"),
        ({"nbf": SECONDS + 12}, "only in 12 s"),
        ({"exp": None}, "exp is missing"),
        ({"iat": "1"}, "iat is missing"),
        ({"nbf": True}, "nbf is missing"),
        ({"exp": 253_402_300_800}, "exp is missing"),
    ],
)
def test_a_token_that_has_expired_or_is_not_yet_valid_is_refused(changes, found):
    with pytest.raises(TokenRefused, match=found):
        signed_token.check_times({**CLAIMS, **changes}, KIND, **TIMES)


def test_the_leeway_is_inside_and_fractions_are_dropped():
    times = signed_token.check_times(
        {"iat": SECONDS + 10.9, "nbf": SECONDS + 10, "exp": SECONDS - 9}, KIND, **TIMES
    )
    assert (times.issued_at, times.expires_at) == (NOW + timedelta(seconds=10), NOW - timedelta(seconds=9))


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("a", True),
        ("Ž" * 255, True),
        ("", False),
        ("x" * 256, False),
        ("a\u202eb", False),
        (7, False),
        (None, False),
    ],
)
def test_an_identifier_is_short_and_can_be_seen(value, is_one):
    assert signed_token.is_identifier(value) is is_one


@pytest.mark.parametrize("claims", [{}, {"exp": SECONDS - 9}, {"iat": SECONDS + 10, "nbf": SECONDS}])
def test_what_says_nothing_of_its_time_or_is_of_now_is_valid(claims):
    signed_token.check_validity(claims, KIND, **TIMES)


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"exp": SECONDS - 10}, "expired 10 s ago"),
        ({"iat": SECONDS + 11}, "valid only in 11 s"),
        ({"nbf": SECONDS + 11}, "valid only in 11 s"),
        ({"exp": "soon"}, "exp is missing or no time"),
    ],
)
def test_what_says_that_it_is_not_of_now_is_refused(claims, found):
    with pytest.raises(TokenRefused, match=found):
        signed_token.check_validity(claims, KIND, **TIMES)
