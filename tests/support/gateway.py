"""A house: the gateway among its counterparties (provider, phone, outbox, two portals, Redis), all in the
test's own loop on free ports, with a clock that the test moves, and a person who signs in as people do."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from authproxy import bootstrap
from authproxy.assertions import keys
from authproxy.bootstrap import Gateway
from authproxy.sandbox.accounts import PASSWORD, Account, Accounts, people
from authproxy.sandbox.identity_provider import application as identity_provider
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.identity_provider.openid.tokens import KeyRing
from authproxy.sandbox.identity_provider.provider import PROVIDER
from authproxy.sandbox.installation import Link, installed_beforehand, linked_beforehand
from authproxy.sandbox.outbox import application as outbox
from authproxy.sandbox.phone import application as phone
from authproxy.sandbox.portals import application as demo_portal
from authproxy.sandbox.portals.catalogue import portal
from authproxy.sandbox.serving import bound, serving
from authproxy.settings.schema import Settings
from authproxy.settings.sources import load
from tests.support.clock import Clock
from tests.support.http_client import Answer, Browser, Form
from tests.support.ports import free_port
from tests.support.recovery_sheets import QUICK

CLIENT_ID = "bankart-varni-spletni-prehod"
TICKET, FLOW = "__Host-authproxy", "__Host-authproxy-flow"
ANA, BOR, CVETKA, DAVID = (
    f"{name}@example.si" for name in ("ana.novak", "bor.kranjc", "cvetka.zupan", "david.horvat")
)


class Counterparty:
    """An application on a port of its own that can go away and come back, and what it was asked."""

    def __init__(self, application: Callable[[], web.Application], port: int) -> None:
        self._application = application
        self._running: contextlib.AsyncExitStack | None = None
        self.port = port
        self.asked: list[str] = []
        """Method and path of every request, without query."""
        self.redeemed: list[tuple[dict[str, str], str]] = []
        """Form and answer of every request to a token endpoint."""

    async def start(self) -> None:
        application = self._application()
        application.middlewares.insert(0, self._recording)
        self._running = contextlib.AsyncExitStack()
        await self._running.enter_async_context(serving(application, bound(self.port)))

    async def stop(self) -> None:
        if self._running is not None:
            await self._running.aclose()
            self._running = None

    @property
    def _recording(self) -> Any:
        @web.middleware
        async def recording(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.path}")
            answer = await handler(request)
            if request.path.endswith("/token") and isinstance(answer, web.Response):
                self.redeemed.append(
                    ({name: str(value) for name, value in (await request.post()).items()}, answer.text or "")
                )
            return answer

        return recording


@dataclass(kw_only=True)
class House:
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
    gateway: Gateway | None = None
    others: list[Gateway] = field(default_factory=list)

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

    def person(self, email: str = ANA, *, browser: Browser | None = None) -> Person:
        return Person(email, self, browser or Browser())

    async def quirk(self, name: str | None) -> None:
        """Switches a quirk of the provider on; None switches all off."""
        url, asked = f"http://localhost:{self.ports['provider']}/api/quirks", Browser()
        if name is None:
            assert (await asked.request("DELETE", url)).status == 204
        else:
            body = f'{{"client_id": "{CLIENT_ID}", "quirk": "{name}"}}'.encode()
            assert (
                await asked.request("POST", url, headers={"Content-Type": "application/json"}, body=body)
            ).status == 200

    @contextlib.asynccontextmanager
    async def second_gateway(self, *, clock: Callable[[], datetime] | None = None) -> AsyncIterator[int]:
        """Another instance with the same settings and the same store, and with a clock of its own if it is
        given one; its port."""
        port = free_port()
        moved = {
            "AUTHPROXY__SERVER__LISTEN": f"127.0.0.1:{port}",
            "AUTHPROXY__SERVER__MANAGEMENT": f"127.0.0.1:{free_port()}",
        }
        async with bootstrap.running(
            load(self.settings_file, moved), clock=clock or self.clock, sheet_cost=QUICK
        ) as gateway:
            self.others.append(gateway)
            yield port


class Person:
    """Somebody at a browser. Walks through the provider's pages with what phone and outbox say."""

    def __init__(self, email: str, house: House, browser: Browser) -> None:
        self.email = email
        self.browser = browser
        self._house = house

    @property
    def account(self) -> Account:
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
    more_people: Iterable[Account] = (),
    provider_is_up: bool = True,
    has_gateway: bool = True,
    ports: Mapping[str, int] | None = None,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[House]:
    """`environment` are settings as an operator gives them (`AUTHPROXY__…`), `acq` those of that portal in
    the file, `sections` what the file says beyond; `ports` are chosen elsewhere. Without a gateway the test
    runs one as a process."""
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
        settings = load(file, environment or {})
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
        )
        if has_gateway:
            house.gateway = await resources.enter_async_context(
                bootstrap.running(settings, clock=clock, sheet_cost=QUICK)
            )
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
    signing = KeyRing(_signing_key())
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
        "store": {"url": store_url},
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
