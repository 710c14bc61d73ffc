"""What people are told of changes, put together: how they are told, and who sees that a number has
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
    """Without a gateway for text messages no codes go to a number, and nobody watches numbers."""
    numbers = PhoneNumbers(stores.people)
    told = Notices(
        store=stores.notices,
        numbers=numbers,
        words=texts,
        sms=delivery.sms,
        mail=delivery.mail,
        clock=clock,
        fresh=secrets.token_urlsafe,
    )
    watch = None if delivery.sms is None else NumberWatch(numbers=numbers, known=stores.notices, notices=told)
    return told, watch
