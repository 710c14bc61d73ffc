"""The answer to a form of a challenge that a browser sends twice: a double click, or a click while the script
of the page sends the form.

The browser sends the second form with the ticket of before, and shows only the answer to that one. The first
answer had the new ticket in it, and may be lost: the person would be signed out by their own proof. If it was
not lost, the second form comes with the new ticket. Either way the same form gets the same answer for a few
seconds.

A wrong code, too, is judged and counted once for one form. That gives nobody a further try: the same form has
the same code, and another code is another form, which counts.

The old ticket opens nothing by that. Whoever sends the form again needs everything that was in it: the
ticket, the challenge, the code, and the random name that the gateway gave to this one page. The name is in no
address, and somebody else who has the ticket gets pages with other names. The store gets a hash of all this,
and the new ticket sealed with a key that is made of it.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import Challenge
from authproxy.flows.step_up.outcomes import SteppedUp
from authproxy.flows.stores import OctetStore, SessionStore
from authproxy.flows.visit import Visit, stored_session

PAGE_NAME_BYTES: Final = 16
"""Random bytes of the name of a page, which is sent with its form."""
_PAGE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_LASTS: Final = timedelta(seconds=10)
_KEY_SIZE: Final = 32
_NONCE: Final = bytes(12)
"""A key seals once: a challenge is approved once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentForm:
    """One form, as often as it is sent."""

    portal_id: str
    ticket_text: str = field(repr=False)
    challenge_id: str
    typed: str = field(repr=False)
    page: str = field(repr=False)

    @property
    def name(self) -> str:
        return self._derived()[_KEY_SIZE:].hex()

    @property
    def key(self) -> bytes:
        return self._derived()[:_KEY_SIZE]

    def _derived(self) -> bytes:
        content = json.dumps([self.portal_id, self.ticket_text, self.challenge_id, self.typed, self.page])
        derivation = HKDF(SHA256(), 2 * _KEY_SIZE, salt=None, info=b"authproxy repeated answer")
        return derivation.derive(content.encode())


def sent_form(visit: Visit, challenge_id: str, typed: str, page: str | None) -> SentForm | None:
    """None for a form without a ticket, or without the name of a page."""
    if visit.ticket_text is None or page is None or _PAGE_NAME.fullmatch(page) is None:
        return None
    return SentForm(
        portal_id=visit.portal_id,
        ticket_text=visit.ticket_text,
        challenge_id=challenge_id,
        typed=typed,
        page=page,
    )


class RepeatedAnswers:
    def __init__(self, *, store: OctetStore, sessions: SessionStore) -> None:
        self._store = store
        self._sessions = sessions

    async def keep(self, form: SentForm, ticket_text: str, challenge: Challenge) -> None:
        """Called before the old ticket ends, so that the answer is there when the second form comes. It comes
        with the old ticket, or with the new one while the portal's page has not arrived yet. If the store
        fails, the proof counts all the same."""
        members = json.dumps([ticket_text, challenge.method, challenge.return_to, challenge.held]).encode()
        with contextlib.suppress(CannotAsk):
            for sent in (form, replace(form, ticket_text=ticket_text)):
                sealed = AESGCM(sent.key).encrypt(_NONCE, members, sent.name.encode())
                await self._store.put(_key(sent), sealed, _LASTS)

    async def keep_wrong(self, form: SentForm) -> None:
        """Called when the code of this form was wrong and its try is counted. If the store fails, the second
        click counts, too."""
        with contextlib.suppress(CannotAsk):
            await self._store.put(_wrong_key(form), b"wrong", _LASTS)

    async def was_wrong(self, form: SentForm) -> bool:
        """Whether this form was judged a moment ago, and its code was wrong. Raises CannotAsk."""
        return await self._store.get(_wrong_key(form)) is not None

    async def find(self, form: SentForm, visit: Visit) -> SteppedUp | None:
        """What this form got a moment ago, if the session that it got is still there. Raises CannotAsk."""
        sealed = await self._store.get(_key(form))
        if sealed is None:
            return None
        try:
            members = json.loads(AESGCM(form.key).decrypt(_NONCE, sealed, form.name.encode()))
        except InvalidTag:
            return None
        ticket_text, method, return_to, held = members
        stored = await stored_session(self._sessions, ticket_text, portal_id=visit.portal_id, now=visit.now)
        if stored is None:
            return None
        return SteppedUp(ticket_text, stored.session, method, return_to, held, is_repeated=True)


def _key(form: SentForm) -> str:
    return f"repeated answer {form.name}"


def _wrong_key(form: SentForm) -> str:
    return f"wrong answer {form.name}"
