"""The whole examination: asks the gateway, tries every attack that it can, and says which it could not."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

from authproxy.access.consent import Consent
from authproxy.doctor import advice, judgement, probes_http2, versions
from authproxy.doctor.examination import Examination, Site
from authproxy.doctor.findings import SUBJECTS, Finding, Verdict, not_tried
from authproxy.doctor.look import Look, NotConsented, look
from authproxy.doctor.probes import PROBES, Need, Probe
from authproxy.doctor.report import Report
from authproxy.doctor.stand_in import StandIn
from authproxy.doctor.wire import Budget, BudgetSpent, Door

MOST_REQUESTS = 300
LONGEST = 60.0
"""Seconds."""
_LACKS: dict[Need, str] = {
    "stand_in": "what reaches the portal is seen with --stand-in only",
    "session": "somebody who is signed in is needed: --session-file",
    "entry": "a session (--session-file) or a path that is open to everybody is needed",
    "tls": "the portal is served without TLS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What an operator has asked for."""

    site: Site
    consent: Consent
    address: str
    port: int
    server_name: str
    context: ssl.SSLContext | None
    http2: ssl.SSLContext | None = None
    """One that offers HTTP/2."""
    stand_in: tuple[str, int] | None = None
    session: str = field(default="", repr=False)
    proxy: str = ""
    proxy_version: str = ""
    only: frozenset[str] = frozenset()
    """Ids of findings; empty for all."""


async def examined(commission: Commission, clock: Callable[[], datetime]) -> Report:
    """Raises NotConsented if the gateway does not prove itself, and OSError if the stand-in cannot listen."""
    loop = asyncio.get_running_loop()
    budget = Budget(requests=MOST_REQUESTS, ends_at=loop.time() + LONGEST)
    door = Door(
        address=commission.address,
        port=commission.port,
        server_name=commission.server_name,
        context=commission.context,
        http2=commission.http2,
        budget=budget,
    )
    seen = await look(door, commission.consent, commission.site.host, clock)
    mark = secrets.token_hex(16)
    async with _stand_in(commission.stand_in, mark) as stand_in:
        on = Examination(
            site=commission.site,
            door=door,
            consent=commission.consent,
            look=seen,
            clock=clock,
            stand_in=stand_in,
            # Never to the portal itself: a GET with a session may do something there.
            session=commission.session if stand_in is not None else "",
            mark=mark,
        )
        await _recognise(on, commission, seen)
        found: dict[str, Finding] = {}
        for probe in PROBES:
            if not commission.only or probe.finding_id in commission.only:
                before = budget.sent
                verdict = await _tried(on, probe)
                found[probe.finding_id] = Finding(
                    finding_id=probe.finding_id,
                    verdict=verdict,
                    advice=advice.of(probe.finding_id, on.proxy)
                    if verdict.colour in {"red", "yellow"}
                    else "",
                    requests=budget.sent - before,
                )
    return Report(
        url=commission.site.origin,
        proxy=on.proxy,
        gateway_version=str(seen.said["version"]),
        requests=budget.sent,
        findings=tuple(found[finding_id] for finding_id in SUBJECTS if finding_id in found),
        strangers=0 if stand_in is None else stand_in.strangers,
        http2_fault=on.http2_fault,
        offers_http3=any("h3" in value for value in seen.answer.all("Alt-Svc")),
    )


@contextlib.asynccontextmanager
async def _stand_in(at: tuple[str, int] | None, mark: str) -> AsyncIterator[StandIn | None]:
    if at is None:
        yield None
        return
    stand_in = StandIn(mark=mark)
    async with stand_in.listening(*at):
        yield stand_in


async def _recognise(on: Examination, commission: Commission, seen: Look) -> None:
    """Which proxy it is: as the operator says, by the way in which it asks, or by its name for itself."""
    program, version = versions.stated(seen.answer.get("Server"))
    trial = await on.send("which proxy asks", "/authproxy-doctor", order="echo")
    by = trial.echo["by"] if trial.echo is not None else ""
    on.asks = by != "proxy"
    on.proxy = commission.proxy or (by if by not in {"", "proxy"} else program)
    on.proxy_version = commission.proxy_version or (version if on.proxy == program else "")
    on.http2_fault = await probes_http2.recognised(on)
    if on.sees_entries:
        path, signed_in = on.entry
        plain = await on.send("an ordinary request", path, signed_in=signed_in)
        if not plain.arrivals:
            on.entry_fault = (
                f"an ordinary request did not reach the stand-in ({plain.status}): is it where the proxy "
                "expects the portal, and does the session open it?"
            )


async def _tried(on: Examination, probe: Probe) -> Verdict:
    has: dict[Need, bool] = {
        "stand_in": on.stand_in is not None,
        "session": bool(on.session),
        "entry": bool(on.session or on.look.open_paths),
        "tls": on.site.is_tls,
    }
    for need in (need for need in _LACKS if need in probe.needs):
        if not has[need]:
            return not_tried(_LACKS[need])
    if on.entry_fault and probe.needs & {"session", "entry"}:
        return not_tried(on.entry_fault)
    on.statuses.clear()
    try:
        return judgement.if_answered(await probe.run(on), on.statuses)
    except BudgetSpent:
        return not_tried(f"the check may send no more than {MOST_REQUESTS} requests in {LONGEST:.0f} s")
    except NotConsented as refused:
        return not_tried(str(refused))
