"""`/healthz`, `/readyz` and `/metrics` for supervisors and monitoring, on a listener of their own and never
at a portal's host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import hdrs, web

from authproxy.access.unavailable import CannotAsk
from authproxy.telemetry.logging import logger
from authproxy.web.middlewares import securing

_LIMIT = 1.0
"""Seconds that one check may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of a check. `detail` is for operators and holds no secret."""

    status: Literal["ok", "warning", "failed"]
    detail: str = ""


WARNING_ONLY = frozenset({"provider", "revocation", "sms", "onepass"})
Checks = Mapping[str, Callable[[], Awaitable[Check]]]


def management(
    *,
    checks: Checks,
    is_draining: Callable[[], bool],
    exposition: Callable[[str], tuple[bytes, str]],
    warning_only: frozenset[str] = WARNING_ONLY,
) -> web.Application:
    """The application. A check that fails, raises or takes more than a second makes the gateway unready.

    A check in `warning_only` only warns: without the provider, revocation or a gateway for text messages some
    people cannot sign in or step up, but everybody who is signed in is served.
    """

    async def healthz(_request: web.Request) -> web.StreamResponse:
        return _json({"status": "ok"}, 200)

    async def readyz(_request: web.Request) -> web.StreamResponse:
        results = await checked(checks, warning_only)
        if is_draining():
            results["draining"] = Check(
                status="failed", detail="ending: running requests are finished, new ones belong elsewhere"
            )
        return readiness(results)

    async def metrics(request: web.Request) -> web.StreamResponse:
        text, media_type = exposition(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: media_type})

    built = web.Application()
    built.on_response_prepare.append(securing(None))
    built.router.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return built


async def checked(checks: Checks, warning_only: frozenset[str]) -> dict[str, Check]:
    """The results of all checks, each within a second."""
    results = await asyncio.gather(
        *(_checked(name, check, is_hard=name not in warning_only) for name, check in checks.items())
    )
    return dict(zip(checks, results, strict=True))


def readiness(results: Mapping[str, Check]) -> web.Response:
    """The answer of `/readyz`: 503 if a check has failed."""
    worst = max(
        (result.status for result in results.values()),
        key=("ok", "warning", "failed").index,
        default="ok",
    )
    described = {name: {"status": result.status, "detail": result.detail} for name, result in results.items()}
    return _json({"status": worst, "checks": described}, 503 if worst == "failed" else 200)


async def _checked(name: str, check: Callable[[], Awaitable[Check]], *, is_hard: bool) -> Check:
    try:
        async with asyncio.timeout(_LIMIT):
            result = await check()
    except TimeoutError:
        result = Check(status="failed", detail=f"no answer within {_LIMIT:g} s")
    except CannotAsk as unavailable:
        result = Check(status="failed", detail=str(unavailable))
    except Exception as failure:  # noqa: BLE001  (a broken check is a failed check)
        logger("management").warning("check.failed", check=name, error=type(failure).__name__)
        result = Check(status="failed", detail=type(failure).__name__)
    return result if is_hard or result.status != "failed" else Check(status="warning", detail=result.detail)


def _json(members: Mapping[str, object], status: int) -> web.Response:
    return web.Response(
        text=json.dumps(members) + "\n", status=status, content_type="application/json", charset="utf-8"
    )
