"""One request and its answer: asks for the decision, then refuses, answers a subrequest, or streams between
client and portal.

An exchange begins when those before it on its connection have ended, and ends exactly once. A failure before
the first byte of an answer becomes a refusal. A failure after it cuts the connection, so that nothing looks
complete.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from authproxy.access import bound_proof, machine_policy, methods, own_paths, policy
from authproxy.access import target as request_target
from authproxy.access.client_networks import network_of
from authproxy.access.decision import (
    Allowed,
    AuthenticationRequired,
    Decision,
    Denied,
    Reason,
    Refusal,
    StepUpRequired,
    Unavailable,
)
from authproxy.access.personal_cookies import Marking
from authproxy.access.target import RequestTarget, TargetRefused
from authproxy.access.unavailable import CannotAsk
from authproxy.edge import doctor_orders, held_requests, joint_decision, outgoing_heads, subrequests
from authproxy.edge.client_side import ClientSide
from authproxy.edge.request_record import RequestRecord
from authproxy.edge.rules import held_forms, preflight, refusals, subrequest, via
from authproxy.edge.rules.preflight import Preflight
from authproxy.edge.rules.refusals import OwnAnswer, PageWanted
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import Dialect, dialect_at
from authproxy.edge.site import EdgeLimits, Gate, Site, Way, report
from authproxy.edge.transfer import Transfer, TransferOwner
from authproxy.edge.tunnel import Tunnel
from authproxy.edge.upstream.connection import UpstreamConnection
from authproxy.edge.upstream.pool import UpstreamPool
from authproxy.edge.watch import Watch
from authproxy.identity.machine_client import MachineClient
from authproxy.identity.session import Session

_LARGEST_OWN_BODY: Final = 16 * 1024
"""Bytes. Forms and logout tokens are collected before the pages are asked, so that a slow body holds none of
the connections to them."""

_LOOKED_AFTER: Final = 2.0
"""Seconds after which a transfer's session is looked at, and then about once a second."""


