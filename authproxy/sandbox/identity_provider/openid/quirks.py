"""The provider's switchable quirks, as data: errors of providers, and ways in which providers differ. Each
has a sentence that describes it.

A quirk is switched on for one client, to see whether a relying party copes with it or refuses it. Quirks of
discovery and published keys affect all clients as soon as they are on for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from authproxy.sandbox.identity_provider.openid.quirk import Change, Claims, Quirk, Signature

TEN_YEARS = 315_360_000
_FULL_WIDTH = {ord(digit): 0xFF10 + int(digit) for digit in "0123456789"}


def _without(*names: str) -> Change:
    return lambda claims: {name: value for name, value in claims.items() if name not in names}


def _with(**changed: Any) -> Change:
    return lambda claims: claims | changed


def _with_other_slash(name: str) -> Change:
    """The URL with a slash at its end if it had none, and without if it had one."""
    return lambda claims: (
        claims | {name: claims[name][:-1] if claims[name].endswith("/") else f"{claims[name]}/"}
    )


def _after_issue(name: str, seconds: int) -> Change:
    """Sets a time to so many seconds after `iat`, or before it if negative."""
    return lambda claims: claims | {name: claims["iat"] + seconds}


def _for_also(*others: str) -> Change:
    return lambda claims: claims | {"aud": [claims["aud"], *others]}


def _tax_number(change: Callable[[str], Any], *, under: str = "taxnumber") -> Change:
    """Writes the tax number in another form or under another name, if the person has one."""

    def changed(claims: Claims) -> Claims:
        others = {name: value for name, value in claims.items() if name != "taxnumber"}
        return others | {under: change(claims["taxnumber"])} if "taxnumber" in claims else others

    return changed


_IDENTITY: Mapping[str, Quirk] = {
    "issuer_other_slash": Quirk(
        says="discovery (for everybody) and the ID token write the issuer with the slash at its end the "
        "other way round",
        discovery=_with_other_slash("issuer"),
        id_token=_with_other_slash("iss"),
    ),
    "discovery_issuer_differs": Quirk(
        says="discovery names another issuer, for everybody",
        discovery=_with(issuer="https://idp.example.com/openid-connect-server-webapp/"),
    ),
    "end_session_missing": Quirk(
        says="discovery has no end_session_endpoint, as in old versions, for everybody",
        discovery=_without("end_session_endpoint"),
    ),
    "wrong_iss": Quirk(
        says="the ID token has another issuer",
        id_token=_with(iss="https://idp.example.com/openid-connect-server-webapp/"),
    ),
    "iss_other_slash": Quirk(
        says="the ID token writes the slash at the issuer's end the other way round",
        id_token=_with_other_slash("iss"),
    ),
    "wrong_aud": Quirk(says="the ID token is for another client", id_token=_with(aud="another-client")),
    "aud_of_one": Quirk(says="the ID token has a list with one audience", id_token=_for_also()),
    "aud_of_two": Quirk(
        says="the ID token is for another client as well", id_token=_for_also("another-client")
    ),
    "wrong_nonce": Quirk(
        says="the ID token has another nonce", id_token=_with(nonce="not-the-nonce-that-was-sent")
    ),
    "nonce_missing": Quirk(says="the ID token has no nonce", id_token=_without("nonce")),
    "wrong_sub": Quirk(
        says="the ID token speaks of another subject than userinfo", id_token=_with(sub="90399.SOMEBODY")
    ),
    "userinfo_sub_differs": Quirk(
        says="userinfo speaks of another subject", userinfo=_with(sub="90399.SOMEBODY")
    ),
    "userinfo_jwt": Quirk(says="userinfo is a signed JWT whatever was accepted", signs_userinfo=True),
}

_SIGNATURES: Mapping[str, Quirk] = {
    "alg_none": Quirk(says="the ID token is not signed", signature="none"),
    "alg_hs256_client_secret": Quirk(
        says="the ID token is signed by HS256 with the client secret",
        signature="HS256 with the client secret",
    ),
    "alg_hs256_public_key": Quirk(
        says="the ID token is signed by HS256 with the public key", signature="HS256 with the public key"
    ),
    "alg_es256": Quirk(
        says="the ID token is signed by ES256 with a key that is published", signature="ES256"
    ),
    "kid_rotated": Quirk(says="the signing key is replaced, once, for everybody", rotates_key=True),
    "kid_missing": Quirk(says="the ID token does not say which key has signed it", names_key=False),
    "two_keys": Quirk(
        says="the signing key is replaced, once, and the old one stays published, for everybody",
        rotates_key=True,
        publishes_old_keys=True,
    ),
}

_TIMES: Mapping[str, Quirk] = {
    "exp_missing": Quirk(says="the ID token has no exp", id_token=_without("exp")),
    "exp_past": Quirk(says="the ID token has been over for two minutes", id_token=_after_issue("exp", -120)),
    "exp_far_future": Quirk(
        says="the ID token is good for ten years", id_token=_after_issue("exp", TEN_YEARS)
    ),
    "iat_ahead": Quirk(says="the ID token is issued in an hour", id_token=_after_issue("iat", 3600)),
    "iat_ahead_a_little": Quirk(
        says="the ID token is issued in half a minute", id_token=_after_issue("iat", 30)
    ),
    "auth_time_missing": Quirk(
        says="the ID token has no auth_time although max_age was sent", id_token=_without("auth_time")
    ),
    "auth_time_old": Quirk(
        says="the person signed in an hour ago whatever max_age was sent",
        id_token=_after_issue("auth_time", -3600),
    ),
}

_MISSING: Mapping[str, Quirk] = {
    "tax_number_missing": Quirk(says="userinfo has no taxnumber", userinfo=_without("taxnumber")),
    "name_missing": Quirk(
        says="userinfo has no name of any kind", userinfo=_without("name", "given_name", "family_name")
    ),
    "full_name_missing": Quirk(
        says="userinfo has given_name and family_name but no name", userinfo=_without("name")
    ),
    "birthdate_missing": Quirk(says="userinfo has no birthdate", userinfo=_without("birthdate")),
    "address_missing": Quirk(says="userinfo has no address", userinfo=_without("address")),
    "phone_missing": Quirk(
        says="userinfo has no phone_number", userinfo=_without("phone_number", "phone_number_verified")
    ),
    "email_missing": Quirk(says="userinfo has no email", userinfo=_without("email", "email_verified")),
    "email_unverified": Quirk(says="userinfo has email_verified false", userinfo=_with(email_verified=False)),
    "name_with_controls": Quirk(
        says="userinfo has one name, with a line end in it",
        userinfo=lambda claims: _without("given_name", "family_name")(
            claims | {"name": "Ana\r\nX-Auth-Level: 30"}
        ),
    ),
    "name_long": Quirk(says="userinfo has a name of 5000 characters", userinfo=_with(name="Žiga " * 1000)),
    "email_long": Quirk(
        says="userinfo has an email of 5012 characters", userinfo=_with(email=f"{'a' * 5000}@example.si")
    ),
}

_TAX_NUMBERS: Mapping[str, Quirk] = {
    "tax_number_si_prefix": Quirk(
        says="userinfo has taxnumber with SI before it", userinfo=_tax_number(lambda number: f"SI{number}")
    ),
    "tax_number_spaces": Quirk(
        says="userinfo has taxnumber with spaces",
        userinfo=_tax_number(lambda number: f" {number[:4]} {number[4:]} "),
    ),
    "tax_number_as_number": Quirk(says="userinfo has taxnumber as a number", userinfo=_tax_number(int)),
    "tax_number_seven_digits": Quirk(
        says="userinfo has taxnumber as a number that lost its first digit",
        userinfo=_tax_number(lambda number: int(number[1:])),
    ),
    "tax_number_wrong_check_digit": Quirk(
        says="userinfo has taxnumber with a wrong check digit",
        userinfo=_tax_number(lambda number: f"{number[:7]}{(int(number[7]) + 1) % 10}"),
    ),
    "tax_number_full_width": Quirk(
        says="userinfo has taxnumber in full-width digits",
        userinfo=_tax_number(lambda number: number.translate(_FULL_WIDTH)),
    ),
    "tax_number_in_id_token": Quirk(
        says="the ID token has taxnumber 99990121, and userinfo has none",
        userinfo=_without("taxnumber"),
        id_token=_with(taxnumber="99990121"),
    ),
    "tax_number_by_uri": Quirk(
        says="userinfo has the tax number under the name of its scope",
        userinfo=_tax_number(str, under="http://idp.rekono.si/openid/taxnumber"),
    ),
    "tax_number_nested": Quirk(
        says="userinfo has the tax number as `value` within `tax`",
        userinfo=_tax_number(lambda number: {"value": number, "country": "SI"}, under="tax"),
    ),
    "tax_numbers_differ": Quirk(
        says="userinfo has another number as davcna_stevilka", userinfo=_with(davcna_stevilka="99990130")
    ),
    "tax_number_differs_in_id_token": Quirk(
        says="the ID token has taxnumber 99990121", id_token=_with(taxnumber="99990121")
    ),
}

_LEVELS: Mapping[str, Quirk] = {
    "level_10": Quirk(says="userinfo has loa 10", userinfo=_with(loa=10)),
    "level_20": Quirk(says="userinfo has loa 20", userinfo=_with(loa=20)),
    "level_30": Quirk(says="userinfo has loa 30", userinfo=_with(loa=30)),
    "level_absent": Quirk(says="userinfo has no loa", userinfo=_without("loa")),
    "level_unknown": Quirk(says='userinfo has loa "gold"', userinfo=_with(loa="gold")),
    "level_20_string": Quirk(says='userinfo has loa "20", a string', userinfo=_with(loa="20")),
    "level_20_uri": Quirk(
        says="userinfo has loa as eIDAS writes it",
        userinfo=_with(loa="http://eidas.europa.eu/LoA/substantial"),
    ),
    "level_20_in_acr": Quirk(
        says="the ID token has acr 20, and userinfo has no loa",
        userinfo=_without("loa"),
        id_token=_with(acr="20"),
    ),
    "level_differs": Quirk(
        says="userinfo has loa 30, the ID token has acr 10", userinfo=_with(loa=30), id_token=_with(acr="10")
    ),
}

_ANSWERS: Mapping[str, Quirk] = {
    "access_denied": Quirk(
        says="every authorization request comes back as refused by the person",
        authorization_error="access_denied",
    ),
    "error_with_state": Quirk(
        says="every authorization request comes back with invalid_scope", authorization_error="invalid_scope"
    ),
    "error_without_state": Quirk(
        says="every authorization request comes back with invalid_scope and without state",
        authorization_error="invalid_scope",
        response=_without("state"),
    ),
    "error_overloaded": Quirk(
        says="every authorization request comes back with temporarily_unavailable",
        authorization_error="temporarily_unavailable",
    ),
    "state_missing": Quirk(says="authorization responses have no state", response=_without("state")),
    "state_wrong": Quirk(
        says="authorization responses have a state of the provider's making",
        response=_with(state="not-the-state-that-was-sent"),
    ),
    "state_repeated": Quirk(
        says="authorization responses have the state of the first of them", repeats_state=True
    ),
    "code_odd": Quirk(
        says="codes have a blank and characters that URLs know", code=lambda code: f"{code} +/=&%41;#?\"'<>~"
    ),
    "code_long": Quirk(says="codes have 4096 characters", code=lambda code: (code * 128)[:4096]),
    "code_too_long": Quirk(says="codes have 9000 characters", code=lambda code: (code * 282)[:9000]),
    "code_reused": Quirk(says="every code has been redeemed before it is", redeeming="forgets"),
    "token_500_html": Quirk(says="the token endpoint answers 500 with a page", redeeming="breaks"),
    "token_slow": Quirk(says="the token endpoint answers after 20 seconds", redeeming="stalls"),
    "token_huge": Quirk(says="the token endpoint answers with 2 MB", redeeming="floods"),
    "token_no_json": Quirk(
        says="the token endpoint answers with half of a JSON object", redeeming="stammers"
    ),
    "token_wrong_type": Quirk(says="the token endpoint answers as text/html", redeeming="mislabels"),
    "refresh_rotates": Quirk(
        says="a refresh token is good once: each answer has a new one, and one that comes again ends all "
        "that it has led to",
        rotates_refresh_tokens=True,
    ),
    "introspection_missing": Quirk(
        says="discovery has no introspection_endpoint, for everybody",
        discovery=_without("introspection_endpoint"),
    ),
    "endsession_at_once": Quirk(says="endsession signs out without asking", asks_before_sign_out=False),
    "endsession_form": Quirk(
        says="endsession takes forms of other sites (POST), too", takes_sign_out_by="link or form"
    ),
    "endsession_form_only": Quirk(says="endsession takes nothing but forms (POST)", takes_sign_out_by="form"),
    "endsession_client_id": Quirk(
        says="endsession leads back also where only client_id says who asks", leads_back_without_hint=True
    ),
}

QUIRKS: Mapping[str, Quirk] = {
    **_IDENTITY,
    **_SIGNATURES,
    **_TIMES,
    **_MISSING,
    **_TAX_NUMBERS,
    **_LEVELS,
    **_ANSWERS,
}


class ActiveQuirks:
    """The quirks that are on, by client."""

    def __init__(self) -> None:
        self._active: dict[str, dict[str, Quirk]] = {}
        self._first_states: dict[str, object] = {}

    def switch_on(self, client_id: str, name: str) -> Quirk:
        """Raises KeyError for an unknown quirk."""
        self._active.setdefault(client_id, {})[name] = QUIRKS[name]
        return QUIRKS[name]

    def clear(self) -> None:
        self._active.clear()
        self._first_states.clear()

    def names(self) -> dict[str, list[str]]:
        return {client_id: sorted(quirks) for client_id, quirks in self._active.items()}

    def of(self, client_id: str) -> tuple[Quirk, ...]:
        return tuple(self._active.get(client_id, {}).values())

    def everybodys(self) -> Iterator[Quirk]:
        """The quirks of all clients, for answers that are the same for all."""
        return (quirk for quirks in self._active.values() for quirk in quirks.values())

    def discovery(self, document: Claims) -> Claims:
        for quirk in self.everybodys():
            document = quirk.discovery(document)
        return document

    def response(self, client_id: str, parameters: Claims) -> Claims:
        for quirk in self.of(client_id):
            parameters = quirk.response(parameters)
            if quirk.repeats_state:
                parameters = parameters | {
                    "state": self._first_states.setdefault(client_id, parameters.get("state"))
                }
        return parameters

    def code(self, client_id: str, code: str) -> str:
        for quirk in self.of(client_id):
            code = quirk.code(code)
        return code

    def id_token(self, client_id: str, claims: Claims) -> Claims:
        for quirk in self.of(client_id):
            claims = quirk.id_token(claims)
        return claims

    def signature(self, client_id: str) -> Signature:
        return next((quirk.signature for quirk in self.of(client_id) if quirk.signature != "RS256"), "RS256")

    def userinfo(self, client_id: str, claims: Claims) -> Claims:
        for quirk in self.of(client_id):
            claims = quirk.userinfo(claims)
        return claims
