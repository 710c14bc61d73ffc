"""Two gateways with two hundred people on a store of several real servers, while a primary is killed, frozen or
cut off, and while it comes back late as a second one. Nobody is let in who was signed out, nobody has to sign in
again, and what was used stays used."""

from __future__ import annotations

import asyncio

import pytest

from authproxy.sandbox.store import bundled_server
from authproxy.storage.redis.connection import SeveralServers
from tests.support.redis_topologies import READS, clustered, replicated
from tests.support.relayed_network import network
from tests.support.store_side import store_sides
from tests.support.store_traffic import ACTIVE, traffic
from tests.support.waiting import until

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.rehearsal,
    pytest.mark.timeout(300),
]
DETECTION = 30.0
"""Seconds within which the servers must have decided: one to notice, one or two for the election, the rest is for a
busy machine."""
GAP = 2.0
"""Seconds after that within which everybody must be served."""
TOPOLOGIES = [pytest.param(replicated, id="sentinel"), pytest.param(clustered, id="cluster")]
FAULTS = ["killed", "frozen", "parted"]
DURABLE = SeveralServers(is_durable=True)


def parted(store, fallen):
    return [fallen.source], [source for source in store.sources if source != fallen.source]


def falls(fault, store, fallen, lines):
    if fault == "killed":
        fallen.kill()
    elif fault == "frozen":
        fallen.freeze()
    else:
        lines.part(*parted(store, fallen))


def rises(fault, store, fallen, lines):
    if fault == "killed":
        fallen.start()
    elif fault == "frozen":
        fallen.thaw()
    else:
        lines.join(*parted(store, fallen))


def primary_of(store):
    return store.primary if hasattr(store, "primary") else store.nodes[0]


async def moments(count, going):
    """Until the traffic has gone on for that many answers."""
    ends = going.answers + count
    await until(lambda: going.answers >= ends, within=60)


async def the_story(store, lines, fault, *, several):
    """What happened, and how long after the servers' decision somebody was not answered."""
    async with store_sides(store.url, several=several) as sides, traffic(sides) as going:
        await moments(ACTIVE, going)
        fallen, loop = primary_of(store), asyncio.get_running_loop()
        assert going.unanswered == 0
        for replica in store.replicas:
            assert not replica.commands() & READS
        falls(fault, store, fallen, lines)
        fell_at = loop.time()
        await until(lambda: asyncio.to_thread(store.has_decided, fallen), within=DETECTION)
        decided_at = loop.time()
        await moments(2 * ACTIVE, going)
        await going.settle()
        gap = max(0.0, going.unanswered_at - decided_at)
        before_return = going.unanswered
        rises(fault, store, fallen, lines)
        await moments(4 * ACTIVE, going)
        await going.settle()
        print(
            f"\n{fault}: {going.answers} answers, {going.unanswered} without; decided after "
            f"{decided_at - fell_at:.1f} s, served {gap:.1f} s later; {len(going.revoked)} signed out, "
            f"{going.bypasses} let in; {len(going.used)} codes used; signed out by mistake {len(going.signed_out)}; "
            f"{going.unanswered - before_return} not answered since the return"
        )
        return going, gap, await going.lost_uses(), await going.lost_beginnings()


def judge(going, gap, lost_uses):
    assert going.bypasses == 0
    assert going.used_twice == set()
    assert lost_uses == 0
    assert len(going.signed_out) <= ACTIVE * 0.005
    assert gap <= GAP
    assert len(going.revoked) > 20
    assert len(going.used) > 20


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_nobody_is_let_in_and_nobody_has_to_sign_in_again(topology, fault):
    with network() as lines, topology(network=lines) as store:
        going, gap, lost_uses, _ = await the_story(store, lines, fault, several=DURABLE)
        judge(going, gap, lost_uses)


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_the_bundled_valkey_does_the_same(topology):
    with network() as lines, topology(network=lines, program=str(bundled_server())) as store:
        going, gap, lost_uses, _ = await the_story(store, lines, "parted", several=DURABLE)
        judge(going, gap, lost_uses)


async def test_while_most_sentinels_are_gone_the_primary_serves_and_when_it_dies_nobody_is_signed_out():
    with network() as lines, replicated("--appendonly", "yes", network=lines) as store:
        async with store_sides(store.url, several=DURABLE) as sides, traffic(sides) as going:
            primary, [first, second, _] = store.primary, store.sentinels
            first.kill()
            second.freeze()
            await moments(2 * ACTIVE, going)
            assert going.unanswered == 0
            assert "no failover" in " ".join(await sides[0].connection.warnings())
            primary.kill()
            await until(lambda: going.unanswered > 20, within=60)
            assert not store.has_decided(primary)
            primary.start()
            await moments(2 * ACTIVE, going)
            await going.settle()
            first.start()
            second.thaw()
            await moments(2 * ACTIVE, going)
            await going.settle()
            assert await going.lost_uses() == 0
        assert (going.bypasses, going.used_twice, going.signed_out) == (0, set(), set())


FEW_REPLICAS = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
SETTINGS = [
    pytest.param(replicated, (), SeveralServers(), id="sentinel"),
    pytest.param(replicated, FEW_REPLICAS, SeveralServers(), id="sentinel-min-replicas"),
    pytest.param(replicated, (), DURABLE, id="sentinel-durable"),
    pytest.param(clustered, (), SeveralServers(), id="cluster"),
    pytest.param(clustered, (), DURABLE, id="cluster-durable"),
]


@pytest.mark.parametrize(("topology", "options", "several"), SETTINGS)
async def test_what_a_primary_that_is_cut_off_loses(topology, options, several):
    """The figures of deploy/redis/README.md: `-s` prints them."""
    with network() as lines, topology(*options, network=lines) as store:
        going, _, lost_uses, lost_beginnings = await the_story(store, lines, "parted", several=several)
        print(
            f"lost: {lost_uses} of {len(going.used)} uses, {lost_beginnings} of {len(going.begun)} sign-ins; let in: "
            f"{going.bypasses} times of {len(going.revoked)} signed out"
        )
        assert going.signed_out == set()
        if several.is_durable:
            assert lost_uses == going.bypasses == 0
