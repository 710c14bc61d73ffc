"""A house that asks for fresh proofs: text messages go through its outbox, notifications through its
provider, Ana and Cvetka have enrolled everything. At the end nothing that was secret in it may stand in the
audit events or in the log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from authproxy.sandbox.enrolled_methods import enrolments
from authproxy.sandbox.identity_provider.onepass import relying_parties
from authproxy.sandbox.installation import to_be_enrolled
from authproxy.sandbox.outbox.sms_gateway import SANDBOX_CREDENTIALS
from tests.support.gateway import ANA, CVETKA, SENDER, House, Person, open_house, origin
from tests.support.http_client import Answer, Form
from tests.support.ports import free_port

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


@contextlib.asynccontextmanager
async def open_step_up_house(
    store_url: str,
    *,
    authority: Path | None = None,
    acq: Mapping[str, Any] | None = None,
    step_up: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[House]:
    """With the state of an `authority` people can sign in with certificates, and its portals demand what
    portals demand by themselves. `acq` are that portal's settings (`DEMANDING`), `step_up` settings beyond
    its own."""
    ports = {name: free_port() for name in ("outbox", "provider")}
    sections = {
        "server": {"trusted_proxies": ["127.0.0.1"]},  # so that one browser can be at many addresses
        "store": {"url": store_url, "deadline": "5s"},  # which a busy machine may need
        "telemetry": {"log_level": "debug", "access_log": True},
        "step_up": step_up_settings(ports) | dict(step_up or {}),
    }
    as_usual = {f"AUTHPROXY__PORTALS__{name}__STEP_UP__REQUIRED": "" for name in ("ACQ", "B2B")}
    async with open_house(
        store_url,
        environment=as_usual | dict(environment or {}),
        acq=DEMANDING if acq is None else acq,
        authority=authority,
        keeps_log=True,
        ports=ports,
        sections=sections,
    ) as house:
        await enrol_everything(house)
        yield house
        house.nothing_has_leaked()


def step_up_settings(ports: Mapping[str, int]) -> dict[str, Any]:
    """Text messages go through the house's outbox, notifications through its provider."""
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


async def enrol_everything(house: House) -> None:
    """Ana and Cvetka as a bank lists them, with what they have enrolled."""
    assert house.gateway is not None
    await house.gateway.register.take_over([house.listed(email) for email in (ANA, CVETKA)], replaces=False)
    for known in to_be_enrolled(house.accounts, house.linked):
        for member_id, enrolment in enrolments(known, now=house.clock()):
            assert await house.gateway.register.enrol(member_id, enrolment)


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


async def proved_again(house: House, person: Person, method: str, change: str = ":any") -> None:
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
