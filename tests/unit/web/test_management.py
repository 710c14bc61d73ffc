from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import TestClient

from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check, management
from tests.support.log_lines import log_lines


def always(status: str, detail: str = ""):
    async def check() -> Check:
        return Check(status=status, detail=detail)

    return check


async def broken() -> Check:
    raise ConnectionError("redis://user:password@store")


async def silent() -> Check:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
def listening(aiohttp_client):
    async def listens(checks, *, draining: bool = False) -> TestClient:
        exposition = Metrics(version="x").exposition
        return await aiohttp_client(
            management(checks=checks, is_draining=lambda: draining, exposition=exposition)
        )

    return listens


@pytest.fixture
def readiness(listening):
    async def asked(checks, **how) -> tuple[int, dict]:
        async with (await listening(checks, **how)).get("/readyz") as answer:
            return answer.status, await answer.json()

    return asked


async def test_all_is_well(readiness):
    status, body = await readiness({"store": always("ok", "0.4 ms"), "signer": always("ok")})

    assert status == 200
    assert body == {
        "status": "ok",
        "checks": {"store": {"status": "ok", "detail": "0.4 ms"}, "signer": {"status": "ok", "detail": ""}},
    }


@pytest.mark.parametrize("store", [always("failed", "refused"), broken, silent])
async def test_without_the_store_the_gateway_is_not_ready(readiness, store):
    with log_lines() as log:
        status, body = await readiness({"store": store, "provider": always("ok")})

    assert (status, body["status"], body["checks"]["store"]["status"]) == (503, "failed", "failed")
    assert "password" not in str(body) + log.getvalue()


@pytest.mark.parametrize("provider", [always("failed", "503"), always("warning", "slow"), broken])
async def test_without_the_provider_the_signed_in_are_served(readiness, provider):
    with log_lines():
        status, body = await readiness({"store": always("ok"), "provider": provider})

    assert (status, body["status"], body["checks"]["provider"]["status"]) == (200, "warning", "warning")


async def test_a_gateway_that_is_ending_takes_no_new_requests(readiness):
    status, body = await readiness({"store": always("ok")}, draining=True)

    assert (status, body["checks"]["draining"]["status"]) == (503, "failed")


async def test_being_alive_asks_nobody(listening):
    async with (await listening({"store": silent}, draining=True)).get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_metrics_are_prometheus_text(listening):
    async with (await listening({})).get("/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert 'authproxy_fail_open_total{what="certificate"} 0.0' in await answer.text()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_the_listener_shows_no_banner_and_is_not_stored(listening, path):
    async with (await listening({})).get(path) as answer:
        assert "Server" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
