from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.identity.session import SessionId, StoredSession
from authproxy.storage.near_cache import NearCache
from tests.support.session_builders import NOW, new_ticket, session_for

KEEPS_FOR = timedelta(seconds=5)
SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def cache():
    return heard_for_long()


def heard_for_long(**options):
    cache = NearCache(near_cache_for=KEEPS_FOR, silence=timedelta(days=1), **options)
    cache.heard(NOW)
    return cache


def stored(sealed=b"", **changes):
    ticket = new_ticket()
    session = session_for(ticket, **changes)
    return ticket.text, StoredSession(session=session, last_active_at=NOW, sealed=sealed)


def remembered(cache, now=NOW, **changes):
    text, found = stored(**changes)
    return text, cache.remember(text, found, now, read=cache.begin_read())


def test_a_remembered_session_is_found_for_as_long_as_the_cache_keeps_it(cache):
    text, entry = remembered(cache)
    assert cache.lookup(text, NOW) is entry
    assert cache.lookup(text, NOW + KEEPS_FOR - MOMENT) is entry
    assert cache.lookup(text, NOW + KEEPS_FOR) is None


def test_a_ticket_that_was_never_read_is_not_found(cache):
    remembered(cache)
    assert cache.lookup(new_ticket().text, NOW) is None


def test_a_session_is_not_found_after_its_absolute_end(cache):
    text, entry = remembered(cache, expires_at=NOW + SECOND)
    assert cache.lookup(text, NOW + SECOND - MOMENT) is entry
    assert cache.lookup(text, NOW + SECOND) is None


def test_a_session_is_not_found_after_its_idle_end(cache):
    text, entry = remembered(cache, idle_for=SECOND)
    assert cache.lookup(text, NOW + SECOND - MOMENT) is entry
    assert cache.lookup(text, NOW + SECOND) is None


def test_time_in_which_the_store_took_no_activity_moves_the_idle_end(cache):
    text, found = stored(idle_for=SECOND)
    entry = cache.remember(text, replace(found, forgiven=2 * SECOND), NOW, read=cache.begin_read())
    assert entry.stored.forgiven == 2 * SECOND
    assert cache.lookup(text, NOW + 3 * SECOND - MOMENT) is entry
    assert cache.lookup(text, NOW + 3 * SECOND) is None


def test_what_was_finished_before_the_clock_was_set_back_is_not_used_by_the_new_copy(cache):
    text, found = stored()
    cache.remember(text, found, NOW, read=cache.begin_read()).extras["finished"] = (
        "an assertion from the future"
    )
    back = cache.remember(text, found, NOW - timedelta(hours=1), read=cache.begin_read())
    assert back.extras == {}


def test_a_clock_that_was_set_back_makes_nothing_look_young(cache):
    cache.heard(NOW - timedelta(hours=2))
    text, _ = remembered(cache)
    assert cache.lookup(text, NOW - timedelta(hours=1)) is None


def test_a_forgotten_session_is_gone_and_the_others_stay(cache):
    text, entry = remembered(cache)
    other, _ = remembered(cache)
    cache.forget(entry.session.session_id)
    cache.forget(SessionId("never seen"))
    assert cache.lookup(text, NOW) is None
    assert cache.lookup(other, NOW) is not None


def test_after_forgetting_all_nothing_is_found(cache):
    texts = [remembered(cache)[0] for _ in range(3)]
    cache.forget_all()
    assert [cache.lookup(text, NOW) for text in texts] == [None] * 3


def test_a_cache_that_has_not_heard_the_channel_yet_is_not_used():
    cache = NearCache(near_cache_for=KEEPS_FOR)
    text, _ = remembered(cache)
    assert cache.lookup(text, NOW) is None
    assert not cache.is_heard(NOW)


def test_a_cache_is_not_used_once_the_channel_has_been_silent():
    cache = NearCache(near_cache_for=KEEPS_FOR, silence=SECOND)
    cache.heard(NOW)
    text, entry = remembered(cache)
    assert cache.lookup(text, NOW + SECOND - MOMENT) is entry
    assert cache.lookup(text, NOW + SECOND) is None
    assert not cache.is_heard(NOW + SECOND)
    cache.heard(NOW + SECOND)
    assert cache.lookup(text, NOW + SECOND) is entry


def test_hearing_an_older_moment_does_not_prolong_anything():
    cache = NearCache(near_cache_for=KEEPS_FOR, silence=SECOND)
    cache.heard(NOW)
    text, _ = remembered(cache)
    cache.heard(NOW - SECOND)
    assert cache.lookup(text, NOW) is None


