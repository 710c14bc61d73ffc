"""What check-config says of what the provider is asked for beyond the protocol."""

from __future__ import annotations

import pytest

from authproxy.bootstrap.provider import relying_party

ACR = '{"id_token":{"acr":{"essential":true,"value":"high"}}}'
NAME = '{"userinfo":{"department":{"essential":true}}}'


def found(workshop, *, rekono=None, portal=None):
    """Key, severity and words of every finding."""

    def spoil(settings):
        settings["rekono"] |= rekono or {}
        settings["portals"]["acq"] |= portal or {}

    return [(each.key, each.severity, str(each)) for each in workshop.read(spoil).findings]


def test_without_any_of_them_nothing_is_different(workshop):
    party = relying_party(workshop.read().settings.rekono)
    assert (party.userinfo, party.pushed_authorization_requests, party.audiences) == (
        "required",
        "auto",
        frozenset(),
    )


def test_they_reach_the_relying_party(workshop):
    def spoil(settings):
        settings["rekono"] |= {
            "userinfo": "off",
            "audiences": ["account"],
            "pushed_authorization_requests": "always",
        }

    party = relying_party(workshop.read(spoil).settings.rekono)
    assert (party.userinfo, party.pushed_authorization_requests, party.audiences) == (
        "off",
        "always",
        frozenset({"account"}),
    )


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("rekono.parameters.{}", lambda parameters: {"rekono": {"parameters": parameters}}),
        (
            "portals.acq.rekono_parameters.{}",
            lambda parameters: {"portal": {"rekono_parameters": parameters}},
        ),
        (
            "portals.acq.routes[0].rekono_parameters.{}",
            lambda parameters: {"portal": {"routes": [{"path": "/pay", "rekono_parameters": parameters}]}},
        ),
    ],
    ids=["gateway", "portal", "route"],
)
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("state", "x", "belongs to the gateway"),
        ("Redirect_URI", "https://evil.example/", "belongs to the gateway"),
        ("scope", "openid", "the setting `rekono.scopes`"),
        ("max_age", "0", "the setting `rekono.max_age`"),
        ("a b", "x", "is no name"),
        ("claims", "{", "is not JSON"),
        ("claims", '{"id_tokn":{}}', "beside"),
        ("login_hint", "a\tb", "one line"),
    ],
)
def test_a_parameter_that_cannot_be_sent_is_an_error_where_it_stands(workshop, key, where, name, value, says):
    [(at, severity, words)] = found(workshop, **where({name: value}))
    shown = name if " " not in name else f'"{name}"'
    assert (at, severity) == (key.format(shown), "error")
    assert says in words


def test_an_audience_that_is_trusted_already_is_a_warning(workshop):
    [first, second] = found(workshop, rekono={"audiences": ["account", "gateway", "account"]})
    assert (first[:2], second[:2]) == (("rekono.audiences[1]", "warning"), ("rekono.audiences[2]", "warning"))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"rekono": {"userinfo": "off", "parameters": {"claims": NAME}}}, "rekono.parameters.claims"),
        (
            {"rekono": {"userinfo": "off"}, "portal": {"rekono_parameters": {"claims": NAME}}},
            "portals.acq.rekono_parameters.claims",
        ),
    ],
)
def test_a_claim_of_userinfo_cannot_be_essential_where_nobody_asks_there(workshop, change, key):
    [(at, severity, words)] = found(workshop, **change)
    assert (at, severity) == (key, "error")
    assert "lets nobody in" in words


@pytest.mark.parametrize("use", ["required", "optional"])
def test_a_claim_of_userinfo_can_be_essential_where_it_is_asked(workshop, use):
    assert found(workshop, rekono={"userinfo": use, "parameters": {"claims": NAME}}) == []


@pytest.mark.parametrize(
    ("claims", "step_up", "is_caught"),
    [
        (ACR, {"methods": ["rekono"]}, True),
        (ACR, {"methods": ["rekono", "sms"]}, False),
        (ACR, {"required": False}, False),
        (ACR, None, False),
        (NAME, {"methods": ["rekono"]}, False),
        ('{"id_token":{"acr":{"essential":true}}}', {"methods": ["rekono"]}, False),
    ],
)
def test_what_is_essential_on_a_route_and_can_be_walked_around_is_a_warning(
    workshop, claims, step_up, is_caught
):
    route = {"path": "/pay", "rekono_parameters": {"claims": claims}} | (
        {} if step_up is None else {"step_up": step_up}
    )
    warnings = found(workshop, portal={"routes": [route]})
    assert [each[:2] for each in warnings] == (
        [] if is_caught else [("portals.acq.routes[0].rekono_parameters.claims", "warning")]
    )


def test_a_wish_on_a_route_is_nobodys_error(workshop):
    assert (
        found(workshop, portal={"routes": [{"path": "/pay", "rekono_parameters": {"acr_values": "high"}}]})
        == []
    )


def test_rechecks_without_refresh_tokens_are_a_warning(workshop):
    assert [each[:2] for each in found(workshop, rekono={"recheck_every": "5m"})] == [
        ("rekono.recheck_every", "warning")
    ]
    assert found(workshop, rekono={"recheck_every": "5m", "scopes": ["openid", "offline_access"]}) == []


@pytest.mark.parametrize("span", ["29s", "9h"])
def test_rechecks_have_bounds(workshop, span):
    [(at, severity, words)] = found(
        workshop, rekono={"recheck_every": span, "scopes": ["openid", "offline_access"]}
    )
    assert (at, severity, "30s to 28800s" in words) == ("rekono.recheck_every", "error", True)


def test_how_people_sign_out_reaches_the_relying_party(workshop):
    party = relying_party(workshop.read().settings.rekono)
    assert (party.logout_method, party.logout_hint) == ("get", "auto")

    def spoil(settings):
        settings["rekono"] |= {"logout_method": "none", "logout_hint": "never"}

    party = relying_party(workshop.read(spoil).settings.rekono)
    assert (party.logout_method, party.logout_hint) == ("none", "never")


def test_parameters_for_a_portal_without_sign_ins_at_the_provider_are_for_proofs_only(workshop):
    findings = found(workshop, portal={"sign_in": ["acnlb"], "rekono_parameters": {"acr_values": "high"}})
    [(severity, words)] = [said for key, *said in findings if key == "portals.acq.rekono_parameters"]
    assert severity == "warning"
    assert "are sent for proofs by `rekono` only" in words


def test_what_the_id_token_must_have_needs_no_userinfo(workshop):
    assert found(workshop, rekono={"userinfo": "off", "parameters": {"claims": ACR}}) == []
