"""PURE: the header names in which a portal receives the person's identity: ours, or those of the gateway that
the portal used before; and when two names are one.

Servers that hand headers on as variables (CGI, WSGI, PHP, Apache) turn every character that is no letter or
digit into the same one, so `X_Auth_Subject` and `X.Auth.Subject` are `X-Auth-Subject` to them. Names are
compared in a form in which all such spellings are equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

Encoding = Literal["percent", "ascii-fold", "latin1", "utf8", "base64"]
Preset = Literal[
    "authproxy",
    "oauth2-proxy",
    "authelia",
    "authentik",
    "pomerium",
    "lemonldap",
    "mod_auth_openidc",
    "gatekeeper",
    "cloudflare",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderNames:
    """The header names that a portal wants; an empty name leaves the header out."""

    subject: str = "X-Auth-Subject"
    name: str = "X-Auth-Name"
    email: str = "X-Auth-Email"
    tax_number: str = "X-Auth-Tax-Number"
    method: str = "X-Auth-Method"
    level: str = "X-Auth-Level"
    roles: str = "X-Auth-Roles"
    step_up: str = "X-Auth-Step-Up"
    assertion: str = "X-Auth-Assertion"
    encoding: Encoding = "percent"
    roles_separator: str = ","
    """What stands between two roles."""

    @property
    def used(self) -> tuple[str, ...]:
        """The names of all headers that are sent."""
        values = (getattr(self, field.name) for field in fields(self) if field.name not in _NO_NAMES)
        return tuple(value for value in values if value)


_NO_NAMES = frozenset({"encoding", "roles_separator"})
_NONE = HeaderNames(subject="", name="", email="", tax_number="", method="", level="", roles="", step_up="")
PRESETS: dict[Preset, HeaderNames] = {
    "authproxy": HeaderNames(),
    "oauth2-proxy": replace(
        _NONE,
        subject="X-Forwarded-User",
        email="X-Forwarded-Email",
        name="X-Forwarded-Preferred-Username",
        roles="X-Forwarded-Groups",
    ),
    "authelia": replace(
        _NONE, subject="Remote-User", name="Remote-Name", email="Remote-Email", roles="Remote-Groups"
    ),
    "authentik": replace(
        _NONE,
        subject="X-Authentik-Uid",
        name="X-Authentik-Name",
        email="X-Authentik-Email",
        roles="X-Authentik-Groups",
        roles_separator="|",
        assertion="X-Authentik-Jwt",
    ),
    "pomerium": replace(
        _NONE,
        subject="X-Pomerium-Claim-Sub",
        name="X-Pomerium-Claim-Name",
        email="X-Pomerium-Claim-Email",
        roles="X-Pomerium-Claim-Groups",
        assertion="X-Pomerium-Jwt-Assertion",
    ),
    "lemonldap": replace(
        _NONE,
        subject="Auth-User",
        name="Auth-Cn",
        email="Auth-Mail",
        roles="Auth-Groups",
        roles_separator="; ",
    ),
    "mod_auth_openidc": replace(
        _NONE,
        subject="OIDC_CLAIM_sub",
        name="OIDC_CLAIM_name",
        email="OIDC_CLAIM_email",
        roles="OIDC_CLAIM_roles",
    ),
    "gatekeeper": replace(
        _NONE, subject="X-Auth-Subject", name="X-Auth-Username", email="X-Auth-Email", roles="X-Auth-Roles"
    ),
    "cloudflare": replace(
        _NONE, email="Cf-Access-Authenticated-User-Email", assertion="Cf-Access-Jwt-Assertion"
    ),
}
"""The header names of other gateways, so that a portal can move here unchanged. The signed assertion is
always sent as well."""


_NEITHER_LETTER_NOR_DIGIT: Final = re.compile(rb"[^a-z0-9]+")


def folded(name: bytes) -> bytes:
    """The form in which all spellings of one variable are equal."""
    form = _NEITHER_LETTER_NOR_DIGIT.sub(b"-", name.lower()).strip(b"-")
    return form.removeprefix(b"http-")


def folded_beginning(beginning: bytes) -> bytes:
    """The form with which the folded names begin that have this beginning. `SM_` is no beginning of
    `SMART`."""
    form = _NEITHER_LETTER_NOR_DIGIT.sub(b"-", beginning.lower()).lstrip(b"-")
    return form.removeprefix(b"http-")
