"""PURE: what the gateway and an OpenID provider have agreed on. It is checked once, here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, get_args
from urllib.parse import urlsplit

ClientAuthentication = Literal["client_secret_post", "client_secret_basic", "private_key_jwt"]
LogoutTokens = Literal["standard", "typed", "draft"]
UserInfoUse = Literal["required", "optional", "off"]
Pushing = Literal["auto", "always", "never"]
LogoutMethod = Literal["get", "post", "none"]
LogoutHint = Literal["auto", "always", "never"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """The agreement. `algorithm` is the only one accepted for ID tokens. `leeway` is the tolerated difference
    between the two clocks. `timeout` limits one question to the provider. Raises ValueError for an impossible
    agreement; the message has no secret."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    """PEM private key for `private_key_jwt`."""
    client_key_id: str | None = None
    client_authentication: ClientAuthentication = "client_secret_post"
    algorithm: Algorithm = "RS256"
    scopes: tuple[str, ...] = ("openid",)
    max_age: timedelta | None = None
    prompt: str | None = None
    leeway: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(seconds=10)
    logout_tokens: LogoutTokens = "standard"
    """How strictly logout tokens must follow OpenID Connect Back-Channel Logout 1.0 §2.4: `typed` ones must
    have the `typ` of a logout token, `draft` ones need no `exp`."""
    logout_method: LogoutMethod = "get"
    """How the browser is sent to the provider to end the session there; `none`: not at all."""
    logout_hint: LogoutHint = "auto"
    """Whether it carries the ID token. `auto`: in a URL only if the token has no personal data."""
    audiences: frozenset[str] = frozenset()
    """Audiences of the provider's tokens that are trusted besides this client."""
    userinfo: UserInfoUse = "required"
    """Whether the userinfo endpoint, if the provider has one, must answer (`required`), may fail
    (`optional`), or is not asked (`off`)."""
    pushed_authorization_requests: Pushing = "auto"
    """Whether authorization requests are pushed (RFC 9126). `auto`: if the provider demands it."""

    def __post_init__(self) -> None:
        if not is_endpoint(self.issuer, issuer=self.issuer) or "?" in self.issuer:
            raise ValueError(
                "issuer: https is needed (http on localhost only), without user, query and fragment"
            )
        if not self.client_id:
            raise ValueError("client_id is empty")
        if (
            self.client_authentication not in get_args(ClientAuthentication)
            or self.algorithm not in ALGORITHMS
        ):
            raise ValueError("client_authentication or algorithm is not supported")
        if self.client_authentication == "private_key_jwt":
            if not self.client_key:
                raise ValueError("private_key_jwt needs client_key")
        elif not self.client_secret:
            # An empty secret authenticates nobody, and some providers treat the client as a public one.
            raise ValueError(f"{self.client_authentication} needs client_secret")
        if "openid" not in self.scopes or any(not scope or " " in scope for scope in self.scopes):
            raise ValueError("scopes: `openid` is needed, and each scope is one word")
        if (
            self.timeout <= timedelta(0)
            or self.leeway < timedelta(0)
            or (self.max_age is not None and self.max_age < timedelta(0))
        ):
            raise ValueError("timeout, leeway and max_age cannot be negative, and timeout not zero")

    @property
    def demands_fresh_authentication(self) -> bool:
        """Whether `max_age` is sent. It is not sent together with a prompt, because MITREid ignores it
        then."""
        return self.max_age is not None and self.prompt is None


def is_endpoint(url: str, *, issuer: str) -> bool:
    """Whether the gateway may send something to this URL: https, or http on this machine if the issuer is
    http on this machine, too."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    # urlsplit silently drops tabs and line ends.
    if (
        not host
        or not url.isascii()
        or not url.isprintable()
        or " " in url
        or "#" in url
        or "@" in parts.netloc
    ):
        return False
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and _is_here(host) and urlsplit(issuer).scheme == "http"


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
