from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.hostile_provider import ACCESS_TOKEN, CLIENT_SECRET, NONCE, hs256, jws, rs, rsa_jwk, rsa_key

from authproxy.oidc import back_channel_logout, id_token, key_set
from authproxy.oidc.back_channel_logout import EVENT, LogoutToken
from authproxy.oidc.id_token import Expectation
from authproxy.oidc.refused import TokenRefused
from authproxy.oidc.relying_party import RelyingParty

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER = "https://provider.example/"
KEY = rsa_key("first")
PUBLIC = key_set.read({"keys": [rsa_jwk(KEY)]}, "RS256").keys[0]
HEADER = {"alg": "RS256", "kid": "rsa1", "typ": "logout+jwt"}
CLAIMS = {
    "iss": ISSUER,
    "aud": "acq",
    "iat": SECONDS,
    "exp": SECONDS + 120,
    "jti": "token-7",
    "sub": "90342.A",
    "sid": "s-1",
    "events": {EVENT: {}},
}
ID_CLAIMS = {
    "iss": ISSUER,
    "aud": "acq",
    "iat": SECONDS,
    "exp": SECONDS + 120,
    "jti": "one",
    "sub": "90342.A",
    "sid": "s-1",
    "nonce": NONCE,
}


def agreement(**changes) -> RelyingParty:
    return RelyingParty(**{"issuer": ISSUER, "client_id": "acq", "client_secret": "s", **changes})


def judged(token: str, *, now: datetime = NOW, **changes) -> LogoutToken:
    relying_party = agreement(**changes)
    return back_channel_logout.verified(
        back_channel_logout.read(token, relying_party), PUBLIC, relying_party, now=now
    )


def claiming(**changes) -> str:
    return jws(
        HEADER, {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}, rs(KEY)
    )


def headed(**changes) -> str:
    return jws(
        {name: value for name, value in {**HEADER, **changes}.items() if value is not ...}, CLAIMS, rs(KEY)
    )


def test_a_genuine_logout_token_names_the_sessions():
    token = judged(claiming())
    assert (token.issuer, token.subject, token.provider_session, token.token_id) == (
        ISSUER,
        "90342.A",
        "s-1",
        "token-7",
    )
    assert token.good_until == NOW + timedelta(seconds=180)
    assert not any(name in repr(token) for name in ("90342", "s-1", "token-7"))


def test_subject_or_session_id_is_enough():
    assert judged(claiming(sid=...)).provider_session is None
    assert judged(claiming(sub=...)).subject is None


@pytest.mark.parametrize("typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", ...])
def test_providers_from_before_the_type_are_understood(typ):
    assert judged(headed(typ=typ)).token_id == "token-7"


@pytest.mark.parametrize(("typ", "is_accepted"), [("logout+jwt", True), ("JWT", False), (..., False)])
def test_the_type_can_be_required(typ, is_accepted):
    if is_accepted:
        assert judged(headed(typ=typ), logout_tokens="typed").token_id == "token-7"
    else:
        with pytest.raises(TokenRefused, match="logout token: typed as something else"):
            judged(headed(typ=typ), logout_tokens="typed")


def test_a_token_of_a_draft_without_exp_is_good_for_five_minutes_where_that_is_allowed():
    token = claiming(exp=...)
    assert judged(token, logout_tokens="draft").good_until == NOW + timedelta(seconds=360)
    assert judged(claiming(), logout_tokens="draft").good_until == NOW + timedelta(seconds=180)
    assert judged(token, logout_tokens="draft", now=NOW + timedelta(seconds=359)).token_id == "token-7"
    for changes, now, found in (
        ({}, NOW + timedelta(seconds=360), "expired"),
        ({"iat": ...}, NOW, "iat"),
        ({"iat": SECONDS + 61}, NOW, "only in"),
    ):
        with pytest.raises(TokenRefused, match=found):
            judged(claiming(exp=..., **changes), logout_tokens="draft", now=now)
    with pytest.raises(TokenRefused, match="exp is missing"):
        judged(claiming(exp=None), logout_tokens="draft")


