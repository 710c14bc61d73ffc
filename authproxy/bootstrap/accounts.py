"""Asks the provider again whether accounts still stand (`rekono.recheck_every`)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.bootstrap.stores import Stores
from authproxy.flows.ending.account_watch import AccountWatch
from authproxy.identity.session import Session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.settings.schema import ProviderSettings
from authproxy.telemetry.audit import Audit, Event
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChecks:
    """The watch over accounts, with its audit events, readiness and metrics."""

    watch: AccountWatch
    audit: Audit

    async def look(self, session: Session, now: datetime) -> None:
        """Ends the session if the provider says that its account has been withdrawn."""
        refusal = await self.watch.look(session, now=now)
        if refusal is not None:
            self.audit.record(
                Event.SESSION_REVOKED,
                session=session,
                by="provider",
                reason=Reason.ACCOUNT_WITHDRAWN,
                detail=refusal,
            )

    async def check(self) -> Check:
        """For readiness: whether the provider answers such questions."""
        return Check(
            status="warning" if self.watch.failure else "ok", detail=self.watch.failure or "none unanswered"
        )

    def count(self, metrics: Metrics) -> None:
        metrics.fail_open["session_account",] = self.watch.unknown


def account_checks(
    settings: ProviderSettings, stores: Stores, provider: OpenIdProvider, audit: Audit
) -> AccountChecks | None:
    """None unless `recheck_every` is set."""
    if settings.recheck_every is None:
        return None
    # Longer than one question may take: the next one must not be asked while it is on its way.
    recheck_every = max(settings.recheck_every, 3 * settings.timeout)
    watch = AccountWatch(
        provider=provider,
        grants=stores.grants,
        sessions=stores.sessions,
        recheck_every=recheck_every,
        random_text=secrets.token_urlsafe,
    )
    return AccountChecks(watch=watch, audit=audit)