class Exchange(TransferOwner):
    __slots__ = (
        "_address_share",
        "_client",
        "_closes",
        "_gate",
        "_is_for_pages",
        "_is_over",
        "_limits",
        "_page",
        "_pieces",
        "_record",
        "_request_is_complete",
        "_session_share",
        "_trailers",
        "_transfer",
        "_watch",
        "_way",
        "_when_whole",
        "head",
        "tunnel",
    )

    def __init__(self, client: ClientSide, gate: Gate, head: RequestHead) -> None:
        self.head = head
        self._client = client
        self._gate = gate
        self._record = RequestRecord(
            head, client.peer, gate.trusted_proxies, is_trusted_peer=client.is_trusted
        )
        self._address_share = self._session_share = ""
        """The names under which this request is counted; empty if it is not."""
        self._pieces: list[bytes] = []
        """What has arrived of the body before anybody could take it."""
        self._when_whole: Callable[[], None] | None = None
        """What waits for the rest of the body."""
        self._trailers = b""
        self._request_is_complete = False
        self._is_for_pages = False
        """Whether the body is for our own pages, which take small ones only."""
        self._page: PageWanted | None = None
        """The page of a refusal that is being asked for."""
        self._transfer: Transfer | None = None
        self._watch: Watch | None = None
        """Looks after the session of a transfer that takes long."""
        self._is_over = False
        self._way: Way | None = None
        """How the request will be passed on if it is allowed."""
        self._limits = gate.limits
        """Those of the way; until it is known, those of the server."""
        self._closes = False
        """Whether the connection closes after the answer, because of the request's form."""
        self.tunnel: Tunnel | None = None
        """Not None once the portal has switched protocols."""

    # Deciding.

    def begin(self) -> None:
        """Starts the exchange. From here it ends by itself, or by `client_lost`."""
        gate, head, record = self._gate, self.head, self._record
        record.started_at = gate.time()
        given_id = record.given_request_id if self._client.is_trusted else None
        record.request_id = given_id or gate.identifiers.request_id()
        dialect = dialect_at(head.target)
        if dialect is not None:
            self._answer_subrequest(dialect)
            return
        try:
            host, site = gate.site_at(head.host or self._unnamed_host(), gate.default_port)
            record.site = site
            record.target = request_target.parse(
                method=head.method,
                target=head.target,
                host=host,
                default_port=gate.default_port,
                accepts_encoded_slash=site is not None and site.portal.accepts_encoded_slash,
                accepts_encoded_percent=site is not None and site.portal.accepts_encoded_percent,
            )
            if site is not None and site.portal.personal_cookies is not None:
                record.target = policy.without_sessions(site.portal, record.target)
        except TargetRefused as refused:
            if head.target == "*" and head.method == "OPTIONS" and record.site is not None:
                # RFC 9110 §9.3.7: the question is about the server, not about a resource. Load balancers ask
                # it to see whether the server is up.
                self._answer(refusals.options(record.site.portal.methods))
            else:
                self._refuse_target(refused.reason)
            return
        is_own = own_paths.is_own_path(record.target)
        if site is not None and not is_own:
            way = self._way = site.way_of(record.target)
            self._limits = way.limits
        if self._limits.body_size and (head.content_length or 0) > self._limits.body_size:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        elif is_own:
            self._begin_for_pages(record.target)
        elif site is None:
            self._decided(Denied(reason=Reason.UNKNOWN_HOST))
        elif head.method not in site.portal.methods:
            self.refuse_rest(405, Reason.METHOD_UNSUPPORTED)
        elif head.upgrade and not site.may_upgrade(head):
            self._decided(Denied(reason=Reason.FOREIGN_ORIGIN, portal=site.portal))
        elif (
            head.content_length == held_forms.RELEASE_SIZE
            and gate.form_keeping is not None
            and held_forms.may_release(head)
        ):
            self._collect(self._release_or_decide)
        else:
            self._decide(site, record.target)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` in the background. If it fails unexpectedly, the request is answered 500."""
        self._gate.start(work, lambda: self.refuse_rest(500, Reason.UNEXPECTED))

    def _unnamed_host(self) -> bytes:
        """The host that a request of HTTP/1.0 without Host is for. RFC 9112 §3.2: HTTP/1.1 demands the
        field."""
        site = self._gate.default_site
        return site.portal.host.encode() if site is not None and self.head.is_http_1_0 else b""

    def _begin_for_pages(self, target: RequestTarget) -> None:
        site = self._record.site
        if site is None and not own_paths.needs_no_portal(target.path):
            self._decided(Denied(reason=Reason.UNKNOWN_HOST))
        elif self.head.upgrade:
            self.refuse_rest(400, Reason.REQUEST_UNREADABLE)
        elif (self.head.content_length or 0) > _LARGEST_OWN_BODY:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        elif self._client.is_trusted and not self._counts_for_address():
            self._refuse_for_lack_of_room(site)
        elif self.head.has_body:
            self._is_for_pages = True
            self._collect(self._ask_pages)
        else:
            self._ask_pages()

    def _counts_for_address(self) -> bool:
        """Whether there is room for one more request of the address that a trusted proxy forwards for. The
        proxy itself has no limit."""
        gate, record, peer = self._gate, self._record, self._client.peer
        if record.client == peer:
            if peer not in gate.silent_proxies and record.client_is_nobody:
                gate.warn_of_silent_proxy(peer)
            return True
        if record.client_is_nobody:
            return True
        share = network_of(record.client)
        if gate.connections_per_address.take(share):
            self._address_share = share
            return True
        return False

    def _has_room(self, session: Session | None, machine: MachineClient | None = None) -> bool:
        """Whether there is room for one more request of this session, or of this program, and its address. It
        counts until it ends, streams and tunnels too. Requests of nobody count as one session of their
        address. Otherwise one address could take all connections to a portal that has something open."""
        if self._client.is_trusted and not self._counts_for_address():
            return False
        if session is not None:
            share: str = session.session_id
        elif machine is not None:
            share = f"machine:{machine.client_id}"
        elif self._record.client_is_nobody:
            return True
        else:
            share = f"nobody:{network_of(self._record.client)}"
        if self._gate.connections_per_session.take(share):
            self._session_share = share
            return True
        return False

    def _decide(self, site: Site, target: RequestTarget) -> None:
        if site.portal.sign_out_paths and policy.is_sign_out(site.portal, target):
            self._answer(refusals.sign_out(site.portal))
            return
        self._record.ticket = self.head.ticket
        if target.method not in methods.ON_ONE_TARGET and self._is_not_judged_alone(site, target):
            return
        decision = self._gate.access.decide_soon(
            site.portal, target, self._record, self._gate.clock(), self._asked
        )
        if decision is not None:
            self._decided(decision)

    def _asked(self, decision: Decision | None) -> None:
        """The store has answered, or only `Access.decide` can decide. Nobody watches over this: what fails
        here is reported, and answered 500."""
        record = self._record
        site, target = record.site, record.target
        if self._is_over or site is None or target is None:
            return
        try:
            if decision is None:
                self._start(self._decide_later(site, target))
            else:
                self._judged(decision)
        except Exception as error:  # noqa: BLE001  (the store's other answers must not suffer)
            report(error, "deciding failed")
            self.refuse_rest(500, Reason.UNEXPECTED)

    def _is_not_judged_alone(self, site: Site, target: RequestTarget) -> bool:
        """Whether more than the target decides about this request. It is then answered here, or will be."""
        head, portal = self.head, site.portal
        if target.method == "OPTIONS" and not head.host and self._record.ticket is None:
            # HAProxy sends this to see whether a server is up.
            self._answer(refusals.options(portal.methods))
            return True
        if preflight.is_passed(portal, head, target, self._record):
            self._pass_preflight(site, target)
            return True
        try:
            others = joint_decision.further_targets(site, target, head)
        except TargetRefused as refused:
            if refused.reason is Reason.FOREIGN_ORIGIN:
                self._decided(Denied(reason=refused.reason, portal=portal))
            else:
                self.refuse_rest(400, refused.reason)
            return True
        if others:
            self._start(self._decide_all_later(site, target, others))
        return bool(others)

    async def _decide_all_later(self, site: Site, target: RequestTarget, others: list[RequestTarget]) -> None:
        decision = await joint_decision.decide(self._gate, site.portal, target, others, self._record)
        if not self._is_over:
            self._judged(decision)

    def _pass_preflight(self, site: Site, target: RequestTarget) -> None:
        if site.ways:
            # The request after it goes to the server of its own method, which must be asked.
            self._way = site.way_of(preflight.announced(self.head, target))
        self._record.decided_at = self._gate.time()
        self._record.outcome = Preflight(portal=site.portal)
        if self._has_room(None):
            self._forward(site, target, b"", self.head)
        else:
            self._refuse_for_lack_of_room(site)

    async def _decide_later(self, site: Site, target: RequestTarget) -> None:
        decision = await self._gate.access.decide(site.portal, target, self._record, self._gate.clock())
        if not self._is_over:
            self._judged(decision)

    def _judged(self, decision: Decision) -> None:
        """Answers a subrequest, or does what was decided about the client's own request."""
        dialect = self._record.asked_by
        if dialect is None:
            self._decided(decision)
        else:
            self._give(subrequests.answer(self._gate, self._record, dialect, decision))

    def _decided(self, decision: Decision) -> None:
        record = self._record
        record.decided_at = self._gate.time()
        record.outcome = decision
        if isinstance(decision, Allowed):
            site, target = record.site, record.target
            assert site is not None and target is not None  # noqa: S101, PT018  (only requests to a site are allowed)
            if decision.session is None:
                # A ticket that opens nothing may still name an upstream connection on which its person has
                # authenticated.
                record.ticket = None
            if decision.portal.machines is not None and machine_policy.is_for_gateway(
                decision, record.authorization
            ):
                self.head.fields = [each for each in self.head.fields if each[0].lower() != b"authorization"]
            if self._has_room(decision.session, decision.machine):
                self._forward(site, target, decision.identity_headers, self.head)
            else:
                self._refuse_for_lack_of_room(site)
        elif isinstance(decision, StepUpRequired):
            self._proof_is_missing(decision)
        elif isinstance(decision, AuthenticationRequired) and refusals.is_entry(self.head, record.method):
            self._session_is_missing(decision)
        else:
            self._refuse(decision)

    def _session_is_missing(self, required: AuthenticationRequired) -> None:
        """A person has sent a form and is not signed in. If their session has ended, the form may wait for
        them; otherwise they are told that it was not sent."""
        if self._record.ticket is not None and held_requests.may_keep(self._gate, required.portal, self.head):
            self._start(self._ask_whose_later(required))
        else:
            self._refuse(held_requests.not_sent(required))

    async def _ask_whose_later(self, required: AuthenticationRequired) -> None:
        """The body is read only if it is known for whom it would be kept: nobody else can make the gateway
        hold one."""
        gate, record, keeping = self._gate, self._record, self._gate.form_keeping
        assert keeping is not None  # noqa: S101  (asked only where forms are kept)
        portal_id = required.portal.portal_id
        refusal: Refusal = held_requests.not_sent(required)
        try:
            record.ended_session = await keeping.requests.whose(
                record.ticket, portal_id=portal_id, now=gate.clock()
            )
        except CannotAsk as refused:
            refusal = Unavailable(reason=refused.reason, portal=required.portal)
        if self._is_over:
            return
        if record.ended_session is None:
            self._refuse(refusal)
        elif self._client.is_trusted and not self._counts_for_address():
            self._refuse_for_lack_of_room(record.site)
        else:
            self._collect(self._keep_form)

    def _proof_is_missing(self, required: StepUpRequired) -> None:
        head = self.head
        if held_requests.may_keep(self._gate, required.portal, head):
            self._collect(self._keep_form)
        elif not required.is_per_request or head.method == "HEAD":
            self._refuse(required)
        elif head.method == "GET" and not head.has_body and not head.upgrade:
            self._start(self._admit_later(required))
        else:
            self._refuse(held_requests.unbound(required))

    async def _admit_later(self, required: StepUpRequired) -> None:
        """A GET that needs a proof of its own goes to the portal if one was given for exactly this request.
        The proof is used up by that."""
        gate, target = self._gate, self._record.target
        assert target is not None  # noqa: S101  (nothing is decided without a target)
        admitted = await gate.access.admit_once(
            required, target, bound_proof.of_get(target.origin_form), gate.clock()
        )
        if self._is_over:
            await gate.access.give_back(admitted.proof)
        elif isinstance(admitted.decision, Allowed):
            self._decided(admitted.decision)
            if isinstance(self._record.outcome, Unavailable):  # there was no room for it
                await gate.access.give_back(admitted.proof)
        else:
            self._refuse(admitted.decision)

    def _refuse(self, refusal: Refusal, kept_as: str | None = None) -> None:
        record = self._record
        assert record.target is not None  # noqa: S101  (nothing is decided without a target)
        record.outcome = refusal
        ordered = doctor_orders.obeyed(self._gate, record, refusal)
        if isinstance(ordered, OwnAnswer):
            self._answer(ordered)
            return
        refusal = record.outcome = ordered
        answer = refusals.answer(
            refusal, target=record.target, head=self.head, request_id=record.request_id, held=kept_as
        )
        self._give(answer)

    def _refuse_for_lack_of_room(self, site: Site | None, *, kept_as: str | None = None) -> None:
        portal = site.portal if site is not None else None
        self._refuse(Unavailable(reason=Reason.TOO_MANY_CONNECTIONS, portal=portal), kept_as)

    # Forms that wait for a fresh proof, or for a sign-in.

    def _collect(self, when_whole: Callable[[], None]) -> None:
        """Collects the body, which is small, and calls `when_whole` then."""
        if self._request_is_complete:
            when_whole()
            return
        self._when_whole = when_whole
        if self.head.expects_continue:
            self.head.expects_continue = False
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._client.resume()

    def _keep_form(self) -> None:
        self._start(self._keep_later())

    async def _keep_later(self) -> None:
        record, keeping = self._record, self._gate.form_keeping
        required, target = record.outcome, record.target
        assert isinstance(required, (StepUpRequired, AuthenticationRequired))  # noqa: S101
        owner = required.session if isinstance(required, StepUpRequired) else record.ended_session
        assert owner is not None and keeping is not None and target is not None  # noqa: S101, PT018
        form = held_forms.kept(self.head, target.origin_form, b"".join(self._pieces))
        answer = await held_requests.keep(self._gate, keeping, required, owner, form)
        if answer.kept_as is not None:
            keeping.when_kept(self._record)
        if not self._is_over:
            self._refuse(answer.refusal, answer.kept_as)

    def _release_or_decide(self) -> None:
        """The body is there, and says whether it is our confirmation form or one of the portal's own."""
        site, target = self._record.site, self._record.target
        assert site is not None and target is not None  # noqa: S101, PT018  (only forms for a site are collected)
        name = held_forms.released_name(b"".join(self._pieces))
        if name is None:
            self._decide(site, target)
        else:
            self._start(self._release_later(site, target, name))

    async def _release_later(self, site: Site, target: RequestTarget, name: str) -> None:
        gate, keeping = self._gate, self._gate.form_keeping
        assert keeping is not None  # noqa: S101  (nothing is released where nothing is kept)
        self._record.ticket = self.head.ticket
        outcome = await held_requests.release(
            gate, keeping, site.portal, target, self.head, sender=self._record, name=name
        )
        self._record.decided_at = gate.time()
        if isinstance(outcome, held_requests.FormRefused):
            if not self._is_over:
                self._refuse(outcome.refusal, outcome.kept_as)
        elif self._is_over or not self._has_room(outcome.allowed.session):
            await outcome.give_back()
            if not self._is_over:
                self._refuse_for_lack_of_room(site, kept_as=name)
        else:
            self._record.outcome = outcome.allowed
            self._pieces = [outcome.form.body] if outcome.form.body else []
            keeping.when_released(self._record)
            head = held_forms.released(self.head, outcome.form)
            self._forward(site, target, outcome.allowed.identity_headers, head)

    # Subrequests of front proxies.

    def _answer_subrequest(self, dialect: Dialect) -> None:
        gate, record = self._gate, self._record
        read = subrequests.read(gate, self._client, record, dialect)
        if not isinstance(read, list):
            self._give(read)
            return
        site, original = record.site, record.target
        assert site is not None and original is not None  # noqa: S101, PT018  (only requests to a site are decided)
        if read:
            self._start(self._decide_all_later(site, original, read))
            return
        decision = gate.access.decide_soon(site.portal, original, record, gate.clock(), self._asked)
        if decision is not None:
            self._judged(decision)

    # Answers of the gateway itself.

    def _give(self, answer: OwnAnswer | PageWanted) -> None:
        if isinstance(answer, OwnAnswer):
            self._answer(answer)
        else:
            self._show_page(answer)

    def refuse_rest(self, status: int, reason: Reason) -> None:
        """Refuses a request of which not everything can be trusted or taken. The connection closes after the
        answer."""
        if self._is_over:
            return
        record, transfer = self._record, self._transfer
        if not record.request_id:
            record.started_at = self._gate.time()
            record.request_id = self._gate.identifiers.request_id()
        record.failure = reason
        record.outcome = record.outcome or Denied(reason=reason)
        if transfer is not None:
            transfer.stop()
            if transfer.status:
                self.broken()
                return
        if record.asked_by is not None:
            answer = subrequest.refusal(
                reason, record.request_id, status=503 if status in {500, 503} else 403
            )
        else:
            allowed = record.site.portal.methods if record.site is not None else methods.ORDINARY
            answer = refusals.plain(status, reason, record.request_id, allowed)
        self._answer(answer, keeps_alive=False)

    def _refuse_target(self, reason: Reason) -> None:
        """Refuses a request whose target cannot be read in one way only. A person at a portal gets a page
        that says so."""
        record, head = self._record, self.head
        status = 405 if reason is Reason.METHOD_UNSUPPORTED else 400
        if status == 405 or record.site is None or not refusals.is_page_load(head, head.method):
            self.refuse_rest(status, reason)
            return
        record.failure = reason
        record.outcome = Denied(reason=reason)
        self._closes = True
        self._show_page(PageWanted(status, reason))

    def refuse_unread(self, status: int, reason: Reason, target: bytes) -> None:
        """Refuses a request whose head could be read no further than its target. A subrequest is refused as
        one, because a front proxy makes an error of its own of every status that it does not know."""
        self._record.asked_by = dialect_at(target.decode("latin-1"))
        self.refuse_rest(status, reason)

    @property
    def may_stay(self) -> bool:
        """Whether the client's connection can be used for another request after this one.

        A client that sent `Expect` and gets a final answer may send the body or not. The next request could
        not be told from it."""
        return (
            not self._closes
            and self._client.may_stay
            and (self._request_is_complete or not self.head.expects_continue)
            # A front proxy may announce the body of the original request and not send it. The next request
            # would be read as that body.
            and (self._record.asked_by is None or not self.head.has_body)
        )

    def _answer(self, answer: OwnAnswer, *, keeps_alive: bool = True) -> None:
        head = self.head
        keeps_alive = keeps_alive and self.may_stay
        self._record.status = answer.status
        date = self._gate.date_line()
        wire = refusals.head_bytes(answer, date=date, keeps_alive=keeps_alive, is_http_1_0=head.is_http_1_0)
        if answer.body and head.method != "HEAD":
            wire += answer.body
        self._client.write(wire)
        self._finish()
        self._client.ended(keeps_alive=keeps_alive)

    # Forwarding.

    def _forward(self, site: Site, target: RequestTarget, identity: bytes, head: RequestHead) -> None:
        way = self._way or site.way
        if self.head.is_relayed and self._ends_here(site, way, head):
            return
        personal, marking = site.portal.personal_cookies, None
        if personal is not None:
            outcome = self._record.outcome
            owner = outcome.cookie_owner if isinstance(outcome, Allowed) else b""
            owner = owner or personal.owner(None)
            head.cookies = personal.kept(head.cookies, owner)
            marking = Marking(personal, owner, target.path)
        outgoing = outgoing_heads.for_portal(self._gate, site, way, self._record, target, identity, head)
        self._transfer_to(way.pool, way.limits, head, outgoing, marking)

    def _ends_here(self, site: Site, way: Way, head: RequestHead) -> bool:
        """Whether Via or Max-Forwards keep an allowed request from the portal. It is answered here then."""
        if way.pool.via.is_loop(self.head.all(b"via")):
            self._cannot_forward(508, Reason.LOOP_DETECTED)
            return True
        left = via.forwards_left(head)
        if left == 0:
            self._answer(refusals.options(site.portal.methods))
            return True
        if left is not None:
            head.fields = via.with_one_forward_less(head.fields, left)
        return False

    def _ask_pages(self) -> None:
        gate, record = self._gate, self._record
        assert record.target is not None  # noqa: S101  (the target has shown that the request is for the pages)
        question = doctor_orders.arrived(self.head, record.target)
        outgoing = outgoing_heads.for_pages(gate, record, self.head, record.target.origin_form, question)
        self._transfer_to(gate.pages, gate.limits, self.head, outgoing)

    def _show_page(self, page: PageWanted) -> None:
        """A refusal that people read: the pages render it, the status is ours."""
        self._page = page
        head, outgoing = outgoing_heads.for_refusal_page(self._gate, self._record, page)
        only_status = page.status if self._record.asked_by is not None else 0
        self._transfer_to(self._gate.pages, self._gate.limits, head, outgoing, only_status=only_status)

    def _transfer_to(
        self,
        pool: UpstreamPool,
        limits: EdgeLimits,
        head: RequestHead,
        outgoing: bytes,
        marking: Marking | None = None,
        *,
        only_status: int = 0,
    ) -> None:
        transfer = self._transfer = Transfer(
            owner=self,
            client=self._client,
            gate=self._gate,
            pool=pool,
            limits=limits,
            head=head,
            outgoing=outgoing,
            ticket=self._record.ticket,
        )
        transfer.marking = marking
        transfer.only_status = only_status
        pieces, self._pieces = self._pieces, []
        if self._page is None:
            for piece in pieces:
                transfer.request_body(piece)
            if self._request_is_complete:
                transfer.request_ended(self._trailers)
        transfer.start()

    # From the client.

    def request_body(self, piece: bytes) -> None:
        self._record.bytes_in += len(piece)
        limit = self._limits.body_size
        if self._is_over or self._page is not None:
            return  # the request was answered without the rest of it
        if limit and self._record.bytes_in > limit:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        elif self._transfer is not None:
            self._transfer.request_body(piece)
        elif self._is_for_pages and self._record.bytes_in > _LARGEST_OWN_BODY:
            self.refuse_rest(413, Reason.BODY_TOO_LARGE)
        else:
            self._pieces.append(piece)
            if self._when_whole is None:
                self._client.pause()

    def request_ended(self, trailers: bytes) -> None:
        """The request is complete; `trailers` are finished lines."""
        self._request_is_complete = True
        if trailers and self._record.site is not None:
            trailers = self._record.site.filter.trailers(trailers)
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

    def wind_down(self) -> None:
        """The gateway is going down: what would never end is ended in order."""
        if self._transfer is not None:
            self._transfer.wind_down()

    def check(self, now: float) -> None:
        """Called about once a second while the exchange is the connection's current one: ends what hangs."""
        if self._transfer is not None:
            self._transfer.check(now)
        transfer = self._transfer
        if transfer is not None and transfer.sent_at and now - transfer.sent_at > _LOOKED_AFTER:
            self._look_after(transfer)

    def _look_after(self, transfer: Transfer) -> None:
        """What takes long ends with the session that has begun it."""
        if self._page is not None:
            return
        if self._watch is None:
            allowed = self._record.outcome
            if not isinstance(allowed, Allowed):
                return
            self._watch = Watch(self._gate, allowed, self._record, "streams")
        self._watch.look(
            transfer.sent + self._record.bytes_in,
            is_finite=not transfer.is_endless,
            ended=self._session_is_over,
            failed=self._client.abort,
        )

    def _session_is_over(self) -> None:
        """The session of this transfer has ended. What has begun is cut, so that nothing looks complete; a
        stream that never ends by itself is ended in order. Where no answer has begun, the client learns
        why, except for a form that the portal is working on."""
        transfer = self._transfer
        if self._is_over or transfer is None:
            return
        if not transfer.status:
            head = self.head
            if (
                self._request_is_complete
                and head.method not in {"GET", "HEAD"}
                and refusals.is_page_load(head, head.method)
            ):
                # The portal has the whole form, and nobody can take it back. A person who is told to sign in
                # would send it a second time.
                return
            transfer.stop()
            self._transfer = None
            self._start(self._refuse_late())
            return
        self._record.failure = Reason.SESSION_ENDED
        if transfer.is_endless:
            transfer.wind_down()
        else:
            transfer.stop()
            self.broken()

    async def _refuse_late(self) -> None:
        """The answer to a request that waits for its portal while its session ends."""
        site, target = self._record.site, self._record.target
        assert site is not None and target is not None  # noqa: S101, PT018  (it was on its way to a portal)
        decision = await self._gate.access.decide(site.portal, target, self._record, self._gate.clock())
        if isinstance(decision, Allowed):
            decision = AuthenticationRequired(reason=Reason.SESSION_ENDED, portal=site.portal)
        if not self._is_over:
            self._refuse(decision)

    # How the transfer went.

    def transferred(self, *, keeps_alive: bool) -> None:
        self._finish()
        self._client.ended(keeps_alive=keeps_alive)

    def not_transferred(self, status: int, reason: Reason) -> None:
        self._transfer = None
        if self._page is not None:
            self._answer(refusals.plain(self._page.status, self._page.reason, self._record.request_id))
        elif not isinstance(self._record.outcome, (Allowed, Preflight)) or self._record.target is None:
            self._answer(refusals.problem(503, Reason.UNEXPECTED, self._record.request_id))
        else:
            self._cannot_forward(status, reason)

    def _cannot_forward(self, status: int, reason: Reason) -> None:
        """Answers an allowed request that the portal cannot answer or must not get."""
        self._record.failure = reason
        if refusals.is_page_load(self.head, self._record.method):
            self._show_page(PageWanted(status, reason))
        else:
            self._answer(refusals.problem(status, reason, self._record.request_id))

    def broken(self) -> None:
        """An answer that cannot be completed must not look complete: the connection is cut."""
        self._finish()
        self._client.abort()

    def switched(self, connection: UpstreamConnection) -> None:
        allowed, transfer = self._record.outcome, self._transfer
        assert isinstance(allowed, Allowed) and transfer is not None  # noqa: S101, PT018  (only what is allowed is forwarded, and preflights ask for no upgrade)
        self.tunnel = transfer.tunnel = Tunnel(
            client=self._client,
            connection=connection,
            watch=Watch(self._gate, allowed, self._record, "websocket_messages"),
        )
        self._client.become_tunnel()

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
        record, transfer = self._record, self._transfer
        record.ended_at = self._gate.time()
        if transfer is not None:
            record.status = record.status or transfer.status
            record.bytes_out = transfer.sent
            record.sent_at = transfer.sent_at
            # Exchange and transfer know each other. Without this reference both are freed now, not when the
            # garbage collector runs.
            self._transfer = None
        self._gate.observer(record)