def test_a_lost_channel_empties_the_cache_at_once(cache):
    text, _ = remembered(cache)
    cache.lost()
    assert cache.lookup(text, NOW) is None
    cache.heard(NOW)
    assert cache.lookup(text, NOW) is None


def test_a_session_that_was_read_while_nobody_listened_is_not_kept(cache):
    cache.lost()
    text, found = stored()
    read = cache.begin_read()
    cache.heard(NOW)
    cache.remember(text, found, NOW, read=read)
    assert cache.lookup(text, NOW) is None


def test_what_was_kept_while_nobody_listened_is_gone_when_the_channel_is_back(cache):
    cache.lost()
    text, _ = remembered(cache)
    cache.heard(NOW)
    assert cache.lookup(text, NOW) is None


def test_a_session_that_was_revoked_while_it_was_being_read_is_not_kept(cache):
    text, found = stored()
    read = cache.begin_read()
    cache.forget(found.session.session_id)
    entry = cache.remember(text, found, NOW, read=read)
    assert entry.session == found.session
    assert cache.lookup(text, NOW) is None


def test_a_read_that_began_after_the_invalidation_is_kept(cache):
    text, found = stored()
    cache.forget(found.session.session_id)
    entry = cache.remember(text, found, NOW, read=cache.begin_read())
    assert cache.lookup(text, NOW) is entry


def test_the_invalidation_of_another_session_disturbs_no_read(cache):
    text, found = stored()
    read = cache.begin_read()
    cache.forget(SessionId("another"))
    cache.remember(text, found, NOW, read=read)
    assert cache.lookup(text, NOW) is not None


def test_no_flood_of_invalidations_lets_an_overtaken_read_through(cache):
    text, found = stored()
    read = cache.begin_read()
    cache.forget(found.session.session_id)
    for number in range(10_000):
        cache.forget(SessionId(f"other {number}"))
    cache.remember(text, found, NOW, read=read)
    assert cache.lookup(text, NOW) is None
    later = cache.remember(text, found, NOW, read=cache.begin_read())
    assert cache.lookup(text, NOW) is later


def test_a_repeated_invalidation_counts_as_new(cache):
    text, found = stored()
    cache.forget(found.session.session_id)
    read = cache.begin_read()
    cache.forget(found.session.session_id)
    cache.remember(text, found, NOW, read=read)
    assert cache.lookup(text, NOW) is None


def test_a_flood_that_pushes_out_a_repeated_invalidation_does_not_let_its_read_through(cache):
    text, found = stored()
    cache.forget(found.session.session_id)
    cache.forget(SessionId("between"))
    read = cache.begin_read()
    cache.forget(found.session.session_id)
    for number in range(4096):
        cache.forget(SessionId(f"other {number}"))
        cache.remember(text, found, NOW, read=read)
        assert cache.lookup(text, NOW) is None


def test_extras_survive_when_the_same_session_is_read_again(cache):
    text, found = stored()
    first = cache.remember(text, found, NOW, read=cache.begin_read())
    first.extras["acq"] = b"header block"
    again = StoredSession(session=replace(found.session), last_active_at=NOW + SECOND)
    second = cache.remember(text, again, NOW + KEEPS_FOR, read=cache.begin_read())
    assert second.extras == {"acq": b"header block"}
    assert second.session is found.session
    assert (second.stored, second.read_at) == (again, NOW + KEEPS_FOR)


def test_a_session_that_is_as_it_was_is_good_for_longer_but_not_beyond_its_end(cache):
    text, found = stored(idle_for=2 * KEEPS_FOR)
    entry = cache.remember(text, found, NOW, read=cache.begin_read())
    for at, until in ((KEEPS_FOR, 2 * KEEPS_FOR), (2 * KEEPS_FOR - MOMENT, 2 * KEEPS_FOR)):
        assert cache.remember(text, found, NOW + at, read=cache.begin_read()) is entry
        assert (entry.read_at, entry.good_until) == (NOW + at, NOW + until)
    read = cache.begin_read()
    cache.forget(found.session.session_id)
    assert cache.remember(text, found, NOW, read=read).session is found.session
    assert cache.lookup(text, NOW) is None


def test_extras_do_not_survive_a_change_of_the_session(cache):
    text, found = stored()
    cache.remember(text, found, NOW, read=cache.begin_read()).extras["acq"] = b"header block"
    changed = StoredSession(session=replace(found.session, portal="b2b"), last_active_at=NOW)
    assert cache.remember(text, changed, NOW, read=cache.begin_read()).extras == {}


