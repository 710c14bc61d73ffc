from __future__ import annotations

from datetime import timedelta

import pytest

from authproxy.oidc.relying_party import RelyingParty, is_endpoint

ISSUER = "https://idp.rekono.si/openid-connect-server-webapp/"


def agreed(**changes):
    return RelyingParty(**{"issuer": ISSUER, "client_id": "acq", "client_secret": "s3cret", **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"issuer": "http://localhost:8081/openid-connect-server-webapp/"},
        {"issuer": "http://127.0.0.1:8081"},
        {"issuer": "http://[::1]:8081/"},
        {"client_authentication": "client_secret_basic"},
        {"client_authentication": "private_key_jwt", "client_secret": None, "client_key": b"pem"},
        {"max_age": timedelta(0), "leeway": timedelta(0)},
        {"scopes": ("openid", "http://idp.rekono.si/openid/taxnumber")},
    ],
)
def test_an_agreement_that_can_be_kept_is_accepted(changes):
    assert agreed(**changes).client_id == "acq"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"issuer": "http://idp.rekono.si/"}, "issuer"),
        ({"issuer": "https://idp.rekono.si/?a=b"}, "issuer"),
        ({"issuer": "https://idp.rekono.si/#a"}, "issuer"),
        ({"issuer": "https://user@idp.rekono.si/"}, "issuer"),
        ({"issuer": "https://"}, "issuer"),
        ({"issuer": "https://[::1"}, "issuer"),
        ({"issuer": "https://idp.rekono.si:99999/"}, "issuer"),
        ({"issuer": "ftp://localhost/"}, "issuer"),
        ({"issuer": "https://idp.rekono.si/\n"}, "issuer"),
        ({"issuer": "https://idp.rekono.si/ x"}, "issuer"),
        ({"issuer": "https://idp.čšž.si/"}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"client_secret": None}, "client_secret_post needs"),
        ({"client_secret": "", "client_authentication": "client_secret_basic"}, "client_secret_basic needs"),
        ({"client_authentication": "private_key_jwt"}, "client_key"),
        ({"client_authentication": "none"}, "not supported"),
        ({"algorithm": "HS256"}, "not supported"),
        ({"algorithm": "none"}, "not supported"),
        ({"scopes": ("profile",)}, "openid"),
        ({"scopes": ("openid", "profile email")}, "one word"),
        ({"scopes": ("openid", "")}, "one word"),
        ({"max_age": timedelta(seconds=-1)}, "negative"),
        ({"leeway": timedelta(seconds=-1)}, "negative"),
        ({"timeout": timedelta(0)}, "timeout"),
    ],
)
def test_an_agreement_that_cannot_be_kept_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        agreed(**changes)


def test_its_secrets_do_not_show():
    shown = repr(agreed(client_key=b"PRIVATE"))

    assert "s3cret" not in shown
    assert "PRIVATE" not in shown


def test_a_recent_authentication_is_demanded_by_max_age_only():
    assert agreed(max_age=timedelta(minutes=5)).demands_fresh_authentication
    assert not agreed(max_age=timedelta(minutes=5), prompt="login").demands_fresh_authentication
    assert not agreed().demands_fresh_authentication


@pytest.mark.parametrize(
    ("url", "issuer", "may"),
    [
        ("https://other.example/token", ISSUER, True),
        ("http://localhost/token", ISSUER, False),
        ("http://localhost/token", "http://localhost:8081/", True),
        ("http://192.0.2.7/token", "http://localhost:8081/", False),
        ("http://localhost.evil.example/token", "http://localhost:8081/", False),
        ("https://idp.rekono.si/to\tken", ISSUER, False),
    ],
)
def test_http_is_allowed_only_on_this_machine(url, issuer, may):
    assert is_endpoint(url, issuer=issuer) is may


@pytest.mark.parametrize("scheme", ["ftp", "file", "ws", "gopher", "httpx"])
def test_no_other_scheme_is_allowed_on_this_machine_either(scheme):
    assert not is_endpoint(f"{scheme}://localhost:8081/x", issuer="http://localhost:8081/")
