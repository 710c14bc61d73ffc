"""What the two halves of the provider share while it runs: settings, records and their lifetimes. All of it is gone at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import ClientSession, web

from authproxy.sandbox.accounts import Accounts
from authproxy.sandbox.furniture.pages import Pages
from authproxy.sandbox.identity_provider.expiring import Expiring
from authproxy.sandbox.identity_provider.front_end.confirmation import TRIES, Mode, SmsCode
from authproxy.sandbox.identity_provider.openid.authorization import AuthorizationRequest
from authproxy.sandbox.identity_provider.openid.clients import Client, ClientAuthentication
from authproxy.sandbox.identity_provider.openid.quirks import ActiveQuirks
from authproxy.sandbox.identity_provider.openid.tokens import ACCESS_TOKEN_SECONDS, Grant, KeyRing
from authproxy.sandbox.identity_provider.wrong_answers import WrongAnswers

FRONT_END = "/IdP-RM-Front"
SIGN_IN_PAGE = f"{FRONT_END}/chooselogin/rekono.htm"
COOKIE = "JSESSIONID"  # both halves use this name, each on its own path, as two web applications of one Tomcat do


@dataclass(slots=True, kw_only=True)
class Session:
    """A browser at the OpenID server; `email` is set while somebody is signed in."""

    csrf: str = field(repr=False)
    email: str | None = None
    authenticated_at: datetime | None = None

    def sign_in(self, email: str, at: datetime) -> None:
        self.email, self.authenticated_at = email, at

    def sign_out(self) -> None:
        self.email = self.authenticated_at = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Put by until the person has signed in or consented. Without a request, the sign-in was for the account page."""

    session: Session
    request: AuthorizationRequest | None
    vouched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """What the front end tells the OpenID server through `callback?token=`."""

    email: str = field(repr=False)
    at: datetime
    login: str


@dataclass(slots=True, kw_only=True)
class LoginAttempt:
    """One pass through password and confirmation, named by its `_csrf` value and bound to the browser that began it."""

    browser: str = field(repr=False)
    login: str
    email: str | None = field(default=None, repr=False)
    mode: Mode | None = None
    sms: SmsCode | None = None
    tries_left: int = TRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    target: str | None
    session: Session | None


class Provider:
    def __init__(
        self, *, issuer: str, clients: tuple[Client, ...], accounts: Accounts, outbox_url: str,
        clock: Callable[[], datetime], fresh: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self.issuer = issuer
        self.base = urlsplit(issuer).path.rstrip("/")
        self.clients: Mapping[str, Client] = {client.client_id: client for client in clients}
        self.accounts = accounts
        self.sms_url = f"{outbox_url.rstrip('/')}/api/sms"
        self.clock = clock
        self.fresh = fresh
        self.keys = KeyRing()
        self.quirks = ActiveQuirks()
        self.pages = Pages("authproxy.sandbox.identity_provider", form_targets=_form_targets(clients))
        self.authentication = ClientAuthentication(
            self.clients, (issuer, self.endpoint("token")), Expiring(clock, timedelta(hours=1)),
        )  # fmt: skip
        self.sessions: Expiring[Session] = Expiring(clock, timedelta(minutes=30))
        self.pending: Expiring[Pending] = Expiring(clock, timedelta(minutes=30))
        self.attempts: Expiring[LoginAttempt] = Expiring(clock, timedelta(minutes=30))
        self.vouchers: Expiring[Voucher] = Expiring(clock, timedelta(minutes=1))
        self.codes: Expiring[Grant] = Expiring(clock, timedelta(minutes=5))
        self.access_tokens: Expiring[Grant] = Expiring(clock, timedelta(seconds=ACCESS_TOKEN_SECONDS))
        self.logouts: Expiring[LogoutRequest] = Expiring(clock, timedelta(minutes=30))
        self.consents: dict[tuple[str, str], frozenset[str]] = {}
        self.used_steps: dict[str, int] = {}
        self.wrong_passwords = WrongAnswers(clock)
        self.wrong_codes = WrongAnswers(clock)

    def endpoint(self, name: str) -> str:
        return f"{self.issuer.rstrip('/')}/{name}"

    def new_uuid(self) -> str:
        return str(uuid.UUID(bytes=self.fresh(16), version=4))

    def session_of(self, request: web.Request) -> Session | None:
        """The browser's session at the OpenID server, whose life begins again."""
        key = request.cookies.get(COOKIE, "")
        session = self.sessions.get(key)
        if session is not None:
            self.sessions.put(key, session)
        return session

    def keep(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Gives the session a new name and the browser a cookie with it, so that nobody can have planted the old one."""
        self.sessions.take(request.cookies.get(COOKIE, ""))
        key = self.new_uuid()
        self.sessions.put(key, session)
        self.set_cookie(response, key, path=self.base)

    def set_cookie(self, response: web.StreamResponse, value: str, *, path: str) -> None:
        # Not Secure: the sandbox is plain HTTP, and clients other than browsers would not send it back.
        response.set_cookie(COOKIE, value, path=path, httponly=True, samesite="Lax")


PROVIDER = web.AppKey("PROVIDER", Provider)
OUTGOING = web.AppKey("OUTGOING", ClientSession)


def redirect(location: str) -> web.Response:
    """302 to exactly this URL: what a relying party has registered is not normalised."""
    return web.Response(status=302, headers={"Location": location})


def _form_targets(clients: tuple[Client, ...]) -> set[str]:
    return {uri for client in clients for uri in (*client.redirect_uris, *client.post_logout_redirect_uris)}
