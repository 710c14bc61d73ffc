"""The section `step_up.sms` → the gateways for text messages, asked in the order of the settings."""

from __future__ import annotations

import base64
import secrets
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from authproxy.bootstrap.background import Background
from authproxy.delivery import http_sms
from authproxy.delivery.agreement import Agreement, DeliveryReports, Signature, Success
from authproxy.delivery.http_sms import HttpSmsGateway
from authproxy.delivery.smpp import MessageCentre, SmppSmsGateway
from authproxy.delivery.sms_gateways import FallbackSender, GatewayRest, SmsGateway
from authproxy.delivery.template import Template
from authproxy.dns.resolver import Resolver
from authproxy.settings.sms import HttpSmsSettings, SmppSettings, SmsSettings
from authproxy.telemetry.metrics import Metrics
from authproxy.web.management import Check


async def sms_sender(
    settings: SmsSettings,
    *,
    clock: Callable[[], datetime],
    background: Background,
    resources: AsyncExitStack,
    names: Resolver | None = None,
) -> FallbackSender:
    """Raises OSError or ValueError for files and values that cannot be used."""
    gateways: list[SmsGateway] = []
    for name, gateway in settings.gateways.items():
        if gateway.http is not None:
            gateways.append(await _http(name, gateway.http, settings.sender, background, resources, names))
        if gateway.smpp is not None:
            gateways.append(_smpp(name, gateway.smpp, settings.sender, background, names))
    return FallbackSender(
        gateways, rest=GatewayRest(after=settings.rest.after, lasts=settings.rest.lasts), clock=clock
    )


async def check(sender: FallbackSender) -> Check:
    """For readiness: which gateways fail. A gateway that has not been asked yet counts as working."""
    gateways = sender.health()
    failing = [gateway for gateway in gateways if gateway.failures]
    if not failing:
        return Check(status="ok", detail=f"{len(gateways)} gateways")
    detail = "; ".join(
        f"{gateway.name} {gateway.last_problem} ({gateway.failures} in a row)" for gateway in failing
    )
    return Check(status="failed" if len(failing) == len(gateways) else "warning", detail=detail)


def count(sender: FallbackSender, metrics: Metrics) -> None:
    for gateway, outcome, number in sender.sent():
        metrics.sms_sent[gateway, outcome] = number
    for gateway, report, number in sender.reported():
        metrics.sms_reported[gateway, report] = number


async def _http(
    name: str,
    settings: HttpSmsSettings,
    sender: str,
    background: Background,
    resources: AsyncExitStack,
    names: Resolver | None,
) -> HttpSmsGateway:
    session = http_sms.client_session(
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        names=names,
    )
    await resources.enter_async_context(session)
    return HttpSmsGateway(name, agreement_of(settings, sender), session, spawn=background.spawn)


def agreement_of(settings: HttpSmsSettings, sender: str) -> Agreement:
    signature, success, reports = settings.signature, settings.success, settings.reports
    return Agreement(
        url=settings.url,
        content_type=settings.content_type,
        body=Template(settings.body, settings.content_type),
        headers={**settings.headers, **_authentication(settings)},
        sender=sender,
        recipient_form=settings.recipient_form,
        reference_header=settings.reference_header,
        signature=None
        if signature is None
        else Signature(
            header=signature.header,
            key=signature.key.get_secret_value().encode(),
            encoding=signature.encoding,
            prefix=signature.prefix,
        ),
        success=Success(
            statuses=frozenset(success.statuses),
            pointer=success.pointer,
            values=frozenset(success.values),
            id_pointer=success.id_pointer,
        ),
        reports=None
        if reports is None
        else DeliveryReports(
            url=reports.url,
            pointer=reports.pointer,
            delivered=frozenset(map(str.lower, reports.delivered)),
            failed=frozenset(map(str.lower, reports.failed)),
        ),
        timeout=settings.timeout,
        tries=settings.tries,
        deadline=settings.deadline,
    )


def _authentication(settings: HttpSmsSettings) -> dict[str, str]:
    secret = settings.secret.get_secret_value() if settings.secret is not None else ""
    match settings.authentication:
        case "none":
            return {}
        case "basic":
            return {
                "Authorization": "Basic "
                + base64.b64encode(f"{settings.user}:{secret}".encode()).decode("ascii")
            }
        case "bearer":
            return {"Authorization": f"Bearer {secret}"}
        case "header":
            return {settings.secret_header or "": secret}


def _smpp(
    name: str, settings: SmppSettings, sender: str, background: Background, names: Resolver | None
) -> SmppSmsGateway:
    centre = MessageCentre(
        host=settings.host,
        port=settings.port,
        context=ssl.create_default_context(cafile=settings.ca_file) if settings.tls else None,
        system_id=settings.system_id,
        password=settings.password.get_secret_value(),
        system_type=settings.system_type,
        bind=settings.bind,
        sender=sender,
        recipient_form=settings.recipient_form,
        long_messages=settings.long_messages,
        only_ucs2=settings.alphabet == "ucs2",
        enquire_every=settings.enquire_every,
        deadline=settings.deadline,
    )
    gateway = SmppSmsGateway(
        name, centre, random_below=secrets.randbelow, spawn=background.spawn, names=names
    )
    background.keep(f"sms_connection_{name}", gateway.run)
    return gateway
