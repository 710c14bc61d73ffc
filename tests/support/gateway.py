"""A house: the gateway among its counterparties (provider, phone, outbox, two portals, Redis), all in the
test's own loop on free ports, with a clock that the test moves, and a person who signs in as people do."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
import structlog
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from authproxy.assertions import keys
from authproxy.bootstrap.audited_register import audited_register
from authproxy.bootstrap.gateway import Gateway, running
from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.assurance import Level
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from authproxy.sandbox.accounts import PASSWORD, Accounts, ProviderAccount, people
from authproxy.sandbox.identity_provider import application as identity_provider
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.identity_provider.openid.tokens import SigningKeys
from authproxy.sandbox.identity_provider.provider import PROVIDER
from authproxy.sandbox.installation import Link, installed_beforehand, linked_beforehand
from authproxy.sandbox.outbox import application as outbox
from authproxy.sandbox.phone import application as phone
from authproxy.sandbox.portals import application as demo_portal
from authproxy.sandbox.portals.catalogue import portal
from authproxy.settings.schema import Settings
from authproxy.settings.sources import load
from tests.support.certificate_host import CertificateHost, running_certificate_host
from tests.support.clock import Clock
from tests.support.counterparty import Counterparty
from tests.support.http_client import Answer, Browser, Form
from tests.support.ports import free_port
from tests.support.recovery_sheets import QUICK, sheet_of
from tests.support.waiting import until

CLIENT_ID = "bankart-varni-spletni-prehod"
TICKET, FLOW = "__Host-authproxy", "__Host-authproxy-flow"
ANA, BOR, CVETKA, DAVID = (
    f"{name}@example.si" for name in ("ana.novak", "bor.kranjc", "cvetka.zupan", "david.horvat")
)


SENDER = "Bankart"
"""Who the text messages of the gateway are from."""


@dataclass(kw_only=True)
class House:
    """The settings, the counterparties and the instances of one test, and what its people have beside the
    browser."""

    clock: Clock
    ports: dict[str, int]
    folder: Path
    settings_file: Path
    settings: Settings
    secret: str = field(repr=False)
    accounts: Accounts
    linked: tuple[Link, ...] = field(repr=False)
    """The phones that answer for somebody here, once the gateway has their keys."""
    provider: Counterparty
    portal: Counterparty
    """acq."""
    environment: dict[str, str]
    """Settings beside the file, as an operator gives them."""
    certificates: CertificateHost | None = None
    gateway: Gateway | None = None
    others: list[Gateway] = field(default_factory=list)
    log: io.StringIO | None = None
    """Everything that the instances have logged, access log included, if the house keeps it."""
    secrets: set[str] = field(default_factory=set, repr=False)
    """What no log and no audit event may have. Whoever learns of one in a test adds it."""

    def __post_init__(self) -> None:
        for account in self.accounts:
            self.secrets |= {
                account.phone,
                account.phone[1:],
                account.totp_secret or "",
                account.tax_number or "",
            } - {""}

    @property
    def acq(self) -> str:
        return f"http://acq.localhost:{self.ports['gateway']}"

    @property
    def b2b(self) -> str:
        return f"http://b2b.localhost:{self.ports['gateway']}"

    @property
    def issuer(self) -> str:
        return self.settings.rekono.issuer

    @property
    def management(self) -> str:
        return f"http://127.0.0.1:{self.ports['management']}"

    @property
    def socket(self) -> Path:
        return self.folder / "authproxy.sock"

    @property
    def audit(self) -> str:
        """What has been said so far: gateways write in threads of their own."""
        for gateway in (self.gateway, *self.others):
            assert gateway is None or gateway.outputs.flush()
        return (self.folder / "audit.log").read_text()

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in map(json.loads, self.audit.splitlines()) if event["event"] in names]

    def advance(self, **span: float) -> None:
        self.clock.advance(**span)

    async def at_once(self, condition: Callable[[], Any]) -> None:
        """Waits until the answer is true, without the gateways' clock: not a moment goes by for them, so nothing
        comes true because it is over by time. How long this machine takes does not matter."""
        with self.clock.standing_still():
            await until(condition)

    def person(self, email: str = ANA, *, browser: Browser | None = None) -> Person:
        return Person(email, self, browser or Browser())

    async def signed_in(self, email: str = ANA, *, browser: Browser | None = None) -> Person:
        person = self.person(email, browser=browser)
        page = await person.signs_in(self.acq + "/")
        assert page.status == 200, page.text
        return person

    async def quirk(self, name: str | None) -> None:
        """Switches a quirk of the provider on; None switches all off."""
        if name is None:
            assert (await self._asks("provider", "DELETE", "/api/quirks")).status == 204
        else:
            asked = {"client_id": CLIENT_ID, "quirk": name}
            assert (await self._asks("provider", "POST", "/api/quirks", asked)).status == 200

    @contextlib.asynccontextmanager
    async def instance(
        self, settings: Settings, *, clock: Callable[[], datetime] | None = None
    ) -> AsyncIterator[Gateway]:
        async with contextlib.AsyncExitStack() as resources:
            with contextlib.redirect_stdout(self.log) if self.log else contextlib.nullcontext():
                gateway = await resources.enter_async_context(
                    running(settings, clock=clock or self.clock, sheet_cost=QUICK)
                )
            yield gateway

    @contextlib.asynccontextmanager
    async def second_gateway(self, *, clock: Callable[[], datetime] | None = None) -> AsyncIterator[int]:
        """Another instance with the same settings and the same store, and with a clock of its own if it is
        given one; its port."""
        listeners = (
            "SERVER__LISTEN",
            "SERVER__MANAGEMENT",
            *(["ACNLB__LISTEN"] if self.certificates else []),
        )
        ports = {name: free_port() for name in listeners}
        moved = {f"AUTHPROXY__{name}": f"127.0.0.1:{port}" for name, port in ports.items()}
        settings = load(self.settings_file, self.environment | moved)
        async with self.instance(settings, clock=clock) as gateway:
            self.others.append(gateway)
            yield ports["SERVER__LISTEN"]

    # What people have beside the browser.

    async def messages(self, email: str = ANA) -> list[str]:
        """What the gateway has sent to the person's phone, the newest first."""
        found = await self._asks("outbox", "GET", f"/api/messages?to=%2B{self._account(email).phone[1:]}")
        return [message["text"] for message in found.json if message["from"] == SENDER]

    async def code_sent(self, email: str = ANA) -> str:
        """The code of the newest message, from its line for browsers."""
        [newest, *_] = await self.messages(email)
        found = re.search(r"^@acq\.localhost #(\d{6})$", newest, re.MULTILINE)
        assert found, "the last message has no code for this portal"
        return self.keep_secret(found[1])

    def app_code(self, email: str = ANA, *, steps: int = 0) -> str:
        """What the person's application shows, so many steps of time from now."""
        at = int(self.clock().timestamp()) + 30 * steps
        return self.keep_secret(pyotp.TOTP(self._account(email).totp_secret or "").at(at))

    async def pushes(self, email: str = ANA) -> list[dict[str, Any]]:
        """What the gateway wants confirmed on the person's phone; sign-ins at the provider are not among
        it."""
        found = await self._asks("phone", "GET", f"/api/pushes?email={email}")
        return [push for push in found.json if "browser" in push]

    async def answers_push(self, action: str = "approve", *, email: str = ANA) -> None:
        [push] = await self.pushes(email)
        body = {"action": action, "number": push["number"]}
        answer = await self._asks("phone", "POST", f"/api/pushes/{push['id']}", body)
        assert answer.status == 204, answer.text

    async def activates(self, code: str, name: str) -> Answer:
        """Types an activation code into the person's phone."""
        return await self._asks("phone", "POST", "/api/links", {"code": self.keep_secret(code), "name": name})

    async def sheet(self, email: str = ANA) -> list[str]:
        """The codes of a sheet that somebody of the register has had for long."""
        assert self.gateway is not None
        owner = ("member", email.partition("@")[0])
        codes, kept = await sheet_of(owner)
        listing = Enrolment(
            enrolment_id="sheet",
            method="recovery",
            label="",
            enrolled_at=self.clock(),
            level=Level.HIGH,
        )
        assert await self.gateway.register.people._enrolments.make_recovery(
            owner, kept, listing, instead_of=None
        )
        return [self.keep_secret(code) for code in codes]

    # What operators do.

    async def moves_phone(self, number: str, *, email: str = ANA) -> None:
        """The bank enters another telephone of the person's."""
        assert self.gateway is not None
        moved = replace(self.listed(email), phone=self.keep_secret(number))
        await self.gateway.register.take_over([moved], replaces=False)

    async def breaks_sms(self, how: str, **more: object) -> None:
        assert (
            await self._asks("outbox", "POST", "/api/break", {"service": "sms", "how": how} | more)
        ).status == 200

    async def mends_sms(self) -> None:
        assert (await self._asks("outbox", "DELETE", "/api/break")).status == 204

    async def ready(self) -> dict[str, Any]:
        return (await Browser().request("GET", f"{self.management}/readyz")).json

    async def metric(self, start: str) -> float:
        """The value of the line of the metrics that starts so; 0 if there is none."""
        lines = (await Browser().request("GET", f"{self.management}/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)), 0.0)

    def keep_secret(self, text: str) -> str:
        self.secrets.add(text)
        return text

    @property
    def logged(self) -> int:
        """How many characters the log has."""
        assert self.log is not None
        return len(self.log.getvalue())

    def nothing_has_leaked(self, *, since: int = 0) -> None:
        """`since` skips the beginning of the log, as `logged` has told it."""
        assert self.log is not None
        written = self.audit + self.log.getvalue()[since:]
        for secret in self.secrets:
            alone = rf"(?<![0-9A-Za-z_-]){re.escape(secret)}(?![0-9A-Za-z_-])"
            assert re.search(alone, written) is None, (
                f"something secret of {len(secret)} characters stands in the log"
            )

    def listed(self, email: str) -> ListedPerson:
        """The account as a bank lists its person."""
        account, name = self._account(email), email.partition("@")[0]
        return ListedPerson(
            member_id=MemberId(name),
            name=account.name or name,
            tax_number=TaxNumber(account.tax_number or ""),
            email=email,
            phone=account.phone,
            portals=("*",),
            certificates=() if self.certificates is None else (self.certificates.named(name),),
        )

    async def enrols(self, *people: ListedPerson) -> None:
        """Enters people in the register."""
        async with audited_register(self.settings) as register:
            await register.take_over(people, replaces=False)

    def _account(self, email: str) -> ProviderAccount:
        found = self.accounts.find(email)
        assert found is not None
        return found

    async def _asks(self, place: str, method: str, path: str, body: object = None) -> Answer:
        url = f"http://localhost:{self.ports[place]}{path}"
        content = json.dumps(body).encode() if body is not None else b""
        return await Browser().request(
            method, url, headers={"Content-Type": "application/json"}, body=content
        )


class Person:
    """Somebody at a browser. Walks through the provider's pages with what phone and outbox say."""

    def __init__(self, email: str, house: House, browser: Browser) -> None:
        self.email = email
        self.browser = browser
        self._house = house

    @property
    def account(self) -> ProviderAccount:
        found = self._house.accounts.find(self.email)
        assert found is not None
        return found

    def ticket(self, url: str) -> str | None:
        return self.browser.cookies.get(url, TICKET)

    async def opens(self, url: str) -> Answer:
        return await self.browser.navigate(url)

    async def signs_in(self, url: str, *, consents: bool = True) -> Answer:
        """Opens the page and does whatever is asked for until a page comes that asks for nothing; that
        page."""
        return await self.walk(await self.opens(url), consents=consents)

    async def goes_to_callback(self, url: str) -> str:
        """The same, but stops before the browser comes back to the gateway; the address it would come back
        with."""
        stopped = await self.walk(
            await self.opens(url),
            stop=lambda answer: answer.is_redirect and "/callback/rekono" in answer.location,
        )
        assert stopped.is_redirect, stopped.text
        return stopped.location

    async def walk(
        self, answer: Answer, *, consents: bool = True, stop: Callable[[Answer], bool] = lambda _: False
    ) -> Answer:
        for _ in range(40):
            if stop(answer):
                return answer
            if answer.is_redirect:
                answer = await self.browser.follow(answer)
                continue
            step = await self._step(answer, consents=consents)
            if step is None:
                return answer
            answer = step
        raise AssertionError("it goes round in circles")

    async def _step(self, page: Answer, *, consents: bool) -> Answer | None:
        if page.status != 200:
            return None
        for form in page.forms:
            filled = await self._filled(form, consents=consents)
            if filled is not None:
                return await self.browser.submit(page, form, filled)
        return None

    async def _filled(self, form: Form, *, consents: bool) -> dict[str, str] | None:
        """What the person types or presses; None for a form that is not part of signing in."""
        offered = [value for name, value in form.buttons if name == "mode"]
        if ("method", "rekono") in form.buttons:
            return {"method": "rekono"}
        if "password" in form.inputs:
            return {"username": self.email, "password": PASSWORD}
        if "smslogin" in offered:
            return {"mode": "smslogin"}
        if "otplogin" in offered:
            return {"mode": "otplogin"}
        if "code" in form.inputs:
            return {"code": await self._code()}
        if any(name == "user_oauth_approval" for name, _ in form.buttons):
            return {"user_oauth_approval": "true" if consents else "false"}
        return None

    async def _code(self) -> str:
        """From the text message; whoever gets none has the phone. A code of the phone is good once, so time
        goes on for the next one."""
        if self.account.level < 30:
            sent = await Browser().request(
                "GET",
                f"http://localhost:{self._house.ports['outbox']}/api/messages?to=%2B{self.account.phone[1:]}",
            )
            return next(
                word
                for word in sent.json[0]["text"].replace(".", " ").split()
                if len(word) == 6 and word.isdigit()
            )
        self._house.clock.advance(seconds=30)
        shown = await Browser().request(
            "GET", f"http://localhost:{self._house.ports['phone']}/api/codes?email={self.email}"
        )
        return shown.json["code"]


@contextlib.asynccontextmanager
async def open_house(
    store_url: str,
    *,
    environment: Mapping[str, str] | None = None,
    acq: Mapping[str, Any] | None = None,
    more_people: Iterable[ProviderAccount] = (),
    provider_is_up: bool = True,
    has_gateway: bool = True,
    keeps_log: bool = False,
    authority: Path | None = None,
    ports: Mapping[str, int] | None = None,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[House]:
    """`environment` are settings as an operator gives them (`AUTHPROXY__…`; an empty value takes one out),
    `acq` those of that portal in the file, `sections` what the file says beyond; `ports` are chosen elsewhere.
    With the state of an `authority` the gateway takes certificates, too. Without a gateway the test runs one
    as a process."""
    clock = Clock()
    ports = {
        name: free_port() for name in ("gateway", "management", "provider", "outbox", "phone", "acq", "b2b")
    } | dict(ports or {})
    accounts = Accounts((*people(secrets.token_bytes), *more_people))
    linked = linked_beforehand(accounts, secrets.token_bytes)
    async with contextlib.AsyncExitStack() as resources:
        resources.enter_context(logging_put_back())
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="authproxy-house-")))
        secret = secrets.token_urlsafe(32)
        file = write_settings(folder, ports, store_url, secret, acq or {}, sections or {})
        certificates = (
            await resources.enter_async_context(running_certificate_host(authority, clock))
            if authority is not None
            else None
        )
        given = (certificates.environment if certificates else {}) | dict(environment or {})
        given = {name: value for name, value in given.items() if value}
        settings = load(file, given)
        others = _counterparties(ports, accounts, linked, secret, settings, clock)
        for name, counterparty in others.items():
            resources.push_async_callback(counterparty.stop)
            if name != "provider" or provider_is_up:
                await counterparty.start()
        house = House(
            clock=clock,
            ports=ports,
            folder=folder,
            settings_file=file,
            settings=settings,
            secret=secret,
            accounts=accounts,
            linked=linked,
            provider=others["provider"],
            portal=others["acq"],
            environment=given,
            certificates=certificates,
            log=io.StringIO() if keeps_log else None,
        )
        if has_gateway:
            house.gateway = await resources.enter_async_context(house.instance(settings))
        yield house


