from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from authproxy.access.decision import Reason
from authproxy.oidc import authorization
from authproxy.oidc.authorization import code_challenge, read_response, state_of
from authproxy.oidc.refused import AuthorizationRefused
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.wire import with_parameters

ISSUER = "https://idp.rekono.si/openid-connect-server-webapp/"
TAX_NUMBER_SCOPE = "http://idp.rekono.si/openid/taxnumber"
CODE = "Zk3pTq81LmNv70aRcD5eXwYb9UoJhG2s"


def request(endpoint=f"{ISSUER}authorize", *, anew=False, extra=None, **agreement):
    relying_party = RelyingParty(
        issuer=ISSUER,
        client_id="acq",
        client_secret="s3cret",
        scopes=("openid", TAX_NUMBER_SCOPE),
        **agreement,
    )
    asked = authorization.parameters(
        relying_party,
        redirect_uri="https://acq.bankart.si/.authproxy/callback/rekono",
        state="st&te",
        nonce="n",
        code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ui_locales="sl",
        anew=anew,
        extra=extra or {},
    )
    return with_parameters(endpoint, asked)


def test_the_request_asks_for_a_code_with_everything_that_binds_it():
    url = urlsplit(request(max_age=timedelta(minutes=5)))

    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}authorize"
    assert dict(parse_qsl(url.query, strict_parsing=True)) == {
        "response_type": "code",
        "client_id": "acq",
        "redirect_uri": "https://acq.bankart.si/.authproxy/callback/rekono",
        "scope": f"openid {TAX_NUMBER_SCOPE}",
        "state": "st&te",
        "nonce": "n",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "ui_locales": "sl",
        "max_age": "300",
    }
    assert "s3cret" not in url.query


