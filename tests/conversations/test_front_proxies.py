"""Front proxies of every kind ask a whole gateway, whose own pages are what their clients see."""

from __future__ import annotations

import asyncio
from email.message import Message
from email.parser import BytesParser
from urllib.parse import urlsplit

from tests.support.questions import FORWARDING, question

OTHERS = (*FORWARDING, "envoy")
PAGE = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html", "Accept-Language: en")
ROUTES = [{"path": "/closed", "access": "deny"}, {"path": "/seen", "access": "public"}]
LARGEST = 8 * 1024
"""Bytes of an answer. Some proxies take no more of it."""


async def asked(house, dialect, *fields, cookies="", **about) -> tuple[int, Message, bytes]:
    """The gateway's answer to a front proxy: status, headers and body."""
    lines = (
        (*fields, f"Cookie: {cookies}", "Connection: close") if cookies else (*fields, "Connection: close")
    )
    data = question(dialect, *lines, host=urlsplit(house.acq).netloc, ticket=None, **about)
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(data)
    whole = await reader.read()
    writer.close()
    assert len(whole) < LARGEST
    head, _, body = whole.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    said = BytesParser().parsebytes(headers + b"\r\n\r\n", headersonly=True)
    assert said["Cache-Control"] == "no-store"
    assert said["X-Content-Type-Options"] == "nosniff"
    assert said["Vary"] == "Cookie, Accept, Sec-Fetch-Mode"
    assert said.get_all("Set-Cookie") is None
    return int(line.split()[1]), said, body


async def test_people_behind_a_front_proxy_see_the_pages_of_the_gateway(houses):
    async with houses(acq={"routes": ROUTES}) as house:
        ana = await house.signed_in()
        cookies = ana.browser.cookies.of(house.acq + "/")
        for dialect in OTHERS:
            status, said, _ = await asked(house, dialect, *PAGE, cookies=cookies, target="/api/jaz")
            assert (status, said["X-Auth-Name"]) == (200, "Ana Novak")

            status, said, page = await asked(house, dialect, *PAGE, cookies=cookies, target="/closed")
            assert (status, said.get_content_type()) == (403, "text/html")
            assert b"access_denied_here" in page

            status, said, page = await asked(house, dialect, *PAGE, method="POST", target="/api/jaz")
            assert (status, said["Location"]) == (401, None)
            assert b"What you sent was not passed on." in page

            status, said, page = await asked(house, dialect, *PAGE, target="/api/jaz")
            assert (status, page) == (302, b"")
            assert said["Location"].startswith(f"{house.acq}/.authproxy/login?rt=/api/jaz")


async def test_no_frame_and_no_object_is_shown_a_refusal_by_leave_to_pass(houses):
    async with houses(acq={"routes": ROUTES}) as house:
        ana = await house.signed_in()
        for cookies, target in (("", "/api/jaz"), (ana.browser.cookies.of(house.acq + "/"), "/closed")):
            for dialect in OTHERS:
                for part in ("iframe", "frame", "object", "embed", "OBJECT"):
                    fields = (*(field for field in PAGE if "Dest" not in field), f"Sec-Fetch-Dest: {part}")
                    status, said, page = await asked(house, dialect, *fields, cookies=cookies, target=target)
                    assert status == (403 if cookies else 401)
                    assert "frame-ancestors 'self'" in said["Content-Security-Policy"]
                    assert b'target="_top"' in page or b'target="_blank"' in page
