from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.ending.logout import Logout, LogoutOutcome
from authproxy.identity.ticket import SessionTicket
from authproxy.oidc.end_session import EndSessionRequest
from authproxy.storage.memory import MemorySessions
from authproxy.storage.near_cache import NearCache
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.unsteady import Unsteady

NOBODY = LogoutOutcome(session=None, provider_logout=None)


class Provider:
    def __init__(self, endpoint):
        self._endpoint = endpoint

    async def end_session_request(self, **fields):
        if isinstance(self._endpoint, Exception):
            raise self._endpoint
        return (
            None
            if self._endpoint is None
            else EndSessionRequest(by="get", endpoint=self._endpoint, fields=fields)
        )


@pytest.fixture
def sessions():
    return Unsteady(MemorySessions(NearCache(near_cache_for=timedelta(), silence=None)))


def logout(sessions, endpoint="https://provider.example/endsession", **more):
    return Logout(
        sessions=sessions,
        provider=Provider(endpoint),
        origins={"acq": "https://acq.example"},
        random_text=lambda size: "f" * size,
        **more,
    )


async def signed_in(sessions, **changes):
    ticket = new_ticket()
    await sessions.create(ticket, session_for(ticket, **changes), browser="", now=NOW)
    return ticket


async def test_the_session_ends_and_the_provider_is_to_be_told(sessions):
    ticket = await signed_in(sessions)
    ended = await logout(sessions).end(portal_id="acq", ticket_text=ticket.text, now=NOW)
    assert ended.session is not None
    assert await sessions.load(ticket, now=NOW) is None
    told = ended.provider_logout
    assert (told.endpoint, told.fields["id_token"], told.fields["state"]) == (
        "https://provider.example/endsession",
        ended.session.id_token,
        "f" * 16,
    )
    assert told.fields["post_logout_redirect_uri"] == "https://acq.example/.authproxy/logout"
    assert ended.session.id_token not in repr(ended)


@pytest.mark.parametrize(
    "ticket", [None, "garbage", SessionTicket(bytes(16), bytes(32)).text], ids=["none", "garbage", "unknown"]
)
async def test_who_is_not_signed_in_ends_nothing(sessions, ticket):
    ended = await logout(sessions).end(portal_id="acq", ticket_text=ticket, now=NOW)
    assert ended == NOBODY
    assert ended.session is None


async def test_a_second_time_ends_nothing(sessions):
    ticket = await signed_in(sessions)
    await logout(sessions).end(portal_id="acq", ticket_text=ticket.text, now=NOW)
    assert await logout(sessions).end(portal_id="acq", ticket_text=ticket.text, now=NOW) == NOBODY


@pytest.mark.parametrize("endpoint", [None, CannotAsk(Reason.PROVIDER_UNAVAILABLE, "away")])
async def test_a_provider_without_or_away_does_not_keep_the_session_alive(sessions, endpoint):
    ticket = await signed_in(sessions)
    ended = await logout(sessions, endpoint).end(portal_id="acq", ticket_text=ticket.text, now=NOW)
    assert (ended.session is not None, ended.provider_logout) == (True, None)
    assert await sessions.load(ticket, now=NOW) is None


async def test_without_an_id_token_there_is_nothing_to_tell(sessions):
    ticket = await signed_in(sessions, id_token=None)
    ended = await logout(sessions).end(portal_id="acq", ticket_text=ticket.text, now=NOW)
    assert (ended.session is not None, ended.provider_logout) == (True, None)


async def test_nobody_is_told_that_a_session_has_ended_which_the_store_still_has(sessions):
    ticket = await signed_in(sessions)
    sessions.away = {"revoke"}
    with pytest.raises(CannotAsk):
        await logout(sessions).end(portal_id="acq", ticket_text=ticket.text, now=NOW)
    assert await sessions.load(ticket, now=NOW) is not None


async def test_everywhere_means_every_session_of_this_person_and_nobody_elses(sessions):
    mine, other = await signed_in(sessions), await signed_in(sessions, portal="b2b")
    stranger = new_ticket()
    somebody = session_for(stranger)
    await sessions.create(
        stranger,
        replace(somebody, person=replace(somebody.person, subject="somebody else")),
        browser="",
        now=NOW,
    )
    ended = await logout(sessions).end(portal_id="acq", ticket_text=mine.text, now=NOW, everywhere=True)
    assert (ended.session.session_id, ended.others) == (mine.session_id, (other.session_id,))
    assert await sessions.load(mine, now=NOW) is None
    assert await sessions.load(other, now=NOW) is None
    assert await sessions.load(stranger, now=NOW) is not None


async def test_without_everywhere_the_others_stay(sessions):
    mine, other = await signed_in(sessions), await signed_in(sessions)
    ended = await logout(sessions).end(portal_id="acq", ticket_text=mine.text, now=NOW)
    assert ended.others == ()
    assert await sessions.load(other, now=NOW) is not None


async def test_an_end_everywhere_that_fails_leaves_the_ticket_to_try_again_with(sessions):
    mine, _other = await signed_in(sessions), await signed_in(sessions)
    sessions.away = {"revoke"}
    with pytest.raises(CannotAsk):
        await logout(sessions).end(portal_id="acq", ticket_text=mine.text, now=NOW, everywhere=True)
    assert await sessions.load(mine, now=NOW) is not None


async def test_the_tokens_of_a_session_are_forgotten_once_it_has_ended_and_not_before(sessions):
    forgotten = []
    ticket = await signed_in(sessions, grant="secret")
    sessions.away = {"revoke"}
    with pytest.raises(CannotAsk):
        await logout(sessions, forget_grant=forgotten.append).end(
            portal_id="acq", ticket_text=ticket.text, now=NOW
        )
    assert forgotten == []
    sessions.away.clear()
    await logout(sessions, forget_grant=forgotten.append).end(
        portal_id="acq", ticket_text=ticket.text, now=NOW
    )
    assert forgotten == ["secret"]
    without = await signed_in(sessions)
    await logout(sessions, forget_grant=forgotten.append).end(
        portal_id="acq", ticket_text=without.text, now=NOW
    )
    assert forgotten == ["secret"]
