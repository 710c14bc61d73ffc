"""Outbox, phone, portals, start page and store of the sandbox, each as a real server that is spoken to from
outside."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
import redis.asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from authproxy.sandbox.accounts import PASSWORD, people
from authproxy.sandbox.outbox.application import application as outbox_application
from authproxy.sandbox.portals.application import application as portal_application
from authproxy.sandbox.portals.catalogue import portal as described
from authproxy.sandbox.serving import bound, port_of
from authproxy.sandbox.start_page.application import ListedAddress
from authproxy.sandbox.start_page.application import application as start_application
from authproxy.sandbox.store import bundled_server, embedded_store
from tests.support.vouching_gateway import ISSUER, NOW, VouchingGateway
from tests.support.waiting import PATIENCE, until


def clock() -> datetime:
    return NOW


# Outbox


@pytest.fixture
async def outbox(aiohttp_client):
    return await aiohttp_client(outbox_application(clock=clock))


async def test_messages_are_listed_newest_first_and_by_recipient(outbox):
    for text in ("prvo", "drugo"):
        async with outbox.post(
            "/api/sms", json={"to": "+38640123456", "from": "Rekono", "text": text}
        ) as response:
            assert response.status == 202
    async with outbox.post(
        "/api/mail",
        json={"to": "Ana@example.si", "from": "x@example.si", "subject": "Zadeva", "text": "tretje"},
    ) as response:
        identifier = (await response.json())["id"]
    async with outbox.get("/api/messages") as response:
        everything = await response.json()
    assert [message["text"] for message in everything] == ["tretje", "drugo", "prvo"]
    assert everything[0] == {
        "id": identifier,
        "kind": "mail",
        "to": "Ana@example.si",
        "from": "x@example.si",
        "subject": "Zadeva",
        "text": "tretje",
        "at": NOW.isoformat(),
    }
    for query in ("?to=%2B38640123456", "?to=+38640123456"):  # scripts forget that + is a blank in a query
        async with outbox.get(f"/api/messages{query}") as response:
            assert [message["text"] for message in await response.json()] == ["drugo", "prvo"]
    async with outbox.get("/api/messages?to=ana@example.si") as response:
        assert len(await response.json()) == 1


async def test_deleting_forgets_every_message(outbox):
    await outbox.post("/api/sms", json={"to": "+38640123456", "from": "Rekono", "text": "x"})
    async with outbox.delete("/api/messages") as response:
        assert response.status == 204
    async with outbox.get("/api/messages") as response:
        assert await response.json() == []


@pytest.mark.parametrize(
    ("path", "change", "member"),
    [
        ("sms", {"to": "040123456"}, "to"),
        ("sms", {"to": 5}, "to"),
        ("sms", {"text": ""}, "text"),
        ("sms", {"text": "x" * 10_001}, "text"),
        ("sms", {"from": None}, "from"),
        ("mail", {"to": "nobody"}, "to"),
    ],
)
async def test_what_is_no_message_is_refused_with_the_member_that_is_wrong(outbox, path, change, member):
    async with outbox.post(
        f"/api/{path}", json={"to": "+38640123456", "from": "R", "text": "x"} | change
    ) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid", "member": member})


async def test_the_outbox_page_escapes_what_arrived(outbox):
    await outbox.post(
        "/api/sms", json={"to": "+38640123456", "from": "<b>", "text": "<script>alert(1)</script>"}
    )
    async with outbox.get("/") as response:
        page = await response.text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


# Portals


@pytest.fixture
async def gateway() -> VouchingGateway:
    return VouchingGateway()


@pytest.fixture
async def jwks_url(aiohttp_server, gateway: VouchingGateway) -> str:
    application = web.Application()
    application.router.add_get("/.authproxy/jwks.json", gateway.key_set)
    return str((await aiohttp_server(application)).make_url("/.authproxy/jwks.json"))


@pytest.fixture
async def portal(aiohttp_client, jwks_url: str):
    now = SimpleNamespace(at=NOW)
    made = portal_application(portal=described("acq"), jwks_url=jwks_url, issuer=ISSUER, clock=lambda: now.at)
    return SimpleNamespace(http=await aiohttp_client(made), now=now)


async def status_with(portal, assertion: str | None, path: str = "/") -> int:
    async with portal.http.get(
        path, headers={"X-Auth-Assertion": assertion} if assertion is not None else {}
    ) as response:
        await response.read()
        return response.status


async def test_a_portal_greets_whom_the_gateway_vouches_for_and_masks_the_tax_number(portal, gateway):
    async with portal.http.get("/", headers={"X-Auth-Assertion": gateway.assertion()}) as response:
        page = await response.text()
    assert response.status == 200
    assert "Ana Žnidaršič" in page
    assert "*****008" in page
    assert "99990008" not in page
    assert 'href="/.authproxy/logout"' in page


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/transakcije",
        "/izpis/2026/11",
        "/vnos",
        "/api/jaz",
        "/prenos?bytes=1",
        "/dogodki",
        "/ws",
        "/piskotek",
        "/no-such-page",
    ],
)
async def test_a_portal_shows_nothing_without_an_assertion(portal, path):
    assert await status_with(portal, None, path) == 403


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "b2b"},
        {"aud": ["b2b", "acq2"]},
        {"aud": None},
        {"iss": "http://elsewhere"},
        {"exp": int(NOW.timestamp()) - 5},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(NOW.timestamp()) + 6},
        {"sub": None},
    ],
)
async def test_a_portal_refuses_an_assertion_for_somebody_else_or_another_time(portal, gateway, changed):
    good = gateway.assertion()
    assert await status_with(portal, good) == 200
    assert (
        await status_with(
            portal,
            gateway.assertion(**changed) if changed.get("exp") != "soon" else _raw(gateway, exp="soon"),
        )
        == 403
    )


def _raw(gateway: VouchingGateway, **changed: object) -> str:
    """An assertion whose claims PyJWT would refuse to write."""
    claims = jwt.decode(gateway.assertion(), options={"verify_signature": False}) | changed
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), gateway.key, algorithm="ES256", headers={"kid": gateway.key_id}
    )


async def test_a_portal_refuses_forgeries(portal, gateway):
    claims = jwt.decode(gateway.assertion(), options={"verify_signature": False})
    header, body, signature = gateway.assertion().split(".")
    stranger = ec.generate_private_key(ec.SECP256R1())
    for forged in (
        gateway.assertion(key=stranger),
        jwt.encode(claims, "", algorithm="none", headers={"kid": "one"}),
        jwt.encode(claims, "s" * 32, algorithm="HS256", headers={"kid": "one"}),
        f"{header}.{body}.",
        f"{header}.{body[:-2]}AA.{signature}",
        "not.a.jwt",
        "",
    ):
        assert await status_with(portal, forged) == 403


async def test_a_new_key_of_the_gateway_is_fetched_but_not_at_every_unknown_name(portal, gateway):
    assert await status_with(portal, gateway.assertion()) == 200
    gateway.rotate("two")
    assert await status_with(portal, gateway.assertion()) == 403
    assert gateway.asked == 1
    portal.now.at += timedelta(seconds=10)
    assert await status_with(portal, gateway.assertion()) == 200
    assert await status_with(portal, gateway.assertion()) == 200
    assert gateway.asked == 2


async def test_a_portal_that_cannot_fetch_keys_says_so_instead_of_blaming_the_user(portal, gateway):
    gateway.up = False
    assert await status_with(portal, gateway.assertion()) == 503
    gateway.up = True
    assert await status_with(portal, gateway.assertion()) == 200


async def test_received_shows_every_header_and_the_verdict(portal, gateway):
    headers = [("X-Auth-Assertion", gateway.assertion()), ("X-Twice", "1"), ("X-Twice", "2")]
    async with portal.http.get("/api/received?a=1&a=%20", headers=headers) as response:
        received = await response.json()
    assert (received["portal"], received["method"], received["path"], received["query"]) == (
        "acq",
        "GET",
        "/api/received",
        "a=1&a=%20",
    )
    assert [value for name, value in received["headers"] if name == "X-Twice"] == ["1", "2"]
    assert received["assertion"]["valid"] is True
    assert received["assertion"]["claims"]["level"] == 20
    async with portal.http.get("/api/received") as response:
        assert (await response.json())["assertion"] == {"valid": False, "why": "there is no assertion"}


async def test_filters_deep_links_forms_and_cookies_work(portal, gateway):
    headers = {"X-Auth-Assertion": gateway.assertion()}
    async with portal.http.get("/transakcije?kraj=mar&stanje=poravnano", headers=headers) as response:
        page = await response.text()
    assert "<td>Maribor</td>" in page
    assert "<td>Celje</td>" not in page
    assert await status_with(portal, gateway.assertion(), "/izpis/2026/11") == 200
    assert await status_with(portal, gateway.assertion(), "/izpis/2026/13") == 404
    async with portal.http.post(
        "/vnos", data={"naziv": "<img src=x onerror=alert(1)>"}, headers=headers
    ) as response:
        page = await response.text()
    assert "&lt;img src=x" in page
    assert "<img" not in page
    for visits in ("1", "2"):
        async with portal.http.get(
            "/piskotek", headers=headers, cookies={"acq_obiski": "1"} if visits == "2" else {}
        ) as response:
            assert f'id="visits">{visits}<' in await response.text()


async def test_a_table_is_downloaded_as_it_is_filtered_and_a_row_has_a_page(portal, gateway):
    headers = {"X-Auth-Assertion": gateway.assertion(), "Accept-Language": "en"}
    async with portal.http.get("/trgovci.csv?kraj=mari", headers=headers) as response:
        assert (response.content_type, response.headers["Content-Disposition"]) == (
            "text/csv",
            'attachment; filename="trgovci.csv"',
        )
        assert (await response.text()).splitlines() == [
            "\ufeffCode;Name;Place;Category (MCC);Terminals;Contract since;State",
            "T-21102;Lekarna Bor;Maribor;5912;6;20. 1. 2020;active",
        ]
    async with portal.http.get("/trgovci/T-21102", headers=headers) as response:
        assert "Lekarna Bor" in await response.text()
    assert await status_with(portal, gateway.assertion(), "/trgovci/T-00000") == 404


async def test_a_form_says_what_is_wrong_and_leads_to_a_receipt_for_its_author_only(portal, gateway):
    headers = {"X-Auth-Assertion": gateway.assertion(), "Accept-Language": "sl"}
    async with portal.http.post(
        "/reklamacija", data={"transakcija": "0", "razlog": "drugo", "opis": "<b>"}, headers=headers
    ) as response:
        page = await response.text()
    assert response.status == 422
    assert "Te številke ne poznamo." in page
    assert "&lt;b&gt;" in page
    async with portal.http.post(
        "/reklamacija",
        data={"transakcija": "2026-00007", "razlog": "drugo", "opis": "č š ž"},
        headers=headers,
        allow_redirects=False,
    ) as response:
        assert (response.status, response.headers["Location"]) == (303, "/reklamacija/REK-00001")
    async with portal.http.get("/reklamacija/REK-00001", headers=headers) as response:
        assert "č š ž" in await response.text()
    assert await status_with(portal, gateway.assertion(sub="somebody else"), "/reklamacija/REK-00001") == 404


async def test_what_arrived_is_shown_without_what_opens_something(portal, gateway):
    headers = {
        "X-Auth-Assertion": gateway.assertion(),
        "Authorization": "Basic c2VjcmV0",
        "Cookie": "JSESSIONID=secret-cookie",
    }
    async with portal.http.get("/prejeto", headers=headers) as response:
        page = await response.text()
    assert "Ana Žnidaršič" in page
    for secret in (headers["X-Auth-Assertion"], "c2VjcmV0", "secret-cookie"):
        assert secret not in page


async def test_downloads_and_uploads_of_any_size_stream(portal, gateway):
    headers = {"X-Auth-Assertion": gateway.assertion()}
    async with portal.http.get("/prenos?bytes=200001", headers=headers) as response:
        assert response.content_length == len(await response.read()) == 200_001

    async def pieces():
        for _ in range(64):
            yield b"x" * 65536

    async with portal.http.post("/nalaganje", data=pieces(), headers=headers) as response:
        assert await response.json() == {"bytes": 4 * 1024 * 1024}
    assert await status_with(portal, gateway.assertion(), "/prenos?bytes=-1") == 400


async def test_events_arrive_one_by_one_and_a_websocket_echoes(portal, gateway):
    headers = {"X-Auth-Assertion": gateway.assertion()}
    async with portal.http.get("/dogodki?stevilo=3&premor_ms=1", headers=headers) as response:
        assert response.content_type == "text/event-stream"
        assert (await response.text()).count("data: ") == 3
    async with portal.http.ws_connect("/ws", headers=headers) as socket:
        await socket.send_str("živjo")
        assert await socket.receive_str() == "živjo"
        await socket.send_bytes(b"\0\1")
        assert await socket.receive_bytes() == b"\0\1"


async def test_a_slow_event_stream_does_not_keep_others_waiting(portal, gateway):
    headers = {"X-Auth-Assertion": gateway.assertion()}
    async with portal.http.get("/dogodki?stevilo=1000&premor_ms=10000", headers=headers) as stream:
        assert await stream.content.readline() == b"id: 1\n"
        async with asyncio.timeout(PATIENCE):
            assert await status_with(portal, gateway.assertion()) == 200


async def test_each_portal_believes_only_assertions_for_itself(aiohttp_client, jwks_url, gateway):
    made = portal_application(portal=described("b2b"), jwks_url=jwks_url, issuer=ISSUER, clock=clock)
    session = await aiohttp_client(made)
    for audience, status in (("acq", 403), ("b2b", 200)):
        headers = {"X-Auth-Assertion": gateway.assertion(aud=audience)}
        async with session.get("/", headers=headers) as response:
            assert response.status == status


# Start page


async def test_the_start_page_names_addresses_people_and_passwords(aiohttp_client):
    addresses = (
        ListedAddress(kind="outbox", url="http://localhost:8083/"),
        ListedAddress(
            kind="portal",
            url="http://acq.localhost:8080/",
            label="Acquiring portal",
            purpose=("Kartična plačila", "Card payments"),
        ),
        ListedAddress(
            kind="portal",
            url="http://ecmsweb.localhost:8080/",
            label="CMS web",
            users=(("referent", "Geslo-1"),),
        ),
        ListedAddress(kind="portal_itself", url="http://127.0.0.1:8101/", label="acq"),
    )
    made = start_application(
        addresses=addresses,
        accounts=people(secrets.token_bytes),
        password=PASSWORD,
        store=("redis-server, zagnan", "redis-server, started"),
    )
    async with (await aiohttp_client(made)).get("/") as response:
        page = await response.text()
    assert page.index("http://acq.localhost:8080/") < page.index("http://localhost:8083/")
    for text in (
        "ana.novak@example.si",
        "99990008",
        "je nima",
        PASSWORD,
        "redis-server",
        "Kartična plačila",
        "referent",
        "Geslo-1",
        "http://127.0.0.1:8101/",
    ):
        assert text in page


async def test_the_start_page_tells_what_answers_at_this_moment(aiohttp_client):
    with bound() as listening, bound() as silent:
        listening.listen()
        addresses = (
            ListedAddress(kind="portal", url=f"http://acq.localhost:{port_of(listening)}/"),
            ListedAddress(kind="mail", url=f"smtp://localhost:{port_of(silent)}"),
        )
        made = start_application(
            addresses=addresses, accounts=people(secrets.token_bytes), password=PASSWORD, store=("", "")
        )
        session = await aiohttp_client(made)
        async with session.get("/", headers={"Accept-Language": "en"}) as response:
            page = await response.text()
    assert page.index("answers") < page.index("does not answer")
    assert (page.count('class="state up"'), page.count('class="state down"')) == (1, 1)


# Serving


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open():
    listener = bound()
    with listener, pytest.raises(OSError, match="in use"):
        listener.listen()
        bound(port_of(listener))


async def test_every_counterpart_lists_its_interface_and_explains_what_it_does_not_have(outbox, portal):
    for session, path in ((outbox, "/api/"), (portal.http, "/api/")):
        async with session.get(path) as response:
            assert len(await response.json()) > 3
    async with outbox.get("/api/nothing") as response:
        assert (response.status, await response.json()) == (404, {"error": "Not Found"})
    async with outbox.get("/nothing", headers={"Accept-Language": "en"}) as response:
        assert response.status == 404
        assert "The page cannot be found" in await response.text()
    async with outbox.get("/style.css") as response:
        assert response.content_type == "text/css"


# Store


async def answers(url: str) -> bool:
    client = redis.asyncio.from_url(url)
    try:
        await client.set("a", "b")
        return await client.getdel("a") == b"b"
    finally:
        await client.aclose()


async def test_a_configured_store_is_taken_as_it_is():
    async with embedded_store("redis://store.example.si:6379/0", search_path="") as (url, _):
        assert url == "redis://store.example.si:6379/0"


async def test_a_server_on_the_path_is_started_privately_and_stopped(tmp_path: Path):
    (tmp_path / "valkey-server").symlink_to(bundled_server())
    async with embedded_store(None, search_path=str(tmp_path)) as (url, what):
        assert await answers(url)
        assert all(line.startswith("valkey-server") for line in what)
        address = Path(url.removeprefix("unix://").partition("?")[0])
        assert address.parent.stat().st_mode & 0o077 == 0
    assert not address.parent.exists()


async def test_redis_comes_before_valkey_and_both_before_the_wheel(tmp_path: Path):
    (tmp_path / "redis-server").symlink_to(bundled_server())
    (tmp_path / "valkey-server").symlink_to("/nonexistent")
    async with embedded_store(None, search_path=str(tmp_path)) as (url, what):
        assert all(line.startswith("redis-server") for line in what)
        assert await answers(url)


async def test_the_bundled_server_stands_in_where_the_path_has_none_that_works(tmp_path: Path):
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    async with embedded_store(None, search_path=str(tmp_path)) as (url, what):
        assert url.startswith("unix://")
        assert all(line.startswith("valkey-server") for line in what)
        assert await answers(url)


async def test_without_any_server_the_store_is_in_process_and_says_so():
    async with embedded_store(None, search_path="", bundled=Path("/nonexistent")) as (url, what):
        assert url == "memory://"
        assert [line.partition(":")[0] for line in what] == ["OPOZORILO", "WARNING"]


CHILD = """
import asyncio, signal, sys
from authproxy.sandbox.store import embedded_store
async def main():
    async with embedded_store(None) as (url, what):
        print(url, flush=True)
        await asyncio.Event().wait()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it runs in the background with SIGINT ignored
try:
    {runner}(main())
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("runner", ["asyncio.run", "__import__('uvloop').run"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_the_server_dies_with_us_however_we_die(how: signal.Signals, runner: str):
    with tempfile.TemporaryDirectory() as folder:  # nobody tidies up after SIGKILL
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CHILD.format(runner=runner),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": folder},
            preexec_fn=_ignores_interrupts,
        )
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().strip().removeprefix("unix://").partition("?")[0]
        assert Path(address).exists()
        process.send_signal(how)
        await process.wait()
        await until(lambda: _has_gone(address))
        assert how == signal.SIGKILL or not Path(address).parent.exists()


def _ignores_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def _has_gone(address: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(address)
    except OSError:
        return True
    writer.close()
    await writer.wait_closed()
    return False
