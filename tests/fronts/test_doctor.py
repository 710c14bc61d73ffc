"""`authproxy doctor` finds nothing wrong with the shipped files, and each mistake that is made in them on
purpose."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterator

import pytest
from _pytest.mark import ParameterSet

from authproxy.doctor import probes_http2
from authproxy.doctor.examination import Examination
from authproxy.doctor.findings import SUBJECTS, Verdict, worst
from authproxy.doctor.probes import gateway_asked
from tests.support.fronts import haproxy, nginx
from tests.support.fronts.broken import Broken
from tests.support.fronts.broken import haproxy as broken_haproxy
from tests.support.fronts.every import FRONTS, SIX
from tests.support.fronts.examination import examination, report_on
from tests.support.fronts.front import Front
from tests.support.fronts.world import Standing, World

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.asyncio(loop_scope="session")]

OF_THE_WORLD = {"keys", "store", "proxy_version"}
"""What is yellow because of this machine and the gateway of the tests, whatever is in front."""
NEEDS_MORE = {"plain_http", "proxy_version"}
"""What is not tried here: there is no listener for plain HTTP, and most programs do not tell their version."""


IN_EVERY_RUN = {"nginx": 6, "caddy": 4, "haproxy": 4, "envoy": 2, "traefik": 1}
"""So many mistakes of each program, by how long it takes to start and to end. The others are rehearsals."""


def all_broken() -> Iterator[ParameterSet]:
    for kind in FRONTS:
        module = importlib.import_module(f"tests.support.fronts.broken.{kind.name}")
        for number, broken in enumerate(module.BROKEN):
            marks = [] if number < IN_EVERY_RUN[kind.name] else [pytest.mark.rehearsal]
            yield pytest.param(kind, broken, id=f"{kind.name}-{broken.name}", marks=marks)


@pytest.fixture(scope="session")
def tickets() -> dict[str, str]:
    """Of somebody at the spare place of each front proxy."""
    return {}


async def ticket(world: World, kind: Front, tickets: dict[str, str]) -> str:
    if kind.name not in tickets:
        with world.broken(kind, kind.files()) as front:
            ana = await front.signed_in()
            tickets[kind.name] = ana.ticket(front.url) or ""
    return tickets[kind.name]


async def test_nothing_is_wrong_with_the_shipped_files(front: Standing) -> None:
    await nothing_is_wrong(front)


@pytest.mark.rehearsal
@pytest.mark.parametrize("kind", [*SIX, nginx.CACHED], ids=lambda kind: kind.name)
async def test_nothing_is_wrong_with_the_other_shipped_files(world: World, kind: Front) -> None:
    with world.broken(kind, kind.files()) as front:
        await nothing_is_wrong(front)


async def nothing_is_wrong(front: Standing) -> None:
    ana = await front.signed_in()

    report = await report_on(front, ana.ticket(front.url) or "")

    found = {finding.finding_id: finding for finding in report.findings}
    assert list(found) == list(SUBJECTS)
    wrong = {
        name: finding.verdict
        for name, finding in found.items()
        if finding.verdict.colour in {"red", "yellow"} and name not in OF_THE_WORLD
    }
    assert not wrong, front.running.errors[-2000:]
    assert {name for name in found if found[name].verdict.colour == "not_tried"} <= NEEDS_MORE
    assert report.proxy == front.kind.dialect
    assert not report.http2_fault or front.kind in SIX
    assert report.requests < 300
    assert not report.strangers


PROVED_ELSEWHERE = {
    "portal_reachable", "plain_http", "certificate_end",  # tests/integration/test_doctor_sockets.py
    "clock", "keys", "store", "proxy_version",  # tests/unit/doctor/test_doctor_judgement.py, and OF_THE_WORLD
}  # fmt: skip


async def test_every_mistake_is_an_edit_of_the_shipped_files() -> None:
    for parameters in all_broken():
        kind, broken = parameters.values
        assert broken.edited(kind.files()) != kind.files()


async def test_every_finding_is_proved() -> None:
    found = {broken.finds for _, broken in (parameters.values for parameters in all_broken())}

    assert found | PROVED_ELSEWHERE == set(SUBJECTS)
    assert not found & PROVED_ELSEWHERE


async def test_a_gateway_that_takes_this_machine_for_a_front_proxy_is_found(front: Standing) -> None:
    # The gateway of the tests has this address among server.trusted_proxies, and says where it listens.
    port = front.world.house.ports["gateway"]
    async with examination(front) as on:
        assert on.look.listeners == [f"http://127.0.0.1:{port}"]
        verdict = await gateway_asked(on, "127.0.0.1", port)

    assert verdict.colour == "red"


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize(
    ("mistake", "attack"),
    [
        ("families_kept", probes_http2.forged_identity),
        pytest.param("trailers_kept", probes_http2.trailers, marks=pytest.mark.rehearsal),
        pytest.param(
            "sockets_beside_the_question", probes_http2.upgrade_unasked, marks=pytest.mark.rehearsal
        ),
        pytest.param(
            "always_get_in_the_question", probes_http2.method_confusion, marks=pytest.mark.rehearsal
        ),
        pytest.param(
            "names_with_other_characters_kept", probes_http2.forged_identity, marks=pytest.mark.rehearsal
        ),
    ],
)
async def test_over_http2_alone_it_is_found_too(
    world: World,
    tickets: dict[str, str],
    mistake: str,
    attack: Callable[[Examination], Awaitable[list[Verdict]]],
) -> None:
    [broken] = [each for each in broken_haproxy.BROKEN if each.name == mistake]
    kind = haproxy.FRONT
    session = await ticket(world, kind, tickets)

    with world.broken(kind, broken.edited(kind.files())) as front:
        async with examination(front, session) as on:
            verdict = worst(await attack(on))

    assert (verdict.colour, verdict.sent.startswith("over HTTP/2: ")) == ("red", True)


@pytest.mark.parametrize(("kind", "broken"), list(all_broken()))
async def test_the_doctor_finds(world: World, kind: Front, broken: Broken, tickets: dict[str, str]) -> None:
    session = await ticket(world, kind, tickets)

    with world.broken(kind, broken.edited(kind.files())) as front:
        report = await report_on(front, session, broken.finds)

    [finding] = report.findings
    assert finding.verdict.colour in {"red", "yellow"}, (finding.verdict, broken.why)
    assert finding.advice, "it says which line to change"