@functools.cache
def _signing_key() -> RSAPrivateKey:
    """One for all houses: to make an RSA key takes longer than to open a house."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def _counterparties(
    ports: Mapping[str, int],
    accounts: Accounts,
    linked: tuple[Link, ...],
    secret: str,
    settings: Settings,
    clock: Clock,
) -> dict[str, Counterparty]:
    client = Client(
        client_id=CLIENT_ID,
        client_secret=secret,
        name="Bankart Varni Spletni Prehod",
        redirect_uris=tuple(
            f"{portal.url}/.authproxy/callback/rekono" for portal in settings.portals.values()
        ),
        post_logout_redirect_uris=tuple(
            f"{portal.url}/.authproxy/logout" for portal in settings.portals.values()
        ),
        may_introspect=True,
    )
    issuer, gateway = settings.rekono.issuer, settings.assertions.issuer
    jwks = f"http://127.0.0.1:{ports['gateway']}/.authproxy/jwks.json"
    signing = SigningKeys(_signing_key())
    installed = installed_beforehand(accounts, secrets.token_bytes)

    def provider() -> web.Application:
        made = identity_provider.application(
            issuer=issuer,
            clients=(client,),
            accounts=accounts,
            outbox_url=f"http://localhost:{ports['outbox']}",
            clock=clock,
            installed=installed,
            linked=linked,
        )
        made[
            PROVIDER
        ].keys = signing  # a provider that is started again forgets who is signed in, not its keys
        return made

    made: dict[str, Callable[[], web.Application]] = {
        "outbox": lambda: outbox.application(clock=clock),
        "phone": lambda: phone.application(
            provider_url=f"http://localhost:{ports['provider']}",
            installed=installed,
            linked=linked,
            clock=clock,
        ),
        "provider": provider,
        "acq": lambda: demo_portal.application(
            portal=portal("acq"), jwks_url=jwks, issuer=gateway, clock=clock
        ),
        "b2b": lambda: demo_portal.application(
            portal=portal("b2b"), jwks_url=jwks, issuer=gateway, clock=clock
        ),
    }
    return {name: Counterparty(application, ports[name]) for name, application in made.items()}


def write_settings(
    folder: Path,
    ports: Mapping[str, int],
    store_url: str,
    secret: str,
    acq: Mapping[str, Any],
    sections: Mapping[str, Mapping[str, Any]],
) -> Path:
    """The settings file of a house, with keys of its own beside it."""
    (folder / "assertion.pem").write_bytes(keys.generate("ES256"))
    written: dict[str, Any] = {
        "server": {
            "listen": [f"127.0.0.1:{ports['gateway']}", f"unix:{folder / 'authproxy.sock'}"],
            "management": f"127.0.0.1:{ports['management']}",
        },
        "store": {"url": store_url, "deadline": "5s"},  # which a busy machine may need
        "sessions": {"keys": [secrets.token_urlsafe(32)]},
        "assertions": {
            "issuer": f"http://localhost:{ports['gateway']}",
            "current_key_file": str(folder / "assertion.pem"),
        },
        "rekono": {
            "issuer": f"http://localhost:{ports['provider']}/openid-connect-server-webapp/",
            "client_id": CLIENT_ID,
            "client_secret": secret,
            "dashboard_url": f"http://localhost:{ports['provider']}/dashboard",
        },
        "portals": {
            name: {
                "name": name.upper(),
                "url": f"http://{name}.localhost:{ports['gateway']}",
                "upstream": f"http://127.0.0.1:{ports[name]}",
                "idle": "5m",
            }
            for name in ("acq", "b2b")
        },
        "telemetry": {"audit_file": str(folder / "audit.log")},
    }
    written["portals"]["acq"] |= acq
    for name, section in sections.items():
        written[name] = written.get(name, {}) | dict(section)
    file = folder / "authproxy.yaml"
    file.write_text(yaml.safe_dump(written))
    file.chmod(0o600)
    (folder / "assertion.pem").chmod(0o600)
    return file


@contextlib.contextmanager
def logging_put_back() -> Iterator[None]:
    """A gateway configures the process's logging, which here is that of all tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
