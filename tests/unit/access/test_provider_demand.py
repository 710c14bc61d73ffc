from __future__ import annotations

import json

import pytest

from authproxy.access.provider_demand import LONGEST, NOTHING, NotAskable, essential_claims, provider_demand

HIGH = {"id_token": {"acr": {"essential": True, "values": ["substantial", "high"]}}}


def asked(claims, **others):
    return provider_demand([{"claims": json.dumps(claims), **others}])


def test_the_parameters_of_the_route_override_those_of_the_portal():
    found = provider_demand(
        [
            {"domain_hint": "banka.si", "acr_values": "low"},
            {"acr_values": "substantial"},
            {"acr_values": "high"},
        ]
    )
    assert found.parameters == {"domain_hint": "banka.si", "acr_values": "high"}
    assert found.essential == ()


def test_of_two_claims_parameters_only_that_of_the_route_counts():
    found = provider_demand(
        [{"claims": json.dumps(HIGH)}, {"claims": json.dumps({"userinfo": {"name": {"essential": True}}})}]
    )
    assert [(claim.source, claim.name) for claim in found.essential] == [("userinfo", "name")]


def test_without_settings_nothing_is_demanded():
    assert provider_demand([{}, {}]) == NOTHING
    assert NOTHING.unconfirmed(id_token={}, userinfo={}) is None


OURS = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "response_mode",
    "request",
    "request_uri",
    "registration",
    "prompt",
    "max_age",
    "ui_locales",
    "id_token_hint",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "code",
    "grant_type",
    "dpop_jkt",
]


@pytest.mark.parametrize("name", OURS)
def test_reserved_parameters_cannot_be_set_in_upper_or_lower_case(name):
    for spelling in (name, name.upper(), name.title()):
        with pytest.raises(NotAskable, match="belongs to the gateway"):
            provider_demand([{spelling: "x"}])


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a&b", "č", "1st", "x" * 65, "a\n"])
def test_an_invalid_parameter_name_is_refused(name):
    with pytest.raises(NotAskable, match="no name"):
        provider_demand([{name: "x"}])


@pytest.mark.parametrize("value", ["a\nb", "a\x00", "a\u202eb", "x" * (LONGEST + 1)])
def test_a_value_is_one_visible_line_that_fits_into_a_url(value):
    with pytest.raises(NotAskable, match="one line"):
        provider_demand([{"login_hint": value}])


def test_a_value_of_the_greatest_length_is_sent():
    assert provider_demand([{"login_hint": "x" * LONGEST}]).parameters == {"login_hint": "x" * LONGEST}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not JSON"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"id_token":{"acr":null,"acr":null}}', "twice"),
        ('{"idtoken":{}}', "beside"),
        ('{"id_token":[]}', "no JSON object in"),
        ('{"id_token":{"acr":true}}', "neither by null"),
        ('{"id_token":{"acr":{"essential":"yes"}}}', "neither true nor|true or false"),
        ('{"id_token":{"acr":{"essential":true,"values":[]}}}', "no list"),
        ('{"id_token":{"acr":{"values":"high"}}}', "no list"),
    ],
)
def test_an_unclear_claims_parameter_is_refused(text, found):
    with pytest.raises(NotAskable, match=found):
        essential_claims(text)


def test_voluntary_claims_are_not_essential():
    assert essential_claims('{"id_token":{"acr":{"value":"high"},"name":null},"userinfo":null}') == ()


@pytest.mark.parametrize(
    ("id_token", "userinfo", "confirmed"),
    [
        ({"acr": "high"}, {}, True),
        ({"acr": "substantial"}, {}, True),
        ({"acr": "low"}, {}, False),
        ({"acr": "HIGH"}, {}, False),
        ({"acr": "high "}, {}, False),
        ({"acr": ""}, {}, False),
        ({"acr": None}, {}, False),
        ({}, {}, False),
        ({}, {"acr": "high"}, False),
        ({"acr": ["low", "high"]}, {}, True),
        ({"acr": ["low"]}, {}, False),
        ({"acr": []}, {}, False),
        ({"acr": [["high"]]}, {}, False),
        ({"acr": {"high": "high"}}, {}, False),
    ],
)
def test_an_essential_value_must_come_back_in_the_source_that_was_asked(id_token, userinfo, confirmed):
    found = asked(HIGH).unconfirmed(id_token=id_token, userinfo=userinfo)
    assert (found is None) is confirmed
    if not confirmed:
        assert found == "the essential claim `acr` is not in the ID token with a value that was asked for"


@pytest.mark.parametrize(
    ("stated", "confirmed"), [("", True), (False, True), (0, True), ([], True), (None, False)]
)
def test_an_essential_claim_without_values_must_be_there(stated, confirmed):
    found = asked({"userinfo": {"department": {"essential": True}}}).unconfirmed(
        id_token={}, userinfo={"department": stated}
    )
    assert (found is None) is confirmed


def test_a_value_and_values_may_stand_beside_each_other():
    either = asked({"id_token": {"acr": {"essential": True, "values": ["a"], "value": "b"}}})
    assert [
        either.unconfirmed(id_token={"acr": value}, userinfo={}) is None for value in ("a", "b", "c")
    ] == [True, True, False]


def test_the_requested_value_may_be_a_whole_list():
    pair = asked({"id_token": {"amr": {"essential": True, "value": ["pwd", "sms"]}}})
    assert pair.unconfirmed(id_token={"amr": ["pwd", "sms"]}, userinfo={}) is None
    assert pair.unconfirmed(id_token={"amr": ["sms", "pwd"]}, userinfo={}) is not None


@pytest.mark.parametrize(("wanted", "stated"), [(1, True), (True, 1), (0, False), (20, "20"), ("20", 20)])
def test_values_of_different_json_types_are_different(wanted, stated):
    assert (
        asked({"id_token": {"loa": {"essential": True, "value": wanted}}}).unconfirmed(
            id_token={"loa": stated}, userinfo={}
        )
        is not None
    )


def test_every_essential_claim_must_be_confirmed():
    both = asked({"id_token": {"acr": {"essential": True}}, "userinfo": {"name": {"essential": True}}})
    assert both.unconfirmed(id_token={"acr": "x"}, userinfo={"name": "Ana"}) is None
    assert "`name` is not in userinfo at all" in both.unconfirmed(id_token={"acr": "x"}, userinfo={})
    assert "`acr` is not in the ID token at all" in both.unconfirmed(id_token={}, userinfo={"name": "Ana"})


@pytest.mark.parametrize(
    ("claims", "acr"),
    [
        (HIGH, ("substantial", "high")),
        ({"id_token": {"acr": {"essential": True, "value": "high"}}}, ("high",)),
        ({"id_token": {"acr": {"essential": True}}}, ()),
        ({"id_token": {"acr": {"value": "high"}}}, ()),
        ({"userinfo": {"acr": {"essential": True, "value": "high"}}}, ()),
        ({"id_token": {"amr": {"essential": True, "value": "sms"}}}, ()),
    ],
)
def test_the_values_of_an_essential_acr_are_available(claims, acr):
    assert asked(claims).acr == acr