@pytest.mark.parametrize(
    ("token", "found"),
    [
        (headed(typ="at+jwt"), "typed"),
        (headed(typ="secevent+jwt"), "typed"),
        (jws({**HEADER, "alg": "none"}, CLAIMS, lambda _: b""), "algorithm"),
        (jws({**HEADER, "alg": "HS256"}, CLAIMS, hs256(CLIENT_SECRET.encode())), "algorithm"),
        (jws(HEADER, CLAIMS, rs(rsa_key("thief"))), "signature"),
        (claiming(iss="https://provider.example"), "iss"),
        (claiming(iss=...), "iss"),
        (claiming(aud="b2b"), "aud"),
        (claiming(aud=["acq", "b2b"]), "aud"),
        (claiming(aud=...), "aud"),
        (claiming(iat=...), "iat is missing"),
        (claiming(iat=SECONDS + 61), "only in 61 s"),
        (claiming(iat=SECONDS - 360), "issued 360 s ago"),
        (claiming(exp=...), "exp is missing"),
        (claiming(exp=SECONDS - 60), "expired 60 s ago"),
        (claiming(jti=...), "jti"),
        (claiming(jti=""), "jti"),
        (claiming(jti=7), "jti"),
        (claiming(events=...), "events"),
        (claiming(events=[EVENT]), "events"),
        (claiming(events={}), "events"),
        (claiming(events={EVENT: None}), "events"),
        (claiming(events={EVENT: []}), "events"),
        (claiming(events={EVENT.replace("http:", "https:"): {}}), "events"),
        (
            claiming(
                events={EVENT: {}, "https://schemas.openid.net/secevent/risc/event-type/account-disabled": {}}
            ),
            "events",
        ),
        (claiming(nonce=NONCE), "nonce"),
        (claiming(nonce=None), "nonce"),
        (claiming(sub=..., sid=...), "neither sub nor sid"),
        (claiming(sub=""), "sub is"),
        (claiming(sid=7), "sid is"),
        (claiming(sid=None), "sid is"),
        (claiming(sid="a\nb"), "sid is"),
    ],
)
def test_any_other_token_is_refused_with_the_check_that_failed(token, found):
    with pytest.raises(TokenRefused, match=f"^logout token: .*{found}") as refusal:
        judged(token)
    assert "90342" not in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": SECONDS - 359},
        {"exp": SECONDS - 59},
        {"iat": SECONDS + 60},
        {"events": {EVENT: {"why": "tired"}}},
    ],
)
def test_the_limits_themselves_are_allowed(changes):
    assert judged(claiming(**changes)).token_id == "token-7"


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"exp": SECONDS + 120}, 180),
        ({"exp": SECONDS + 100_000}, 360),
        ({"iat": SECONDS - 100, "exp": SECONDS + 100_000}, 260),
    ],
)
def test_a_token_is_refused_from_the_time_that_it_states(changes, seconds):
    token, over_at = claiming(**changes), NOW + timedelta(seconds=seconds)
    assert judged(token).good_until == over_at
    assert judged(token, now=over_at - timedelta(seconds=1)).token_id == "token-7"
    with pytest.raises(TokenRefused, match=r"expired|issued"):
        judged(token, now=over_at)


def signed_in_by(token: str) -> object:
    expected = Expectation(nonce=NONCE, access_token=ACCESS_TOKEN, now=NOW)
    return id_token.verified(id_token.read(token, "RS256"), PUBLIC, agreement(), expected)


@pytest.mark.parametrize("header", [{"alg": "RS256"}, {"alg": "RS256", "typ": "JWT"}])
def test_an_id_token_signs_nobody_out(header):
    token = jws(header, ID_CLAIMS, rs(KEY))
    assert signed_in_by(token).provider_session == "s-1"
    with pytest.raises(TokenRefused, match="events"):
        judged(token)
    with pytest.raises(TokenRefused, match="nonce"):
        judged(jws(header, {**ID_CLAIMS, "events": {EVENT: {}}}, rs(KEY)))


@pytest.mark.parametrize("typ", ["logout+jwt", "JWT", ...])
def test_a_logout_token_signs_nobody_in(typ):
    token = headed(typ=typ)
    assert judged(token).token_id == "token-7"
    with pytest.raises(TokenRefused, match=r"ID token: (typed|nonce)"):
        signed_in_by(token)


@pytest.mark.parametrize("sid", [7, "", "x" * 256, "a\x00b", None])
def test_an_id_token_whose_sid_cannot_be_used_names_no_session(sid):
    assert signed_in_by(jws({"alg": "RS256"}, {**ID_CLAIMS, "sid": sid}, rs(KEY))).provider_session is None
