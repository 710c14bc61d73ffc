"""A person who may not see one part of a portal tries every spelling of it, through the reverse proxy and by the
question that nginx asks. A person who may see it follows links that have several readings."""

from __future__ import annotations

import asyncio
import json

import pytest

PROTECTED = [
    "/admin/secret",
    "/%61dmin/secret",
    "/admin%3Bx/secret",
    "/admin;x/secret",
    "/;x/admin",
    "/x/..%3B/admin",
    "/x/..%3bv=1/admin/secret",
    "/x/..;/admin",
    "/admin%3Fx=1",
    "/admin%23x",
    "/./admin",
    "//admin",
    "/%2Fadmin",
    "/%252e/admin",
    "/%C0%AE/admin",
]
IN_ANOTHER_CASE = ["/ADMIN/secret", "/Admin;x", "/%41dmin/x", "/ADM%C4%B1N/x"]
ON_WINDOWS = [
    "/..%EF%BC%8Fadmin",
    "/%EF%BC%8Fadmin",
    "/admin./x",
    "/admin%20/x",
    "/admin::$DATA",
    "/admin:$I30:$INDEX_ALLOCATION/x",
    "/ADMIN~1/x",
    "/%EF%BD%81dmin",
    "/(S(x))/admin",
    "/x/..%20/admin",
]
FREE = ["/", "/transakcije", "/transakcije;jsessionid=A1", "/x//y", "/a%20b", "/~ana", "/administer"]

CASES = {
    "exact": (PROTECTED, [*FREE, *IN_ANOTHER_CASE, *ON_WINDOWS]),
    "ignore_case": ([*PROTECTED, *IN_ANOTHER_CASE], [*FREE, *ON_WINDOWS]),
    "windows": ([*PROTECTED, *IN_ANOTHER_CASE, *ON_WINDOWS], [*FREE, "/ADMINI", "/poro%C4%8Dila.2026/x"]),
}
ROUTES = [{"path": "/transakcije", "methods": ["GET"]}, {"path": "/admin", "level": 30}]


async def answered(connection, request: str, cookie: str) -> tuple[int, str]:
    """Status and reason. The request is written as it is: a client would change its path."""
    reader, writer = await connection
    writer.write(
        f"{request}\r\nCookie: {cookie}\r\nAccept: application/json\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    is_problem = b"application/problem+json" in head
    return int(head[9:12]), json.loads(body)["reason"] if is_problem else ""


class Visitor:
    """Somebody with a session who asks in both ways."""

    def __init__(self, house, cookie):
        self.house = house
        self.cookie = cookie
        self.host = f"acq.localhost:{house.ports['gateway']}"

    async def through_the_proxy(self, path):
        connection = asyncio.open_connection("127.0.0.1", self.house.ports["gateway"])
        return await answered(connection, f"GET {path} HTTP/1.1\r\nHost: {self.host}", self.cookie)

    async def through_nginx(self, path):
        connection = asyncio.open_unix_connection(str(self.house.socket))
        request = (
            f"GET /.authproxy/auth/nginx HTTP/1.1\r\nHost: {self.host}\r\n"
            f"X-Original-URL: http://{self.host}{path}\r\nX-Original-Method: GET"
        )
        return await answered(connection, request, self.cookie)


@pytest.mark.parametrize("paths", CASES)
async def test_every_spelling_of_a_protected_path_is_refused_and_other_paths_are_not(houses, paths):
    protected, free = CASES[paths]
    async with houses(acq={"routes": ROUTES, "paths": paths}) as house:
        ana = house.person()
        await ana.signs_in(f"{house.acq}/")
        visitor = Visitor(house, f"__Host-authproxy={ana.ticket(house.acq)}")
        for path in protected:
            status, reason = await visitor.through_the_proxy(path)
            assert (status, reason) in {
                (403, "level_too_low"),
                (403, "target_ambiguous"),
                (400, ""),
            }, path
            status, reason = await visitor.through_nginx(path)
            assert (status, reason) in {
                (403, "level_too_low"),
                (403, "target_ambiguous"),
                (403, "subrequest_unreadable"),
            }, path
        for path in free:
            # Whether the portal has such a page is its own matter.
            assert (await visitor.through_the_proxy(path))[0] in {200, 404}, path
            assert await visitor.through_nginx(path) == (200, ""), path
