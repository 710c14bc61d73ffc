"""PURE: a proof that was given for one request and serves no other: how the request is named, and how its
proof is found among the evidence of a session.

Such a proof is no step-up of the session (`is_step_up` is False): it opens no other route. The name has
everything in it that a portal could act on, so a form that was changed after the proof is another request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Requirement
from authproxy.identity.assurance import AuthenticationEvent

GOOD_FOR: Final = timedelta(minutes=5)
"""How long after the proof its request may be sent. A person reads once more what is about to be sent, and
presses a button."""
MOST: Final = 8
"""Proofs of this kind that one session carries: forms in several tabs, and no record without end."""


def of_place(target: str) -> str:
    """The name of a GET. `target` is in origin-form."""
    return _named("GET", target.encode("latin-1", "replace"))


def of_form(name: str, form: HeldRequest) -> str:
    """The name of a form that is kept under `name`: another form with the same content is another request."""
    fields = [part for pair in form.fields for part in pair]
    parts = [name, form.target, form.content_type, *fields]
    return _named("POST", *(part.encode("latin-1", "replace") for part in parts), form.body)


def given(
    events: Iterable[AuthenticationEvent], binding: str, demand: Requirement, now: datetime
) -> list[AuthenticationEvent]:
    """The proofs among the events that were given for this request, are fresh, and would do for the demand:
    the newest first. Whether one has been used already, the store knows."""
    wanted = demand.step_up
    if wanted is None or not binding:
        return []
    found = [
        event
        for event in events
        if event.bound_to is not None
        and event.bound_to.startswith(binding + ".")
        and event.method in wanted.methods
        and (not wanted.acr or event.method != "rekono" or event.acr in wanted.acr)
        and event.worth >= demand.level
        and now - event.at <= GOOD_FOR
    ]
    return found[::-1]


def _named(*parts: str | bytes) -> str:
    """A hash over all parts and where each of them ends."""
    whole = hashlib.sha256(b"authproxy request\0")
    for part in parts:
        octets = part.encode() if isinstance(part, str) else part
        whole.update(b"%d:" % len(octets))
        whole.update(octets)
    return base64.urlsafe_b64encode(whole.digest()).decode().rstrip("=")
