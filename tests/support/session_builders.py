"""Tickets, sessions and attempts as tests want them: whole, valid, and different where the test says so."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from authproxy.flows.visit import Visit
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.person import Issuer, Person, Subject, TaxNumber
from authproxy.identity.session import Session
from authproxy.identity.ticket import SessionTicket

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
ISSUER = Issuer("https://provider.example/")
SUBJECT = Subject("ana.novak")


def new_ticket() -> SessionTicket:
    return SessionTicket(secrets.token_bytes(16), secrets.token_bytes(32))


def session_for(ticket: SessionTicket, *, started_at: datetime = NOW, **changes) -> Session:
    session = Session(
        session_id=ticket.session_id,
        portal="acq",
        person=Person(
            issuer=ISSUER,
            subject=SUBJECT,
            name="Ana Novak Žužemberk",
            email="ana@example.si",
            tax_number=TaxNumber("12345679"),
        ),
        method="rekono",
        level=Level.MEDIUM,
        events=(
            AuthenticationEvent(
                method="rekono", at=started_at, source=ISSUER, acr="20", amr=("pwd", "sms"), is_step_up=True
            ),
        ),
        started_at=started_at,
        expires_at=started_at + timedelta(hours=8),
        idle_for=timedelta(minutes=15),
        id_token="eyJhbGciOiJub25lIn0.the-provider-said-so.",
    )
    return replace(session, **changes)


def attempt_of(browser: str, *, opened_at: datetime = NOW, **changes) -> Attempt:
    attempt = Attempt(
        portal="acq",
        return_to="/statements?month=11",
        browser=browser,
        secret="the-secret-of-the-attempt",
        opened_at=opened_at,
    )
    return replace(attempt, **changes)


def visit_of(browser: str | None, *, now: datetime = NOW, **changes) -> Visit:
    """A browser with this flow cookie."""
    visit = Visit(
        portal_id="acq",
        ticket_text=None,
        browser=browser,
        user_agent="ff",
        address="203.0.113.7",
        locale="sl",
        now=now,
    )
    return replace(visit, **changes)
