"""The management listener of a gateway with several workers: `/readyz` says what is wrong in any of them,
and `/metrics` adds up what they have counted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from authproxy.web.management import Check, readiness
from authproxy.web.middlewares import securing

_ORDER: Final = ("ok", "warning", "failed")
Answers = Callable[[], Awaitable[Mapping[str, Mapping[str, Any] | None]]]
"""What `/readyz` of each worker says, by the worker's name; None for one that does not answer."""


def joint_management(
    *,
    answers: Answers,
    own_checks: Callable[[], Mapping[str, Check]],
    exposition: Callable[[str], Awaitable[tuple[bytes, str]]],
) -> web.Application:
    """The application. `own_checks` are about what only the parent process knows."""

    async def healthz(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.StreamResponse:
        return readiness({**joint_checks(await answers()), **own_checks()})

    async def metrics(request: web.Request) -> web.StreamResponse:
        text, media_type = await exposition(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: media_type})

    built = web.Application()
    built.on_response_prepare.append(securing(None))
    built.router.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return built


def joint_checks(answers: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Check]:
    """For each check the worst result, with the names of the workers that have it unless all have. A worker
    that does not answer may still have clients, and has failed."""
    joint: dict[str, Check] = {}
    said: dict[str, dict[str, Check]] = {}
    for worker, answer in answers.items():
        if answer is None:
            joint["workers_answer"] = Check(status="failed", detail=f"{worker} does not answer")
            continue
        for name, check in answer["checks"].items():
            said.setdefault(name, {})[worker] = Check(status=check["status"], detail=check["detail"])
    return {name: _joint(of_workers, len(answers)) for name, of_workers in said.items()} | joint


def _joint(checks: Mapping[str, Check], workers: int) -> Check:
    worst = max(checks.values(), key=lambda check: _ORDER.index(check.status))
    alike = [worker for worker, check in checks.items() if check.status == worst.status]
    if worst.status == "ok" or len(alike) == workers:
        return worst
    return Check(status=worst.status, detail=f"{', '.join(alike)}: {worst.detail}")


def parsed(text: str) -> Mapping[str, Any] | None:
    """The answer of a worker's `/readyz`; None if it is none."""
    try:
        read = json.loads(text)
        return read if isinstance(read["checks"], dict) else None
    except (ValueError, TypeError, KeyError):
        return None
