"""The OpenID half: who is answered where, when a person is asked again, and what a code is worth."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from urllib.parse import quote_plus, urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
from authproxy.sandbox.identity_provider.openid.clients import BadCredentials, Client, ClientAuthentication

VERIFIER = "v" * 64
S256 = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
AFTER_LOGOUT = "http://acq.localhost:8080/.authproxy/logout"


def payload(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "stranger"},
        {"redirect_uri": "http://evil.example/"},
        {"redirect_uri": "http://acq.localhost:8080/.authproxy/callback/rekono/"},
        {"redirect_uri": "http://acq.localhost:8080/.authproxy/callback/rekono?x=1"},
        {"redirect_uri": None},
        {"max_age": "ten"},
    ],
)
async def test_a_request_that_cannot_be_answered_safely_ends_on_a_page_of_the_provider(
    rekono, visitor, changed
):
    page = await visitor.get(rekono.authorize_url(**changed))
    assert page.status == (500 if "max_age" in changed else 400)
    assert page.location is None
    assert "evil.example" not in page.text


async def test_a_repeated_parameter_ends_on_a_page_of_the_provider(rekono, visitor):
    assert (await visitor.get(rekono.authorize_url() + "&state=s2")).status == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid everything"}, "invalid_scope"),
        ({"code_challenge": "c", "code_challenge_method": "S512"}, "invalid_request"),
    ],
)
async def test_other_faults_of_a_request_go_back_to_the_relying_party(rekono, visitor, changed, error):
    page = await visitor.get(rekono.authorize_url(**changed))
    assert page.answer == {"error": error, "state": "s1"}


async def test_an_empty_state_comes_back_empty_and_an_absent_one_not_at_all(rekono, visitor):
    assert (await rekono.signed_in(visitor, url=rekono.authorize_url(state=""))).answer["state"] == ""
    assert "state" not in (await visitor.get(rekono.authorize_url(state=None))).answer


async def test_an_answer_keeps_the_query_of_the_redirect_uri(rekono, visitor):
    page = await rekono.signed_in(
        visitor,
        url=rekono.authorize_url(client_id="other", redirect_uri="https://other.example.si/cb?from=idp"),
    )
    assert page.answer["from"] == "idp"
    assert "code" in page.answer


async def test_refusing_consent_goes_back_as_access_denied_and_is_asked_again(rekono, visitor):
    page = await rekono.confirmed(visitor)
    refused = await visitor.submit(page, "request", user_oauth_approval="false")
    assert refused.answer == {
        "error": "access_denied",
        "error_description": "User denied access",
        "state": "s1",
    }
    again = await visitor.get(rekono.authorize_url())
    assert again.title.startswith("Dovoljenje")


async def test_a_consent_form_needs_the_value_of_its_page(rekono, visitor):
    page = await rekono.confirmed(visitor)
    assert (await visitor.submit(page, "request", _csrf="guessed", user_oauth_approval="true")).status == 403


async def test_a_consent_page_of_one_browser_cannot_be_answered_by_another(
    rekono, visitor, another_visitor, clock
):
    page = await rekono.confirmed(visitor)
    clock.advance(seconds=30)
    own = (await rekono.confirmed(another_visitor)).form("request").fields["_csrf"]
    assert (
        await another_visitor.submit(page, "request", _csrf=own, user_oauth_approval="true")
    ).status == 403


async def test_a_consent_page_is_shown_only_to_the_person_it_is_for(rekono, visitor, another_visitor):
    page = await rekono.confirmed(visitor)
    assert (await another_visitor.get(page.url)).status == 400
    assert (await visitor.get(page.url)).title == page.title


async def test_the_account_page_wants_a_sign_in(rekono, visitor):
    assert (await visitor.get(f"{rekono.issuer}account")).title.startswith("Prijava")


@pytest.mark.parametrize("grant_type", ["password", "client_credentials"])
async def test_only_codes_are_redeemed_for_a_client_that_signs_people_in(rekono, grant_type):
    status, body = await rekono.redeemed("", grant_type=grant_type)
    assert (status, body["error"]) == (400, "unsupported_grant_type")


async def test_somebody_who_is_signed_in_is_not_asked_again(rekono, visitor, clock):
    await rekono.signed_in(visitor)
    clock.advance(minutes=4)
    page = await visitor.get(rekono.authorize_url(max_age="300", state="s2"))
    assert page.answer["state"] == "s2"
    assert "code" in page.answer


async def test_a_client_of_its_own_consent_is_asked_for(rekono, visitor):
    await rekono.signed_in(visitor)
    page = await visitor.get(
        rekono.authorize_url(client_id="other", redirect_uri="https://other.example.si/cb?from=idp")
    )
    assert "Druga aplikacija" in page.text


async def test_an_older_sign_in_than_max_age_is_done_again(rekono, visitor, clock):
    await rekono.signed_in(visitor)
    clock.advance(seconds=301)
    page = await visitor.get(rekono.authorize_url(max_age="300"))
    assert page.title.startswith("Prijava")
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(max_age="0"))
    assert "code" in page.answer


async def test_prompt_login_asks_again_and_prompt_of_any_kind_switches_max_age_off(rekono, visitor, clock):
    await rekono.signed_in(visitor)
    clock.advance(seconds=301)
    assert (await visitor.get(rekono.authorize_url(prompt="consent", max_age="300"))).location is not None
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(prompt="login"))
    assert "code" in page.answer
    assert (await visitor.get(rekono.authorize_url(prompt="login"))).title.startswith("Prijava")


async def test_prompt_none_never_shows_a_page(rekono, visitor):
    assert (await visitor.get(rekono.authorize_url(prompt="none"))).answer["error"] == "login_required"
    await rekono.confirmed(visitor)
    assert (await visitor.get(rekono.authorize_url(prompt="none"))).answer["error"] == "interaction_required"


async def test_a_session_ends_half_an_hour_after_its_last_use(rekono, visitor, clock):
    await rekono.signed_in(visitor)
    clock.advance(minutes=29)
    assert (await visitor.get(rekono.authorize_url())).location is not None
    clock.advance(minutes=30)
    assert (await visitor.get(rekono.authorize_url())).title.startswith("Prijava")


async def test_a_code_is_good_once_even_if_its_first_use_failed(rekono, visitor):
    code = (await rekono.signed_in(visitor)).answer["code"]
    status, body = await rekono.redeemed(code, redirect_uri="http://acq.localhost:8080/elsewhere")
    assert (status, body["error_description"]) == (400, "Redirect URI mismatch.")
    status, body = await rekono.redeemed(code)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert code in body["error_description"]


async def test_a_code_expires_after_five_minutes(rekono, visitor, clock):
    code = (await rekono.signed_in(visitor)).answer["code"]
    clock.advance(minutes=5)
    assert (await rekono.redeemed(code))[0] == 400


async def test_a_code_of_one_client_is_worth_nothing_to_another(rekono, visitor):
    code = (await rekono.signed_in(visitor)).answer["code"]
    assert (await rekono.redeemed(code, client_id="other", client_secret="other-secret"))[0] == 400


@pytest.mark.parametrize(
    ("method", "challenge", "verifier", "status"),
    [
        ("S256", S256, VERIFIER, 200),
        ("S256", S256, "w" * 64, 400),
        ("S256", S256, None, 400),
        ("S256", S256, S256, 400),
        ("plain", VERIFIER, VERIFIER, 200),
        (None, VERIFIER, VERIFIER, 200),
        (None, VERIFIER, "w", 400),
    ],
)
async def test_the_verifier_must_fit_the_challenge(rekono, visitor, method, challenge, verifier, status):
    page = await rekono.signed_in(
        visitor, url=rekono.authorize_url(code_challenge=challenge, code_challenge_method=method)
    )
    answered, body = await rekono.redeemed(page.answer["code"], code_verifier=verifier)
    assert answered == status
    assert status == 200 or body == {
        "error": "invalid_request",
        "error_description": "Code challenge and verifier do not match",
    }


async def test_the_tokens_say_what_mitreid_says(rekono, visitor, clock):
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(max_age="300"))
    signed_in_at = int(clock().timestamp())
    clock.advance(seconds=10)
    _, body = await rekono.redeemed(page.answer["code"])
    assert jwt.get_unverified_header(body["id_token"]) == {"alg": "RS256", "kid": "rsa1"}
    identity = payload(body["id_token"])
    assert identity["iss"] == rekono.issuer
    assert identity["aud"] == "gateway"
    assert identity["nonce"] == "n1"
    assert (identity["auth_time"], identity["exp"] - identity["iat"]) == (signed_in_at, 600)
    assert payload(body["access_token"])["sub"] == "ana.novak@example.si" != identity["sub"]
    assert body["token_type"] == "Bearer"


async def test_auth_time_is_only_there_where_max_age_was_sent(rekono, visitor):
    _, body = await rekono.redeemed(
        (await rekono.signed_in(visitor, url=rekono.authorize_url(nonce=None))).answer["code"]
    )
    assert not {"auth_time", "nonce", "acr", "amr"} & payload(body["id_token"]).keys()


@pytest.mark.parametrize("encode", [str, quote_plus])
async def test_a_client_may_authenticate_by_header_encoded_or_not(rekono, visitor, encode):
    code = (await rekono.signed_in(visitor)).answer["code"]
    pair = base64.b64encode(f"{encode('gateway')}:{encode('a secret & more')}".encode()).decode()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "http://acq.localhost:8080/.authproxy/callback/rekono",
    }
    async with rekono.http.post(
        f"{rekono.issuer}token", data=form, headers={"Authorization": f"Basic {pair}"}
    ) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("headers", "form", "error"),
    [
        ({}, {"client_id": "gateway", "client_secret": "wrong"}, "invalid_client"),
        ({}, {"client_id": "nobody", "client_secret": ""}, "invalid_client"),
        (
            {},
            {
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": "x",
            },
            "invalid_client",
        ),
        ({"Authorization": "Basic !!"}, {}, "unauthorized"),
        ({"Authorization": "Basic " + base64.b64encode(b"gateway:wrong").decode()}, {}, "unauthorized"),
        (
            {"Authorization": "Bearer " + base64.b64encode(b"gateway:a secret & more").decode()},
            {},
            "unauthorized",
        ),
    ],
)
async def test_bad_credentials_of_a_client_are_401(rekono, headers, form, error):
    for endpoint in ("token", "revoke", "introspect"):
        async with rekono.http.post(f"{rekono.issuer}{endpoint}", data=form, headers=headers) as response:
            assert (response.status, (await response.json())["error"]) == (401, error)
            assert "WWW-Authenticate" in response.headers


async def test_userinfo_answers_get_and_post_by_scope(rekono, visitor):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    for method in ("GET", "POST"):
        async with rekono.http.request(method, f"{rekono.issuer}userinfo", headers=bearer) as response:
            claims = await response.json()
            assert response.content_type == "application/json"
    assert claims["sub"] == payload(body["id_token"])["sub"]
    assert (claims["name"], claims["taxnumber"], claims["loa"]) == ("Ana Novak", "99990008", 20)
    assert claims["address"]["locality"] == "Ljubljana"


async def test_a_scope_that_was_not_asked_for_is_not_answered_and_nothing_is_null(rekono, visitor):
    page = await rekono.signed_in(visitor, "bor.kranjc@example.si")
    _, body = await rekono.redeemed(page.answer["code"])
    async with rekono.http.get(
        f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        claims = await response.json()
    assert "taxnumber" not in claims
    assert None not in claims.values()
    page = await visitor.get(rekono.authorize_url(scope="openid email"))
    _, body = await rekono.redeemed(page.answer["code"])
    async with rekono.http.get(
        f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        assert (await response.json()).keys() == {"sub", "loa", "email", "email_verified"}


async def test_userinfo_refuses_strange_and_old_tokens_and_those_without_openid(rekono, visitor, clock):
    page = await rekono.signed_in(visitor, url=rekono.authorize_url(scope="profile"))
    _, body = await rekono.redeemed(page.answer["code"])
    assert "id_token" not in body
    for token, status in ((body["access_token"], 403), ("stranger", 401)):
        async with rekono.http.get(
            f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {token}"}
        ) as response:
            assert response.status == status
    clock.advance(hours=1)
    async with rekono.http.get(
        f"{rekono.issuer}userinfo", headers={"Authorization": f"Bearer {body['access_token']}"}
    ) as response:
        assert response.status == 401
        assert "invalid_token" in response.headers["WWW-Authenticate"]


async def test_a_token_is_revoked_by_its_own_client_only(rekono, visitor):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    ours = {"client_id": "gateway", "client_secret": "a secret & more"}
    theirs = {"client_id": "other", "client_secret": "other-secret"}

    async def post(endpoint, **form):
        async with rekono.http.post(f"{rekono.issuer}{endpoint}", data=form) as response:
            return response.status, await response.text()

    token = body["access_token"]
    assert (await post("introspect", **theirs, token=token))[0] == 403
    assert json.loads((await post("introspect", **ours, token=token))[1])["active"] is True
    assert (await post("revoke", **theirs, token=token))[0] == 403
    assert (await post("revoke", **ours, token="stranger"))[0] == 200
    assert (await post("revoke", **ours, token=token))[0] == 200
    assert json.loads((await post("introspect", **ours, token=token))[1]) == {"active": False}


async def refreshed(rekono, token):
    form = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": "gateway",
        "client_secret": "a secret & more",
    }
    async with rekono.http.post(f"{rekono.issuer}token", data=form) as response:
        return response.status, await response.json()


async def with_offline_access(rekono, visitor):
    url = rekono.authorize_url(scope="openid offline_access", max_age="300")
    _, body = await rekono.redeemed((await rekono.signed_in(visitor, url=url)).answer["code"])
    return body["refresh_token"]


async def test_a_refresh_token_stays_the_same_and_states_no_time_of_authentication(rekono, visitor):
    token = await with_offline_access(rekono, visitor)
    for _ in range(2):
        status, body = await refreshed(rekono, token)
        assert (status, body["refresh_token"]) == (200, token)
        assert (payload(body["id_token"])["nonce"], "auth_time" in payload(body["id_token"])) == ("n1", False)
    assert (await refreshed(rekono, "stranger"))[:1] == (401,)
    assert (await refreshed(rekono, "stranger"))[1]["error"] == "invalid_token"


async def test_without_offline_access_there_is_no_refresh_token(rekono, visitor):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    assert "refresh_token" not in body


async def test_a_refresh_token_that_is_used_twice_ends_all_that_it_has_led_to(rekono, visitor):
    first = await with_offline_access(rekono, visitor)
    await quirk(rekono, visitor, "refresh_rotates")
    second = (await refreshed(rekono, first))[1]["refresh_token"]
    assert second != first
    assert (await refreshed(rekono, first))[1]["error"] == "invalid_grant"
    assert (await refreshed(rekono, second))[0] == 400


async def test_a_disabled_account_has_no_session_and_no_token_and_nobody_signs_in_to_it(rekono, visitor):
    token = await with_offline_access(rekono, visitor)
    for enabled in (False, True):
        async with visitor.session.post(
            f"{rekono.origin}/api/accounts", json={"email": "ana.novak@example.si", "enabled": enabled}
        ) as answer:
            assert (answer.status, (await answer.json())["enabled"]) == (200, enabled)
        assert (await refreshed(rekono, token))[0] == 401
        page = await rekono.password_given(visitor)
        assert page.title.startswith("Potrditev") is enabled, page.title


@pytest.mark.parametrize(
    "said",
    [{"email": "nobody@example.si", "enabled": False}, {"email": "ana.novak@example.si", "enabled": 0}, {}],
)
async def test_an_account_is_switched_by_its_name_and_a_truth_value(rekono, visitor, said):
    async with visitor.session.post(f"{rekono.origin}/api/accounts", json=said) as answer:
        assert answer.status == 400


async def test_signing_out_is_confirmed_and_then_leads_back_with_the_state(rekono, visitor):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    hint = {"id_token_hint": body["id_token"], "post_logout_redirect_uri": AFTER_LOGOUT, "state": "bye"}
    page = await visitor.get(f"{rekono.issuer}endsession?{urlencode(hint)}")
    assert page.title.startswith("Odjava")
    stays = await visitor.submit(page, "request", deny="true")
    assert stays.location == f"{AFTER_LOGOUT}?state=bye"
    assert "code" in (await visitor.get(rekono.authorize_url())).answer  # still signed in
    page = await visitor.get(f"{rekono.issuer}endsession?{urlencode(hint)}")
    page = await visitor.submit(page, "request", approve="true")
    assert page.location == f"{AFTER_LOGOUT}?state=bye"
    assert (await visitor.get(rekono.authorize_url())).title.startswith("Prijava")


async def test_signing_out_by_link_works_as_well_and_without_a_session_asks_nothing(
    rekono, visitor, another_visitor, clock
):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    clock.advance(days=1)  # the hint may be old
    url = (
        f"{rekono.issuer}endsession?id_token_hint={body['id_token']}&post_logout_redirect_uri={AFTER_LOGOUT}"
    )
    assert (await another_visitor.get(url)).location == AFTER_LOGOUT


@pytest.mark.parametrize("change", ["hint", "uri", "signature"])
async def test_signing_out_leads_nowhere_without_a_good_hint_and_a_registered_address(
    rekono, visitor, change
):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    hint, uri = body["id_token"], AFTER_LOGOUT
    if change == "hint":
        hint = ""
    elif change == "signature":
        hint = jwt.encode(payload(hint), "", algorithm="none")
    else:
        uri = "http://evil.example/"
    page = await visitor.get(f"{rekono.issuer}endsession?id_token_hint={hint}&post_logout_redirect_uri={uri}")
    page = await visitor.submit(page, "request", approve="true")
    assert page.location is None
    assert page.title.startswith("Odjavljeni ste")


async def quirk(rekono, visitor, name):
    async with visitor.session.post(
        f"{rekono.origin}/api/quirks", json={"client_id": "gateway", "quirk": name}
    ) as answer:
        assert answer.status == 200


async def test_a_form_of_another_site_is_no_sign_out_unless_a_quirk_says_so(rekono, visitor):
    _, body = await rekono.redeemed((await rekono.signed_in(visitor)).answer["code"])
    hint = {"id_token_hint": body["id_token"], "post_logout_redirect_uri": AFTER_LOGOUT, "state": "bye"}
    assert (await visitor.post(f"{rekono.issuer}endsession", hint)).status == 405
    await quirk(rekono, visitor, "endsession_form")
    page = await visitor.post(f"{rekono.issuer}endsession", hint)
    assert page.title.startswith("Odjava")
    assert body["id_token"] not in page.url
    assert (await visitor.get(f"{rekono.issuer}endsession?{urlencode(hint)}")).title.startswith("Odjava")
    await quirk(rekono, visitor, "endsession_form_only")
    assert (await visitor.get(f"{rekono.issuer}endsession?{urlencode(hint)}")).status == 405
    page = await visitor.post(f"{rekono.issuer}endsession", hint)
    assert (await visitor.submit(page, "request", approve="true")).location == f"{AFTER_LOGOUT}?state=bye"


async def test_a_client_id_leads_back_only_with_a_quirk(rekono, visitor):
    asked = f"{rekono.issuer}endsession?{urlencode({'client_id': 'gateway', 'post_logout_redirect_uri': AFTER_LOGOUT})}"
    assert (await visitor.get(asked)).title.startswith("Odjavljeni ste")
    await quirk(rekono, visitor, "endsession_client_id")
    assert (await visitor.get(asked)).location == AFTER_LOGOUT


async def test_a_sign_out_form_needs_the_value_of_its_page(rekono, visitor):
    await rekono.signed_in(visitor)
    page = await visitor.get(f"{rekono.issuer}endsession")
    assert (await visitor.submit(page, "request", _csrf="guessed", approve="true")).status == 403
    assert (await visitor.get(rekono.authorize_url())).location is not None


async def test_a_client_with_a_key_authenticates_by_a_signed_assertion_once(rekono, clock):
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    client = Client(client_id="keyed", client_secret="", redirect_uris=(), name="Keyed", public_key=public)
    authentication = ClientAuthentication(
        {"keyed": client}, (rekono.issuer,), ExpiringEntries(clock, timedelta(hours=1))
    )
    claims = {
        "iss": "keyed",
        "sub": "keyed",
        "aud": rekono.issuer,
        "jti": "1",
        "exp": int(clock().timestamp()) + 60,
    }

    def authenticated(**changed):
        assertion = jwt.encode(claims | changed, private, algorithm="ES256")
        form = {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        return authentication.client(None, form, now=clock())

    assert authenticated() is client
    for changed in (
        {},
        {"jti": "2", "exp": claims["exp"] - 61},
        {"jti": "3", "aud": "elsewhere"},
        {"jti": "4", "sub": "other"},
        {"jti": "5", "iss": "stranger"},
    ):
        with pytest.raises(BadCredentials):
            authenticated(**changed)
    with pytest.raises(BadCredentials):
        authentication.client(None, {"client_id": "keyed", "client_secret": ""}, now=clock())


async def test_registration_is_closed_and_get_on_token_is_not_allowed(rekono):
    async with rekono.http.post(f"{rekono.issuer}register", json={}) as response:
        assert response.status == 403
    async with rekono.http.get(f"{rekono.issuer}token") as response:
        assert response.status == 405
