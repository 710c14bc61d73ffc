"""The progress of a registration, of a change of personal data, and of a password reset.

`message` is the message about the last form, which the next page shows. It is stored because every form is
answered by a redirect, so that people can reload pages and go back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from authproxy.sandbox.accounts import Address
from authproxy.sandbox.identity_provider.front_end.sent_code import SentCode

Step = Literal["form", "email", "sms", "finish", "done"]


@dataclass(frozen=True, slots=True)
class FormMessage:
    """A message for the page of one step; `about` contains values for its template."""

    step: str
    about: dict[str, Any]


def message_for(message: FormMessage | None, step: str) -> dict[str, Any]:
    """The values of the message for this step, if any."""
    return message.about if message is not None and message.step == step else {}


@dataclass(slots=True, kw_only=True)
class Registration:
    """One registration, bound to the browser that began it.

    `login` is the sign-in that continues afterwards; None: the registration began on the phone. `lock` is
    held while a form is processed, so that a form that is sent twice finds the result of the first.
    """

    browser: str = field(repr=False)
    csrf: str = field(repr=False)
    login: str | None
    step: Step = "form"
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    password_hash: str = field(default="", repr=False)
    typed: dict[str, str] = field(default_factory=dict, repr=False)
    message: FormMessage | None = field(default=None, repr=False)
    code: SentCode | None = field(default=None, repr=False)
    confirmed_email: str | None = field(default=None, repr=False)
    puk: str = field(default="", repr=False)
    finished_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """The data for which the dashboard asks."""

    given_name: str
    family_name: str
    tax_number: str = field(repr=False)
    birthdate: str = field(repr=False)
    address: Address = field(repr=False)


@dataclass(slots=True, kw_only=True)
class DataEntry:
    """A signed-in person enters personal data: first the PIN, then the form, then the confirmation."""

    pin: SentCode | None = field(default=None, repr=False)
    is_proven: bool = False
    typed: dict[str, str] = field(default_factory=dict, repr=False)
    message: FormMessage | None = field(default=None, repr=False)
    entered: PersonalData | None = field(default=None, repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


@dataclass(slots=True, kw_only=True)
class Reset:
    """A password reset. `puk` is the new PUK code, from its creation until the person has noted it."""

    browser: str = field(repr=False)
    csrf: str = field(repr=False)
    login: str
    email: str = field(default="", repr=False)
    message: FormMessage | None = field(default=None, repr=False)
    puk: str = field(default="", repr=False)
