from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.step_up.elevation import Elevations, not_proved, with_proof
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.session import SessionId
from authproxy.identity.ticket import parse
from authproxy.storage.memory import MemorySessions
from tests.support.session_builders import ISSUER, NOW, attempt_of, new_ticket, session_for

LATER = NOW + timedelta(minutes=5)


def proof(method="totp", at=LATER, source="https://gateway.example", **changes):
    return AuthenticationEvent(method=method, at=at, source=source, is_step_up=True, **changes)


@pytest.fixture
def sessions():
    return MemorySessions()


@pytest.fixture
def elevations(sessions):
    return Elevations(sessions=sessions, random_bytes=secrets.token_bytes)


@pytest.fixture
async def signed_in(sessions):
    ticket = new_ticket()
    session = session_for(ticket)
    await sessions.create(ticket, session, browser="Firefox", now=NOW)
    return ticket, session


async def test_a_proof_that_cannot_be_recorded_does_not_count_and_signs_nobody_out(sessions, signed_in):
    async def forgetful(session, event):
        assert (session.events[-1], session.session_id != signed_in[1].session_id) == (event, True)
        raise CannotAsk(Reason.AUDIT_UNAVAILABLE, "no room")

    ticket, session = signed_in
    elevations = Elevations(sessions=sessions, random_bytes=secrets.token_bytes, record=forgetful)
    with pytest.raises(CannotAsk):
        await elevations.add(ticket.text, session, proof(), now=LATER)
    assert (await sessions.load(ticket, now=LATER)).session == session


class Register:
    """Blocks everybody, or only the named person."""

    def __init__(self, *named):
        self.named = named

    async def is_blocked(self, person):
        assert person.subject
        return not self.named or person.subject in self.named


async def test_a_blocked_person_who_still_has_a_session_gains_no_proof_and_loses_it(sessions, signed_in):
    ticket, session = signed_in
    elevations = Elevations(sessions=sessions, random_bytes=secrets.token_bytes, membership=Register())
    assert await elevations.add(ticket.text, session, proof(), now=LATER) is None
    assert await sessions.load(ticket, now=LATER) is None


async def test_a_block_of_somebody_else_changes_nothing(sessions, signed_in):
    ticket, session = signed_in
    elevations = Elevations(
        sessions=sessions, random_bytes=secrets.token_bytes, membership=Register("somebody else")
    )
    assert await elevations.add(ticket.text, session, proof(), now=LATER) is not None


async def test_the_session_has_the_proof_under_a_new_ticket_and_the_old_one_opens_nothing(
    elevations, sessions, signed_in
):
    ticket, session = signed_in
    text, stronger = await elevations.add(ticket.text, session, proof(), now=LATER)
    assert stronger.events == (*session.events, proof())
    assert (await sessions.load(parse(text), now=LATER)).session == stronger
    assert await sessions.load(ticket, now=LATER) is None
    assert stronger.session_id == parse(text).session_id != session.session_id


async def test_a_proof_for_a_change_of_methods_is_no_step_up_and_puts_none_aside(elevations, signed_in):
    ticket, session = signed_in
    text, stronger = await elevations.add(ticket.text, session, proof(), now=LATER)
    _, stronger = await elevations.add(text, stronger, proof(asked_for=":any"), now=LATER)
    for_a_change = replace(proof(asked_for=":any"), is_step_up=False)
    assert stronger.events == (*session.events, proof(), for_a_change)
    assert with_proof(stronger.events, proof()) == (*session.events, for_a_change, proof())


async def test_nothing_else_about_the_session_changes(elevations, signed_in):
    ticket, session = signed_in
    _, stronger = await elevations.add(ticket.text, session, proof(level=Level.HIGH), now=LATER)
    assert replace(stronger, session_id=session.session_id, events=session.events) == session


async def test_its_people_find_the_session_as_they_know_it(elevations, sessions, signed_in):
    ticket, session = signed_in
    _, stronger = await elevations.add(ticket.text, session, proof(), now=LATER)
    [summary] = await sessions.of_person(session.person, now=LATER)
    assert (summary.session_id, summary.browser, summary.expires_at) == (
        stronger.session_id,
        "Firefox",
        session.expires_at,
    )


async def test_a_session_that_has_ended_gains_nothing_and_does_not_come_back(elevations, sessions, signed_in):
    ticket, session = signed_in
    await sessions.revoke(session.session_id)
    assert await elevations.add(ticket.text, session, proof(), now=LATER) is None
    assert await sessions.of_person(session.person, now=LATER) == ()


async def test_of_two_proofs_at_the_same_moment_one_counts(elevations, sessions, signed_in):
    ticket, session = signed_in
    assert await elevations.add(ticket.text, session, proof("totp"), now=LATER) is not None
    assert await elevations.add(ticket.text, session, proof("sms"), now=LATER) is None
    assert len(await sessions.of_person(session.person, now=LATER)) == 1


async def test_the_ticket_of_another_session_adds_nothing_to_this_one(elevations, sessions, signed_in):
    ticket, session = signed_in
    other = new_ticket()
    await sessions.create(other, session_for(other), browser="", now=NOW)
    assert await elevations.add(other.text, session, proof(), now=LATER) is None
    assert await elevations.add("garbage", session, proof(), now=LATER) is None
    assert await sessions.load(ticket, now=LATER) is not None
    assert await sessions.load(other, now=LATER) is not None


def test_a_session_keeps_its_sign_in_and_the_newest_proof_by_each_method_and_source():
    sign_in = proof("rekono", NOW, ISSUER)
    again, yet_again = (replace(sign_in, at=NOW + timedelta(minutes=minutes)) for minutes in (1, 2))
    code, other = proof("totp"), proof("certificate", source="sha256:" + "a1" * 32)
    events = (sign_in,)
    for each in (again, code, other, yet_again):
        events = with_proof(events, each)
    assert events == (sign_in, code, other, yet_again)


def test_an_older_proof_never_replaces_a_newer_one():
    sign_in, newer = proof("rekono", NOW, ISSUER), proof("totp", LATER)
    assert with_proof((sign_in, newer), proof("totp", NOW)) == (sign_in, newer)


def test_a_session_with_a_hundred_proofs_keeps_as_few_as_one_with_two():
    events = (proof("rekono", NOW, ISSUER),)
    for second in range(100):
        events = with_proof(events, proof("sms", NOW + timedelta(seconds=second)))
    assert [event.at for event in events] == [NOW, NOW + timedelta(seconds=99)]


@pytest.mark.parametrize(("method", "named"), [("rekono", "rekono"), ("acnlb", "certificate")])
def test_an_attempt_without_a_proof_keeps_the_way_back(method, named):
    attempt = attempt_of(
        "b", method=method, step_up_of=SessionId("s"), route="acq/orders POST", held="h" * 43
    )
    ended = not_proved(attempt, Reason.CONSENT_REFUSED, detail="access_denied")
    assert (
        ended.reason,
        ended.return_to,
        ended.route,
        ended.held,
        ended.method,
        ended.session,
        ended.detail,
    ) == (
        Reason.CONSENT_REFUSED,
        attempt.return_to,
        "acq/orders POST",
        "h" * 43,
        named,
        None,
        "access_denied",
    )
    assert "hhhh" not in repr(ended)
    assert "hhhh" not in repr(attempt)
