"""What carries messages to people: gateways for text messages, the mail server, and the service that notifies
phones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from authproxy.bootstrap import mail, text_messages
from authproxy.bootstrap.background import Background
from authproxy.delivery import onepass
from authproxy.delivery.onepass import OnePassService
from authproxy.delivery.sms_gateways import FallbackSender
from authproxy.delivery.smtp import SmtpSender
from authproxy.dns.resolver import Resolver
from authproxy.settings.onepass import OnePassSettings
from authproxy.settings.step_up import StepUpSettings
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Each is None if the settings leave it out."""

    sms: FallbackSender | None = None
    onepass: OnePassService | None = None
    mail: SmtpSender | None = None

    async def check_mail(self) -> Check:
        return Check(status="ok", detail="none") if self.mail is None else await mail.check(self.mail)

    async def check_sms(self) -> Check:
        return Check(status="ok", detail="none") if self.sms is None else await text_messages.check(self.sms)

    async def check_onepass(self) -> Check:
        if self.onepass is None:
            return Check(status="ok", detail="none")
        health = self.onepass.health
        if not health.failures:
            return Check(status="ok", detail=f"{health.asked} questions")
        return Check(
            status="failed" if health.is_away else "warning",
            detail=f"{health.last_failure} ({health.failures} in a row)",
        )

    def count(self, metrics: Metrics) -> None:
        if self.sms is not None:
            text_messages.count(self.sms, metrics)
        if self.onepass is not None:
            health = self.onepass.health
            metrics.onepass_asked["answered",] = health.asked - health.failed
            metrics.onepass_asked["failed",] = health.failed


async def delivery(
    settings: StepUpSettings,
    *,
    clock: Callable[[], datetime],
    background: Background,
    resources: AsyncExitStack,
    names: Resolver,
) -> Delivery:
    """Raises OSError or ValueError for files and values that cannot be used."""
    sms = settings.sms
    return Delivery(
        sms=None
        if sms is None
        else await text_messages.sms_sender(
            sms, clock=clock, background=background, resources=resources, names=names
        ),
        onepass=None
        if settings.onepass is None
        else await _onepass(settings.onepass, clock, resources, names),
        mail=None
        if settings.mail is None
        else mail.mail_sender(settings.mail, clock=clock, resources=resources),
    )


async def _onepass(
    settings: OnePassSettings, clock: Callable[[], datetime], resources: AsyncExitStack, names: Resolver
) -> OnePassService:
    session = await resources.enter_async_context(onepass.client_session(settings.ca_file, names))
    return OnePassService(
        session,
        url=settings.url,
        api_key=settings.api_key.get_secret_value(),
        timeout=settings.timeout,
        clock=clock,
    )
