"""A house whose first portal stands behind nginx: browsers speak to nginx, and nginx asks the gateway over
its socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway import House, Person, open_house
from tests.support.http_client import Answer
from tests.support.nginx import SHIPPED, Nginx, RecordingPortal, recording_portal, server_of
from tests.support.ports import free_port

PATIENCE = 15.0
_SERVERS = """
include authproxy/http.conf;
include authproxy/pages.conf;
{http}
upstream portal {{ server 127.0.0.1:{portal}; keepalive 8; }}
server {{
    listen 127.0.0.1:{port};
    server_name acq.localhost;
    include authproxy/server.conf;
    client_max_body_size 100m;
    location / {{
        proxy_pass http://portal;
        proxy_request_buffering off;
    }}
    {more}
}}
server {{
    listen 127.0.0.1:{port};
    server_name b2b.localhost;
    include authproxy/server.conf;
    location / {{ proxy_pass http://portal; }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """`url` is the portal as browsers know it."""

    house: House
    nginx: Nginx
    portal: RecordingPortal
    url: str

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    async def signed_in(self, path: str = "/") -> Person:
        """Ana at her browser, after a sign-in through nginx."""
        ana = self.house.person()
        page = await ana.signs_in(self.url + path)
        assert (page.status, page.text) == (200, "portal"), page.text
        return ana

    def cookie(self, person: Person) -> str:
        return f"__Host-authproxy={person.ticket(self.url)}"

    async def raw(self, head: str) -> bytes:
        """What comes back on a connection of its own for these bytes, until nginx closes it."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.nginx.port)
            writer.write(head.encode("latin-1"))
            answer = await reader.read()
            writer.close()
            return answer

    async def raw_get(self, target: str, *fields: str, cookie: str = "", host: str | None = None) -> bytes:
        lines = [f"GET {target} HTTP/1.1", f"Host: {host or self.host}", "Connection: close", *fields]
        if cookie:
            lines.append(f"Cookie: {cookie}")
        return await self.raw("\r\n".join([*lines, "", ""]))


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def says(answer: Answer, name: str) -> str | None:
    """The one value of a header, None if there is none."""
    found = answer.all(name)
    assert len(found) <= 1, f"{name}: {found}"
    return found[0] if found else None


@asynccontextmanager
async def behind_nginx(
    store_url: str,
    *,
    http: str = "",
    more: str = "",
    acq: Mapping[str, Any] | None = None,
    has_gateway: bool = True,
    over_tcp: bool = False,
) -> AsyncIterator[Front]:
    """`http` goes into the http block, `more` into the portal's server block, `acq` are settings of that
    portal. Without a gateway the test runs one as a process."""
    port = free_port()
    url = f"http://acq.localhost:{port}"
    async with (
        recording_portal() as portal,
        open_house(store_url, environment=_environment(port), acq=acq, has_gateway=has_gateway) as house,
    ):
        with Nginx(
            _SERVERS.format(port=port, portal=portal.port, http=http, more=more),
            port=port,
            gateway=house.ports["gateway"] if over_tcp else house.socket,
            folder=house.folder,
        ) as nginx:
            yield Front(house=house, nginx=nginx, portal=portal, url=url)


@asynccontextmanager
async def passed_on_by_nginx(
    store_url: str, *, has_gateway: bool = True, over_tcp: bool = False
) -> AsyncIterator[Front]:
    """nginx as a plain reverse proxy, with the shipped file: the gateway forwards to the portal."""
    port = free_port()
    url = f"http://acq.localhost:{port}"
    async with (
        recording_portal() as portal,
        open_house(
            store_url,
            environment=_environment(port),
            acq={"upstream": f"http://127.0.0.1:{portal.port}"},
            has_gateway=has_gateway,
            sections={"server": {"subrequests": []}},
        ) as house,
    ):
        gateway = house.ports["gateway"] if over_tcp else house.socket
        with Nginx(
            _reverse_proxy(port=port, gateway=gateway), port=port, gateway=gateway, folder=house.folder
        ) as nginx:
            yield Front(house=house, nginx=nginx, portal=portal, url=url)


def _environment(port: int) -> dict[str, str]:
    return {
        "AUTHPROXY__PORTALS__ACQ__URL": f"http://acq.localhost:{port}",
        "AUTHPROXY__PORTALS__B2B__URL": f"http://b2b.localhost:{port}",
    }


def _reverse_proxy(*, port: int, gateway: Path | int) -> str:
    """The file, at a port of the test and without TLS."""
    text = (SHIPPED / "reverse-proxy.example.conf").read_text()
    changes = (
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        (r"\n *ssl_certificate\S* .*;", ""),
        (r"server_name .*;", "server_name acq.localhost b2b.localhost; access_log access.log;"),
        (r"unix:/run/authproxy/edge\.sock", server_of(gateway)),
    )
    for pattern, instead in changes:
        text, count = re.subn(pattern, instead, text)
        assert count, pattern
    return text
