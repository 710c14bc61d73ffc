"""What the command line asks of a store while a gateway runs elsewhere."""

from __future__ import annotations

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.stores import stores
from authproxy.identity.session import SessionId, SessionSummary
from authproxy.settings.schema import Settings


async def list_sessions(settings: Settings) -> list[SessionSummary]:
    """Every live session, the newest first. Raises CannotAsk."""
    async with stores(settings) as opened:
        found = [summary async for summary in opened.sessions.all_summaries(now=utc_now())]
    return sorted(found, key=lambda summary: summary.started_at, reverse=True)


async def revoke_sessions(
    settings: Settings, *, session_id: str | None = None, issuer: str | None = None, subject: str | None = None
) -> int:
    """Ends one session, or all of a person; how many there were. Raises CannotAsk."""
    async with stores(settings) as opened:
        if session_id is not None:
            return int(await opened.sessions.revoke(SessionId(session_id)))
        return await opened.sessions.revoke_subject(issuer or settings.rekono.issuer, subject or "")


