"""What carries messages to people: gateways for text messages, the mail server, and the service that notifies
phones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

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
from authproxy.web.management import Check, Checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Each is None if the settings leave it out."""

    sms: FallbackSender | None = None
    onepass: OnePassService | None = None
    mail: SmtpSender | None = None

    @property
    def checks(self) -> Checks:
        """A readiness check for each one that there is."""
        checks: dict[str, Callable[[], Awaitable[Check]]] = {}
        if self.sms is not None:
            checks["sms"] = partial(text_messages.check, self.sms)
        if self.mail is not None:
            checks["mail"] = partial(mail.check, self.mail)
        if self.onepass is not None:
            checks["onepass"] = partial(_check_onepass, self.onepass)
        return checks

    def release(self) -> None:
        """Gives up what only one gateway can have, because another one follows."""
        if self.sms is not None:
            self.sms.release()

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


async def _check_onepass(service: OnePassService) -> Check:
    health = service.health
    if not health.failures:
        return Check(status="ok", detail=f"{health.asked} questions")
    return Check(
        status="failed" if health.is_away else "warning",
        detail=f"{health.last_failure} ({health.failures} in a row)",
    )
