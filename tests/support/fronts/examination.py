"""`authproxy doctor` at a front proxy of the world, with a stand-in in the portal's place."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from authproxy.access import consent
from authproxy.bootstrap.keys import consent_keys
from authproxy.doctor.doctor import Commission, examined
from authproxy.doctor.examination import Examination, Site
from authproxy.doctor.look import look
from authproxy.doctor.report import Report
from authproxy.doctor.stand_in import StandIn
from authproxy.doctor.wire import Budget, Door
from tests.support.fronts.world import Standing, World
from tests.support.ports import free_port


@contextlib.asynccontextmanager
async def examination(
    front: Standing, session: str = "", *, mark: str = "0" * 32
) -> AsyncIterator[Examination]:
    """One in which single attacks are tried. With a session there is a stand-in, and HTTP/2 is taken for granted."""
    world, given = front.world, consent_for(front)
    door = Door(
        address="127.0.0.1",
        port=front.place.port,
        server_name=front.place.hosts["acq.example.si"],
        context=_tls(world, "http/1.1"),
        http2=_tls(world, "h2", "http/1.1"),
        budget=Budget(requests=50, ends_at=asyncio.get_running_loop().time() + 30),
    )
    on = Examination(
        site=Site(origin=front.url, host=front.host, is_tls=True, plain_port=None),
        door=door,
        consent=given,
        look=await look(door, given, front.host, world.house.clock),
        clock=world.house.clock,
        stand_in=StandIn(mark=mark) if session else None,
        session=session,
        proxy=front.kind.dialect,
        mark=mark,
        http2_fault="",
    )
    if on.stand_in is None:
        yield on
    else:
        async with on.stand_in.listening("127.0.0.1", 0) as port:
            with world.tap.leads_to(port):
                yield on


async def report_on(front: Standing, session: str, *only: str) -> Report:
    """What the doctor says, with somebody's session; `only` these findings, or all."""
    world = front.world
    port = free_port()
    commission = Commission(
        site=Site(origin=front.url, host=front.host, is_tls=True, plain_port=None, upload_size=1 << 20),
        consent=consent_for(front),
        address="127.0.0.1",
        port=front.place.port,
        server_name=front.place.hosts["acq.example.si"],
        context=_tls(world, "http/1.1"),
        http2=_tls(world, "h2", "http/1.1"),
        stand_in=("127.0.0.1", port),
        session=session,
        only=frozenset(only),
    )
    with world.tap.leads_to(port):
        return await examined(commission, world.house.clock)


def _tls(world: World, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=world.folder.parent / "authority.pem")
    context.set_alpn_protocols([*protocols])
    return context


def consent_for(front: Standing) -> consent.Consent:
    house = front.world.house
    key = consent_keys(house.settings.sessions)[0]
    return consent.consent(key, front.host, int(house.clock().timestamp()) + consent.LASTS)
