"""The attacks: each looks for one thing. What they have seen is judged in `judgement`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from authproxy.doctor import attacks, judgement, machine, probes_http2, raw_http, tls
from authproxy.doctor.examination import NAVIGATION, Examination
from authproxy.doctor.findings import Verdict, not_tried, worst
from authproxy.doctor.judgement import Trial
from authproxy.doctor.look import look
from authproxy.doctor.stand_in import MARK

Need = Literal["stand_in", "session", "entry", "tls"]
"""What a probe cannot do without. `entry`: a session, or a path that everybody may open."""
_MOST_PATHS: Final = 44
_MOST_SERVERS: Final = 8
"""So that an examination of a large deployment has requests left for everything else."""
_DIALECTS: Final = ("nginx", "caddy", "traefik", "haproxy", "envoy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    finding_id: str
    run: Callable[[Examination], Awaitable[Verdict]]
    needs: frozenset[Need] = frozenset()


# Past the gateway.


async def portal_reachable(on: Examination) -> Verdict:
    servers = [server for portal in on.look.said["portals"] for server in portal["servers"]]
    addresses = machine.beside(servers, await machine.of_itself(on.door.address))
    if not addresses:
        return not_tried("the settings name no server that could be reached from here")
    asked = []
    for address, port in addresses[:_MOST_SERVERS]:
        request = raw_http.request("GET", "/", [("Host", on.site.host), ("Connection", "close")])
        asked.append((f"{address}:{port}", await machine.ask(on.door.budget, address, port, request)))
    return judgement.beside(asked)


async def unprotected_path(on: Examination) -> Verdict:
    own = [route["path"] for route in on.look.routes if route["path"].startswith("/")]
    paths = dict.fromkeys(
        (*on.site.paths, *(path for path in own if "*" not in path and "{" not in path), *attacks.PATHS)
    )
    verdicts = []
    for path in list(paths)[:_MOST_PATHS]:
        # At a path that is open to everybody there is nothing to see, and the portal would get the order.
        if not on.look.is_open(path):
            trial = await on.send(f"GET {path} without a session", path, order="echo")
            verdicts.append(judgement.asked(trial))
    if on.speaks_http2:
        verdicts += await probes_http2.unprotected_path(on)
    found = worst(verdicts)
    if found.colour == "green":
        return Verdict(
            colour="green",
            sent=f"{len(verdicts)} paths without a session",
            came="the gateway was asked about each",
        )
    return found


async def host_confusion(on: Examination) -> Verdict:
    host, bare = on.site.host, on.site.host.partition(":")[0]
    other = on.other_host
    scheme = "https" if on.site.is_tls else "http"
    trials = [
        await on.send(f"GET {scheme}://{other}/ with Host: {host}", f"{scheme}://{other}/", order="echo"),
        await on.send(
            f"GET {scheme}://{host}/ with Host: {other}", f"{scheme}://{host}/", host=other, order="echo"
        ),
        await on.send("another portal's Host", host=other, order="echo"),
        await on.send("an unknown Host", host="authproxy-doctor.invalid", order="echo"),
        await on.send("Host with a dot at its end", host=f"{bare}.", order="echo"),
        await on.send("Host with a port of its own", host=f"{bare}:81", order="echo"),
        await on.send("Host with a user", host=f"x@{host}", order="echo"),
        await on.send("two hosts in one Host", host=f"{other}, {host}", order="echo"),
        await on.send("two Host fields", fields=[("Host", other)], order="echo"),
    ]
    verdicts = [judgement.must_not_reach(trials, has_eyes=on.has_eyes)]
    for signed_in in (False, True):
        if signed_in and not on.session:
            continue
        crossed = await on.send(
            f"GET {scheme}://{other}/ with Host: {host}{' and a session' if signed_in else ''}",
            f"{scheme}://{other}/authproxy-doctor",
            order=None if signed_in else "echo",
            signed_in=signed_in,
        )
        verdicts.append(judgement.crossed(crossed, on.consent.host, asks=on.asks))
    if on.speaks_http2:
        verdicts += await probes_http2.host_confusion(on)
    return worst(verdicts)


async def missing_host(on: Examination) -> Verdict:
    trials = [
        await on.send("HTTP/1.0 without Host", has_host=False, version="1.0"),
        await on.send("HTTP/1.1 without Host", has_host=False),
        await on.send("an empty Host", host=""),
    ]
    verdicts = [judgement.must_not_reach(trials, has_eyes=on.has_eyes)]
    if on.speaks_http2:
        verdicts += await probes_http2.missing_host(on)
    return worst(verdicts)


# Headers of the client.


async def forged_identity(on: Examination) -> Verdict:
    path, signed_in = on.entry
    verdicts = []
    for look_of, spelling in judgement.SPELLINGS.items():
        what = f"forged identity headers such as {look_of}"
        trials = [
            await on.send(what, path, fields=fields, signed_in=signed_in)
            for fields in judgement.forged_fields(f"forged-{on.mark}", spelling, attacks.MOST_FIELDS)
        ]
        verdicts.append(judgement.no_forged(trials, f"forged-{on.mark}"))
    for look_of, spelling in judgement.DASHED.items():
        # Whatever removes one of them removes them all.
        [fields, *_] = judgement.forged_fields(f"forged-{on.mark}", spelling, attacks.MOST_FIELDS)
        what = f"forged identity headers such as {look_of}"
        trial = await on.send(what, path, fields=fields, signed_in=signed_in)
        verdicts.append(judgement.no_dashed([trial], f"forged-{on.mark}", on.proxy))
    if on.speaks_http2:
        verdicts += await probes_http2.forged_identity(on)
    plain = await on.send("an ordinary request", path, signed_in=signed_in)
    verdicts.append(judgement.repeated_identity(plain))
    if on.session:
        verdicts.append(machine.assertion(on, plain, await _published_keys(on)))
    return worst(verdicts)


async def _published_keys(on: Examination) -> raw_http.Message | None:
    return await on.door.ask(
        raw_http.request("GET", "/.authproxy/jwks.json", [("Host", on.site.host), ("Connection", "close")])
    )


async def forged_forwarding(on: Examination) -> Verdict:
    forged = attacks.forwarding(f"forged-{on.mark}.invalid")
    what = "X-Forwarded-For and its kin with a made-up address"
    seen = await look(on.door, on.consent, on.site.host, on.clock, forged)
    verdicts = [judgement.client_is(seen.client, attacks.ADDRESS, f"{what}, to a page of the gateway")]
    echoed = await on.send(what, attacks.OWN, fields=forged, order="echo")
    if echoed.echo is not None:
        verdicts.append(judgement.client_is(echoed.echo["client"], attacks.ADDRESS, f"{what}, to the portal"))
    if on.sees_entries:
        path, signed_in = on.entry
        trial = await on.send(what, path, fields=forged, signed_in=signed_in)
        verdicts += [
            judgement.no_forged([trial], value) for value in (attacks.ADDRESS, f"forged-{on.mark}.invalid")
        ]
    if on.speaks_http2:
        verdicts += await probes_http2.forged_forwarding(on)
    return worst(verdicts)


async def connection_named(on: Examination) -> Verdict:
    path, signed_in = on.entry
    plain = await on.send("an ordinary request", path, signed_in=signed_in)
    names = sorted(
        {
            name
            for arrival in plain.arrivals[-1:]
            for name, _ in arrival.fields
            if name.lower().startswith("x-")
        }
    )
    if not names:
        return not_tried(f"an ordinary request did not reach the portal ({plain.status})")
    named = ("Connection", ", ".join(["close", *names]))
    what = f"Connection: close, {', '.join(names[:3])} …"
    in_handshake = ("Connection", ", ".join(["Upgrade", *names]))
    trials = [
        await on.send(what, path, fields=[named], signed_in=signed_in),
        await on.send(
            f"a WebSocket with Connection: Upgrade, {', '.join(names[:3])} …",
            path,
            fields=[in_handshake, *attacks.HANDSHAKE[1:]],
            signed_in=signed_in,
            patience=2.0,
        ),
    ]
    verdicts = [judgement.same_fields(plain, trial) for trial in trials]
    if on.speaks_http2:
        verdicts += await probes_http2.connection_named(on, plain, names)
    return worst(verdicts)


async def trailers(on: Examination) -> Verdict:
    path, signed_in = on.entry
    value = f"forged-{on.mark}"
    forged = [("X-Auth-Subject", value), ("X-Auth-Assertion", value), ("X-Forwarded-For", value)]
    trial = await on.send(
        "identity headers after a body",
        path,
        method="POST",
        fields=[
            ("Transfer-Encoding", "chunked"),
            ("Trailer", "X-Auth-Subject, X-Auth-Assertion, X-Forwarded-For"),
        ],
        body=raw_http.chunked([b"a=1"], forged),
        signed_in=signed_in,
    )
    verdicts = [judgement.no_forged([trial], value)]
    if on.speaks_http2:
        verdicts += await probes_http2.trailers(on)
    return worst(verdicts)


async def method_override(on: Examination) -> Verdict:
    path, signed_in = on.entry
    value = f"DELETE-{on.mark}"
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method")
    trials = [
        await on.send(
            "X-HTTP-Method-Override and its kin",
            path,
            fields=[(name, value) for name in names],
            signed_in=signed_in,
        ),
        await on.send(
            "X_HTTP_Method_Override",
            path,
            fields=[(name.replace("-", "_"), value) for name in names],
            signed_in=signed_in,
        ),
    ]
    return judgement.no_forged(trials, value)


# What is judged.


async def path_confusion(on: Examination) -> Verdict:
    opened = next((path.rstrip("/") for path in on.look.open_paths), "/assets")
    bad = attacks.ambiguous(opened)
    trials = [
        await on.send(f"GET {judgement.shown(path)} without a session", path, order="echo") for path in bad
    ]
    verdicts = [judgement.must_not_reach(trials, has_eyes=on.has_eyes)]
    if on.sees_sessions:
        for path in attacks.EXACT:
            judged = await on.send(f"GET {path}", path, order="echo")
            arrived = await on.send(f"GET {path}", path, signed_in=True)
            verdicts.append(judgement.same_path(arrived, judged, on.consent.host))
    else:
        for path in attacks.EXACT:
            judged = await on.send(f"GET {path}", path, order="echo")
            verdicts.append(judgement.path_as_sent(judged, path, on.consent.host))
    if on.speaks_http2:
        verdicts += await probes_http2.path_confusion(on)
    found = worst(verdicts)
    if found.colour == "green":
        return Verdict(colour="green", sent=f"{len(bad) + len(attacks.EXACT)} paths", came=found.came)
    return found


async def method_confusion(on: Examination) -> Verdict:
    verdicts = []
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
        trial = await on.send(f"{method} without a session", attacks.OWN, method=method, order="echo")
        verdicts.append(judgement.judged_as(trial, {"method": method}))
    odd = [
        await on.send(f"{method} without a session", attacks.OWN, method=method, order="echo")
        for method in ("get", "Get", "TRACE", "TRACK", "DOCTOR", "GET/x")
    ]
    connect = await on.send(
        "CONNECT without a session", f"{on.site.host.partition(':')[0]}:443", method="CONNECT", patience=2.0
    )
    verdicts.append(judgement.must_not_reach([*odd, connect], has_eyes=on.has_eyes))
    if on.speaks_http2:
        verdicts += await probes_http2.method_confusion(on)
    return worst(verdicts)


async def question_forged(on: Examination) -> Verdict:
    harmless = next(iter(on.look.open_paths), "/robots.txt")
    scheme = "https" if on.site.is_tls else "http"
    path = "/authproxy-doctor?real=1"
    plain = await on.send("an ordinary request", path, order="echo")
    # What the proxy does to every question is another finding.
    asked = plain.echo or {"method": "GET", "target": path, "host": on.consent.host}
    expected = {name: asked[name] for name in ("method", "target", "host")}
    verdicts = []
    forged = attacks.questions(scheme, on.site.host, harmless)
    for name, value in forged:
        trial = await on.send(f"{name}: {value}", path, fields=[(name, value)], order="echo")
        verdicts.append(judgement.judged_as(trial, expected))
        if trial.arrivals:
            verdicts.append(Verdict(colour="red", sent=trial.what, came=trial.came))
        named = await on.send(
            f"Connection: {name}", path, fields=[("Connection", f"close, {name}")], order="echo"
        )
        verdicts.append(judgement.judged_as(named, expected))
    if on.speaks_http2:
        verdicts += await probes_http2.question_forged(on, path, forged, expected)
    return worst(verdicts)


async def upgrade_unasked(on: Examination) -> Verdict:
    clear = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ]
    either = [*clear, ("Upgrade", "websocket")]
    without = [
        await on.send(
            f"a WebSocket at {path} without a session", path, fields=attacks.HANDSHAKE, patience=2.0
        )
        for path in ("/", "/socket", "/ws", attacks.OWN)
    ]
    verdicts = [
        judgement.must_not_reach(without, has_eyes=on.has_eyes),
        judgement.upgraded(without, "websocket"),
    ]
    if on.sees_entries:
        path, signed_in = on.entry
        for what, fields in (("an upgrade to h2c", clear), ("an upgrade to h2c or websocket", either)):
            trial = await on.send(what, path, fields=fields, signed_in=signed_in, patience=2.0)
            verdicts.append(judgement.upgraded([trial], "h2c"))
    if on.sees_sessions:
        foreign = [*attacks.HANDSHAKE, ("Origin", "https://authproxy-doctor.invalid")]
        trial = await on.send(
            "a WebSocket of a foreign page, with the session",
            attacks.OWN,
            fields=foreign,
            signed_in=True,
            patience=2.0,
        )
        verdicts.append(judgement.upgraded([trial], "websocket"))
    if on.speaks_http2:
        verdicts += await probes_http2.upgrade_unasked(on)
    return worst(verdicts)


async def subrequest_from_outside(on: Examination) -> Verdict:
    scheme = "https" if on.site.is_tls else "http"
    verdicts = []
    for dialect in _DIALECTS:
        tail = attacks.OWN if dialect == "envoy" else ""
        path = f"/.authproxy/auth/{dialect}{tail}"
        fields = attacks.question(dialect, scheme, on.site.host)
        spellings = [path, path.replace("auth/", "auth%2f"), path.replace("/auth/", "//auth/")]
        if dialect == "envoy":
            # A page to a proxy that resolves the dots, a question to the gateway.
            spellings.append("/.authproxy/auth/envoy/../../login")
        for spelling in spellings:
            trial = await on.send(f"GET {spelling} from outside", spelling, fields=fields, order="echo")
            verdicts.append(judgement.question_from_outside(trial))
        if on.speaks_http2:
            verdicts.append(await probes_http2.subrequest_from_outside(on, path, fields))
    front = await machine.of_itself(on.door.address)
    for address, port in machine.beside(on.look.listeners, front)[:4]:
        verdicts.append(await gateway_asked(on, address, port))
    verdicts.append(judgement.takes_questions(on.look.dialects, asks=on.asks))
    return worst(verdicts)


async def gateway_asked(on: Examination, address: str, port: int) -> Verdict:
    """Asks the gateway itself, as a front proxy would. Whoever may do so is told the identity headers."""
    dialect = on.proxy if on.proxy in on.look.dialects else next(iter(on.look.dialects), "nginx")
    path = f"/.authproxy/auth/{dialect}{attacks.OWN if dialect == 'envoy' else ''}"
    nonce, own = on.own("echo")
    scheme = "https" if on.site.is_tls else "http"
    fields = [("Host", on.site.host), *own, *attacks.question(dialect, scheme, on.site.host)]
    fields += [("X-Forwarded-For", attacks.ADDRESS), ("Connection", "close")]
    answer = await machine.ask(on.door.budget, address, port, raw_http.request("GET", path, fields))
    what = f"a question to the gateway itself at {address}:{port}"
    return judgement.gateway_asked(Trial(what=what, nonce=nonce, answer=answer))


async def portal_own_paths(on: Examination) -> Verdict:
    trials = [await on.send(f"GET {path}", path, signed_in=bool(on.session)) for path in attacks.AT_OWN_PATHS]
    return judgement.own_paths(trials, await _published_keys(on), has_eyes=on.has_eyes)


async def request_framing(on: Examination) -> Verdict:
    hidden = f"/hidden-{on.mark}"
    host = on.site.host
    inner = f"GET {hidden} HTTP/1.1\r\nHost: {host}\r\n{MARK}: {on.mark}.0\r\n\r\n"
    head = f"POST /authproxy-doctor HTTP/1.1\r\nHost: {host}\r\n{MARK}: {on.mark}.0\r\n"
    cookie = f"Cookie: __Host-authproxy={on.session}\r\n" if on.session else ""
    trials = []
    for name, rest in attacks.of_two_lengths(inner).items():
        trials.append(await on.send_twofold(name, (head + cookie + rest).encode("latin-1")))
    if on.speaks_http2:
        trials += await probes_http2.request_framing(on, inner)
    # What is hidden may have gone on when its answer was here. This one cannot reach the portal before it.
    await on.send("an ordinary request after them", attacks.OWN)
    targets = () if on.stand_in is None else on.stand_in.targets
    verdicts = [judgement.smuggled(trials, hidden, targets)]
    if on.proxy == "envoy":
        fields = [("Capsule-Protocol", "?1")]
        trial = await on.send("a request with Capsule-Protocol", attacks.OWN, fields=fields, order="echo")
        page = await on.send("GET /.authproxy/jwks.json", "/.authproxy/jwks.json")
        verdicts.append(judgement.capsules(trial, page))
    return worst(verdicts)


# Refusals, and what is kept.


async def error_status(on: Examination) -> Verdict:
    verdicts = [
        judgement.script_refused(await on.send("a script without a session", attacks.OWN)),
        judgement.page_refused(
            await on.send("a page without a session", attacks.OWN, fields=NAVIGATION), on.site.origin
        ),
        judgement.has_status(await on.send("a request that is not allowed", attacks.OWN, order="deny"), 403),
    ]
    closed = next(
        (r["path"] for r in on.look.routes if r["access"] == "deny" and r["path"].startswith("/")), None
    )
    if closed is not None:
        trial = await on.send(
            f"GET {closed}, which is closed to everybody, as a page", closed, fields=NAVIGATION
        )
        verdicts.append(judgement.has_status(trial, 403))
    return worst(verdicts)


async def fails_open(on: Examination) -> Verdict:
    tried = (("GET", "/"), ("GET", attacks.OWN), ("POST", attacks.OWN), ("GET", "/assets/app.js"))
    trials = [
        await on.send(
            f"{method} {path} while the store is said to be away", path, method=method, order="fail"
        )
        for method, path in tried
        if not on.look.is_open(path)
    ]
    return worst([judgement.has_status(trial, 503) for trial in trials])


async def cookie_flags(on: Examination) -> Verdict:
    trial = await on.send("GET /.authproxy/login", "/.authproxy/login?rt=/", fields=NAVIGATION)
    return judgement.cookies(trial.answer, trial.what)


async def cached_pages(on: Examination) -> Verdict:
    pages = [
        await on.send("GET /.authproxy/login twice", "/.authproxy/login?rt=/", fields=NAVIGATION)
        for _ in range(2)
    ]
    verdicts = [judgement.own_page_uncached([page.answer for page in pages], pages[0].what)]
    if on.sees_sessions:
        path = f"{attacks.OWN}-{on.mark[:8]}.js"
        mine, again = [await on.send(f"GET {path} with the session", path, signed_in=True) for _ in range(2)]
        others = await on.send(f"GET {path} without a session, after one with it", path)
        verdicts.append(judgement.not_kept(mine, again, others))
    return worst(verdicts)


async def cached_decisions(on: Examination) -> Verdict:
    path = f"{attacks.OWN}-{on.mark[8:16]}"
    trials = [
        await on.send("the same question twice, with different credentials", path, order="echo")
        for _ in range(2)
    ]
    verdicts = [judgement.decision_not_kept(trials)]
    if on.sees_sessions:
        mine = await on.send(f"GET {path} with the session", path, signed_in=True)
        others = await on.send(f"GET {path} without a session, after one with it", path)
        verdicts.append(judgement.not_kept(mine, mine, others))
        wrong = await on.send(
            f"GET {path} with another cookie, after one with the session", path,
            fields=[("Cookie", "__Host-authproxy=" + "A" * len(on.session))],
        )  # fmt: skip
        verdicts.append(judgement.not_kept(mine, mine, wrong))
    return worst(verdicts)


# Transport.


async def plain_http(on: Examination) -> Verdict:
    if not on.site.is_tls:
        return Verdict(colour="red", sent=on.site.origin, came="the portal itself is served without TLS")
    if on.site.plain_port is None:
        return not_tried(
            "the portal has a port of its own: --http-port says where plain HTTP may be answered"
        )
    what = f"GET / by plain HTTP at port {on.site.plain_port}"
    request = raw_http.request(
        "GET",
        "/",
        [("Host", on.site.host.partition(":")[0]), (MARK, f"{on.mark}.0"), ("Connection", "close")],
    )
    answer = await machine.ask(on.door.budget, on.door.address, on.site.plain_port, request)
    arrivals = () if on.stand_in is None else on.stand_in.taken()
    return judgement.plain_http(
        Trial(what=what, answer=answer, arrivals=arrivals), on.site.host.partition(":")[0]
    )


async def tls_version(on: Examination) -> Verdict:
    return judgement.old_tls(await tls.old_versions(on.door))


async def certificate_end(on: Examination) -> Verdict:
    days, fault = await tls.days_left(on.door, on.clock())
    return judgement.certificate(days, fault)


async def hsts(on: Examination) -> Verdict:
    trial = await on.send("GET /.authproxy/login", "/.authproxy/login?rt=/", fields=NAVIGATION)
    return judgement.hsts(trial.answer, trial.what)


# What the gateway says.


async def clock(on: Examination) -> Verdict:
    ahead = on.look.said["provider"]["seconds_ahead"]
    return judgement.clocks(on.clock().timestamp(), float(on.look.said["time"]), ahead)


async def keys(on: Examination) -> Verdict:
    return judgement.keys(machine.key_ids(await _published_keys(on)), on.look.said["keys"])


async def store(on: Examination) -> Verdict:
    return judgement.checks(on.look.said["checks"])


async def proxy_version(on: Examination) -> Verdict:
    return judgement.proxy_version(on.proxy, on.proxy_version)


async def large_upload(on: Examination) -> Verdict:
    size = on.site.upload_size
    plain = await on.send("an ordinary request", attacks.OWN, signed_in=True)
    trial = await on.send(
        f"a form of {size // 1024} KiB",
        attacks.OWN,
        method="POST",
        fields=[("Content-Length", str(size)), ("Content-Type", "application/octet-stream")],
        body=b"\0" * size,
        signed_in=True,
        patience=20.0,
    )
    return worst([judgement.upload(trial, size), judgement.same_fields(plain, trial)])


def _probe(run: Callable[[Examination], Awaitable[Verdict]], *needs: Need) -> Probe:
    return Probe(finding_id=run.__name__, run=run, needs=frozenset(needs))


PROBES: Final = (
    _probe(clock),
    _probe(keys),
    _probe(store),
    _probe(proxy_version),
    _probe(unprotected_path),
    _probe(subrequest_from_outside),
    _probe(question_forged),
    _probe(host_confusion),
    _probe(missing_host),
    _probe(path_confusion),
    _probe(method_confusion),
    _probe(error_status),
    _probe(fails_open),
    _probe(upgrade_unasked),
    _probe(portal_own_paths),
    _probe(cookie_flags),
    _probe(cached_pages),
    _probe(cached_decisions),
    _probe(plain_http),
    _probe(tls_version, "tls"),
    _probe(certificate_end, "tls"),
    _probe(hsts, "tls"),
    _probe(portal_reachable),
    _probe(forged_forwarding),
    _probe(forged_identity, "stand_in", "entry"),
    _probe(connection_named, "stand_in", "entry"),
    _probe(trailers, "stand_in", "session"),
    _probe(method_override, "stand_in", "entry"),
    _probe(request_framing),
    _probe(large_upload, "stand_in", "session"),
)
"""In the order in which they are tried."""
