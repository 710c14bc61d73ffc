"""What the gateway says about itself, and the question for it. Nothing else is sent before the answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authproxy.access import own_paths
from authproxy.access.consent import Consent
from authproxy.doctor import raw_http
from authproxy.doctor.raw_http import Field, Message
from authproxy.doctor.wire import Door


class NotConsented(Exception):  # noqa: N818
    """Nobody has proved to be the gateway of the consent. The message says in a line what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`said` is the gateway's word, `answer` the answer that has brought it."""

    said: Mapping[str, Any]
    answer: Message

    @property
    def client(self) -> str:
        return str(self.said["request"]["client"])

    @property
    def arrived(self) -> tuple[str, ...]:
        return tuple(self.said["request"]["arrived"])

    @property
    def portal_id(self) -> str:
        return str(self.said["request"]["portal"])

    @property
    def routes(self) -> list[Mapping[str, Any]]:
        return list(self.said["routes"])

    @property
    def listeners(self) -> list[str]:
        """Addresses at which the gateway itself can be asked, without TLS. Older gateways do not say them."""
        return [f"http://{address}" for address in self.said.get("listen", ())]

    @property
    def dialects(self) -> list[str]:
        """In which the gateway takes questions of front proxies."""
        return list(self.said.get("subrequests", ()))

    @property
    def open_paths(self) -> list[str]:
        """The paths that everybody may GET, as the rules name them."""
        return [
            route["path"]
            for route in self.routes
            if route["access"] == "public" and (not route["methods"] or "GET" in route["methods"])
        ]

    def is_open(self, path: str) -> bool:
        """Whether everybody may GET it, as far as the rules can be read without their patterns."""
        return any(path == each or path.startswith(each.rstrip("/") + "/") for each in self.open_paths)


async def look(
    door: Door, consent: Consent, host: str, clock: Callable[[], datetime], forged: tuple[Field, ...] = ()
) -> Look:
    """Asks the gateway, with these further fields. Raises NotConsented."""
    nonce = secrets.token_urlsafe(16)
    now = clock()
    order = consent.order("look", nonce=nonce, now=now)
    fields = [("Host", host), ("Authorization", order), ("Accept", "application/json"), *forged]
    answer = await door.ask(raw_http.request("GET", own_paths.DOCTOR, [*fields, ("Connection", "close")]))
    if answer is None:
        raise NotConsented(
            f"no answer: {door.failures[-1] if door.failures else 'the connection was closed'}"
        )
    if 300 <= answer.status < 400:
        where = answer.get("Location").partition("?")[0][:100]
        raise NotConsented(f"the answer is a redirect to {where or 'nowhere'}: give the portal's own address")
    if answer.status != 200:
        raise NotConsented(
            f"the gateway has not recognised the consent ({answer.status}): it is for another one, its hour "
            "is over, this machine's clock is wrong by more than two minutes, or the proxy does not pass "
            "/.authproxy/ on"
        )
    try:
        whole = json.loads(answer.body)
        said, proof = whole["said"], whole["proof"]
        if not consent.answers(proof, nonce=nonce, said=said):
            raise NotConsented("what answers is not the gateway of this consent")
        return Look(said=json.loads(said), answer=answer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotConsented("what answers is not a gateway") from None
