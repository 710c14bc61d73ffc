"""nginx with the shipped snippets before a portal that lets programs in: the gateway gets the credential, the
portal does not, and nobody but a program changes what `Authorization` means."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio

from authproxy.bootstrap.machine_keys import add_machine_key, revoke_machine_key
from authproxy.identity.machine_client import key_id_of
from tests.support.gateway import Person
from tests.support.nginx_house import Front, behind_nginx, status_of
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.needs("nginx", "redis-server"),
    pytest.mark.asyncio(loop_scope="module"),
]
ROUTES = [
    {"path": "/uvoz", "level": "30", "machines": {"keys": True}},
    {"path": "/odprto", "access": "public"},
]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(redis_server: RedisServer) -> AsyncIterator[Front]:
    async with behind_nginx(redis_server.socket_url, acq={"routes": ROUTES}) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ana(front: Front) -> Person:
    return await front.signed_in()


async def key_of(front: Front, *, scopes: tuple[str, ...] = ()) -> str:
    issued = await add_machine_key(
        front.house.settings,
        "batch",
        portals=["acq"],
        scopes=scopes,
        networks=[],
        ends_at=front.house.clock() + timedelta(days=1),
    )
    return issued.text


def problem(answer: bytes) -> tuple[int, str, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    assert b"Set-Cookie" not in head
    assert b"Location" not in head
    return status_of(answer), json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["reason"], head


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_portal_learns_of_the_program_and_gets_nothing_of_its_key(
    front: Front, scheme: str
) -> None:
    key = await key_of(front)
    forged = ["X-Auth-Subject: ana", "X-Auth-Level: 30", "X-Authproxy-Used: nothing"]

    assert status_of(await front.raw_get("/uvoz/1", f"Authorization: {scheme} {key}", *forged)) == 200

    received = front.portal.last
    assert [received.all(f"X-Auth-{name}") for name in ("Subject", "Method", "Level")] == [
        ["batch"],
        ["machine"],
        ["0"],
    ]
    assert received.all("X-Auth-Name") == received.all("X-Auth-Tax-Number") == ["-"]
    assert received.all("X-Auth-Assertion")[0].count(".") == 2
    assert received.all("Authorization") == []
    assert key.encode() not in bytes(str(received), "latin-1")


async def test_two_fields_are_never_read_in_two_ways(front: Front) -> None:
    """Where nginx passes a question, the portal gets none of them."""
    key = await key_of(front)
    for fields in (
        [f"Authorization: Bearer {key}", "Authorization: Basic YTpi"],
        [f"Authorization: Bearer {key}", f"Authorization: Bearer {key}"],
        ["Authorization: Basic YTpi", f"Authorization: Bearer {key}"],
    ):
        before = len(front.portal.received)
        answer = await front.raw_get("/uvoz/2", *fields)
        if status_of(answer) == 200:
            assert front.portal.last.all("Authorization") == []
        else:
            assert len(front.portal.received) == before
            assert status_of(answer) in {400, 401}


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
async def test_a_wrong_key_is_a_problem_with_a_challenge_for_every_reader(front: Front, accept: str) -> None:
    key = await key_of(front)
    wrong = key[:-2] + ("00" if not key.endswith("00") else "11")
    status, reason, head = problem(
        await front.raw_get("/uvoz", f"Authorization: Bearer {wrong}", f"Accept: {accept}")
    )
    assert (status, reason) == (401, "machine_token_invalid")
    assert b'Bearer realm="acq", error="invalid_token"' in head
    status, reason, head = problem(
        await front.raw_get("/drugje", f"Authorization: Bearer {key}", f"Accept: {accept}")
    )
    assert (status, reason) == (403, "machine_not_allowed_here")
    assert b'error="insufficient_scope"' in head


async def test_a_revoked_key_opens_nothing_any_more(front: Front) -> None:
    key = await key_of(front)
    assert status_of(await front.raw_get("/uvoz", f"Authorization: Bearer {key}")) == 200
    await revoke_machine_key(front.house.settings, key_id_of(key) or "")

    async def is_refused() -> bool:
        return status_of(await front.raw_get("/uvoz", f"Authorization: Bearer {key}")) == 401

    await front.house.at_once(is_refused)


@pytest.mark.parametrize(
    "value", ["Basic YTpi", "Negotiate YII=", "Bearer of.the.portal", "Digest x", "Bearer a b"]
)
async def test_what_a_person_sends_to_the_portal_arrives_as_it_was(
    front: Front, ana: Person, value: str
) -> None:
    answer = await front.raw_get("/drugje", f"Authorization: {value}", cookie=front.cookie(ana))
    assert status_of(answer) == 200
    assert front.portal.last.all("Authorization") == [value]
    assert front.portal.last.all("X-Auth-Method") == ["rekono"]


async def test_no_portal_gets_a_key_with_which_nobody_came_in(front: Front, ana: Person) -> None:
    key = await key_of(front)
    for path, cookie in (("/odprto", ""), ("/odprto", front.cookie(ana)), ("/drugje", front.cookie(ana))):
        answer = await front.raw_get(path, f"Authorization: Bearer {key}", cookie=cookie)
        assert status_of(answer) == 200
        assert front.portal.last.target == path
        assert front.portal.last.all("Authorization") == []


async def test_a_person_who_also_shows_a_key_is_refused(front: Front, ana: Person) -> None:
    key = await key_of(front)
    answer = await front.raw_get("/uvoz", f"Authorization: Bearer {key}", cookie=front.cookie(ana))
    status, reason, head = problem(answer)
    assert (status, reason) == (401, "machine_token_invalid")
    assert b'error="invalid_request"' in head


@pytest.mark.parametrize("value", ["Bearer \x01", "Bearer \xe9", "Bearer " + "x" * 3000, "Bearer\ta"])
async def test_a_credential_that_cannot_be_read_makes_no_question_unreadable(
    front: Front, ana: Person, value: str
) -> None:
    answer = await front.raw_get("/drugje", f"Authorization: {value}", cookie=front.cookie(ana))
    assert status_of(answer) in {200, 400}
    assert status_of(await front.raw_get("/uvoz", f"Authorization: {value}")) in {400, 401}
