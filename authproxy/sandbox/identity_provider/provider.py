"""What both halves of the provider share at run time: settings, records and their lifetimes. `state` keeps
what must survive a restart; the rest is lost at the end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientSession, web

from authproxy.sandbox.accounts import Accounts
from authproxy.sandbox.identity_provider import secret_hash
from authproxy.sandbox.identity_provider.expiring import ExpiringEntries
from authproxy.sandbox.identity_provider.frequency import Frequency
from authproxy.sandbox.identity_provider.front_end.confirmation import TRIES, Mode, SmsCode
from authproxy.sandbox.identity_provider.front_end.linked_certificates import LinkedCertificates, Refusal
from authproxy.sandbox.identity_provider.front_end.records import DataEntry, Registration, Reset
from authproxy.sandbox.identity_provider.onepass.activation import MESSAGES_AN_HOUR, Activations
from authproxy.sandbox.identity_provider.onepass.devices import Devices
from authproxy.sandbox.identity_provider.onepass.links import LinkedPhones, PhoneEnrolments
from authproxy.sandbox.identity_provider.onepass.pushes import Pushes
from authproxy.sandbox.identity_provider.onepass.relay import Relay
from authproxy.sandbox.identity_provider.openid.authorization import AuthorizationRequest
from authproxy.sandbox.identity_provider.openid.clients import Client, ClientAuthentication
from authproxy.sandbox.identity_provider.openid.consents import Consents
from authproxy.sandbox.identity_provider.openid.quirks import ActiveQuirks
from authproxy.sandbox.identity_provider.openid.tokens import (
    ACCESS_TOKEN_SECONDS,
    AuthorizationGrant,
    SigningKeys,
)
from authproxy.sandbox.identity_provider.state import StateFile
from authproxy.sandbox.identity_provider.wrong_answers import WrongAnswers
from authproxy.sandbox.installation import Installation, Link
from authproxy.sandbox.web_pages.pages import SandboxPages

FRONT_END = "/IdP-RM-Front"
SIGN_IN_PAGE = f"{FRONT_END}/chooselogin/rekono.htm"
REGISTER_PAGE = f"{FRONT_END}/register/start.htm"
RESET_PAGE = f"{FRONT_END}/reset/start.htm"
COOKIE = (
    "JSESSIONID"  # both halves use this name, each for its own path, like two web applications in one Tomcat
)


@dataclass(slots=True, kw_only=True)
class ProviderSession:
    """A browser's session at the OpenID server. `email` is set while somebody is signed in."""

    csrf: str = field(repr=False)
    email: str | None = None
    authenticated_at: datetime | None = None
    entry: DataEntry | None = field(default=None, repr=False)
    """Personal data that the person is entering on the dashboard."""

    def sign_in(self, email: str, at: datetime) -> None:
        self.email, self.authenticated_at, self.entry = email, at, None

    def sign_out(self) -> None:
        self.email = self.authenticated_at = self.entry = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRequest:
    """A request that waits until the person has signed in or consented. Without a request, the sign-in is for
    the account page."""

    session: ProviderSession
    request: AuthorizationRequest | None
    vouched: bool = False
    answered: str | None = field(default=None, repr=False)
    """The redirect after the person's consent. A button that is pressed twice leads there again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """The front end's message to the OpenID server, fetched by `callback?token=`."""

    email: str = field(repr=False)
    at: datetime
    login: str


