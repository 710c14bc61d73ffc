"""One examination: what it may use, and how it sends a request and sees what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from authproxy.access.consent import Consent, Purpose
from authproxy.doctor import attacks, http2, raw_http
from authproxy.doctor.judgement import Trial
from authproxy.doctor.look import Look
from authproxy.doctor.raw_http import Field, Message
from authproxy.doctor.stand_in import MARK, StandIn
from authproxy.doctor.wire import Door

NAVIGATION = (("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
_STREAMED = 0.4
"""Seconds that a request with two readings may take to show a second answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The deployment under examination. `host` is what browsers send, `origin` what stands before a path."""

    origin: str
    host: str
    is_tls: bool
    plain_port: int | None
    """Where plain HTTP may be answered; None: it is not known."""
    paths: tuple[str, ...] = ()
    """Further paths that the operator names."""
    upload_size: int = 8 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Examination:
    site: Site
    door: Door
    consent: Consent
    look: Look
    clock: Callable[[], datetime]
    stand_in: StandIn | None
    session: str = field(default="", repr=False)
    """The operator's own session, as the cookie's value; empty if there is none."""
    proxy: str = ""
    """The kind of front proxy; empty if it is not known."""
    proxy_version: str = ""
    asks: bool = True
    """Whether the proxy asks the gateway; otherwise it passes everything on."""
    mark: str
    http2_fault: str = "it was not tried"
    """Why nothing is sent over HTTP/2; empty if the front proxy speaks it."""
    entry_fault: str = ""
    """Why nothing can be seen of requests that may be sent; empty if they reach the stand-in."""
    statuses: list[int] = field(default_factory=list)
    """Of all answers; 0 for none."""
    _count: int = 0

    @property
    def has_eyes(self) -> bool:
        return self.stand_in is not None

    @property
    def sees_entries(self) -> bool:
        """Whether a request that may be sent shows what reaches the portal."""
        return (
            self.stand_in is not None and bool(self.session or self.look.open_paths) and not self.entry_fault
        )

    @property
    def speaks_http2(self) -> bool:
        return not self.http2_fault

    @property
    def sees_sessions(self) -> bool:
        return self.sees_entries and bool(self.session)

    @property
    def entry(self) -> tuple[str, bool]:
        """A path that may be opened, and whether with the session."""
        if self.session:
            return attacks.OWN, True
        return self.look.open_paths[0], False

    @property
    def other_host(self) -> str:
        """Of another portal, or of none."""
        portals = [each["url"] for each in self.look.said["portals"] if each["url"] != self.site.origin]
        return next((urlsplit(url).netloc for url in portals), "authproxy-doctor.invalid")

    async def send(  # noqa: PLR0913  (all that a request may have)
        self,
        what: str,
        target: str = "/",
        *,
        method: str = "GET",
        host: str | None = None,
        fields: Iterable[Field] = (),
        order: Purpose | None = None,
        signed_in: bool = False,
        body: bytes = b"",
        version: str = "1.1",
        has_host: bool = True,
        patience: float | None = None,
    ) -> Trial:
        """Sends one request. `what` is told to the operator. `order` is for the gateway, `signed_in` sends
        the operator's session."""
        given = list(fields)
        lines: list[Field] = [("Host", self.site.host if host is None else host)] if has_host else []
        nonce, own = self.own(order, signed_in=signed_in)
        lines += own
        if not any(name.lower() == "connection" for name, _ in given):
            lines.append(("Connection", "close"))
        data = raw_http.request(method, target, [*lines, *given], body=body, version=version)
        return await self.send_bytes(what, data, method=method, nonce=nonce, patience=patience)

    async def send_http2(  # noqa: PLR0913  (all that a request may have)
        self,
        what: str,
        path: str,
        *,
        method: str = "GET",
        authority: str | None = None,
        scheme: str = "https",
        fields: Iterable[Field] = (),
        order: Purpose | None = None,
        signed_in: bool = False,
        body: bytes = b"",
        trailers: Iterable[Field] = (),
        patience: float | None = None,
    ) -> Trial:
        """Sends one request over HTTP/2. `fields` come first, so that they may begin with a name such as
        `:protocol`. Without an authority there is no such field."""
        nonce, own = self.own(order, signed_in=signed_in)
        said = self.site.host if authority is None else authority
        pseudo = [(":method", method), (":scheme", scheme), (":path", path)]
        if said:
            pseudo.append((":authority", said))
        lines = [*pseudo, *fields, *((name.lower(), value) for name, value in own)]
        if self.stand_in is not None:
            self.stand_in.taken()
        answer = await self.door.ask_http2(
            http2.request(lines, body=body, trailers=trailers), patience=patience
        )
        return self._trial(f"over HTTP/2: {what}", nonce, answer)

    def own(self, order: Purpose | None, *, signed_in: bool = False) -> tuple[str, list[Field]]:
        """The mark of a request, its order and session; and the nonce of the order."""
        self._count += 1
        nonce = secrets.token_urlsafe(16)
        lines = [(MARK, f"{self.mark}.{self._count}")]
        if order is not None:
            lines.append(("Authorization", self.consent.order(order, nonce=nonce, now=self.clock())))
        if signed_in:
            lines.append(("Cookie", f"__Host-authproxy={self.session}"))
        return nonce, lines

    def _trial(self, what: str, nonce: str, answer: Message | None) -> Trial:
        arrivals = () if self.stand_in is None else self.stand_in.taken()
        trial = Trial(what=what, nonce=nonce, answer=answer, arrivals=arrivals)
        self.statuses.append(trial.status)
        return trial

    async def send_bytes(
        self, what: str, data: bytes, *, method: str = "GET", nonce: str = "", patience: float | None = None
    ) -> Trial:
        if self.stand_in is not None:
            self.stand_in.taken()
        return self._trial(what, nonce, await self.door.ask(data, method=method, patience=patience))

    async def send_twofold(self, what: str, data: bytes) -> Trial:
        """Sends bytes that two readers may take for one request or for two, and waits for a second one."""
        if self.stand_in is not None:
            self.stand_in.taken()
        answers = await self.door.answers(data, most=2, patience=_STREAMED)
        arrivals = () if self.stand_in is None else self.stand_in.taken()
        return Trial(what=what, answer=answers[0] if answers else None, arrivals=arrivals)