def test_extras_survive_an_invalidation_if_the_store_then_has_the_same_session(cache):
    text, found = stored(sealed=b"record")
    cache.remember(text, found, NOW, read=cache.begin_read()).extras["acq"] = b"header block"
    cache.forget(found.session.session_id)
    cache.forget_all()
    before = cache.remembered(text)
    assert (before.session, before.sealed) == (found.session, b"record")
    assert cache.lookup(text, NOW) is None
    again = cache.remember(text, found, NOW, read=cache.begin_read())
    assert again.extras == {"acq": b"header block"}
    assert cache.lookup(text, NOW) is again


def test_nothing_is_remembered_of_a_ticket_that_opens_nothing_any_more(cache):
    text, entry = remembered(cache)
    entry.extras["acq"] = b"header block"
    cache.drop(text)
    cache.drop(text)
    assert cache.remembered(text) is None
    assert cache.lookup(text, NOW) is None
    cache.forget(entry.session.session_id)


@pytest.mark.parametrize("how", ["the channel is heard", "another session is read"])
def test_what_nobody_has_asked_for_is_not_remembered_for_long(cache, how):
    first, _ = remembered(cache)
    second, _ = remembered(cache, NOW + SECOND)
    later = NOW + timedelta(minutes=2) + MOMENT
    if how == "another session is read":
        remembered(cache, later)
    else:
        cache.heard(later)
    assert cache.remembered(first) is None
    assert cache.remembered(second) is not None


def test_what_was_read_in_the_future_is_not_remembered_for_long_after_the_clock_was_set_back(cache):
    future, _ = remembered(cache, NOW + timedelta(hours=1))
    present, _ = remembered(cache)
    assert cache.remembered(future) is None
    assert cache.remembered(present) is not None
    cache.heard(NOW - SECOND)  # an answer that was held up
    assert cache.remembered(present) is not None


def test_a_cache_that_keeps_for_longer_remembers_for_longer():
    cache = NearCache(near_cache_for=timedelta(hours=1), silence=None)
    text, entry = remembered(cache, expires_at=NOW + timedelta(days=1), idle_for=timedelta(days=1))
    remembered(cache, NOW + timedelta(minutes=59))
    assert cache.lookup(text, NOW + timedelta(minutes=59)) is entry


def test_a_cache_whose_octets_are_used_up_drops_what_was_read_longest_ago():
    cache = heard_for_long(max_octets=2 * (4096 + 3 * 1000))
    texts = []
    for _ in range(3):
        text, found = stored(sealed=bytes(1000))
        cache.remember(text, found, NOW, read=cache.begin_read())
        texts.append(text)
    assert [cache.lookup(text, NOW) is None for text in texts] == [True, False, False]
    large, found = stored(sealed=bytes(10_000))
    entry = cache.remember(large, found, NOW, read=cache.begin_read())
    assert cache.lookup(large, NOW) is entry
    assert len(cache) == 1


def test_a_full_cache_drops_what_was_read_longest_ago():
    cache = heard_for_long(max_entries=2)
    text, found = stored()
    cache.remember(text, found, NOW, read=cache.begin_read())
    second, _ = remembered(cache)
    cache.remember(text, found, NOW, read=cache.begin_read())
    third, _ = remembered(cache)
    assert cache.lookup(second, NOW) is None
    assert cache.lookup(text, NOW) is not None
    assert cache.lookup(third, NOW) is not None
    assert len(cache) == 2


def test_a_cache_that_keeps_for_no_time_finds_nothing_and_remembers_what_was_made():
    cache = NearCache(near_cache_for=timedelta(0), silence=None)
    text, found = stored()
    cache.remember(text, found, NOW, read=cache.begin_read()).extras["acq"] = b"header block"
    assert cache.lookup(text, NOW) is None
    assert cache.remember(text, found, NOW, read=cache.begin_read()).extras == {"acq": b"header block"}


def test_the_channel_of_an_in_process_store_is_always_heard():
    cache = NearCache(near_cache_for=KEEPS_FOR, silence=None)
    text, entry = remembered(cache)
    cache.lost()
    cache.heard(NOW)
    assert cache.lookup(text, NOW) is entry
    assert cache.is_heard(NOW + timedelta(days=365))


def test_what_was_read_of_api_keys_is_out_of_date_after_a_change_and_whenever_everything_is(cache):
    epochs = [cache.machine_keys_epoch]
    for change in (cache.forget_machine_keys, cache.forget_all, cache.lost, lambda: cache.heard(NOW)):
        change()
        epochs.append(cache.machine_keys_epoch)
    assert epochs == sorted(set(epochs))
    assert not NearCache(near_cache_for=KEEPS_FOR).is_heard(NOW)
