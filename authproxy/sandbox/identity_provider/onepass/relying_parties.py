"""The service for relying parties: enrolments of phones, notifications and answers, as JSON below
`/onepass/relying-parties/` (the contract is in authproxy/delivery/README.md). It needs an API key as a bearer
token (RFC 6750), else 401.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from authproxy.sandbox.identity_provider.onepass.relay import RelayedPush
from authproxy.sandbox.identity_provider.onepass.service import in_json, text
from authproxy.sandbox.identity_provider.provider import PROVIDER, Provider
from authproxy.sandbox.web_pages.pages import json_object

# Public: the provider's page shows it, and only the sandbox accepts it.
SANDBOX_API_KEY = "peskovnik-onepass-2026"
ROOT = "/onepass/relying-parties"
_CHOICES = 3
_Handler = Callable[[web.Request], Awaitable[web.Response]]


def route(router: web.UrlDispatcher) -> None:
    router.add_post(f"{ROOT}/enrolments", _guarded(enrol))
    router.add_get(f"{ROOT}/enrolments/{{enrolment}}", _guarded(enrolment))
    router.add_post(f"{ROOT}/pushes", _guarded(push))
    router.add_get(f"{ROOT}/pushes/{{push}}", _guarded(state))
    router.add_delete(f"{ROOT}/pushes/{{push}}", _guarded(withdraw))
    router.add_delete(f"{ROOT}/devices/{{device}}", _guarded(remove))


def _guarded(handler: _Handler) -> _Handler:
    async def authenticated(request: web.Request) -> web.Response:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        expected = request.app[PROVIDER].onepass_api_key.encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            shown.strip().encode(errors="replace"), expected
        ):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return await handler(request)

    return in_json(authenticated)


async def enrol(request: web.Request) -> web.Response:
    body = await json_object(request)
    new_enrolment = request.app[PROVIDER].links.begin(
        text(body, "enrolment_id"),
        relying_party=text(body, "relying_party"),
        account=text(body, "account_hint"),
        expires_at=_moment(body, "expires_at"),
    )
    if new_enrolment is None:
        return web.json_response({"error": "taken"}, status=409)
    return web.json_response({"activation_code": new_enrolment.code}, status=201)


async def enrolment(request: web.Request) -> web.Response:
    enrolment = request.app[PROVIDER].links.find(request.match_info["enrolment"])
    if enrolment is None:
        return _unknown()
    if enrolment.phone is None:
        return web.json_response({"state": "pending"})
    phone = enrolment.phone
    return web.json_response(
        {
            "state": "enrolled",
            "device_id": phone.device_id,
            "device_name": phone.device_name,
            "public_key": phone.public_key,
            "proof": phone.proof,
        }
    )


async def push(request: web.Request) -> web.Response:
    """202; 404 for an unknown phone; 429 if the phone was asked too often."""
    provider, body = request.app[PROVIDER], await json_object(request)
    push = _relayed(body)
    if push.device_id not in provider.linked_phones:
        return _unknown()
    seconds = provider.relay.seconds_to_wait(push.device_id)
    if seconds:
        return web.json_response({"error": "wait"}, status=429, headers={"Retry-After": str(seconds)})
    if not provider.relay.send(push):
        return web.json_response({"error": "taken"}, status=409)
    return web.json_response({}, status=202)


async def state(request: web.Request) -> web.Response:
    push = request.app[PROVIDER].relay.find(request.match_info["push"])
    if push is None:
        return web.json_response({"state": "gone"})
    if push.answer is None:
        return web.json_response({"state": "pending"})
    answer = push.answer
    return web.json_response(
        {
            "state": "answered",
            "answer": {"action": answer.action, "number": answer.number, "signature": answer.signature},
        }
    )


async def withdraw(request: web.Request) -> web.Response:
    return (
        web.Response(status=204)
        if request.app[PROVIDER].relay.withdraw(request.match_info["push"])
        else _unknown()
    )


async def remove(request: web.Request) -> web.Response:
    return (
        web.Response(status=204)
        if removed(request.app[PROVIDER], request.match_info["device"])
        else _unknown()
    )


def removed(provider: Provider, device_id: str) -> bool:
    """Removes a linked phone and its notifications. False if there is no such phone."""
    provider.relay.withdraw_all(device_id)
    provider.changed()
    return provider.linked_phones.remove(device_id)


def _relayed(body: dict[str, Any]) -> RelayedPush:
    choices = body.get("choices")
    if (
        not isinstance(choices, list)
        or len(choices) != _CHOICES
        or not all(isinstance(choice, str) for choice in choices)
    ):
        raise web.HTTPBadRequest
    names = (
        "push_id",
        "device_id",
        "portal",
        "place",
        "browser",
        "address",
        "issued_at",
        "expires_at",
        "number",
    )
    shown = {name: text(body, name) for name in names}
    _moment(body, "issued_at")  # a phone shows it
    pairs = {"shows": _pairs(body["shows"])} if "shows" in body else {}
    return RelayedPush(
        push_id=shown["push_id"],
        device_id=shown["device_id"],
        number=shown["number"],
        shown={**shown, "choices": choices, **pairs},
        expires_at=_moment(body, "expires_at"),
    )


def _pairs(shows: Any) -> list[dict[str, str]]:
    if not isinstance(shows, list) or not all(isinstance(pair, dict) for pair in shows):
        raise web.HTTPBadRequest
    return [{"name": text(pair, "name"), "value": text(pair, "value")} for pair in shows]


def _moment(body: dict[str, Any], member: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text(body, member))
    except ValueError:
        raise web.HTTPBadRequest from None
    if moment.tzinfo is None:
        raise web.HTTPBadRequest
    return moment


def _unknown() -> web.Response:
    return web.json_response({"error": "unknown"}, status=404)
