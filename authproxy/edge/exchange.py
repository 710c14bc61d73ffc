"""One request and its answer: asks for the decision, then refuses, answers a subrequest, or streams between
client and portal.

An exchange begins when those before it on its connection have ended, and ends exactly once. What goes wrong
before the first byte of an answer becomes a refusal; what goes wrong after it closes the connection, so that
nothing looks complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from authproxy.access import bound_proof, methods, own_paths, policy
from authproxy.access import target as request_target
from authproxy.access.client_networks import network_of
from authproxy.access.decision import Allowed, Decision, Denied, Reason, Refusal, StepUpRequired, Unavailable
from authproxy.access.own_cookies import ticket_in
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.edge import beside, holding
from authproxy.edge.answered import Answered
from authproxy.edge.rules import held_forms as held
from authproxy.edge.rules import refusals, subrequest, via
from authproxy.edge.rules.headers import RequestFilter
from authproxy.edge.rules.preflight import Preflight, is_preflight
from authproxy.edge.rules.refusals import Answer, PageWanted
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import DIALECTS, Dialect, SubrequestRefused
from authproxy.edge.site import Gate, Site
from authproxy.edge.transfer import Transfer
from authproxy.edge.tunnel import Tunnel
from authproxy.edge.upstream.connection import UpstreamConnection
from authproxy.edge.upstream.personal import Personal
from authproxy.edge.upstream.pool import UpstreamPool
from authproxy.identity.session import Session

_LARGEST_OWN_BODY: Final = 16 * 1024
"""Bytes. Forms and logout tokens are collected before the pages are asked, so that a slow body holds none of
the connections to them."""
_PAGES_FILTER: Final = RequestFilter()


class Client(Protocol):
    """What an exchange needs of the connection that it serves."""

    peer: str
    is_trusted: bool
    personal: Personal | None
    """The upstream connection on which somebody has authenticated over this one."""

    def write(self, *pieces: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def ended(self, *, keeps_alive: bool) -> None: ...
    def abort(self) -> None: ...
    def tunnel(self, tunnel: Tunnel) -> None: ...
    @property
    def may_stay(self) -> bool: ...
    @property
    def is_clogged(self) -> bool: ...


class Exchange(Answered[Client]):
    __slots__ = (
        "_address_share",
        "_is_over",
        "_is_own",
        "_page",
        "_pieces",
        "_request_is_complete",
        "_session_share",
        "_ticket",
        "_trailers",
        "_when_whole",
    )

    def __init__(self, client: Client, gate: Gate, head: RequestHead) -> None:
        super().__init__(client, gate, head)
        self._ticket: str | None = None
        self._address_share = self._session_share = ""
        """The names under which this request is counted; empty if it is not."""
        self._page: PageWanted | None = None
        self._pieces: list[bytes] = []
        """What has arrived of the body before anybody could take it."""
        self._when_whole: Callable[[], None] | None = None
        """What waits for the rest of it."""
        self._trailers = b""
        self._request_is_complete = False
        self._is_own = False
        """Whether the body is for our own pages, which take small ones only."""
        self._is_over = False

    # Deciding.

    def begin(self) -> None:
        """Starts the exchange. From here it ends by itself, or by `client_lost`."""
        self._started = self._gate.time()
        gate, head = self._gate, self.head
        self.request_id = self._its_request_id() if self._client.is_trusted else gate.identifiers.request_id()
        dialect = DIALECTS.get(head.target)
        if dialect is not None:
            self._answer_subrequest(dialect)
            return
        try:
            host, site = gate.site_at(head.host or self._host_of_nobody(), gate.default_port)
            self._site = site
            self._target = request_target.parse(
                method=head.method,
                target=head.target,
                host=host,
                default_port=gate.default_port,
                accepts_encoded_slash=site is not None and site.portal.accepts_encoded_slash,
                accepts_encoded_percent=site is not None and site.portal.accepts_encoded_percent,
            )
        except TargetRefused as refused:
            if head.target == "*" and head.method == "OPTIONS" and self._site is not None:
                # Asked of the server and not of a place in it (RFC 9110 §9.3.7): load balancers ask so
                # whether anybody is there.
                self._say(refusals.options(self._site.portal.methods))
            else:
                self.refuse_rest(405 if refused.reason is Reason.METHOD_UNSUPPORTED else 400, refused.reason)
            return
        if gate.limits.body_size and (head.content_length or 0) > gate.limits.body_size:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        elif own_paths.is_own_path(self._target):
            self._begin_own(self._target)
        elif site is None:
            self._decided(Denied(reason=Reason.UNKNOWN_HOST))
        elif head.method not in site.portal.methods:
            self.refuse_rest(405, Reason.METHOD_UNSUPPORTED)
        elif head.upgrade and not self._may_upgrade(site):
            self._decided(Denied(reason=Reason.FOREIGN_ORIGIN, portal=site.portal))
        elif head.content_length == held.RELEASE_SIZE and gate.holding is not None and held.may_release(head):
            self._collect(self._decide_whole)
        else:
            self._decide(site, self._target)

    def _host_of_nobody(self) -> bytes:
        """The host that is meant where none is named. HTTP/1.1 demands one (RFC 9112 §3.2)."""
        site = self._gate.default_site
        return site.portal.host.encode() if site is not None and self.head.is_http_1_0 else b""

    def _begin_own(self, target: RequestTarget) -> None:
        if self._site is None and not own_paths.needs_no_portal(target.path):
            self._decided(Denied(reason=Reason.UNKNOWN_HOST))
        elif self.head.upgrade:
            self.refuse_rest(400, Reason.REQUEST_UNREADABLE)
        elif (self.head.content_length or 0) > _LARGEST_OWN_BODY:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        elif self._client.is_trusted and not self._counts_for_address():
            self._refuse(
                Unavailable(
                    reason=Reason.TOO_MANY_CONNECTIONS,
                    portal=self._site.portal if self._site is not None else None,
                )
            )
        elif self.head.has_body:
            self._is_own = True
            self._collect(self._ask_pages)
        else:
            self._ask_pages()

    def _counts_for_address(self) -> bool:
        """Whether there is room for one more request of the address that a trusted proxy speaks for. The
        proxy itself has no limit."""
        if self.client == self._client.peer or self.client_is_nobody:
            return True
        share = network_of(self.client)
        if self._gate.connections_per_address.take(share):
            self._address_share = share
            return True
        return False

    def _has_room(self, session: Session) -> bool:
        """Whether there is room for one more request of this session and its address. It counts until it
        ends, streams and tunnels too."""
        if self._client.is_trusted and not self._counts_for_address():
            return False
        if self._gate.connections_per_session.take(session.session_id):
            self._session_share = session.session_id
            return True
        return False

    def _may_upgrade(self, site: Site) -> bool:
        # A browser sends Origin with every WebSocket handshake and the cookies of whatever site it came from:
        # only pages of the portal may open sockets to it (cross-site WebSocket hijacking). A program without
        # an Origin brings its cookie on purpose.
        origins = self.head.all(b"origin")
        return all(origin in site.websocket_origins for origin in origins)

    def _decide(self, site: Site, target: RequestTarget) -> None:
        self._ticket = ticket_in(self.head.cookies)
        if target.method not in methods.ON_ONE_TARGET and self._takes_longer(site, target):
            return
        decision = self._gate.access.decide_now(site.portal, target, self._ticket, self._gate.clock())
        if decision is not None:
            self._decided(decision)
        else:
            self._gate.start(
                self._decide_later(site, target), lambda: self.refuse_rest(500, Reason.UNEXPECTED)
            )

    def _takes_longer(self, site: Site, target: RequestTarget) -> bool:
        """Whether the target does not decide alone about this request; it is then answered, or will be."""
        head, portal = self.head, site.portal
        if target.method == "OPTIONS" and not head.host and self._ticket is None:
            # What HAProxy sends to see whether a server is up.
            self._say(refusals.options(portal.methods))
            return True
        if portal.passes_preflights and is_preflight(head, target.method):
            self._pass_preflight(site, target)
            return True
        try:
            others = beside.also_judged(site, target, head)
        except TargetRefused as refused:
            if refused.reason is Reason.FOREIGN_ORIGIN:
                self._decided(Denied(reason=refused.reason, portal=portal))
            else:
                self.refuse_rest(400, refused.reason)
            return True
        if others:
            self._gate.start(
                self._decide_with(site, target, others), lambda: self.refuse_rest(500, Reason.UNEXPECTED)
            )
        return bool(others)

    async def _decide_with(self, site: Site, target: RequestTarget, others: list[RequestTarget]) -> None:
        decision = await beside.decision(self._gate, site.portal, target, others, self._ticket)
        if not self._is_over:
            self._decided(decision)

    def _pass_preflight(self, site: Site, target: RequestTarget) -> None:
        if policy.route_of(site.portal, target) is None:
            self._decided(Denied(reason=Reason.TARGET_AMBIGUOUS, portal=site.portal))
            return
        self._decided_at = self._gate.time()
        self._decision = Preflight(portal=site.portal)
        if self._client.is_trusted and not self._counts_for_address():
            self._refuse(Unavailable(reason=Reason.TOO_MANY_CONNECTIONS, portal=site.portal))
        else:
            self._forward(site, target, b"", self.head)

    async def _decide_later(self, site: Site, target: RequestTarget) -> None:
        decision = await self._gate.access.decide(site.portal, target, self._ticket, self._gate.clock())
        if not self._is_over:
            self._decided(decision)

    def _decided(self, decision: Decision) -> None:
        self._decided_at = self._gate.time()
        self._decision = decision
        if isinstance(decision, Allowed):
            assert self._site is not None and self._target is not None  # noqa: S101, PT018  (only a site's access allows)
            if self._has_room(decision.session):
                self._forward(self._site, self._target, decision.identity_headers, self.head)
            else:
                self._refuse(Unavailable(reason=Reason.TOO_MANY_CONNECTIONS, portal=self._site.portal))
        elif isinstance(decision, StepUpRequired):
            self._lacks_proof(decision)
        else:
            self._refuse(decision)

    def _lacks_proof(self, required: StepUpRequired) -> None:
        head = self.head
        if holding.may_keep(self._gate, required, head):
            self._collect(self._keep_whole)
        elif not required.is_per_request or head.method == "HEAD":
            self._refuse(required)
        elif head.method == "GET" and not head.has_body and not head.upgrade:
            self._gate.start(self._admit(required), lambda: self.refuse_rest(500, Reason.UNEXPECTED))
        else:
            self._refuse(holding.unbound(required))

    async def _admit(self, required: StepUpRequired) -> None:
        """A GET that needs a proof of its own goes to the portal if one was given for it, and uses that
        up."""
        gate, target = self._gate, self._target
        assert target is not None  # noqa: S101  (nothing is decided without a target)
        admitted = await gate.access.admit_once(
            required, target, bound_proof.of_get(target.origin_form), gate.clock()
        )
        if self._is_over:
            await gate.access.give_back(admitted.proof)
        elif isinstance(admitted.decision, Allowed):
            self._decided(admitted.decision)
            if isinstance(self._decision, Unavailable):  # there was no room for it
                await gate.access.give_back(admitted.proof)
        else:
            self._refuse(admitted.decision)

    def _refuse(self, refusal: Refusal, kept_as: str | None = None) -> None:
        assert self._target is not None  # noqa: S101  (nothing is decided without a target)
        self._decision = refusal
        answer = refusals.answer(
            refusal, target=self._target, head=self.head, request_id=self.request_id, held=kept_as
        )
        if isinstance(answer, Answer):
            self._say(answer)
        else:
            self._show(answer)

    # Forms that wait for a fresh proof.

    def _collect(self, when_whole: Callable[[], None]) -> None:
        """Reads the body to its end, which is not far, and goes on then."""
        if self._request_is_complete:
            when_whole()
            return
        self._when_whole = when_whole
        if self.head.expects_continue:
            self.head.expects_continue = False
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._client.resume()

    def _keep_whole(self) -> None:
        self._gate.start(self._keep(), lambda: self.refuse_rest(500, Reason.UNEXPECTED))

    async def _keep(self) -> None:
        required, waiting = self._decision, self._gate.holding
        assert isinstance(required, StepUpRequired) and waiting is not None and self._target is not None  # noqa: S101, PT018
        form = held.kept(self.head, self._target.origin_form, b"".join(self._pieces))
        refused = await holding.keep(self._gate, waiting, required, form)
        if refused.kept_as is not None:
            waiting.kept(self)
        if not self._is_over:
            self._refuse(refused.refusal, refused.kept_as)

    def _decide_whole(self) -> None:
        assert self._site is not None and self._target is not None  # noqa: S101, PT018  (only a site's forms are looked into)
        name = held.released_name(b"".join(self._pieces))
        if name is None:
            self._decide(self._site, self._target)
        else:
            self._gate.start(
                self._release(self._site, self._target, name),
                lambda: self.refuse_rest(500, Reason.UNEXPECTED),
            )

    async def _release(self, site: Site, target: RequestTarget, name: str) -> None:
        gate, waiting = self._gate, self._gate.holding
        assert waiting is not None  # noqa: S101  (nothing is released where nothing is kept)
        self._ticket = ticket_in(self.head.cookies)
        outcome = await holding.release(
            gate, waiting, site.portal, target, self.head, ticket=self._ticket, name=name
        )
        self._decided_at = gate.time()
        if isinstance(outcome, holding.Refused):
            if not self._is_over:
                self._refuse(outcome.refusal, outcome.kept_as)
        elif self._is_over or not self._has_room(outcome.allowed.session):
            await outcome.give_back()
            if not self._is_over:
                self._refuse(Unavailable(reason=Reason.TOO_MANY_CONNECTIONS, portal=site.portal), name)
        else:
            self._decision = outcome.allowed
            self._pieces = [outcome.form.body] if outcome.form.body else []
            waiting.released(self)
            self._forward(
                site, target, outcome.allowed.identity_headers, held.released(self.head, outcome.form)
            )

    # Subrequests of front proxies.

    def _answer_subrequest(self, dialect: Dialect) -> None:
        self._dialect = dialect
        gate, head = self._gate, self.head
        if not self._client.is_trusted:
            self._decision = Denied(reason=Reason.UNTRUSTED_PEER)
            self._say(subrequest.refusal(Reason.UNTRUSTED_PEER, self.request_id))
            return
        try:
            original, site = subrequest.original(head, dialect, gate.site_at)
        except SubrequestRefused:
            self._decision = Denied(reason=Reason.SUBREQUEST_UNREADABLE)
            self._say(subrequest.refusal(Reason.SUBREQUEST_UNREADABLE, self.request_id))
            return
        self._target, self._site = original, site
        if own_paths.is_own_path(original):
            # Our own pages are no place of the portal, and nobody is let in for naming them (CVSS 10 of a
            # rival).
            self._answer_original(
                Denied(reason=Reason.NOT_FOUND, portal=site.portal if site else None), original, dialect
            )
            return
        self._ticket = ticket_in(head.cookies)
        if site is None:
            self._answer_original(Denied(reason=Reason.UNKNOWN_HOST), original, dialect)
            return
        self._decide_original(site, original, dialect)

    def _decide_original(self, site: Site, original: RequestTarget, dialect: Dialect) -> None:
        gate, portal = self._gate, site.portal
        if original.method not in portal.methods:
            self._answer_original(Denied(reason=Reason.METHOD_UNSUPPORTED, portal=portal), original, dialect)
            return
        others: list[RequestTarget] = []
        if original.method not in methods.ON_ONE_TARGET:
            if (
                portal.passes_preflights
                and is_preflight(self.head, original.method)
                and policy.route_of(portal, original) is not None
            ):
                self._decision = Preflight(portal=portal)
                self._say(subrequest.passed(self.request_id))
                return
            try:
                others = beside.also_judged(site, original, self.head)
            except TargetRefused as refused:
                self._answer_original(Denied(reason=refused.reason, portal=portal), original, dialect)
                return
        decision = None if others else gate.access.decide_now(portal, original, self._ticket, gate.clock())
        if decision is not None:
            self._answer_original(decision, original, dialect)
        else:
            gate.start(
                self._answer_later(site, original, dialect, others),
                lambda: self.refuse_rest(500, Reason.UNEXPECTED),
            )

    async def _answer_later(
        self, site: Site, original: RequestTarget, dialect: Dialect, others: list[RequestTarget]
    ) -> None:
        if others:
            decision = await beside.decision(self._gate, site.portal, original, others, self._ticket)
        else:
            decision = await self._gate.access.decide(site.portal, original, self._ticket, self._gate.clock())
        if not self._is_over:
            self._answer_original(decision, original, dialect)

    def _answer_original(self, decision: Decision, original: RequestTarget, dialect: Dialect) -> None:
        if isinstance(decision, StepUpRequired) and decision.is_per_request:
            # A front proxy keeps the body to itself, and may ask more than once for one request.
            decision = holding.unbound(decision)
        self._decided_at = self._gate.time()
        self._decision = decision
        self._say(
            subrequest.answer(
                decision, original=original, head=self.head, dialect=dialect, request_id=self.request_id
            )
        )

    # Answering by ourselves.

    def refuse_rest(self, status: int, reason: Reason) -> None:
        """Refuses a request of which not everything can be trusted or taken, and closes the connection after
        it."""
        if self._is_over:
            return
        if not self.request_id:
            self._started = self._gate.time()
            self.request_id = self._gate.identifiers.request_id()
        self._failure = reason
        self._decision = self._decision or Denied(reason=reason)
        if self._transfer is not None:
            self._transfer.stop()
            if self._transfer.status:
                self.broken()
                return
        if self._dialect is not None:
            self._say(
                subrequest.refusal(reason, self.request_id, status=503 if status in {500, 503} else 403),
                keeps_alive=False,
            )
            return
        methods_here = self._site.portal.methods if self._site is not None else methods.ORDINARY
        self._say(refusals.plain(status, reason, self.request_id, methods_here), keeps_alive=False)

    def refuse_unread(self, status: int, reason: Reason, target: bytes) -> None:
        """Refuses a request whose head could not be read further than to its target. A front proxy makes a
        fault of its own of every answer that it does not know, so that a subrequest is refused as such."""
        self._dialect = DIALECTS.get(target.decode("latin-1"))
        self.refuse_rest(status, reason)

    @property
    def may_stay(self) -> bool:
        """Whether the client's connection can be used for another request after this one.

        Whoever asked with `Expect` and gets a final answer may or may not send the body: the next request
        could not be told from it."""
        return self._client.may_stay and (self._request_is_complete or not self.head.expects_continue)

    def _say(self, answer: Answer, *, keeps_alive: bool = True) -> None:
        head = self.head
        keeps_alive = keeps_alive and self.may_stay
        if self._dialect is not None and head.has_body:
            # A front proxy that announces the body of the original request may keep it to itself: the next
            # question would be read as it.
            keeps_alive = False
        self._status = answer.status
        date = self._gate.date_line()
        wire = refusals.head_bytes(answer, date=date, keeps_alive=keeps_alive, is_http_1_0=head.is_http_1_0)
        self._client.write(wire if head.method == "HEAD" else wire + answer.body)
        self._finish()
        self._client.ended(keeps_alive=keeps_alive)

    # Forwarding.

    def _forward(self, site: Site, target: RequestTarget, identity: bytes, head: RequestHead) -> None:
        if self.head.is_relayed and self._must_stay(site, head):
            return
        identifiers, name = self._gate.identifiers, site.pool.via
        own = (
            f"X-Forwarded-For: {self.client}\r\nX-Request-Id: {self.request_id}\r\ntraceparent: "
            f"{identifiers.trace_parent()}\r\n{name.text_of_1_0 if head.is_http_1_0 else name.text}"
        )
        added = identity + site.forwarded + own.encode()
        host = site.host_for_upstream or target.host.encode()
        outgoing = site.filter.outgoing(head, origin_form=target.origin_form, host=host, added=added)
        self._transfer_to(site.pool, head, outgoing)

    def _must_stay(self, site: Site, head: RequestHead) -> bool:
        """Whether an allowed request must not go on to the portal, by what it says of intermediaries on its
        way; it is answered then."""
        if site.pool.via.is_circle(self.head.all(b"via")):
            self._fail_here(508, Reason.LOOP_DETECTED)
            return True
        left = via.forwards_left(head)
        if left == 0:
            self._say(refusals.options(site.portal.methods))
            return True
        if left is not None:
            head.fields = via.with_one_forward_less(head.fields, left)
        return False

    def _ask_pages(self) -> None:
        """Our own pages, reached as a portal is, with the cookies that portals never see."""
        assert self._target is not None  # noqa: S101  (it is a target that shows whose place this is)
        self._transfer_to(
            self._gate.pages,
            self.head,
            self._head_for_pages(self.head, self._target.origin_form, self._site, b""),
        )

    def _show(self, page: PageWanted) -> None:
        """A refusal that people read: the pages render it, the status is ours."""
        self._page = page
        head = self.head
        fields = [field for field in head.fields if field[0].lower() in _WANTED_BY_REFUSAL_PAGES]
        asked = RequestHead(
            "HEAD" if head.method == "HEAD" else "GET", "/refusal", head.is_http_1_0, fields, host=head.host
        )
        said = b"X-Authproxy-Status: %d\r\nX-Authproxy-Reason: %s\r\n%s" % (
            page.status,
            page.reason.encode(),
            page.said,
        )
        self._transfer_to(self._gate.pages, asked, self._head_for_pages(asked, "/refusal", self._site, said))

    def _head_for_pages(self, head: RequestHead, origin_form: str, site: Site | None, said: bytes) -> bytes:
        added = b"%sX-Authproxy-Client: %s\r\nX-Request-Id: %s\r\n" % (
            said,
            self.client.encode(),
            self.request_id.encode(),
        )
        if self.client_is_nobody:
            self._gate.tell_of_nobody(self.client)
            added += b"X-Authproxy-Client-Is-Nobody: yes\r\n"
        if site is not None:
            added += b"X-Authproxy-Portal: %s\r\n" % site.portal.portal_id.encode()
        return _PAGES_FILTER.outgoing(
            head, origin_form=origin_form, host=head.host or b"-", added=added, keeps_own_cookies=True
        )

    def _transfer_to(self, pool: UpstreamPool, head: RequestHead, outgoing: bytes) -> None:
        transfer = self._transfer = Transfer(
            owner=self,
            client=self._client,
            gate=self._gate,
            pool=pool,
            head=head,
            outgoing=outgoing,
            ticket=self._ticket,
        )
        pieces, self._pieces = self._pieces, []
        if self._page is None:
            for piece in pieces:
                transfer.request_body(piece)
            if self._request_is_complete:
                transfer.request_ended(self._trailers)
        transfer.start()

    # From the client.

    def request_body(self, piece: bytes) -> None:
        self._received += len(piece)
        limit = self._gate.limits.body_size
        if self._is_over or self._page is not None:
            return  # the rest of a request that was answered without it is read and forgotten
        if limit and self._received > limit:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        elif self._transfer is not None:
            self._transfer.request_body(piece)
        elif self._is_own and self._received > _LARGEST_OWN_BODY:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        else:
            self._pieces.append(piece)
            if self._when_whole is None:
                self._client.pause()

    def request_ended(self, trailers: bytes) -> None:
        """The request is complete; `trailers` are finished lines."""
        self._request_is_complete = True
        self._trailers = trailers
        when_whole, self._when_whole = self._when_whole, None
        if when_whole is not None:
            when_whole()
        elif self._transfer is not None and self._page is None:
            self._transfer.request_ended(trailers)

    def client_lost(self) -> None:
        """The client is gone: the portal sees a closed connection, and nothing is answered."""
        if not self._is_over:
            if self._transfer is not None:
                self._transfer.stop()
            self._finish()

    def client_may_flow(self, *, flows: bool) -> None:
        if self._transfer is not None:
            self._transfer.client_may_flow(flows=flows)

    def leave(self) -> None:
        """The gateway is going down: what would never end is ended in order."""
        if self._transfer is not None:
            self._transfer.leave()

    def check(self, now: float) -> None:
        """Called about once a second while the exchange is the connection's current one: lets nothing
        hang."""
        if self._transfer is not None:
            self._transfer.check(now)

    # How the transfer went.

    def transferred(self, *, keeps_alive: bool) -> None:
        self._finish()
        self._client.ended(keeps_alive=keeps_alive)

    def not_transferred(self, status: int, reason: Reason) -> None:
        self._transfer = None
        if self._page is not None:
            self._say(refusals.plain(self._page.status, self._page.reason, self.request_id))
        elif not isinstance(self._decision, (Allowed, Preflight)) or self._target is None:
            self._say(refusals.problem(503, Reason.UNEXPECTED, self.request_id))
        else:
            self._fail_here(status, reason)

    def _fail_here(self, status: int, reason: Reason) -> None:
        """An allowed request that the portal cannot answer, or must not get."""
        self._failure = reason
        if refusals.is_page_load(self.head, self.method):
            self._show(PageWanted(status, reason))
        else:
            self._say(refusals.problem(status, reason, self.request_id))

    def broken(self) -> None:
        """An answer that cannot be completed must not look complete: the connection is cut."""
        self._finish()
        self._client.abort()

    def switched(self, connection: UpstreamConnection) -> None:
        assert self._site is not None and self._target is not None  # noqa: S101, PT018  (only a site's request is forwarded)
        portal, target, ticket = self._site.portal, self._target, self._ticket
        tunnel = Tunnel(
            client=self._client,
            connection=connection,
            gate=self._gate,
            portal=portal,
            target=target,
            ticket=ticket,
        )
        if self._transfer is not None:
            self._transfer.tunnel = tunnel
        self._client.tunnel(tunnel)

    def _finish(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._pieces = []
        self._when_whole = None
        if self._session_share:
            self._gate.connections_per_session.give_back(self._session_share)
            self._session_share = ""
        if self._address_share:
            self._gate.connections_per_address.give_back(self._address_share)
            self._address_share = ""
        self._ended_at = self._gate.time()
        self._gate.observer(self)
        # Exchange and transfer know each other: without the knot both are freed now, not when the collector
        # comes by.
        self._transfer = None


_WANTED_BY_REFUSAL_PAGES: Final = frozenset(
    {b"accept", b"accept-language", b"user-agent", b"sec-fetch-mode", b"sec-fetch-dest"}
)
