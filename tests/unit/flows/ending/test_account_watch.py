from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import aiohttp
import pytest

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.ending.account_watch import AccountWatch
from authproxy.identity.grant import Grant
from authproxy.oidc.account import Stands, Withdrawn
from authproxy.storage.memory import MemoryGrants, MemorySessions
from authproxy.storage.near_cache import NearCache
from tests.support.log_lines import log_lines
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.unsteady import Unsteady

EVERY, HOUR = timedelta(minutes=1), timedelta(hours=1)
REFRESH, ACCESS = Grant(refresh_token="r1"), Grant(access_token="a1", ends_at=NOW + HOUR)
DUE = NOW + EVERY
NO = Withdrawn("refresh token: invalid_grant")
SILENCE = CannotAsk(Reason.PROVIDER_UNAVAILABLE, "token endpoint gave no answer within 10 s")


class Provider:
    """Gives the answer that the test wants, and notes the grants with which it was asked."""

    def __init__(self):
        self.says = Stands()
        self.asked, self.ended = [], []

    async def ask_about(self, grant):
        self.asked.append(grant)
        await asyncio.sleep(0)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def end_grant(self, grant):
        self.ended.append(grant)
        if isinstance(self.says, Exception):
            raise self.says


class AccountWatchFixture:
    def __init__(self):
        self.provider, self.grants = Provider(), Unsteady(MemoryGrants())
        self.sessions = MemorySessions(NearCache(near_cache_for=timedelta(), silence=None))
        self.watch = self.instance()

    def instance(self):
        return AccountWatch(
            provider=self.provider,
            grants=self.grants,
            sessions=self.sessions,
            recheck_every=EVERY,
            random_text=lambda size: "s" * size,
        )

    async def session(self, grant):
        self.ticket = new_ticket()
        secret = await self.watch.keep(grant, idle_for=HOUR, now=NOW)
        session = session_for(self.ticket, grant=secret)
        await self.sessions.create(self.ticket, session, browser="", now=NOW)
        return session

    async def is_open(self):
        return await self.sessions.load(self.ticket, now=NOW) is not None


@pytest.fixture
def house():
    return AccountWatchFixture()


async def test_an_account_that_stands_changes_nothing_and_is_asked_about_once_in_each_interval(house):
    session = await house.session(REFRESH)
    assert await house.watch.look(session, now=NOW) is None
    for at in (DUE, DUE + EVERY / 2, DUE + EVERY):
        assert await house.watch.look(session, now=at) is None
    assert house.provider.asked == [REFRESH, REFRESH]
    assert (await house.is_open(), house.watch.unknown, house.watch.failure) == (True, 0, None)


async def test_a_no_ends_the_session_and_says_why(house):
    session = await house.session(REFRESH)
    house.provider.says = NO
    assert await house.watch.look(session, now=DUE) == "refresh token: invalid_grant"
    assert not await house.is_open()
    assert await house.grants.take(session.grant) is None


async def test_a_no_ends_the_session_that_has_changed_its_ticket_meanwhile(house):
    session = await house.session(REFRESH)
    old, house.ticket = house.ticket, new_ticket()
    await house.sessions.rotate(
        old, house.ticket, session_for(house.ticket, grant=session.grant), browser=None, now=NOW
    )
    house.provider.says = NO
    await house.watch.look(session, now=DUE)
    assert not await house.is_open()


@pytest.mark.parametrize("grant", [REFRESH, ACCESS], ids=["refresh token", "access token"])
async def test_silence_changes_nothing_and_is_seen(house, grant):
    session = await house.session(grant)
    house.provider.says = SILENCE
    with log_lines() as log:
        assert await house.watch.look(session, now=DUE) is None
    assert [(line["event"], line["error"]) for line in log.lines()] == [("account.unknown", str(SILENCE))]
    assert (await house.is_open(), house.watch.unknown, house.watch.failure) == (True, 1, str(SILENCE))
    house.provider.says = Stands()
    await house.watch.look(session, now=DUE + EVERY)
    assert house.watch.failure is None


async def test_two_instances_never_use_one_token_at_the_same_time(house):
    session = await house.session(REFRESH)
    await asyncio.gather(
        *(instance.look(session, now=DUE) for instance in (house.watch, house.instance()) for _ in range(25))
    )
    assert house.provider.asked == [REFRESH]


async def test_a_token_that_is_replaced_is_used_the_next_time_by_any_instance(house):
    session = await house.session(REFRESH)
    house.provider.says = Stands(Grant(refresh_token="r2"))
    await house.watch.look(session, now=DUE)
    await house.instance().look(session, now=DUE + EVERY)
    assert house.provider.asked == [REFRESH, Grant(refresh_token="r2")]


