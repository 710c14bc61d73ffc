"""A house that asks for fresh proofs: text messages go through its outbox, notifications through its
provider, Ana and Cvetka have enrolled everything. At the end nothing that was secret in it may stand in the
audit events or in the log."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyotp

from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.assurance import Level
from authproxy.identity.member import CertificateName
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from authproxy.sandbox.enrolled_methods import enrolments
from authproxy.sandbox.identity_provider.onepass import relying_parties
from authproxy.sandbox.installation import to_be_enrolled
from authproxy.sandbox.outbox.sms_gateway import SANDBOX_CREDENTIALS
from tests.support.certificate_house import CertificateHouse, open_certificate_house
from tests.support.gateway import ANA, CVETKA, House, Person, open_house, origin
from tests.support.http_client import Answer, Browser, Form
from tests.support.ports import free_port
from tests.support.recovery_sheets import sheet_of

FRESH = ("push", "totp", "sms", "recovery")
"""What `DEMANDING` takes: not even a sign-in a moment ago."""
DEMANDING = {
    "idle": "30m",
    "routes": [
        {"path": "/vnos", "methods": ["POST"], "step_up": {"methods": list(FRESH), "max_age": "5m"}},
        {"path": "/prejeto", "step_up": {"methods": list(FRESH), "max_age": "5m"}},
        {"path": "/piskotek", "step_up": {"methods": ["push"]}},
        {"path": "/ws", "step_up": {"methods": list(FRESH), "max_age": "5m"}},
    ],
}
PLACE = "/prejeto"
STEP_UP = "/.authproxy/step-up"
SENDER = "Bankart"
_PAGE = {
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Accept": "text/html",
}
_SCRIPT = {
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Accept": "application/json",
}


@dataclass(kw_only=True)
class StepUpHouse:
    house: House
    certificates: CertificateHouse | None
    log: io.StringIO
    """Everything that the instances have logged, access log included."""
    secrets: set[str] = field(default_factory=set, repr=False)
    """What no log and no audit event may have. Whoever learns of one in a test adds it."""

    def __post_init__(self) -> None:
        for account in self.house.accounts:
            self.secrets |= {
                account.phone,
                account.phone[1:],
                account.totp_secret or "",
                account.tax_number or "",
            } - {""}

    @property
    def acq(self) -> str:
        return self.house.acq

    def advance(self, **span: float) -> None:
        self.house.clock.advance(**span)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in map(json.loads, self.house.audit.splitlines()) if event["event"] == name]

    @contextlib.asynccontextmanager
    async def second_gateway(self, *, clock: Callable[[], datetime] | None = None) -> AsyncIterator[int]:
        """Another instance on the same store; its port."""
        async with contextlib.AsyncExitStack() as resources:
            with contextlib.redirect_stdout(self.log):
                port = await resources.enter_async_context(self.house.second_gateway(clock=clock))
            yield port

    async def signed_in(self, email: str = ANA, *, browser: Browser | None = None) -> Person:
        person = self.house.person(email, browser=browser)
        page = await person.signs_in(self.acq + "/")
        assert page.status == 200, page.text
        return person

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
        at = int(self.house.clock().timestamp()) + 30 * steps
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
        assert self.house.gateway is not None
        owner = ("member", email.partition("@")[0])
        codes, kept = await sheet_of(owner)
        listing = Enrolment(
            enrolment_id="sheet",
            method="recovery",
            label="",
            enrolled_at=self.house.clock(),
            level=Level.HIGH,
        )
        assert await self.house.gateway.register.people._enrolments.make_recovery(
            owner, kept, listing, instead_of=None
        )
        return [self.keep_secret(code) for code in codes]

    # What operators do.

    async def moves_phone(self, number: str, *, email: str = ANA) -> None:
        """The bank enters another telephone of the person's."""
        assert self.house.gateway is not None
        moved = replace(_listed(self, email), phone=self.keep_secret(number))
        await self.house.gateway.register.take_over([moved], replaces=False)

    async def breaks_sms(self, how: str, **more: object) -> None:
        assert (
            await self._asks("outbox", "POST", "/api/break", {"service": "sms", "how": how} | more)
        ).status == 200

    async def mends_sms(self) -> None:
        assert (await self._asks("outbox", "DELETE", "/api/break")).status == 204

    async def ready(self) -> dict[str, Any]:
        return (await Browser().request("GET", f"{self.house.management}/readyz")).json

    async def metric(self, start: str) -> float:
        """The value of the line of the metrics that starts so; 0 if there is none."""
        lines = (await Browser().request("GET", f"{self.house.management}/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)), 0.0)

    def keep_secret(self, text: str) -> str:
        self.secrets.add(text)
        return text

    def nothing_has_leaked(self) -> None:
        written = self.house.audit + self.log.getvalue()
        for secret in self.secrets:
            alone = rf"(?<![0-9A-Za-z_-]){re.escape(secret)}(?![0-9A-Za-z_-])"
            assert re.search(alone, written) is None, (
                f"something secret of {len(secret)} characters stands in the log"
            )

    def _account(self, email: str) -> Any:
        found = self.house.accounts.find(email)
        assert found is not None
        return found

    async def _asks(self, place: str, method: str, path: str, body: object = None) -> Answer:
        url = f"http://localhost:{self.house.ports[place]}{path}"
        content = json.dumps(body).encode() if body is not None else b""
        return await Browser().request(
            method, url, headers={"Content-Type": "application/json"}, body=content
        )


@contextlib.asynccontextmanager
async def open_step_up_house(
    store_url: str,
    *,
    authority: Path | None = None,
    acq: Mapping[str, Any] | None = None,
    step_up: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[StepUpHouse]:
    """With the state of an `authority` people can sign in with certificates, and its portals demand what
    portals demand by themselves. `acq` are that portal's settings (`DEMANDING`), `step_up` settings beyond
    its own."""
    ports = {name: free_port() for name in ("outbox", "provider")}
    sections = {
        "server": {"trusted_proxies": ["127.0.0.1"]},  # so that one browser can be at many addresses
        "store": {"url": store_url, "deadline": "3s"},  # which a busy machine may need
        "telemetry": {"log_level": "debug", "access_log": True},
        "step_up": _settings(ports) | dict(step_up or {}),
    }
    given: dict[str, Any] = {"acq": DEMANDING if acq is None else acq, "ports": ports, "sections": sections}
    log = io.StringIO()
    async with contextlib.AsyncExitStack() as resources:
        certificates: CertificateHouse | None = None
        with contextlib.redirect_stdout(log):
            if authority is None:
                house = await resources.enter_async_context(
                    open_house(store_url, environment=environment, **given)
                )
            else:
                as_usual = {f"AUTHPROXY__PORTALS__{name}__STEP_UP__REQUIRED": "" for name in ("ACQ", "B2B")}
                certificates = await resources.enter_async_context(
                    open_certificate_house(
                        store_url, authority, environment=as_usual | dict(environment or {}), **given
                    )
                )
                house = certificates.house
        opened = StepUpHouse(house=house, certificates=certificates, log=log)
        await _enrol(opened)
        yield opened
        opened.nothing_has_leaked()


def _settings(ports: Mapping[str, int]) -> dict[str, Any]:
    success = {"statuses": [202], "pointer": "/status", "values": ["accepted"], "id_pointer": "/message_id"}
    outbox = {
        "url": f"http://localhost:{ports['outbox']}/sms/send",
        "authentication": "header",
        "secret_header": "X-API-Key",
        "secret": SANDBOX_CREDENTIALS.api_key,
        "success": success,
        "timeout": "1s",
        "deadline": "2s",
    }
    onepass = {
        "url": f"http://localhost:{ports['provider']}{relying_parties.ROOT}",
        "api_key": relying_parties.SANDBOX_API_KEY,
    }
    return {"sms": {"sender": SENDER, "gateways": {"outbox": {"http": outbox}}}, "onepass": onepass}


async def _enrol(opened: StepUpHouse) -> None:
    """Ana and Cvetka as a bank lists them, with what they have enrolled."""
    house = opened.house
    assert house.gateway is not None
    await house.gateway.register.take_over(
        [_listed(opened, email) for email in (ANA, CVETKA)], replaces=False
    )
    for known in to_be_enrolled(house.accounts, house.linked):
        for member_id, enrolment in enrolments(known, now=house.clock()):
            assert await house.gateway.register.enrol(member_id, enrolment)


def _listed(opened: StepUpHouse, email: str) -> ListedPerson:
    account = opened.house.accounts.find(email)
    assert account is not None
    name = email.partition("@")[0]
    certificates: tuple[CertificateName, ...] = (
        () if opened.certificates is None else (opened.certificates.named(name),)
    )
    return ListedPerson(
        member_id=MemberId(name),
        name=account.name or name,
        tax_number=TaxNumber(account.tax_number or ""),
        email=email,
        phone=account.phone,
        portals=("*",),
        certificates=certificates,
    )


# What people do at a browser.


def offered(page: Answer) -> set[str]:
    """The methods that the page offers."""
    return {value for form in page.forms for name, value in form.buttons if name == "method"}


async def asked(person: Person, place: str) -> Answer:
    """The page on which the person chooses how to prove themselves, by way of the place that demands it."""
    met = await person.opens(place)
    assert met.is_redirect, met.text
    assert STEP_UP in met.location, met.location
    return await person.browser.follow(met)


async def chosen(person: Person, page: Answer, method: str) -> Answer:
    """The page of the challenge, after the click on a method; or what there is in its place."""
    [form] = [form for form in page.forms if ("method", method) in form.buttons]
    answer = await person.browser.submit(page, form, {"method": method})
    return await person.browser.follow(answer) if answer.is_redirect else answer


async def begun(person: Person, place: str, method: str) -> Answer:
    return await chosen(person, await asked(person, place), method)


async def proved_again(house: StepUpHouse, person: Person, method: str, change: str = ":any") -> None:
    """A fresh proof, as the page about the session asks for one before `change`."""
    asked_for = {"method": method, "rt": "/.authproxy/session", "for": change}
    page = await landed(person, await sent(person, house.acq + STEP_UP, asked_for))
    code = (
        house.app_code(person.email)
        if method == "totp"
        else await house.code_sent(person.email)
        if method == "sms"
        else None
    )
    if method == "push":
        await house.answers_push(email=person.email)
    answer = await answered(person, page, code)
    assert stepped_up(answer), answer.text


def answering(page: Answer) -> Form:
    """The form of a challenge that takes the answer."""
    return next(form for form in page.forms if "c" in form.fields and not form.buttons)


async def answered(person: Person, page: Answer, code: str | None = None) -> Answer:
    """What comes after the answer: a redirect to the place if it was right."""
    return await person.browser.submit(page, answering(page), {} if code is None else {"code": code})


async def landed(person: Person, answer: Answer) -> Answer:
    """Where the redirects lead."""
    while answer.is_redirect:
        answer = await person.browser.follow(answer)
    return answer


async def sent(
    person: Person,
    url: str,
    fields: Mapping[str, str] | Sequence[tuple[str, str]],
    *,
    port: int | None = None,
    address: str | None = None,
    is_script: bool = False,
) -> Answer:
    """A form as our pages send it, at whichever instance, from whichever address."""
    said = _SCRIPT if is_script else _PAGE
    headers = {**said, "Content-Type": "application/x-www-form-urlencoded"} | (
        {} if address is None else {"X-Forwarded-For": address}
    )
    return await person.browser.request(
        "POST", url, headers=headers, body=urlencode(fields).encode(), port=port
    )


async def sent_form(
    person: Person, url: str, body: bytes, *, content_type: str = "application/x-www-form-urlencoded"
) -> Answer:
    """A form of the portal's own page."""
    headers = {**_PAGE, "Origin": origin(url), "Referer": url, "Content-Type": content_type}
    return await person.browser.request("POST", url, headers=headers, body=body)


def challenge_of(page: Answer) -> str:
    return answering(page).fields["c"]


def wrong(code: str, count: int = 1) -> list[str]:
    """Codes of six digits that are not this one."""
    return [f"{(int(code) + step) % 1_000_000:06d}" for step in range(1, count + 1)]


def stepped_up(answer: Answer) -> bool:
    """Whether the answer gives a new ticket."""
    return any(value.startswith("__Host-authproxy=") for value in answer.all("set-cookie"))
