"""Programs of others at the gateway: access tokens of npm `oidc-provider` by client credentials (RFC 6749 §4.4,
RFC 8707, RFC 9068), and curl as the client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path

import pytest

from tests.conftest import IN_CI
from tests.support.gateway import open_house
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.sandbox import listens
from tests.support.waiting import until

FOREIGN = Path(__file__).parents[1] / "support" / "foreign_provider"
AUDIENCE = "https://portals.example.si"
SECRET = "a secret of a program"
pytestmark = [pytest.mark.needs("node", "redis-server", "curl")]


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


async def curl(*arguments):
    """Status, head and body as curl gets them."""
    process = await asyncio.create_subprocess_exec(
        "curl",
        "--silent",
        "--include",
        "--noproxy",
        "*",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head.decode(), body.decode()


@contextlib.asynccontextmanager
async def issuing(port):
    """The issuer: one program that may have both scopes, and one for other resources."""
    clients = [
        {
            "client_id": name,
            "client_secret": SECRET,
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["client_credentials"],
            "redirect_uris": [],
            "response_types": [],
        }
        for name in ("batch", "reporter")
    ]
    said = {
        "port": port,
        "clients": clients,
        "accounts": {},
        "resource": {"audience": AUDIENCE, "scope": "payments reports"},
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOREIGN / "provider.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_ENV": "test"},
    )

    async def answers():
        assert process.returncode is None, (await process.stderr.read()).decode()
        return listens(port)

    try:
        process.stdin.write(json.dumps(said).encode())
        process.stdin.close()
        await until(answers, within=30)
        yield f"http://localhost:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def house(store):
    if not (FOREIGN / "node_modules" / "oidc-provider").is_dir():
        (pytest.fail if IN_CI else pytest.skip)("needs npm oidc-provider (make setup installs it)")
    store.command("FLUSHALL")
    async with issuing(free_port()) as issuer:
        routes = [
            {"path": "/api/received", "machines": {"tokens": True}},
            {"path": "/uvoz", "machines": {"tokens": True, "scopes": ["payments"]}},
        ]
        section = {"issuer": issuer, "audience": AUDIENCE, "jwks_url": f"{issuer}/jwks"}
        async with open_house(
            store.socket_url, acq={"routes": routes}, sections={"machines": section}
        ) as opened:
            yield opened


async def token_for(house, client, *, scope="payments reports", **more):
    fields = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": SECRET,
        "scope": scope,
    } | more
    form = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
    status, _, body = await curl(*form, f"{house.settings.machines.issuer}/token")
    assert status == 200, body
    return json.loads(body)["access_token"]


async def fetched(house, path, token, *arguments):
    return await curl(
        "--resolve",
        f"acq.localhost:{house.ports['gateway']}:127.0.0.1",
        "--header",
        f"Authorization: Bearer {token}",
        *arguments,
        f"{house.acq}{path}",
    )


async def test_a_program_gets_a_token_there_and_comes_in_here_with_get_and_post(house):
    token = await token_for(house, "batch")
    status, head, body = await fetched(house, "/api/received", token)
    assert (status, "set-cookie" in head.lower()) == (200, False)
    headers = {name.lower(): value for name, value in json.loads(body)["headers"]}
    assert {name: headers[f"x-auth-{name}"] for name in ("subject", "method", "level")} == {
        "subject": "batch",
        "method": "machine",
        "level": "0",
    }
    assert "authorization" not in headers
    posted, _, _ = await fetched(house, "/uvoz", token, "--data-binary", "x" * 100_000)
    assert posted in {404, 405}  # the portal's own answer


async def test_what_it_lacks_is_told_by_rfc_6750(house):
    token = await token_for(house, "reporter", scope="reports")
    status, head, body = await fetched(house, "/uvoz", token)
    assert (status, json.loads(body)["reason"]) == (403, "machine_not_allowed_here")
    assert 'WWW-Authenticate: Bearer realm="acq", error="insufficient_scope", scope="payments"' in head
    header, payload, signature = token.split(".")
    status, head, _ = await fetched(house, "/api/received", f"{header}.{payload}.{signature[::-1]}")
    assert (status, 'error="invalid_token"' in head) == (401, True)


async def test_a_replaced_signing_key_of_the_issuer_is_found(house):
    assert (await fetched(house, "/api/received", await token_for(house, "batch")))[0] == 200
    await curl("--request", "POST", f"{house.settings.machines.issuer}/rotate")
    assert (await fetched(house, "/api/received", await token_for(house, "batch")))[0] == 200


async def test_an_outage_of_the_issuer_lets_nobody_new_in_and_everybody_known_go_on(store):
    port = free_port()
    issuer = f"http://localhost:{port}"
    section = {"issuer": issuer, "audience": AUDIENCE, "jwks_url": f"{issuer}/jwks"}
    routes = [{"path": "/api/received", "machines": {"tokens": True}}]
    store.command("FLUSHALL")
    async with open_house(store.socket_url, acq={"routes": routes}, sections={"machines": section}) as house:
        async with issuing(port):
            first, second = await token_for(house, "batch"), await token_for(house, "reporter")
            house.advance(seconds=6)  # after a failure it is left alone for five seconds
            assert (await fetched(house, "/api/received", first))[0] == 200
        assert (await fetched(house, "/api/received", first))[0] == 200
        assert (await fetched(house, "/api/received", second))[0] == 200  # the keys are known
