"""PURE: a proof that counts for one request only: how the request is named, and how its proof is found among
the evidence of a session.

Such a proof does not step the session up (`is_step_up` is False), so it opens no other route. The name covers
everything that a portal could act on: a form that was changed after the proof has another name.
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
"""How long after the proof its request may be sent. The person reads once more what will be sent, and presses
a button."""
MOST: Final = 8
"""Proofs of this kind that one session carries: enough for forms in several tabs, and a bound for the
record."""


def of_get(target: str) -> str:
    """The name of a GET. `target` is in origin-form."""
    return _digest("GET", target.encode("latin-1", "replace"))


def of_form(name: str, form: HeldRequest) -> str:
    """The name of the form that is held under `name`. Another form with the same content has another name."""
    fields = [part for pair in form.fields for part in pair]
    parts = [name, form.target, form.content_type, *fields]
    return _digest("POST", *(part.encode("latin-1", "replace") for part in parts), form.body)


def matching_proofs(
    events: Iterable[AuthenticationEvent], binding: str, demand: Requirement, now: datetime
) -> list[AuthenticationEvent]:
    """The proofs among the events that were given for this request, are not too old, and satisfy the demand,
    newest first. The store knows whether one of them has been used already."""
    wanted = demand.step_up
    if wanted is None or not binding:
        return []
    matching = [
        event
        for event in events
        if event.bound_to is not None
        and event.bound_to.startswith(binding + ".")
        and event.method in wanted.methods
        and (not wanted.acr or event.method != "rekono" or event.acr in wanted.acr)
        and event.worth >= demand.level
        and now - event.at <= GOOD_FOR
    ]
    return matching[::-1]


def _digest(*parts: str | bytes) -> str:
    """A hash over all parts, each with its length, so that two lists of parts never have the same input."""
    digest = hashlib.sha256(b"authproxy request\0")
    for part in parts:
        octets = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(octets))
        digest.update(octets)
    return base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
