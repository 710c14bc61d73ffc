"""The requests of a phone that is linked to relying parties: look up an enrolment, enrol, fetch
notifications, answer, remove the link.

JSON below `/onepass/`. After twenty wrong codes within ten minutes an address must wait. A code finds only an
enrolment.
"""

from __future__ import annotations

import re

from aiohttp import web

from authproxy.sandbox.identity_provider.onepass.links import ArrivedPhone
from authproxy.sandbox.identity_provider.onepass.relay import Answer
from authproxy.sandbox.identity_provider.onepass.relying_parties import removed
from authproxy.sandbox.identity_provider.onepass.service import answered, in_json, text
from authproxy.sandbox.identity_provider.provider import PROVIDER
from authproxy.sandbox.web_pages.pages import json_object

_CODES, _PHONES = "/onepass/activations", "/onepass/phones"
_DEVICE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def route(router: web.UrlDispatcher) -> None:
    router.add_post(_CODES, in_json(waiting))
    router.add_post(_PHONES, in_json(enrol))
    router.add_delete(f"{_PHONES}/{{device}}", in_json(remove))
    router.add_get(f"{_PHONES}/{{device}}/pushes", in_json(pushes))
    router.add_post(f"{_PHONES}/{{device}}/pushes/{{push}}", in_json(answer))


async def waiting(request: web.Request) -> web.Response:
    """Who wants to link a phone, and for which account. The phone shows this before its person agrees."""
    provider, who = request.app[PROVIDER], request.remote or ""
    if provider.wrong_links.seconds_to_wait(who):
        return web.json_response({"error": "wait"}, status=429)
    enrolment = provider.links.waiting(text(await json_object(request), "code"))
    if enrolment is None:
        provider.wrong_links.count(who)
        return web.json_response({"error": "unknown"}, status=404)
    return web.json_response(
        {
            "enrolment_id": enrolment.enrolment_id,
            "relying_party": enrolment.relying_party,
            "account": enrolment.account,
        }
    )


async def enrol(request: web.Request) -> web.Response:
    """201 with the phone's token. The relying party judges the proof."""
    provider, body = request.app[PROVIDER], await json_object(request)
    enrolment = provider.links.waiting(text(body, "code"))
    if enrolment is None:
        return web.json_response({"error": "unknown"}, status=404)
    device_id, token = text(body, "device_id"), provider.random_bytes(32).hex()
    phone = ArrivedPhone(
        device_id=device_id,
        device_name=text(body, "device_name"),
        public_key=text(body, "public_key"),
        proof=text(body, "proof"),
    )
    if not _DEVICE_ID.fullmatch(device_id) or not provider.linked_phones.add(device_id, token):
        raise web.HTTPBadRequest
    enrolment.phone = phone
    provider.changed()
    return web.json_response({"device_token": token}, status=201)


async def remove(request: web.Request) -> web.Response:
    removed(request.app[PROVIDER], _authenticated(request))
    return web.Response(status=204)


async def pushes(request: web.Request) -> web.Response:
    device_id = _authenticated(request)
    return web.json_response([push.shown for push in request.app[PROVIDER].relay.pending(device_id)])


async def answer(request: web.Request) -> web.Response:
    device_id = _authenticated(request)
    body = await json_object(request)
    action = text(body, "action")
    if action not in {"approve", "refuse"}:
        raise web.HTTPBadRequest
    given = Answer(action=action, number=text(body, "number"), signature=text(body, "signature"))
    return answered(request.app[PROVIDER].relay.answer(request.match_info["push"], device_id, given))


def _authenticated(request: web.Request) -> str:
    """The phone's identifier."""
    device_id = request.match_info["device"]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not request.app[PROVIDER].linked_phones.authenticated(
        device_id, token.strip()
    ):
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return device_id
