"""The section `step_up.mail` → the mail server."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from authproxy.delivery.smtp import MailServer, SmtpSender
from authproxy.settings.mail import MailSettings
from authproxy.web.management import Check


def mail_sender(
    settings: MailSettings, *, clock: Callable[[], datetime], resources: AsyncExitStack
) -> SmtpSender:
    """Raises OSError or ValueError for a file that cannot be used."""
    sender = SmtpSender(
        MailServer(
            host=settings.host,
            port=settings.port,
            tls=settings.tls,
            context=None if settings.tls == "none" else ssl.create_default_context(cafile=settings.ca_file),
            user=settings.user,
            password="" if settings.password is None else settings.password.get_secret_value(),
            sender=settings.sender,
            timeout=settings.timeout,
        ),
        clock=clock,
    )
    resources.callback(sender.close)
    return sender


async def check(sender: SmtpSender) -> Check:
    health = sender.health
    if not health.failures:
        return Check(status="ok", detail=f"{health.sent} letters")
    return Check(status="warning", detail=f"{health.last_failure} ({health.failures} in a row)")
