"""What the check says of programs that come in without a person."""

from __future__ import annotations

import pytest

ISSUER = {
    "issuer": "https://tokens.example.si/",
    "audience": "https://portals.example.si",
    "jwks_url": "https://tokens.example.si/jwks",
}


def machines(route, **section):
    def spoil(settings):
        if section:
            settings["machines"] = section
        if route is not None:
            settings["portals"]["acq"]["routes"] = [{"path": "/uvoz", "machines": route}]

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        machines({"keys": True}),
        machines({"keys": True, "scopes": ["payments", "urn:x:y"]}),
        machines({"tokens": True, "keys": True}, **ISSUER),
        machines(
            {"tokens": True}, **ISSUER | {"issuer": "http://localhost:1", "jwks_url": "http://localhost:1/k"}
        ),
        machines({"tokens": True}, **ISSUER | {"algorithm": "EdDSA", "subject_claim": "azp"}),
    ],
)
def test_what_is_right_is_left_alone(workshop, spoil):
    assert workshop.read(spoil).findings == ()


ROUTE = "portals.acq.routes[0].machines"
TOKENS = {"tokens": True}


@pytest.mark.parametrize(
    ("spoil", "key", "severity", "problem"),
    [
        (machines(TOKENS), f"{ROUTE}.tokens", "error", "no section `machines`"),
        (machines({}), ROUTE, "warning", "neither `tokens` nor `keys` is true"),
        (machines({"scopes": ["a"]}), ROUTE, "warning", "neither `tokens` nor `keys` is true"),
        (machines({"keys": True, "scopes": ["a b"]}), f"{ROUTE}.scopes", "error", "is not valid"),
        (machines({"keys": True, "scopes": ['a"b']}), f"{ROUTE}.scopes", "error", "is not valid"),
        (machines({"key": True}), f"{ROUTE}.key", "error", 'did you mean "keys"?'),
        (machines(None, **ISSUER), "machines", "warning", "no route takes access tokens"),
        (machines({"keys": True}, **ISSUER), "machines", "warning", "no route takes access tokens"),
        (
            machines(TOKENS, **ISSUER | {"jwks_url": "http://tokens.example.si/jwks"}),
            "machines.jwks_url",
            "error",
            "is not `https`",
        ),
        (
            machines(TOKENS, **ISSUER | {"jwks_url": "http://localhost/jwks"}),
            "machines.jwks_url",
            "error",
            "is not `https`",
        ),
        (
            machines(TOKENS, **ISSUER | {"jwks_url": "file:///etc/passwd"}),
            "machines.jwks_url",
            "error",
            "is no address that can be asked",
        ),
        (
            machines(TOKENS, **ISSUER | {"jwks_url": "https://user@tokens.example.si/"}),
            "machines.jwks_url",
            "error",
            "is no address that can be asked",
        ),
        (
            machines(TOKENS, **ISSUER | {"issuer": "https://gateway.example.si"}),
            "machines.issuer",
            "error",
            "is the gateway itself",
        ),
        (
            machines(
                TOKENS,
                **ISSUER
                | {"issuer": "https://idp.rekono.si/openid-connect-server-webapp/", "audience": "gateway"},
            ),
            "machines.audience",
            "error",
            "is `rekono.client_id`",
        ),
        (machines(TOKENS, **ISSUER | {"algorithm": "HS256"}), "machines.algorithm", "error", "is not valid"),
        (machines(TOKENS, **ISSUER | {"algorithm": "none"}), "machines.algorithm", "error", "is not valid"),
        (
            machines(TOKENS, **ISSUER | {"ca_file": "/nowhere.pem"}),
            "machines.ca_file",
            "error",
            "cannot be read",
        ),
    ],
)
def test_what_lets_nobody_in_or_too_many_is_found(workshop, spoil, key, severity, problem):
    finding = workshop.finding(spoil)
    assert (finding.key, finding.severity) == (key, severity)
    assert problem in finding.problem


def with_headers(**headers):
    def spoil(settings):
        machines({"keys": True})(settings)
        settings["portals"]["acq"]["headers"] = headers

    return spoil


def test_a_portal_that_cannot_tell_programs_from_people_is_found(workshop):
    finding = workshop.finding(with_headers(preset="authelia"))
    assert (finding.key, finding.severity) == (ROUTE, "warning")
    assert "could take for people" in finding.problem
    assert workshop.read(with_headers(preset="authelia", method="Remote-Method")).findings == ()
    assert workshop.read(with_headers(method="", level="X-Level")).findings == ()


def test_a_faulty_section_is_not_also_called_missing(workshop):
    finding = workshop.finding(machines(TOKENS, issuer="https://tokens.example.si/", audience="a"))
    assert (finding.key, finding.problem) == ("machines.jwks_url", "is missing")


def test_nothing_is_said_of_missing_routes_while_a_portal_has_a_fault(workshop):
    """Its routes are not known. One of them may take tokens."""

    def spoil(settings):
        machines(TOKENS, **ISSUER)(settings)
        settings["portals"]["acq"]["activity"] = ["request"]
        settings["portals"]["b2b"] = {
            "name": "B2B",
            "url": "https://b2b.example.si",
            "upstream": "http://127.0.0.1:9002",
        }

    assert [each.key for each in workshop.read(spoil).findings] == ["portals.acq.activity[0]"]
