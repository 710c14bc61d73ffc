from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from authproxy.oidc.end_session import is_impersonal, request
from authproxy.oidc.relying_party import RelyingParty

ENDPOINT, BACK = "https://provider.example/endsession", "https://acq.example/.authproxy/logout"
MITREID = {
    "sub": "90342.KRZTQWMA",
    "aud": "prehod",
    "kid": "rsa1",
    "iss": "https://provider.example/",
    "exp": 1700000600,
    "iat": 1700000000,
    "jti": "7b9c",
    "auth_time": 1700000000,
    "nonce": "n",
}


def token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.c2lnbmVk"


def asked(id_token: str, *, endpoint: str = ENDPOINT, **settings):
    relying_party = RelyingParty(
        issuer="https://provider.example/", client_id="prehod", client_secret="s" * 20, **settings
    )
    return request(
        relying_party, endpoint=endpoint, id_token=id_token, post_logout_redirect_uri=BACK, state="bye"
    )


def test_the_browser_goes_by_get_and_says_for_whom_and_where_it_comes_back_to():
    found = asked(token(MITREID))
    place, _, query = found.location.partition("?")
    assert (found.by, place) == ("get", ENDPOINT)
    assert dict(parse_qsl(query)) == {
        "client_id": "prehod",
        "post_logout_redirect_uri": BACK,
        "state": "bye",
        "id_token_hint": token(MITREID),
    }
    assert token(MITREID) not in repr(found)


@pytest.mark.parametrize(
    ("hint", "method", "claims", "is_sent"),
    [
        ("auto", "get", MITREID, True),
        ("auto", "get", MITREID | {"email": "ana@example.si"}, False),
        ("auto", "post", MITREID | {"email": "ana@example.si"}, True),
        ("always", "get", MITREID | {"email": "ana@example.si"}, True),
        ("never", "get", MITREID, False),
        ("never", "post", MITREID, False),
    ],
)
def test_the_token_goes_into_a_url_only_if_it_has_no_personal_data(hint, method, claims, is_sent):
    fields = asked(token(claims), logout_hint=hint, logout_method=method).fields
    assert ("id_token_hint" in fields) is is_sent
    assert fields["client_id"] == "prehod"


@pytest.mark.parametrize(
    "name",
    [
        "name",
        "email",
        "taxnumber",
        "phone_number",
        "http://idp.rekono.si/openid/taxnumber",
        "preferred_username",
    ],
)
def test_a_claim_beyond_the_protocol_counts_as_personal(name):
    assert not is_impersonal(token(MITREID | {name: "x"}))


@pytest.mark.parametrize(
    "subject", ["ana@example.si", None, 99990008, "99990008", "SI99990008", "0101985505004", "Ana Novak"]
)
def test_a_subject_may_be_personal(subject):
    assert not is_impersonal(token(MITREID | {"sub": subject}))


@pytest.mark.parametrize(
    "unreadable",
    ["", "a.b", "a.b.c.d.e", "e30.!!.e30", token([1]), token(MITREID).replace("eyJzdWI", "eyJzdWI1")],
)
def test_a_token_that_cannot_be_read_counts_as_personal(unreadable):
    assert not is_impersonal(unreadable)


def test_a_token_that_is_too_long_for_a_url_stays_out_of_it():
    assert "id_token_hint" not in asked(token(MITREID | {"nonce": "n" * 3000})).fields
    assert "id_token_hint" in asked(token(MITREID | {"nonce": "n" * 3000}), logout_hint="always").fields


def test_the_endpoints_own_query_stays_and_no_parameter_occurs_twice():
    found = asked(token(MITREID), endpoint=ENDPOINT + "?realm=bank&state=theirs&client%5Fid=theirs")
    query = parse_qsl(urlsplit(found.location).query)
    assert ("realm", "bank") in query
    assert sorted(name for name, _ in query) == [
        "client_id",
        "id_token_hint",
        "post_logout_redirect_uri",
        "realm",
        "state",
    ]
    assert ("state", "bye") in query


def test_nobody_is_sent_to_the_provider_if_the_settings_say_so():
    assert asked(token(MITREID), logout_method="none") is None
