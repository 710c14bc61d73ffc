"""The service for phones: activation, account overview, notifications and answers, as JSON below `/onepass/`.

A phone shows its device token as a bearer token (RFC 6750). Every wrong token gets the same 401.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from authproxy.sandbox import one_time_code
from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.identity_provider.front_end.text_message import sent
from authproxy.sandbox.identity_provider.onepass.devices import Device
from authproxy.sandbox.identity_provider.onepass.pushes import Outcome, Push
from authproxy.sandbox.identity_provider.provider import OUTGOING, PROVIDER, Provider
from authproxy.sandbox.web_pages.pages import json_object

_ROOT = "/onepass/devices"
_LONGEST = 320
_Handler = Callable[[web.Request], Awaitable[web.Response]]


def route(router: web.UrlDispatcher) -> None:
    router.add_post(f"{_ROOT}/start", in_json(start))
    router.add_post(_ROOT, in_json(activate))
    router.add_get(f"{_ROOT}/{{device}}", in_json(overview))
    router.add_delete(f"{_ROOT}/{{device}}", in_json(remove))
    router.add_get(f"{_ROOT}/{{device}}/pushes", in_json(pushes))
    router.add_post(f"{_ROOT}/{{device}}/pushes/{{push}}", in_json(answer))


def in_json(handler: _Handler) -> _Handler:
    """Makes errors JSON, because a phone cannot read error pages."""

    async def explained(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except web.HTTPClientError as error:
            challenge = {name: error.headers[name] for name in ("WWW-Authenticate",) if name in error.headers}
            return web.json_response({"error": error.reason}, status=error.status, headers=challenge)

    return explained


async def start(request: web.Request) -> web.Response:
    """Always answers 202, so that nobody learns whether there is such an account."""
    provider = request.app[PROVIDER]
    account = provider.accounts.find(text(await json_object(request), "email"))
    digits = provider.activations.begin(account.email) if account is not None else None
    if account is not None and digits is not None:
        message = provider.pages.text(request, "activation.txt", code=digits)
        await sent(request.app[OUTGOING], provider.sms_url, to=account.phone, text=message)
    return web.json_response({}, status=202)


async def activate(request: web.Request) -> web.Response:
    """Activates a phone for the account. Token and code secret are new, so the account's previous phone no
    longer works."""
    provider, body = request.app[PROVIDER], await json_object(request)
    email, typed = text(body, "email").strip(), text(body, "code")
    minutes = provider.activations.minutes_to_wait(email)
    if minutes:
        return web.json_response(
            {"error": "wait", "minutes": minutes}, status=429, headers={"Retry-After": str(minutes * 60)}
        )
    account = provider.accounts.find(email)
    if not provider.activations.redeem(email, typed) or account is None:
        return web.json_response({"error": "wrong_code"}, status=400)
    secret, token, device_id = (
        base64.b32encode(provider.random_bytes(20)).decode(),
        provider.random_bytes(32).hex(),
        provider.random_bytes(8).hex(),
    )
    provider.pushes.withdraw(account.email)
    has_replaced = provider.devices.add(email=account.email, device_id=device_id, token=token)
    account = replace(account, totp_secret=secret)
    _keep(provider, account)
    return web.json_response(
        {
            "device_id": device_id,
            "device_token": token,
            "totp_secret": secret,
            "digits": one_time_code.DIGITS,
            "period": one_time_code.STEP_SECONDS,
            "replaced": has_replaced,
            "account": _seen_from_a_phone(account),
        },
        status=201,
    )


async def overview(request: web.Request) -> web.Response:
    _, account = _authenticated(request)
    return web.json_response(_seen_from_a_phone(account))


async def remove(request: web.Request) -> web.Response:
    """Removes the account's phone: it has no codes and notifications any more."""
    provider = request.app[PROVIDER]
    device, account = _authenticated(request)
    provider.pushes.withdraw(account.email)
    provider.devices.remove(device)
    _keep(provider, replace(account, totp_secret=None))
    return web.Response(status=204)


async def pushes(request: web.Request) -> web.Response:
    """The notifications that wait for this phone's answer."""
    device, _ = _authenticated(request)
    return web.json_response([_shown(push) for push in request.app[PROVIDER].pushes.pending(device.email)])


async def answer(request: web.Request) -> web.Response:
    device, _ = _authenticated(request)
    body = await json_object(request)
    action = text(body, "action")
    if action not in {"approve", "refuse"}:
        raise web.HTTPBadRequest
    number = text(body, "number") if action == "approve" else ""
    outcome = request.app[PROVIDER].pushes.answer(
        request.match_info["push"],
        device.email,
        approves=action == "approve",
        number=number,
    )
    return answered(outcome)


def answered(outcome: Outcome) -> web.Response:
    """The response to a phone's answer."""
    match outcome:
        case Outcome.TAKEN:
            return web.Response(status=204)
        case Outcome.WRONG_NUMBER:
            return web.json_response({"error": "wrong_number"}, status=400)
        case Outcome.OVER:
            return web.json_response({"error": "over"}, status=409)
        case Outcome.UNKNOWN:
            return web.json_response({"error": "unknown"}, status=404)


def _authenticated(request: web.Request) -> tuple[Device, ProviderAccount]:
    provider = request.app[PROVIDER]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    device = (
        provider.devices.authenticated(request.match_info["device"], token.strip())
        if scheme.lower() == "bearer"
        else None
    )
    account = provider.accounts.find(device.email) if device is not None else None
    if device is None or account is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return device, account


def _keep(provider: Provider, account: ProviderAccount) -> None:
    provider.accounts.put(account)
    provider.used_steps.pop(account.email, None)  # they belong to the previous secret
    provider.changed()


def _seen_from_a_phone(account: ProviderAccount) -> dict[str, Any]:
    tax_number = account.tax_number
    return {
        "email": account.email,
        "name": account.name or "",
        "level": account.level,
        "phone_ends": account.phone[-3:],
        "tax_number_ends": tax_number[-3:] if tax_number is not None else None,
    }


def _shown(push: Push) -> dict[str, Any]:
    return {
        "id": push.id,
        "at": push.at.isoformat(),
        "expires_at": push.expires_at.isoformat(),
        "for": push.for_,
        "place": push.place,
        "number": push.number,
        "choices": list(push.choices),
    }


def text(body: dict[str, Any], member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise web.HTTPBadRequest
    return value
