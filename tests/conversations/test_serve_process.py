"""`authproxy serve` as an operator runs it: a process, signals, and what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from urllib.parse import parse_qsl, urlsplit

import pytest
import redis.asyncio

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import BOR, FLOW, TICKET
from tests.support.http_client import Browser
from tests.support.sandbox import served
from tests.support.waiting import until


@pytest.fixture
async def house(houses):
    async with houses(has_gateway=False, environment={"AUTHPROXY__TELEMETRY__LOG_LEVEL": "debug"}) as opened:
        yield opened


@contextlib.asynccontextmanager
async def process_of(house):
    async with served(
        house.settings_file,
        house.folder,
        port=house.ports["gateway"],
        environment={"AUTHPROXY__TELEMETRY__LOG_LEVEL": "debug"},
    ) as running:
        yield running


async def test_sigterm_lets_a_download_finish_and_refuses_new_connections(house):
    size = 32 * 1024 * 1024
    async with process_of(house) as running:
        person = house.person()
        await person.signs_in(house.acq + "/")
        # A window of a few kilobytes: the portal cannot be done before the client reads.
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"], limit=4096)
        writer.write(
            f"GET /prenos?bytes={size} HTTP/1.1\r\nHost: {urlsplit(house.acq).netloc}\r\nCookie: "
            f"{TICKET}={person.ticket(house.acq)}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        running.process.send_signal(signal.SIGTERM)
        await until(lambda: is_refused(house))
        assert await is_draining(house)
        received = 0
        while received < size:
            received += len(await reader.read(65536)) or size * 2
        assert received == size
        writer.close()
        assert await running.ends() == 0
        assert "gateway.stopped" in house.audit


async def is_refused(house):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", house.ports["gateway"])
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def is_draining(house):
    answer = await Browser().fetch(f"{house.management}/readyz")
    return answer.status == 503 and answer.json["checks"]["draining"]["status"] == "failed"


async def test_sighup_goes_on_in_a_new_audit_file(house):
    audit = house.folder / "audit.log"
    async with process_of(house) as running:
        audit.rename(house.folder / "audit.log.1")
        running.process.send_signal(signal.SIGHUP)
        await until(lambda: exists(audit))
        await house.person().signs_in(house.acq + "/")
        assert "session.started" in audit.read_text()
        assert "session.started" not in (house.folder / "audit.log.1").read_text()
        assert audit.stat().st_mode & 0o777 == 0o640


async def exists(path):
    return path.exists()


async def test_settings_that_cannot_be_served_end_the_process_with_all_findings(house):
    file = house.folder / "broken.yaml"
    file.write_text(house.settings_file.read_text().replace("upstream:", "upstrem:"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "authproxy",
        "serve",
        "-c",
        str(file),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.count(b"upstrem") >= 2


async def test_the_code_on_a_refusal_is_found_in_log_and_audit(house):
    async with process_of(house) as running:
        page = await house.person(BOR).signs_in(house.acq + "/")
        code = re.search(r"tax_number_missing-([0-9a-f]+)", page.text)
        assert code is not None
        await until(lambda: has_logged(running, code[1]))
        assert code[1] in house.audit


# Privacy. What the protocol requires and is exempt: `state` and `code` in the address of the callback,
# `state`, `nonce` and the challenge in the authorization request's address; the ID token, in which nothing is
# about the person, in the address of the provider's end of session; the person's name on the pages about
# their own session.


async def conversation(house):
    """Sign-in, a portal page, the session page, scripts, a refusal, a failed callback, sign-out here and
    there."""
    person = house.person()
    browser = person.browser
    callback = await person.goes_to_callback(f"{house.acq}/izpis/2026/11?skrivnost=poizvedba")
    await person.walk(await browser.navigate(callback))
    await browser.navigate(callback)
    await browser.fetch(f"{house.acq}/api/jaz")
    await browser.navigate(f"{house.acq}/.authproxy/session")
    stranger = Browser()
    await stranger.navigate(f"{house.acq}/.authproxy/login")
    await stranger.navigate(callback)
    await stranger.fetch(f"{house.acq}/api/jaz")
    ticket = person.ticket(house.acq)
    confirmation = await browser.navigate(f"{house.acq}/.authproxy/logout")
    held = await dump(house)
    onward = await browser.submit(
        confirmation, next(form for form in confirmation.forms if form.action.startswith(house.acq))
    )
    asked = await browser.follow(onward)
    await browser.follow(
        await browser.submit(
            asked,
            next(form for form in asked.forms if ("approve", "true") in form.buttons),
            {"approve": "true"},
        )
    )
    assert await list_sessions(house.settings) == []
    return browser, ticket, held


async def dump(house):
    """Everything in Redis, keys and values, as text."""
    found = []
    async with redis.asyncio.from_url(house.settings.store.url) as store:
        async for key in store.scan_iter():
            kind = (await store.type(key)).decode()
            read = {
                "string": store.get,
                "hash": store.hgetall,
                "set": store.smembers,
                "zset": lambda key: store.zrange(key, 0, -1, withscores=True),
                "list": lambda key: store.lrange(key, 0, -1),
            }[kind]
            found.append(f"{key!r} {await read(key)!r}")
    return "\n".join(found)


async def test_nothing_of_a_person_or_a_session_is_in_logs_addresses_pages_or_the_store(house):
    async with process_of(house) as running:
        browser, ticket, held = await conversation(house)
        await until(lambda: has_logged(running, "/.authproxy/logout"))
    account = house.person().account
    (redeemed, answered), *_ = house.provider.redeemed
    tokens = json.loads(answered)
    authorize = dict(
        parse_qsl(
            urlsplit(
                next(
                    one.location
                    for one in browser.history
                    if one.is_redirect and "/authorize?" in one.location
                )
            ).query
        )
    )
    code_typed = next(dict(parse_qsl(one.form))["code"] for one in browser.history if "code=" in one.form)
    flow = next(
        value.partition("=")[2].partition(";")[0]
        for one in browser.history
        for value in one.all("set-cookie")
        if value.startswith(FLOW + "=")
    )
    of_session = {"ticket": ticket, "secret of the ticket": ticket.rpartition(".")[2], "flow cookie": flow}
    of_protocol = {
        "code": redeemed["code"],
        "verifier": redeemed["code_verifier"],
        "client secret": house.secret,
        "ID token": tokens["id_token"],
        "access token": tokens["access_token"],
    }
    of_person = {
        "tax number": account.tax_number,
        "phone": account.phone[1:],
        "e-mail": account.email,
        "SMS code": code_typed,
        "surname": account.family_name,
    }
    of_browser = {"state": authorize["state"], "nonce": authorize["nonce"]}
    query = {"query": "poizvedba"}

    printed = running.output + running.errors + house.audit
    assert len(printed.splitlines()) > 15
    assert leaked(of_session | of_protocol | of_person | of_browser | query, printed) == set()
    assert held
    assert leaked(of_session | of_protocol | of_person | of_browser, held) == set()
    addresses = {one.url for one in browser.history} | {
        one.location for one in browser.history if one.is_redirect
    }
    for address in addresses:
        exempt = (
            {"state", "code"}
            if "/callback/rekono?" in address
            else {"state", "nonce"}
            if "/authorize?" in address
            else set()
        )
        exempt |= {"ID token"} if address.startswith(f"{house.issuer}endsession?") else set()
        assert leaked(of_session | of_protocol | of_person | of_browser, address) <= exempt, (
            address.partition("?")[0]
        )
    for one in browser.history:
        if urlsplit(one.url).netloc.startswith("acq.") and "/.authproxy/" in one.url:
            page = urlsplit(one.url).path.rpartition("/")[2]
            # Their own session page tells people who they are.
            exempt = {"session": {"surname", "e-mail"}, "logout": {"surname"}}.get(page, set())
            assert leaked(of_session | of_protocol | of_person | of_browser, one.text) <= exempt, page


def leaked(secrets, text):
    """Names of what stands in the text. Of a token its end is enough: all of them begin alike."""
    return {name for name, secret in secrets.items() if secret[-40:] in text}


async def has_logged(running, text):
    return text in running.output
