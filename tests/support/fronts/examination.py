"""`authproxy doctor` at a front proxy of the world, with a stand-in in the portal's place."""

from __future__ import annotations

import asyncio
import ssl

from authproxy.access import consent
from authproxy.bootstrap.keys import consent_keys
from authproxy.doctor.doctor import Commission, examined
from authproxy.doctor.examination import Site
from authproxy.doctor.report import Report
from authproxy.doctor.wire import Budget, Door
from tests.support.fronts.world import Standing, World
from tests.support.ports import free_port


def door_of(front: Standing, requests: int = 20) -> Door:
    """A door to the front proxy, for a few questions."""
    loop = asyncio.get_running_loop()
    return Door(
        address="127.0.0.1",
        port=front.place.port,
        server_name=front.place.hosts["acq.example.si"],
        context=_tls(front.world, "http/1.1"),
        budget=Budget(requests=requests, ends_at=loop.time() + 30),
    )


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
