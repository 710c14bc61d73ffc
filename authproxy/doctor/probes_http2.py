"""What only HTTP/2 can say. Each function belongs to the probe of the same name in `probes`, which calls it
if the front proxy speaks HTTP/2."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from authproxy.doctor import attacks, judgement
from authproxy.doctor.examination import Examination
from authproxy.doctor.findings import Verdict
from authproxy.doctor.judgement import Trial
from authproxy.doctor.raw_http import Field

_PATIENCE = 2.0


async def recognised(on: Examination) -> str:
    """Why nothing can be sent; empty if the front proxy answers what is in order."""
    if on.door.http2 is None:
        return "the portal is served without TLS"
    trial = await on.send_http2("an ordinary request", attacks.OWN, order="echo")
    if trial.status:
        return ""
    return on.door.failures[-1] if on.door.failures else "it is not answered"


async def unprotected_path(on: Examination) -> list[Verdict]:
    if on.look.is_open(attacks.OWN):
        return []
    return [judgement.asked(await on.send_http2("GET without a session", attacks.OWN, order="echo"))]


async def host_confusion(on: Examination) -> list[Verdict]:
    host, other = on.site.host, on.other_host
    verdicts = []
    for authority, said in ((other, host), (host, other)):
        for signed_in in (False, True) if on.session else (False,):
            trial = await on.send_http2(
                f":authority {authority} with host {said}{' and a session' if signed_in else ''}",
                attacks.OWN,
                authority=authority,
                fields=[("host", said)],
                order=None if signed_in else "echo",
                signed_in=signed_in,
            )
            verdicts.append(judgement.disagreed(trial, said, on.consent.host, asks=on.asks))
    return verdicts


async def missing_host(on: Examination) -> list[Verdict]:
    trial = await on.send_http2("no :authority and no host", attacks.OWN, authority="", order="echo")
    return [judgement.must_not_reach([trial], has_eyes=on.has_eyes)]


async def forged_identity(on: Examination) -> list[Verdict]:
    path, signed_in = on.entry
    value = f"forged-{on.mark}"
    verdicts = []
    for look_of, spelling in (judgement.SPELLINGS | {"x-auth-name": str.lower}).items():
        # What removes one of them removes them all, as over HTTP/1.1.
        [fields, *_] = judgement.forged_fields(value, spelling, attacks.MOST_FIELDS)
        trial = await on.send_http2(
            f"forged identity headers such as {look_of}", path, fields=fields, signed_in=signed_in
        )
        verdicts.append(judgement.no_forged([trial], value))
    return verdicts


async def forged_forwarding(on: Examination) -> list[Verdict]:
    host = f"forged-{on.mark}.invalid"
    fields = [(name.lower(), value) for name, value in attacks.forwarding(host)]
    what = "X-Forwarded-For and its kin with a made-up address"
    echoed = await on.send_http2(what, attacks.OWN, fields=fields, order="echo")
    verdicts = []
    if echoed.echo is not None:
        verdicts.append(judgement.client_is(echoed.echo["client"], attacks.ADDRESS, echoed.what))
    if on.sees_entries:
        path, signed_in = on.entry
        trial = await on.send_http2(what, path, fields=fields, signed_in=signed_in)
        verdicts += [judgement.no_forged([trial], value) for value in (attacks.ADDRESS, host)]
        scheme = f"forged{on.mark}"
        trial = await on.send_http2(f":scheme {scheme[:8]}…", path, scheme=scheme, signed_in=signed_in)
        verdicts.append(judgement.no_forged([trial], scheme))
    return verdicts


async def connection_named(on: Examination, plain: Trial, names: list[str]) -> list[Verdict]:
    """`plain` is an ordinary request, `names` are headers that the portal got with it."""
    path, signed_in = on.entry
    named = ("connection", ", ".join(name.lower() for name in names))
    trials = [
        await on.send_http2("connection names our headers", path, fields=[named], signed_in=signed_in),
        await on.send_http2(
            "a WebSocket whose connection names our headers",
            path,
            method="CONNECT",
            fields=[*attacks.HTTP2_HANDSHAKE, named, ("origin", on.site.origin)],
            signed_in=signed_in,
            patience=_PATIENCE,
        ),
    ]
    return [judgement.same_fields(plain, trial) for trial in trials]


async def trailers(on: Examination) -> list[Verdict]:
    path, signed_in = on.entry
    value = f"forged-{on.mark}"
    trial = await on.send_http2(
        "identity headers after a body",
        path,
        method="POST",
        body=b"a=1",
        trailers=[("x-auth-subject", value), ("x-auth-assertion", value), ("x-forwarded-for", value)],
        signed_in=signed_in,
    )
    return [judgement.no_forged([trial], value)]


async def path_confusion(on: Examination) -> list[Verdict]:
    verdicts = []
    for path in (*attacks.RAW, f"{on.site.origin}/doctor"):
        judged = await on.send_http2(f"GET {judgement.shown(path)}", path, order="echo")
        verdicts.append(judgement.must_not_reach([judged], has_eyes=on.has_eyes))
        if judged.echo is None:
            continue
        if on.sees_sessions:
            arrived = await on.send_http2(f"GET {judgement.shown(path)}", path, signed_in=True)
            verdicts.append(judgement.same_path(arrived, judged, on.consent.host))
        else:
            # A proxy may write such bytes in the only way in which HTTP/1.1 can say them.
            written = quote(path, safe="/?", encoding="latin-1")
            verdicts.append(judgement.path_as_sent(judged, written, on.consent.host))
    return verdicts


async def method_confusion(on: Examination) -> list[Verdict]:
    trials = [
        await on.send_http2(
            f"{judgement.shown(method)} without a session", attacks.OWN, method=method, order="echo"
        )
        for method in ("get", f"GET {attacks.OWN} HTTP/1.1\r\nX-A:")
    ]
    post = await on.send_http2("POST without a session", attacks.OWN, method="POST", order="echo")
    return [
        judgement.must_not_reach(trials, has_eyes=on.has_eyes),
        judgement.judged_as(post, {"method": "POST"}),
    ]


async def question_forged(
    on: Examination, path: str, fields: tuple[Field, ...], expected: Mapping[str, str]
) -> list[Verdict]:
    """`fields` are those of the questions of all dialects, `expected` is what is asked without them."""
    lower = [(name.lower(), value) for name, value in fields]
    trial = await on.send_http2("headers of all questions", path, fields=lower, order="echo")
    return [judgement.judged_as(trial, expected)]


async def upgrade_unasked(on: Examination) -> list[Verdict]:
    without = await on.send_http2(
        "a WebSocket without a session",
        attacks.OWN,
        method="CONNECT",
        fields=attacks.HTTP2_HANDSHAKE,
        patience=_PATIENCE,
    )
    verdicts = [
        judgement.must_not_reach([without], has_eyes=on.has_eyes),
        judgement.upgraded([without], "websocket"),
    ]
    if on.sees_sessions:
        for what, fields in (
            ("a WebSocket of a foreign page, with the session", attacks.HTTP2_HANDSHAKE),
            ("another protocol of a foreign page, with the session", ((":protocol", "connect-udp"),)),
        ):
            trial = await on.send_http2(
                what,
                attacks.OWN,
                method="CONNECT",
                fields=[*fields, ("origin", "https://authproxy-doctor.invalid")],
                signed_in=True,
                patience=_PATIENCE,
            )
            verdicts += [judgement.upgraded([trial], protocol) for protocol in ("websocket", "connect-udp")]
    return verdicts


async def subrequest_from_outside(on: Examination, path: str, fields: tuple[Field, ...]) -> Verdict:
    """`path` is the endpoint of a dialect, `fields` are those of a question in it."""
    lower = [(name.lower(), value) for name, value in fields]
    trial = await on.send_http2(f"GET {path} from outside", path, fields=lower, order="echo")
    return judgement.question_from_outside(trial)


async def request_framing(on: Examination, inner: str) -> list[Trial]:
    """`inner` is a whole request that must not be found in another one."""
    ways = attacks.of_two_lengths_over_http2(inner, on.site.host)
    return [
        await on.send_http2(
            name,
            path,
            method="POST" if body else "GET",
            authority=authority,
            fields=fields,
            body=body.encode("latin-1"),
            signed_in=bool(on.session),
            patience=_PATIENCE,
        )
        for name, (path, authority, fields, body) in ways.items()
    ]