@dataclass(slots=True, kw_only=True)
class LoginAttempt:
    """One attempt to sign in, by password and confirmation. Its key is the `_csrf` value; it is bound to the
    browser that began it."""

    browser: str = field(repr=False)
    login: str
    email: str | None = field(default=None, repr=False)
    mode: Mode | None = None
    sms: SmsCode | None = None
    push_id: str | None = field(default=None, repr=False)
    tries_left: int = TRIES
    refusal: Refusal | None = None
    """Why the last certificate did not confirm the attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateVerdict:
    """The verdict on a certificate that was shown for an attempt and an account. Without a refusal it
    confirms the sign-in."""

    csrf: str = field(repr=False)
    email: str = field(repr=False)
    refusal: Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    target: str | None
    session: ProviderSession | None


class Provider:
    def __init__(  # noqa: PLR0913  (what is needed is handed over, not looked up)
        self,
        *,
        issuer: str,
        clients: tuple[Client, ...],
        accounts: Accounts,
        outbox_url: str,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        installed: Iterable[Installation] = (),
        linked: Iterable[Link] = (),
        onepass_api_key: str,
        state_file: Path | None = None,
        phone_url: str = "",
        certificates: LinkedCertificates | None = None,
    ) -> None:
        self.issuer = issuer
        self.base, self.origin = (
            urlsplit(issuer).path.rstrip("/"),
            "{0.scheme}://{0.netloc}".format(urlsplit(issuer)),
        )
        self.clients: Mapping[str, Client] = {client.client_id: client for client in clients}
        self.accounts = accounts
        self.sms_url = f"{outbox_url.rstrip('/')}/api/sms"
        self.mail_url = f"{outbox_url.rstrip('/')}/api/mail"
        self.clock = clock
        self.random_bytes = random_bytes
        self.keys = SigningKeys()
        self.quirks = ActiveQuirks()
        self.pages = SandboxPages(
            "authproxy.sandbox.identity_provider",
            form_targets=_form_targets(clients, certificates),
            connect=True,
            script="/script.js",
        )
        self.authentication = ClientAuthentication(
            self.clients,
            (issuer, self.endpoint("token")),
            ExpiringEntries(clock, timedelta(hours=1)),
        )
        self.sessions: ExpiringEntries[ProviderSession] = ExpiringEntries(clock, timedelta(minutes=30))
        self.pending: ExpiringEntries[PendingRequest] = ExpiringEntries(clock, timedelta(minutes=30))
        self.attempts: ExpiringEntries[LoginAttempt] = ExpiringEntries(clock, timedelta(minutes=30))
        self.vouchers: ExpiringEntries[Voucher] = ExpiringEntries(clock, timedelta(minutes=1))
        self.certificates = certificates
        self.certificates_asked_for: ExpiringEntries[str] = ExpiringEntries(clock, timedelta(minutes=5))
        """Attempts by the token in the address at which the certificate is shown."""
        self.certificates_shown: ExpiringEntries[CertificateVerdict] = ExpiringEntries(
            clock, timedelta(minutes=1)
        )
        self.codes: ExpiringEntries[AuthorizationGrant] = ExpiringEntries(clock, timedelta(minutes=5))
        self.access_tokens: ExpiringEntries[AuthorizationGrant] = ExpiringEntries(
            clock, timedelta(seconds=ACCESS_TOKEN_SECONDS)
        )
        self.spent_refresh_tokens: ExpiringEntries[AuthorizationGrant] = ExpiringEntries(
            clock, timedelta(days=30)
        )
        self.refresh_tokens: ExpiringEntries[AuthorizationGrant] = ExpiringEntries(clock, timedelta(days=30))
        self.logouts: ExpiringEntries[LogoutRequest] = ExpiringEntries(clock, timedelta(minutes=30))
        self.consents = Consents()
        self.used_steps: dict[str, int] = {}
        self.wrong_passwords = WrongAnswers(clock)
        self.wrong_codes = WrongAnswers(clock)
        self.messages = Frequency(clock, allowed=MESSAGES_AN_HOUR, window=timedelta(hours=1))
        """Text messages whose codes nobody has entered yet."""
        self.devices = Devices(installed)
        self.activations = Activations(clock, random_bytes)
        self.pushes = Pushes(clock, random_bytes)
        self.links = PhoneEnrolments(clock, random_bytes)
        self.linked_phones = LinkedPhones(linked)
        self.relay = Relay(clock)
        self.onepass_api_key = onepass_api_key
        self.phone_url = phone_url.rstrip("/")
        self.wrong_links = Frequency(clock, allowed=20, window=timedelta(minutes=10))
        """Unknown activation codes of relying parties, by the client's address."""
        self.registrations: ExpiringEntries[Registration] = ExpiringEntries(clock, timedelta(minutes=30))
        self.resets: ExpiringEntries[Reset] = ExpiringEntries(clock, timedelta(minutes=30))
        self.messages_to = Frequency(clock, allowed=5, window=timedelta(hours=1))
        self.messages_from = Frequency(clock, allowed=100, window=timedelta(hours=1))
        """Messages outside the confirmation window: by purpose and recipient, and by the client's address."""
        self.wrong_proofs = WrongAnswers(clock)
        """Wrong codes and PUK codes outside the confirmation window, by purpose and owner."""
        self.state = StateFile(
            state_file,
            {
                "accounts": accounts,
                "consents": self.consents,
                "devices": self.devices,
                "linked_phones": self.linked_phones,
            },
        )
        self.state.load()

    def endpoint(self, name: str) -> str:
        return f"{self.issuer.rstrip('/')}/{name}"

    def changed(self) -> None:
        """Must be called after a change that must survive a restart. The change is on the disk before the
        answer goes out."""
        self.state.changed()

    def end_access(self, email: str, client_id: str | None = None) -> None:
        """Revokes the codes, access tokens and refresh tokens that one client, or every client, has for this
        person."""

        def is_meant(grant: AuthorizationGrant) -> bool:
            return grant.login_name == email and client_id in {None, grant.request.client_id}

        self.codes.forget_where(is_meant)
        self.access_tokens.forget_where(is_meant)
        self.refresh_tokens.forget_where(is_meant)

    def end_everything(self, email: str) -> None:
        """Ends all sessions and attempts of the account, because somebody else may have known the old
        password."""
        self.end_access(email)
        self.vouchers.forget_where(lambda voucher: voucher.email == email)
        self.attempts.forget_where(lambda attempt: attempt.email == email)
        for session in self.sessions.values():
            if session.email == email:
                session.sign_out()

    async def hashed(self, secret: str) -> str:
        """The stored form of a password or a PUK code."""
        return await asyncio.to_thread(secret_hash.hashed, secret, self.random_bytes(16))

    async def fits(self, secret: str, stored: str | None) -> bool:
        """Whether the secret fits the stored form. Without one (None) the refusal takes as long."""
        return await asyncio.to_thread(secret_hash.fits, secret, stored)

    def new_uuid(self) -> str:
        return str(uuid.UUID(bytes=self.random_bytes(16), version=4))

    def session_of(self, request: web.Request) -> ProviderSession | None:
        """The browser's session at the OpenID server. This renews its lifetime."""
        key = request.cookies.get(COOKIE, "")
        session = self.sessions.get(key)
        if session is not None:
            self.sessions.put(key, session)
        return session

    def keep(self, request: web.Request, response: web.StreamResponse, session: ProviderSession) -> None:
        """Gives the session a new identifier in the browser's cookie, so that nobody can have planted it
        (session fixation)."""
        self.sessions.take(request.cookies.get(COOKIE, ""))
        key = self.new_uuid()
        self.sessions.put(key, session)
        self.set_cookie(response, key, path=self.base)

    def set_cookie(self, response: web.StreamResponse, value: str, *, path: str) -> None:
        # Not `Secure`: the sandbox uses plain HTTP, and clients other than browsers would not send it back.
        response.set_cookie(COOKIE, value, path=path, httponly=True, samesite="Lax")


PROVIDER = web.AppKey("PROVIDER", Provider)
OUTGOING = web.AppKey("OUTGOING", ClientSession)


def redirect(location: str) -> web.Response:
    """302 to exactly this URL: a registered redirect URI must not be normalised."""
    return web.Response(status=302, headers={"Location": location})


def see_other(location: str) -> web.Response:
    """303 to the page after a form, so that reloading it does not send the form again."""
    return web.Response(status=303, headers={"Location": location})


def _form_targets(clients: tuple[Client, ...], certificates: LinkedCertificates | None) -> set[str]:
    targets = {
        uri for client in clients for uri in (*client.redirect_uris, *client.post_logout_redirect_uris)
    }
    return targets if certificates is None else {*targets, certificates.url}
