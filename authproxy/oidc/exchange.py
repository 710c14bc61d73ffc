"""Sends one request to a provider over HTTP, and decides what counts as an answer. It never follows a
redirect (RFC 9700 §4.12: a redirect may forward credentials).

An answer is complete, small, uncompressed and in time. Anything else means that the provider cannot be asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
from yarl import URL

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.dns import client_sessions
from authproxy.dns.client_sessions import BodyRefused, SessionResolver, read_body
from authproxy.dns.resolver import Resolver
from authproxy.oidc.refused import AnswerInvalid, registered
from authproxy.oidc.wire import Ambiguous, Unreadable, json_object

_CONNECTIONS = 64
_KEPT_FOR = 0.5
"""Seconds for which a connection waits for the question that follows at once. No server closes one so early,
except when it ends, and then a new connection fails too."""
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderQuestion:
    """One request. `name` is the endpoint's name in messages, which never contain URLs, fields or bodies."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    """Sent by POST. Without a form the request is a GET."""
    goes_on: bool = False
    """Whether another question follows at once, over the same connection where it leads to the same server. A
    new one with TLS costs both sides a handshake and the person its round trips."""
    success: int = 200
    """The status of a successful answer."""
    size_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """A success (200, or the status that the question expects), or a refusal by the provider (4xx)."""

    question: ProviderQuestion
    status: int
    media_type: str
    body: bytes = field(repr=False)
    date: str = ""
    """The field Date: the provider's clock."""

    def json_object(self) -> dict[str, Any]:
        """The JSON object in the answer. Raises CannotAsk if there is none (a maintenance page), and
        AnswerInvalid if it is ambiguous."""
        if self.media_type != "application/json" and not (
            self.media_type.startswith("application/") and self.media_type.endswith("+json")
        ):
            raise cannot_ask(f"{self.question.name} answered {self.status} with something other than JSON")
        try:
            return json_object(self.body)
        except Ambiguous as ambiguous:
            raise AnswerInvalid(f"{self.question.name}: {ambiguous}") from None
        except Unreadable as unreadable:
            raise cannot_ask(f"{self.question.name} answered {self.status}: {unreadable}") from None

    @property
    def error(self) -> str | None:
        """The error code of a refusal, if it is a registered one (RFC 6749 §5.2). Descriptions are not
        read."""
        try:
            return registered(self.json_object().get("error"))
        except (AnswerInvalid, CannotAsk):
            return None

    @property
    def said(self) -> str:
        """A refusal in words for operators: the status, and the error code if it is a registered one."""
        return f"{self.status}" if self.error is None else f"{self.status}, {self.error}"


def cannot_ask(message: str) -> CannotAsk:
    return CannotAsk(Reason.PROVIDER_UNAVAILABLE, message)


def has_been_sent(failure: CannotAsk) -> bool:
    """Whether a failed question may have reached the provider, which may have acted on it."""
    return not isinstance(failure.__context__, aiohttp.ClientConnectorError)


def client_session(ca_file: str | None, names: Resolver | None = None) -> aiohttp.ClientSession:
    """A session for one provider. Its certificate is verified only against `ca_file`, if that is given. The
    caller closes the session."""
    context = None if ca_file is None else ssl.create_default_context(cafile=ca_file)
    return client_sessions.client_session(
        SessionResolver(names), connections=_CONNECTIONS, context=context, kept_for=_KEPT_FOR
    )


async def ask(
    session: aiohttp.ClientSession, question: ProviderQuestion, *, time_limit: timedelta
) -> ProviderAnswer:
    """Returns the provider's answer. Raises CannotAsk if there is none: no connection, too late, too large,
    5xx, a redirect."""
    try:
        async with asyncio.timeout(time_limit.total_seconds()):
            return await _asked(session, question)
    except TimeoutError:
        raise cannot_ask(f"{question.name} gave no answer within {time_limit.total_seconds():g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The texts of these errors may quote what was received. The class name tells enough (certificate,
        # DNS, connection, malformed answer).
        raise cannot_ask(f"{question.name} could not be asked: {type(error).__name__}") from None


async def _asked(session: aiohttp.ClientSession, question: ProviderQuestion) -> ProviderAnswer:
    async with session.request(
        "GET" if question.form is None else "POST",
        URL(question.url, encoded=True),
        headers={
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **({} if question.goes_on else {"Connection": "close"}),
            **question.headers,
        },
        data=question.form,
        allow_redirects=False,
        auto_decompress=False,
    ) as response:
        if (
            not (response.status == question.success or 400 <= response.status < 500)
            or response.status in _LATER
        ):
            raise cannot_ask(f"{question.name} answered {response.status}")
        try:
            body = await read_body(response, question.size_limit)
        except BodyRefused as refused:
            raise cannot_ask(f"{question.name} {refused}") from None
        return ProviderAnswer(
            question=question,
            status=response.status,
            media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            body=body,
            date=response.headers.get("Date", ""),
        )