async def test_a_no_after_a_lost_answer_is_no_proof_because_the_token_may_have_been_replaced(house):
    session = await house.session(REFRESH)
    house.provider.says = SILENCE
    await house.watch.look(session, now=DUE)
    house.provider.says = NO
    assert await house.watch.look(session, now=DUE + EVERY) is None
    assert (await house.is_open(), house.watch.unknown) == (True, 2)
    assert "says nothing about the account" in house.watch.failure
    await house.watch.look(session, now=DUE + 2 * EVERY)
    assert len(house.provider.asked) == 2


async def test_a_question_that_has_never_left_here_casts_no_doubt_on_the_token(house):
    session = await house.session(REFRESH)
    house.provider.says = CannotAsk(
        Reason.PROVIDER_UNAVAILABLE, "token endpoint could not be asked: ClientConnectorError"
    )
    house.provider.says.__context__ = aiohttp.ClientConnectorError(
        SimpleNamespace(host="provider.example", port=443, ssl=True), OSError()
    )
    await house.watch.look(session, now=DUE)
    house.provider.says = NO
    assert await house.watch.look(session, now=DUE + EVERY) is not None
    assert not await house.is_open()


async def test_a_question_that_has_never_left_here_ends_no_doubt_that_there_was(house):
    session = await house.session(REFRESH)
    never_left = CannotAsk(
        Reason.PROVIDER_UNAVAILABLE, "token endpoint could not be asked: ClientConnectorError"
    )
    never_left.__context__ = aiohttp.ClientConnectorError(
        SimpleNamespace(host="provider.example", port=443, ssl=True), OSError()
    )
    for says, at in ((SILENCE, DUE), (never_left, DUE + EVERY), (NO, DUE + 2 * EVERY)):
        house.provider.says = says
        assert await house.watch.look(session, now=at) is None
    assert await house.is_open()


async def test_an_account_is_watched_for_as_long_as_an_outage_may_prolong_its_session(house):
    session = await house.session(REFRESH)
    house.provider.says = NO
    assert await house.watch.look(session, now=NOW + session.idle_for + timedelta(minutes=59)) is not None


async def test_a_no_about_an_access_token_is_a_no_also_after_silence(house):
    session = await house.session(ACCESS)
    house.provider.says = SILENCE
    await house.watch.look(session, now=DUE)
    house.provider.says = Withdrawn("introspection: the access token is not active")
    assert await house.watch.look(session, now=DUE + EVERY) is not None
    assert not await house.is_open()


async def test_a_yes_after_silence_ends_the_doubt(house):
    session = await house.session(REFRESH)
    for says, at in ((SILENCE, DUE), (Stands(), DUE + EVERY), (NO, DUE + 2 * EVERY)):
        house.provider.says = says
        await house.watch.look(session, now=at)
    assert not await house.is_open()


async def test_a_session_without_tokens_is_not_asked_about(house):
    session = session_for(new_ticket())
    assert await house.watch.look(session, now=DUE + HOUR) is None
    assert house.provider.asked == []


async def test_a_provider_that_gives_nothing_to_ask_with_is_seen(house):
    assert await house.watch.keep(None, idle_for=HOUR, now=NOW) is None
    assert (house.watch.unknown, "offline_access" in house.watch.failure) == (1, True)


async def test_a_sign_out_has_the_provider_forget_the_tokens_and_does_not_fail_with_it(house):
    session = await house.session(REFRESH)
    house.provider.says = SILENCE
    with log_lines() as log:
        await house.watch.forget(session.grant)
        await house.watch.forget(session.grant)
    assert house.provider.ended == [REFRESH]
    assert [(line["event"], line["reason"], line["error"]) for line in log.lines()] == [
        ("tokens.not_revoked", "provider_unavailable", str(SILENCE))
    ]
    assert await house.watch.look(session, now=DUE) is None
    assert house.provider.asked == []


async def test_a_sign_out_does_not_fail_with_a_store_that_is_away_and_what_is_not_revoked_is_told(house):
    session = await house.session(REFRESH)
    house.grants.away = {"take"}
    with log_lines() as log:
        await house.watch.forget(session.grant)
    assert house.provider.ended == []
    assert [(line["event"], line["reason"]) for line in log.lines()] == [
        ("tokens.not_revoked", "store_unavailable")
    ]


@pytest.mark.parametrize(
    "says", [Stands(Grant(refresh_token="r2")), Stands()], ids=["a new token", "the same token"]
)
async def test_a_token_that_comes_while_its_person_signs_out_is_revoked_too(house, says):
    session = await house.session(REFRESH)
    house.provider.says = says
    await asyncio.gather(house.watch.look(session, now=DUE), house.instance().forget(session.grant))
    assert house.provider.ended == [REFRESH, *([] if says.grant is None else [says.grant])]
    assert await house.grants.take(session.grant) is None
