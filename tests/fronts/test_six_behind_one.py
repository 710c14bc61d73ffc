"""Six portals behind one Caddy, Traefik, Envoy or HAProxy, with the shipped files."""

from __future__ import annotations

import pytest

from tests.support.fronts import caddy, envoy, haproxy, traefik
from tests.support.fronts.front import Front
from tests.support.fronts.world import World, status_of

pytestmark = [pytest.mark.needs("redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("kind", [caddy.SIX, traefik.SIX, envoy.SIX, haproxy.SIX], ids=lambda kind: kind.name)
async def test_each_of_six_portals_is_asked_about_and_none_is_another(world: World, kind: Front) -> None:
    with world.broken(kind, kind.files()) as front:
        for name, host in front.place.hosts.items():
            url = f"https://{host}:{front.place.port}"
            refused = await front.browser().fetch(f"{url}/x")
            assert refused.json["login_url"] == f"{url}/.authproxy/login?rt=/x", name
        seen = len(front.portal.received)
        ana = front.person()
        bws = f"https://{front.place.hosts['bws.example.si']}:{front.place.port}"

        page = await ana.signs_in(f"{bws}/izpisi")

        assert (page.status, page.text) == (200, "portal")
        assert front.portal.last.all("Host") == [bws.removeprefix("https://")]
        assert front.portal.last.all("X-Auth-Name") == ["Ana Novak"]
        seen = len(front.portal.received)
        # The ticket of one portal opens no other, and a name of TLS does not lead to the host for certificates.
        ticket = f"__Host-authproxy={ana.ticket(bws)}"
        assert status_of(await front.raw_get("/x", cookie=ticket)) == 401
        assert status_of(await front.raw_get("/x", cookie=ticket, host="potrdila.example.si")) == 421
        assert len(front.portal.received) == seen
