"""What every store of logout tokens promises, in Redis and in memory."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest

from authproxy.storage.memory import MemoryLogoutTokens
from authproxy.storage.redis.logout_tokens import RedisLogoutTokens
from tests.contracts.conftest import STORES
from tests.support.session_builders import ISSUER, NOW

IN_A_MINUTE = NOW + timedelta(minutes=1)


@pytest.fixture(params=STORES)
def tokens(request):
    return (
        MemoryLogoutTokens()
        if request.param == "memory"
        else RedisLogoutTokens(request.getfixturevalue(request.param))
    )


@pytest.fixture
def token_id():
    return secrets.token_urlsafe(8)


async def test_a_token_is_had_once(tokens, token_id):
    assert await tokens.take(ISSUER, token_id, now=NOW) is True
    assert await tokens.take(ISSUER, token_id, now=NOW) is False


async def test_of_many_takers_at_once_one_has_the_token(tokens, token_id):
    assert sum(await asyncio.gather(*(tokens.take(ISSUER, token_id, now=NOW) for _ in range(50)))) == 1


async def test_a_kept_token_is_never_had_again(tokens, token_id):
    await tokens.take(ISSUER, token_id, now=NOW)
    await tokens.keep(ISSUER, token_id, until=IN_A_MINUTE, now=NOW)
    assert await tokens.take(ISSUER, token_id, now=NOW + timedelta(seconds=59)) is False


async def test_a_token_that_is_nearly_over_is_kept_without_complaint(tokens, token_id):
    await tokens.take(ISSUER, token_id, now=NOW)
    await tokens.keep(ISSUER, token_id, until=NOW, now=NOW)
    assert await tokens.take(ISSUER, token_id, now=NOW) is False


async def test_the_same_name_at_another_issuer_is_another_token(tokens, token_id):
    await tokens.take(ISSUER, token_id, now=NOW)
    assert await tokens.take("https://other.example/", token_id, now=NOW) is True
