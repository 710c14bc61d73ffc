"""How far somebody has come in creating an account, in changing what an account states, or in getting a new
password.

`message` is what the next page of a step has to say about the form that was sent before it: a page that is
reached by a redirect can be reloaded and gone back to.
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
    """Words for the page of one step; `about` are the values of its template."""

    step: str
    about: dict[str, Any]


def message_for(message: FormMessage | None, step: str) -> dict[str, Any]:
    """What was message about this step."""
    return message.about if message is not None and message.step == step else {}


@dataclass(slots=True, kw_only=True)
class Registration:
    """One pass through the registration, bound to the browser that began it.

    `login` is the sign-in that goes on afterwards; None: the phone sent the person here. `lock` is held while
    a form is worked on: of a form that was sent twice the second finds what the first has done.
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
    """What the dashboard asks for."""

    given_name: str
    family_name: str
    tax_number: str = field(repr=False)
    birthdate: str = field(repr=False)
    address: Address = field(repr=False)


@dataclass(slots=True, kw_only=True)
class DataEntry:
    """Somebody who is signed in enters personal data: first the PIN, then the form, then the confirmation of
    what was entered."""

    pin: SentCode | None = field(default=None, repr=False)
    is_proven: bool = False
    typed: dict[str, str] = field(default_factory=dict, repr=False)
    message: FormMessage | None = field(default=None, repr=False)
    entered: PersonalData | None = field(default=None, repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


@dataclass(slots=True, kw_only=True)
class Reset:
    """Somebody who has lost the password. `puk` is the new PUK code, once there is one, until the person has
    put it down."""

    browser: str = field(repr=False)
    csrf: str = field(repr=False)
    login: str
    email: str = field(default="", repr=False)
    message: FormMessage | None = field(default=None, repr=False)
    puk: str = field(default="", repr=False)
