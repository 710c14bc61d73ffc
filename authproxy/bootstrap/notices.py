"""Tells people about changes in how they prove who they are, and notices that a telephone number has
changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from authproxy.bootstrap.delivery import Delivery
from authproxy.bootstrap.stores import Stores
from authproxy.challenges.notices import Notices
from authproxy.flows.register.phone_numbers import NumberWatch, PhoneNumbers
from authproxy.web.messages import TextMessages


def notices(
    stores: Stores, delivery: Delivery, texts: TextMessages, *, clock: Callable[[], datetime]
) -> tuple[Notices, NumberWatch | None]:
    """The watch is None without a gateway for text messages: no codes go to a number then."""
    numbers = PhoneNumbers(stores.people)
    change_notices = Notices(
        store=stores.notices,
        numbers=numbers,
        texts=texts,
        sms=delivery.sms,
        mail=delivery.mail,
        clock=clock,
        random_text=secrets.token_urlsafe,
    )
    if delivery.sms is None:
        return change_notices, None
    return change_notices, NumberWatch(numbers=numbers, last_numbers=stores.notices, notices=change_notices)
