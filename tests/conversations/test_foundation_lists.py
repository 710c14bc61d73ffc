"""The relying-party tests of the OpenID Foundation's conformance suite, rebuilt as conversations with a
provider that a test can make lie.

The suite itself cannot run here. `CODE_FLOW` has all 31 of its tests that a client of the code flow with
plain requests can take, `LOGOUT` the eight of the back-channel profile and the three of the RP-initiated one,
`REFRESH` the three about refresh tokens. Each names the test that holds it: a mode of the hostile provider,
or a function in a file of tests. The functions of this file hold what is nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from authproxy.access.decision import Reason
from authproxy.identity.assurance import Level
from authproxy.oidc.claims import ClaimNames, identity
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.oidc.refused import AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty
from tests.support.hostile_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    MODES,
    NONCE,
    ODDITIES,
    REDIRECT_URI,
    SUBJECT,
    VERIFIER,
    HostileProvider,
    ec_jwk,
    ec_key,
    es256,
    jws,
    rsa_jwk,
    rsa_key,
)
from tests.support.http_client import Browser
from tests.support.waiting import until

TESTS = Path(__file__).parents[1]
HERE = "conversations/test_foundation_lists.py"
MODE = "security/test_hostile_provider.py"
"""What follows is a mode or an oddity of the hostile provider, which that file goes through."""

CODE_FLOW = {
    "oidcc-client-test": (MODE, "nothing odd"),
    "oidcc-client-test-nonce-invalid": (MODE, "nonce of another"),
    "oidcc-client-test-client-secret-basic": (
        "integration/test_foreign_provider.py",
        "test_a_foreign_provider_and_a_plain_portal_agree_on_who_somebody_is",
    ),
    "oidcc-client-test-scope-userinfo-claims": (HERE, "test_what_scopes_ask_for_arrives_with_userinfo"),
    "oidcc-client-test-kid-absent-single-jwks": (MODE, "kid absent and one key"),
    "oidcc-client-test-kid-absent-multiple-jwks": (MODE, "kid absent and two keys"),
    "oidcc-client-test-missing-iat": (MODE, "iat absent"),
    "oidcc-client-test-missing-aud": (MODE, "aud absent"),
    "oidcc-client-test-invalid-aud": (MODE, "aud of another"),
    "oidcc-client-test-idtoken-sig-none": (MODE, "alg none"),
    "oidcc-client-test-idtoken-sig-rs256": (MODE, "nothing odd"),
    "oidcc-client-test-missing-sub": (MODE, "sub absent"),
    "oidcc-client-test-invalid-sig-rs256": (MODE, "signed by another key"),
    "oidcc-client-test-invalid-sig-hs256": (MODE, "HS256 with the client secret"),
    "oidcc-client-test-invalid-sig-es256": (HERE, "test_an_elliptic_signature_is_checked_as_every_other"),
    "oidcc-client-test-invalid-iss": (MODE, "iss of another"),
    "oidcc-client-test-userinfo-invalid-sub": (MODE, "userinfo of another"),
    "oidcc-client-test-userinfo-bearer-header": (
        "unit/oidc/test_oidc_provider.py",
        "test_a_sign_in_proves_a_subject_and_returns_its_claims",
    ),
    "oidcc-client-test-aggregated-claims": (
        HERE,
        "test_claims_of_third_parties_are_neither_fetched_nor_believed",
    ),
    "oidcc-client-test-distributed-claims": (
        HERE,
        "test_claims_of_third_parties_are_neither_fetched_nor_believed",
    ),
    "oidcc-client-test-mtls-endpoint-aliases": (
        HERE,
        "test_endpoints_for_other_kinds_of_clients_are_left_alone",
    ),
    "oidcc-client-test-discovery-openid-config": (HERE, "test_every_address_is_the_one_that_discovery_names"),
    "oidcc-client-test-discovery-jwks-uri-keys": (HERE, "test_every_address_is_the_one_that_discovery_names"),
    "oidcc-client-test-discovery-issuer-mismatch": (MODE, "discovery of another issuer"),
    "oidcc-client-test-signing-key-rotation": (
        "unit/oidc/test_oidc_provider.py",
        "test_the_provider_may_change_its_key_between_two_sign_ins",
    ),
    "oidcc-client-test-signing-key-rotation-just-before-signing": (
        HERE,
        "test_a_key_that_is_replaced_just_before_it_signs_is_found",
    ),
    "oidcc-client-test-userinfo-signed": (
        "integration/test_foreign_provider.py",
        "test_signed_userinfo_is_believed_and_an_essential_value_that_does_not_come_back_is_not_forgiven",
    ),
}
LOGOUT = {
    "oidcc-client-test-rp-backchannel-rpinitlogout": (
        HERE,
        "test_the_providers_word_about_a_session_that_we_have_just_ended_is_taken",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none": (
        "conversations/test_back_channel_logout.py",
        "test_what_is_not_the_providers_word_ends_nothing",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-no-event": (
        "conversations/test_back_channel_logout.py",
        "test_what_is_not_the_providers_word_ends_nothing",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce": (
        "conversations/test_back_channel_logout.py",
        "test_what_is_not_the_providers_word_ends_nothing",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg": (
        HERE,
        "test_a_logout_token_of_a_wrong_kind_is_answered_400_and_ends_nothing",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud": (
        "conversations/test_back_channel_logout.py",
        "test_what_is_not_the_providers_word_ends_nothing",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": (
        HERE,
        "test_a_logout_token_of_a_wrong_kind_is_answered_400_and_ends_nothing",
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss": (
        "conversations/test_back_channel_logout.py",
        "test_what_is_not_the_providers_word_ends_nothing",
    ),
    "oidcc-client-test-rp-init-logout": (
        "integration/test_foreign_provider.py",
        "test_signing_out_reaches_the_provider_and_comes_back",
    ),
    "oidcc-client-test-rp-init-logout-other-state": (
        HERE,
        "test_coming_back_from_the_providers_sign_out_proves_nothing_whatever_its_state",
    ),
    "oidcc-client-test-rp-init-logout-no-state": (
        HERE,
        "test_coming_back_from_the_providers_sign_out_proves_nothing_whatever_its_state",
    ),
}
REFRESH = {
    "oidcc-client-test-refresh-token": (
        "unit/oidc/test_account.py",
        "test_new_tokens_mean_that_the_account_exists",
    ),
}
LEFT_OUT = {
    "oidcc-client-test-userinfo-bearer-body": "an alternative to the header; the token is sent in the header",
    "oidcc-client-test-discovery-webfinger-acct": (
        "the provider is named by the settings, never by the person"
    ),
    "oidcc-client-test-discovery-webfinger-url": "the provider is named by the settings, never by the person",
    "oidcc-client-test-dynamic-registration": "the gateway is registered at the provider by hand",
    "oidcc-client-test-refresh-token-invalid-issuer": (
        "an ID token that comes with a refresh is not read: only whether the account stands is asked"
    ),
    "oidcc-client-test-refresh-token-invalid-sub": (
        "an ID token that comes with a refresh is not read: only whether the account stands is asked"
    ),
}

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
NAMES = ClaimNames(tax_number=("taxnumber",), level=("loa",))


@pytest.fixture
async def hostile():
    async with HostileProvider(NOW) as provider:
        yield provider


@pytest.fixture
async def parties(hostile):
    """Makes relying parties that have agreed with the provider as the changes say."""
    agreed = RelyingParty(issuer=hostile.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    async with client_session(None) as session:
        yield lambda **changes: OpenIdProvider(
            replace(agreed, **changes), session, clock=lambda: NOW, random_text=lambda size: "f" * size
        )


async def returned(party: OpenIdProvider):
    return await party.authenticate(
        [("code", CODE), ("state", "s")], redirect_uri=REDIRECT_URI, nonce=NONCE, code_verifier=VERIFIER
    )


async def asked(party: OpenIdProvider) -> str:
    return await party.authorization_request(
        redirect_uri=REDIRECT_URI, state="s", nonce=NONCE, code_verifier=VERIFIER, ui_locales="sl"
    )


def person(authenticated):
    return identity(
        authenticated.claims, authenticated.userinfo, names=NAMES, levels={"20": Level.MEDIUM}, required=()
    ).person


def test_every_test_of_the_lists_is_held_by_a_test_that_there_is():
    held = CODE_FLOW | LOGOUT | REFRESH
    assert (
        len(CODE_FLOW) + sum(name not in LOGOUT and "refresh" not in name for name in LEFT_OUT),
        len(LOGOUT),
    ) == (31, 11)
    assert not held.keys() & LEFT_OUT.keys()
    for name, (file, test) in held.items():
        if file == MODE:
            assert test in {**MODES, **ODDITIES}, name
        else:
            assert f"async def {test}(" in (TESTS / file).read_text(), name


async def test_what_scopes_ask_for_arrives_with_userinfo(hostile, parties):
    party = parties(scopes=("openid", "profile", "email", "phone", "address"))
    hostile.userinfo |= {
        "email": "ana@example.si",
        "email_verified": True,
        "phone_number": "+38640123456",
        "phone_number_verified": True,
        "birthdate": "1990-01-01",
    }

    assert parse_qs(urlsplit(await asked(party)).query)["scope"] == ["openid profile email phone address"]
    ana = person(await returned(party))
    assert (ana.name, ana.email, ana.phone) == ("Ana Novak", "ana@example.si", "+38640123456")


async def test_an_elliptic_signature_is_checked_as_every_other(hostile, parties):
    party, key = parties(algorithm="ES256"), ec_key("ec")
    hostile.jwks = [ec_jwk(key, kid="ec")]
    hostile.forge = lambda _, claims: jws({"alg": "ES256", "kid": "ec"}, claims, es256(key))
    assert (await returned(party)).claims.subject == SUBJECT

    hostile.forge = lambda _, claims: jws({"alg": "ES256", "kid": "ec"}, claims, es256(ec_key("thief")))
    with pytest.raises(AuthorizationRefused, match="the signature is wrong") as refusal:
        await returned(party)
    assert refusal.value.reason == Reason.PROVIDER_ANSWER_INVALID


@pytest.mark.parametrize(
    "source",
    [
        {"JWT": "eyJhbGciOiJub25lIn0.eyJ0YXhudW1iZXIiOiI5OTk5MDAxNiIsImVtYWlsIjoiZXZlQGV4YW1wbGUuc2kifQ."},
        {"endpoint": "claims", "access_token": "t"},
    ],
    ids=["aggregated", "distributed"],
)
async def test_claims_of_third_parties_are_neither_fetched_nor_believed(hostile, parties, source):
    if "endpoint" in source:
        source = source | {"endpoint": f"{hostile.canary}{source['endpoint']}"}
    del hostile.userinfo["taxnumber"]
    hostile.userinfo |= {
        "_claim_names": {"taxnumber": "src1", "email": "src1"},
        "_claim_sources": {"src1": source},
    }

    ana = person(await returned(parties()))

    assert (ana.subject, ana.name, ana.tax_number, ana.email) == (SUBJECT, "Ana Novak", None, None)
    assert hostile.canary_hits == 0


async def test_endpoints_for_other_kinds_of_clients_are_left_alone(hostile, parties):
    hostile.discovery["mtls_endpoint_aliases"] = {
        name: f"{hostile.canary}{name}" for name in ("token_endpoint", "userinfo_endpoint")
    }

    assert (await returned(parties())).claims.subject == SUBJECT
    assert hostile.canary_hits == 0


async def test_every_address_is_the_one_that_discovery_names(hostile, parties):
    elsewhere = {
        "authorization_endpoint": "begin",
        "token_endpoint": "v7/token",
        "userinfo_endpoint": "me/userinfo",
        "jwks_uri": "certs/jwk",
    }
    hostile.discovery |= {name: f"{hostile.origin}/elsewhere/{path}" for name, path in elsewhere.items()}
    party = parties()

    assert (await asked(party)).startswith(f"{hostile.origin}/elsewhere/begin?")
    assert (await returned(party)).userinfo["name"] == "Ana Novak"
    assert sorted(hostile.paths) == sorted(
        [
            "/op/.well-known/openid-configuration",
            "/elsewhere/v7/token",
            "/elsewhere/me/userinfo",
            "/elsewhere/certs/jwk",
        ]
    )


async def test_a_key_that_is_replaced_just_before_it_signs_is_found(hostile, parties):
    party = parties()
    await party.refresh()
    given = hostile.id_token

    def rotating() -> str:
        hostile.key, hostile.header["kid"] = rsa_key("second"), "rsa2"
        hostile.jwks = [rsa_jwk(hostile.key, kid="rsa2")]
        return given()

    hostile.id_token = rotating
    assert (await returned(party)).claims.subject == SUBJECT
    assert hostile.hits["jwk"] == 2


EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
async def speaking():
    """A provider by the time of day."""
    async with HostileProvider(datetime.now(UTC)) as provider:
        yield provider


@pytest.fixture
async def signed_in(houses, speaking):
    """A house with that provider, and the browser of somebody whom it has signed in there in its session
    `office`."""
    settings = {
        "AUTHPROXY__REKONO__ISSUER": speaking.issuer,
        "AUTHPROXY__REKONO__STEP_UP_BY": "always",
        "AUTHPROXY__REKONO__CLIENT_ID": CLIENT_ID,
        "AUTHPROXY__REKONO__CLIENT_SECRET": CLIENT_SECRET,
        "AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "tax_number,name",
    }
    async with houses(environment=settings, provider_is_up=False) as house:
        browser = Browser()
        chooser = await browser.follow(await browser.navigate(house.acq + "/"))
        form = next(form for form in chooser.forms if ("method", "rekono") in form.buttons)
        sent = parse_qs(urlsplit((await browser.submit(chooser, form, {"method": "rekono"})).location).query)
        speaking.claims |= {"nonce": sent["nonce"][0], "sid": "office"}
        callback = (
            f"{house.acq}/.authproxy/callback/rekono?{urlencode({'code': CODE, 'state': sent['state'][0]})}"
        )
        assert (await browser.navigate(callback, site="cross-site")).status == 303
        assert await is_open(browser, house)
        yield house, browser


async def is_open(browser, house):
    return (await browser.fetch(f"{house.acq}/api/jaz")).status == 200


async def signs_out(browser, house):
    confirmation = await browser.navigate(f"{house.acq}/.authproxy/logout")
    await browser.submit(
        confirmation,
        next(form for form in confirmation.forms if form.action.startswith(f"{house.acq}/.authproxy/logout")),
    )


async def told(house, provider, *, header=None, **changes):
    claims = {
        "iss": provider.issuer,
        "aud": CLIENT_ID,
        "iat": provider.seconds,
        "exp": provider.seconds + 120,
        "jti": "one",
        "sub": SUBJECT,
        "sid": "office",
        "events": {EVENT: {}},
        **changes,
    }
    token = provider.forge({"alg": "RS256", "kid": "rsa1", "typ": "logout+jwt", **(header or {})}, claims)
    headers, body = (
        {"Content-Type": "application/x-www-form-urlencoded"},
        urlencode({"logout_token": token}).encode(),
    )
    return await Browser().request(
        "POST", f"{house.acq}/.authproxy/backchannel-logout", headers=headers, body=body
    )


async def test_the_providers_word_about_a_session_that_we_have_just_ended_is_taken(signed_in, speaking):
    house, browser = signed_in
    await signs_out(browser, house)
    answer = await told(house, speaking)
    assert (answer.status, answer.header("cache-control")) == (200, "no-store")


async def test_a_logout_token_of_a_wrong_kind_is_answered_400_and_ends_nothing(signed_in, speaking):
    house, browser = signed_in
    wrong = [
        await told(house, speaking, events={"http://schemas.openid.net/event/other": {}}),
        await told(house, speaking, header={"alg": "RS384"}),
    ]
    assert [(answer.status, answer.json["error"]) for answer in wrong] == [(400, "invalid_request")] * 2
    assert await is_open(browser, house)
    assert (await told(house, speaking)).status == 200

    async def is_over():
        return not await is_open(browser, house)

    await until(is_over)


async def test_coming_back_from_the_providers_sign_out_proves_nothing_whatever_its_state(signed_in):
    house, browser = signed_in
    for parameters in ({"state": "another"}, {}):
        page = await browser.navigate(
            f"{house.acq}/.authproxy/logout?{urlencode(parameters)}", site="cross-site"
        )
        assert (page.status, page.all("set-cookie")) == (200, [])
        assert await is_open(browser, house)
    await signs_out(browser, house)
    for parameters in ({"state": "another"}, {}):
        page = await browser.navigate(
            f"{house.acq}/.authproxy/logout?{urlencode(parameters)}", site="cross-site"
        )
        assert (page.status, "another" in page.text) == (200, False)
        assert not await is_open(browser, house)