def test_the_challenge_is_that_of_rfc_7636_appendix_b():
    assert (
        code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_a_prompt_goes_without_max_age_because_mitreid_would_ignore_that():
    parameters = dict(parse_qsl(urlsplit(request(prompt="login", max_age=timedelta(minutes=5))).query))

    assert parameters["prompt"] == "login"
    assert "max_age" not in parameters


@pytest.mark.parametrize(
    "agreement", [{"max_age": timedelta(minutes=5)}, {"max_age": timedelta(minutes=5), "prompt": "consent"}]
)
def test_a_new_authentication_is_asked_for_with_a_time_that_can_be_checked(agreement):
    parameters = dict(parse_qsl(urlsplit(request(anew=True, **agreement)).query))

    assert (parameters["prompt"], parameters["max_age"]) == ("login", "300")


def test_a_new_authentication_can_be_asked_for_where_no_age_is_agreed():
    parameters = dict(parse_qsl(urlsplit(request(anew=True)).query))

    assert parameters["prompt"] == "login"
    assert "max_age" not in parameters


def test_parameters_beyond_the_protocol_are_sent_and_displace_none_of_its_own():
    claims = '{"id_token":{"acr":{"essential":true}}}'
    parameters = dict(
        parse_qsl(
            urlsplit(
                request(extra={"claims": claims, "kc_idp_hint": "banka", "state": "evil", "scope": "evil"})
            ).query
        )
    )

    assert (parameters["claims"], parameters["kc_idp_hint"]) == (claims, "banka")
    assert (parameters["state"], parameters["scope"]) == ("st&te", f"openid {TAX_NUMBER_SCOPE}")


def test_prompt_and_max_age_are_sent_only_if_they_are_agreed():
    assert not {"prompt", "max_age"} & dict(parse_qsl(urlsplit(request()).query)).keys()


def test_the_endpoint_keeps_its_own_parameters_but_not_ours():
    parameters = parse_qsl(
        urlsplit(request(f"{ISSUER}authorize?tenant=a%2Fb&client_id=evil&st%61te=evil&&flag")).query,
        keep_blank_values=True,
    )
    names = [name for name, _ in parameters]

    assert len(names) == len(set(names))
    assert ("tenant", "a/b") in parameters
    assert ("flag", "") in parameters
    assert ("client_id", "acq") in parameters
    assert ("state", "st&te") in parameters


@pytest.mark.parametrize(
    ("parameters", "state"),
    [
        ([("code", "c"), ("state", "s")], "s"),
        ([("state", "x" * 2048)], "x" * 2048),
        ([("code", "c")], None),
        ([("state", "")], None),
        ([("state", "s"), ("state", "s")], None),
        ([("state", "x" * 2049)], None),
        ([("state", "a b")], None),
        ([("state", "č")], None),
    ],
)
def test_there_must_be_exactly_one_state_that_could_be_ours(parameters, state):
    assert state_of(parameters) == state


def read(*parameters, announced=False):
    return read_response(parameters, expected_issuer=ISSUER, issuer_is_announced=announced)


@pytest.mark.parametrize("code", [CODE, "x", "x" * 4096, "x" * 8192, "a b~!\"'"])
def test_every_code_that_rfc_6749_allows_is_accepted(code):
    assert read(("code", code), ("state", "s")).code == code


def test_other_parameters_are_ignored_even_when_doubled():
    assert (
        read(("code", CODE), ("state", "s"), ("utm", "1"), ("utm", "2"), ("session_state", "x")).code == CODE
    )


def test_the_issuer_may_be_stated_and_must_be_when_announced():
    assert read(("code", CODE), ("iss", ISSUER)).code == CODE
    assert read(("code", CODE), ("iss", ISSUER), announced=True).code == CODE


def test_the_code_does_not_show():
    assert CODE not in repr(read(("code", CODE)))


@pytest.mark.parametrize(
    ("parameters", "announced", "reason"),
    [
        ([], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", "")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", "x" * 8193)], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", "a\nb")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", "č")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("code", CODE)], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("state", "s"), ("state", "s")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("iss", ISSUER), ("iss", ISSUER)], True, Reason.PROVIDER_ANSWER_INVALID),
        ([("error", "access_denied"), ("error", "server_error")], False, Reason.PROVIDER_ANSWER_INVALID),
        (
            [("error", "access_denied"), ("error_description", "a"), ("error_description", "b")],
            False,
            Reason.PROVIDER_ANSWER_INVALID,
        ),
        (
            [("error", "access_denied"), ("error_uri", "a"), ("error_uri", "b")],
            False,
            Reason.PROVIDER_ANSWER_INVALID,
        ),
        ([("code", CODE), ("iss", ISSUER.rstrip("/"))], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("iss", "https://evil.example/")], True, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE)], True, Reason.PROVIDER_ANSWER_INVALID),
        ([("error", "access_denied")], True, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("id_token", "x")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("access_token", "x")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("access_token", "x")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("error", "access_denied"), ("access_token", "x")], False, Reason.PROVIDER_ANSWER_INVALID),
        ([("code", CODE), ("error", "access_denied")], False, Reason.PROVIDER_ANSWER_INVALID),
        (
            [("error", "access_denied"), ("error_description", f"User denied access {CODE}")],
            False,
            Reason.CONSENT_REFUSED,
        ),
        ([("error", "login_required")], False, Reason.PROVIDER_REFUSED),
        ([("error", "temporarily_unavailable")], False, Reason.PROVIDER_UNAVAILABLE),
        ([("error", "server_error")], False, Reason.PROVIDER_UNAVAILABLE),
        ([("error", f"odd {CODE}")], False, Reason.PROVIDER_REFUSED),
        ([("error", "")], False, Reason.PROVIDER_REFUSED),
    ],
)
def test_any_other_response_is_refused_without_being_quoted(parameters, announced, reason):
    with pytest.raises(AuthorizationRefused) as refusal:
        read(*parameters, announced=announced)

    assert refusal.value.reason == reason
    assert CODE not in str(refusal.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("access_denied", "access_denied"),
        ("login_required", "login_required"),
        ("unauthorized_client", "unauthorized_client"),
        ("server_error", "server_error"),
        (f"odd {CODE}", None),
        ("ana.novak", None),
        ("", None),
    ],
)
def test_operators_are_told_the_providers_error_if_it_is_a_registered_one(error, told):
    with pytest.raises(AuthorizationRefused) as refusal:
        read(("error", error), ("error_description", "Ana Novak, 99990008"))

    assert refusal.value.error == told
    assert (told or "not registered") in str(refusal.value)
    assert "Ana" not in str(refusal.value)
    assert not error or told or error not in str(refusal.value)
