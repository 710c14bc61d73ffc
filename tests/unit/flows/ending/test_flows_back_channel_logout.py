from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.ending.back_channel_logout import BackChannelLogout, LogoutRefused
from authproxy.identity.person import Subject
from authproxy.oidc.back_channel_logout import LogoutToken
from authproxy.oidc.refused import TokenRefused
from authproxy.storage.memory import MemoryLogoutTokens, MemorySessions
from tests.support.session_builders import ISSUER, NOW, SUBJECT, new_ticket, session_for
from tests.support.unsteady import Unsteady

DAVID = Subject("david")
AGAIN_AFTER = timedelta(seconds=5)
"""When the provider tries again after a 503."""


class Provider:
    """Accepts any text as a genuine token with the names that the test wants."""

    def __init__(self, **names):
        self._names = {"subject": SUBJECT, "provider_session": "s-1"} | names

    async def logout_token(self, text):
        if text == "forged":
            raise TokenRefused("logout token: the signature is wrong")
        if text == "keys away":
            raise CannotAsk(Reason.PROVIDER_UNAVAILABLE, "away")
        return LogoutToken(issuer=ISSUER, token_id=text, good_until=NOW + timedelta(minutes=3), **self._names)


@pytest.fixture
def sessions():
    return Unsteady(MemorySessions())


def logout(sessions, **names):
    return BackChannelLogout(provider=Provider(**names), sessions=sessions, tokens=MemoryLogoutTokens())


async def signed_in(sessions, *, subject=SUBJECT, issuer=ISSUER, **changes):
    ticket = new_ticket()
    session = session_for(ticket)
    person = replace(session.person, subject=subject, issuer=issuer)
    await sessions.create(ticket, replace(session, person=person, **changes), browser="", now=NOW)
    return ticket


async def alive(sessions, *tickets):
    return [await sessions.load(ticket, now=NOW) is not None for ticket in tickets]


async def test_a_provider_session_ends_at_every_portal_and_no_other_does(sessions):
    acq = await signed_in(sessions, provider_session="s-1")
    b2b = await signed_in(sessions, provider_session="s-1", portal="b2b")
    at_home = await signed_in(sessions, provider_session="s-2")
    ended = await logout(sessions).end("one", now=NOW)
    assert await alive(sessions, acq, b2b, at_home) == [False, False, True]
    assert {summary.session_id for summary in ended.sessions} == {acq.session_id, b2b.session_id}
    assert (ended.named_by, ended.person.subject) == ("sid", SUBJECT)


async def test_a_session_of_which_the_provider_said_no_sid_ends_with_its_person(sessions):
    nameless = await signed_in(sessions)
    elsewhere = await signed_in(sessions, provider_session="s-2")
    davids = await signed_in(sessions, subject=DAVID)
    assert len((await logout(sessions).end("one", now=NOW)).sessions) == 1
    assert await alive(sessions, nameless, elsewhere, davids) == [False, True, True]


async def test_a_sid_alone_ends_its_sessions_and_says_nothing_of_the_person(sessions):
    named, nameless = await signed_in(sessions, provider_session="s-1"), await signed_in(sessions)
    ended = await logout(sessions, subject=None).end("one", now=NOW)
    assert await alive(sessions, named, nameless) == [False, True]
    assert ended.person is None


async def test_a_subject_alone_ends_all_of_its_sessions_at_this_provider(sessions):
    hers = [await signed_in(sessions, provider_session=name) for name in ("s-1", "s-2", None)]
    davids = await signed_in(sessions, subject=DAVID)
    same_name_elsewhere = await signed_in(sessions, issuer="https://other.example/")
    ended = await logout(sessions, provider_session=None).end("one", now=NOW)
    assert await alive(sessions, *hers, davids, same_name_elsewhere) == [False, False, False, True, True]
    assert (len(ended.sessions), ended.named_by) == (3, "sub")


async def test_a_sid_of_another_person_ends_nothing(sessions):
    hers, davids = await signed_in(sessions), await signed_in(sessions, subject=DAVID, provider_session="s-1")
    outcome = await logout(sessions).end("one", now=NOW)
    assert outcome == LogoutRefused("logout token: sid is a session of somebody else than sub")
    assert await alive(sessions, hers, davids) == [True, True]


async def test_a_session_that_ends_meanwhile_is_no_contradiction(sessions):
    first = await signed_in(sessions, provider_session="s-1")
    second = await signed_in(sessions, provider_session="s-1")

    async def first_ends():
        await sessions.revoke(first.session_id)

    sessions.before("summaries", happens=first_ends)
    ended = await logout(sessions).end("one", now=NOW)
    assert [summary.session_id for summary in ended.sessions] == [second.session_id]
    assert await alive(sessions, first, second) == [False, False]


async def test_nothing_to_end_is_an_answer_too(sessions):
    other = await signed_in(sessions, provider_session="s-2")
    assert (await logout(sessions).end("one", now=NOW)).sessions == ()
    assert await alive(sessions, other) == [True]


async def test_a_token_has_its_effect_once(sessions):
    leaving = logout(sessions, provider_session=None)
    await leaving.end("one", now=NOW)
    back_again = await signed_in(sessions)
    for seconds in (0, 5, 179):
        assert await leaving.end("one", now=NOW + timedelta(seconds=seconds)) == LogoutRefused(
            "logout token: it was used before"
        )
    assert await alive(sessions, back_again) == [True]
    assert len((await leaving.end("two", now=NOW)).sessions) == 1


async def test_a_forged_token_ends_nothing_and_says_why(sessions):
    ticket = await signed_in(sessions, provider_session="s-1")
    assert await logout(sessions).end("forged", now=NOW) == LogoutRefused(
        "logout token: the signature is wrong"
    )
    assert await alive(sessions, ticket) == [True]


async def test_a_token_whose_effect_failed_counts_when_it_is_sent_again(sessions):
    ticket = await signed_in(sessions, provider_session="s-1")
    leaving = logout(sessions)
    sessions.away = {"revoke_all"}
    with pytest.raises(CannotAsk):
        await leaving.end("one", now=NOW)
    assert await alive(sessions, ticket) == [True]
    sessions.away.clear()
    assert len((await leaving.end("one", now=NOW + AGAIN_AFTER)).sessions) == 1
    assert await alive(sessions, ticket) == [False]


async def test_without_the_providers_keys_nothing_is_decided(sessions):
    ticket = await signed_in(sessions, provider_session="s-1")
    with pytest.raises(CannotAsk):
        await logout(sessions).end("keys away", now=NOW)
    assert await alive(sessions, ticket) == [True]
