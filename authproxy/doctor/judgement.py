"""PURE: what the doctor concludes from what it has sent and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from authproxy.access import consent
from authproxy.access import target as request_target
from authproxy.access.decision import Reason
from authproxy.access.target import TargetRefused
from authproxy.doctor import versions
from authproxy.doctor.findings import Verdict, not_tried, worst
from authproxy.doctor.raw_http import Field, Message
from authproxy.edge.rules import identity_names
from authproxy.edge.rules.headers import is_identity

_PAIR: Final = re.compile(r'(\w+)="([^"]*)"')
_SHORTEST_HSTS: Final = 180 * 24 * 3600
_MAX_AGE: Final = re.compile(r"(?i)(?:^|;)\s*max-age=\"?(\d{1,18})")
_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))
_DAY: Final = 24 * 3600
_ABOUT_REQUESTS: Final = {"x-request-id", "traceparent", "tracestate"}
"""Names that no client may send either, but that say nothing about people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One request and what came of it."""

    what: str
    """What was sent, in short."""
    nonce: str = ""
    """Of the order in it; empty if there was none."""
    answer: Message | None = None
    arrivals: tuple[Message, ...] = ()
    """What reached the stand-in."""

    @property
    def status(self) -> int:
        return 0 if self.answer is None else self.answer.status

    @property
    def echo(self) -> Mapping[str, str] | None:
        """What the gateway was asked, if it says so in answer to this trial's order."""
        # A proxy that asks again for the body of a refusal may bring the second answer's challenge.
        found = echo_in(self.answer) if self.status == 401 else None
        return found if found is not None and found["nonce"] == self.nonce else None

    @property
    def came(self) -> str:
        answered = f"{self.status}" if self.status else "no answer"
        return f"{answered}, and it reached the portal" if self.arrivals else answered


def if_answered(verdict: Verdict, statuses: Sequence[int]) -> Verdict:
    """The verdict of a probe, unless its green means only that nothing was answered, or that a limit was."""
    if verdict.colour != "green" or not statuses:
        return verdict
    if not any(statuses):
        return not_tried("nothing was answered")
    if 429 in statuses:
        return not_tried("the proxy limits how many requests it takes (429): let it not limit this machine")
    return verdict


def echo_in(answer: Message | None) -> dict[str, str] | None:
    for value in [] if answer is None else answer.all("WWW-Authenticate"):
        scheme, _, rest = value.partition(" ")
        said = dict(_PAIR.findall(rest))
        if scheme == consent.SCHEME and "nonce" in said:
            return said
    return None


def must_not_reach(trials: Iterable[Trial], *, has_eyes: bool) -> Verdict:
    """For requests that nobody may send. Without a stand-in, 2xx is all that there is to see."""
    return worst([_not_reached(trial, has_eyes=has_eyes) for trial in trials])


def _not_reached(trial: Trial, *, has_eyes: bool) -> Verdict:
    if trial.arrivals:
        return Verdict(colour="red", sent=trial.what, came=trial.came)
    if not has_eyes and 200 <= trial.status < 300:
        came = f"{trial.status}; whether the portal has answered can be seen with --stand-in only"
        return Verdict(colour="yellow", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trial.what, came=trial.came)


def asked(trial: Trial) -> Verdict:
    """For a request that not everybody may send, without a session and with the order to say what was
    asked."""
    if trial.echo is not None:
        return Verdict(colour="green", sent=trial.what, came=trial.came)
    location = "" if trial.answer is None else trial.answer.get("Location")
    if not trial.arrivals and 300 <= trial.status < 400 and "/.authproxy/" in location:
        came = f"{trial.status} to the sign-in, which is no answer of the gateway to a program"
        return Verdict(colour="yellow", sent=trial.what, came=came)
    if trial.arrivals or 200 <= trial.status < 400:
        came = f"{trial.came}; the gateway was not asked"
        return Verdict(colour="red", sent=trial.what, came=came)
    if trial.status in {403, 503} or not trial.status:
        return Verdict(colour="green", sent=trial.what, came=trial.came)
    came = f"{trial.status} by the proxy itself; the gateway was not asked"
    return Verdict(colour="yellow", sent=trial.what, came=came)


def judged_as(trial: Trial, expected: Mapping[str, str]) -> Verdict:
    """Whether the gateway was asked about what was really sent; a refusal is good, too."""
    echo = trial.echo
    if echo is None:
        return Verdict(colour="red" if trial.arrivals else "green", sent=trial.what, came=trial.came)
    for name, value in expected.items():
        if echo.get(name) != value:
            came = f"the gateway was asked about {name} `{echo.get(name)}`"
            return Verdict(colour="red", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trial.what, came="the gateway was asked about the real request")


def canonical(target: str, host: str, method: str = "GET") -> str | None:
    """The target as the gateway reads it; None if it refuses it."""
    try:
        return request_target.parse(
            method=method, target=target, host=host, accepts_encoded_slash=True, accepts_encoded_percent=True
        ).origin_form
    except (TargetRefused, UnicodeEncodeError):
        return None


def same_path(arrived: Trial, judged: Trial, host: str) -> Verdict:
    """Whether the portal gets what the gateway was asked about. `arrived` is the request of somebody who may
    send it, `judged` the same with the order to say what was asked."""
    echo = judged.echo
    if echo is None or not arrived.arrivals:
        return Verdict(colour="green", sent=arrived.what, came=f"refused ({arrived.status or judged.status})")
    got, was_judged = arrived.arrivals[-1].target, unquoted(echo["target"])
    path, mark, query = got.partition("?")
    # Bytes of a query that are no ASCII are judged as they are written otherwise. In a path they are refused.
    if canonical(path + mark + quote(query, safe=_VISIBLE, encoding="latin-1"), host) != canonical(
        was_judged, host
    ):
        came = f"the gateway judged `{shown(was_judged)}`, the portal got `{shown(got)}`"
        return Verdict(colour="red", sent=arrived.what, came=came)
    return Verdict(colour="green", sent=arrived.what, came="the portal got what was judged")


def path_as_sent(judged: Trial, path: str, host: str) -> Verdict:
    """As far as it can be seen without somebody who may send the request: whether the gateway was asked about
    the path as it was sent. A proxy may change it before it asks, if the portal gets the same."""
    echo = judged.echo
    if echo is None:
        return Verdict(colour="green", sent=judged.what, came=f"refused ({judged.status})")
    was_judged = unquoted(echo["target"])
    if canonical(was_judged, host) != canonical(path, host):
        came = (
            f"the gateway judged `{shown(was_judged)}`; what the portal gets is seen with --session-file only"
        )
        return Verdict(colour="yellow", sent=judged.what, came=came)
    return Verdict(colour="green", sent=judged.what, came="the gateway judged what was sent")


def shown(text: str) -> str:
    """For the operator: every character that is no ASCII, or cannot be seen, in figures."""
    return ascii(text)[1:-1]


def unquoted(text: str) -> str:
    """Takes back what the echo has quoted."""
    return unquote(text, "latin-1")


def crossed(trial: Trial, host: str, *, asks: bool) -> Verdict:
    """For a request line that names another portal than Host does (`host`): the authority of the request line
    is the one that counts (RFC 9112 §3.2.2), and it must not be judged by the other one. Where the proxy does
    not ask, but passes everything on, the gateway itself chooses the portal by the host that it judges."""
    if not asks:
        return Verdict(colour="green", sent=trial.what, came=trial.came)
    echo = trial.echo
    if trial.arrivals or (echo is not None and echo["host"] == host):
        came = "the gateway was asked about Host, and the proxy has chosen by the request line"
        return Verdict(colour="red", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trial.what, came=trial.came)


def disagreed(trial: Trial, said: str, own: str, *, asks: bool) -> Verdict:
    """For a request over HTTP/2 whose `host` says another portal than `:authority`, which is the one that
    counts (RFC 9113 §8.3.1). `own` is the portal of the session that may be in it."""
    echo = trial.echo
    is_judged_by_host = echo is not None and echo["host"] == said
    if asks and (is_judged_by_host or (trial.arrivals and said == own)):
        came = "the gateway was asked about host, and not about :authority"
        return Verdict(colour="red", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trial.what, came=trial.came)


def no_forged(trials: Sequence[Trial], value: str, *, must_arrive: bool = True) -> Verdict:
    """Whether a header, trailer or name with this value of the client's has reached the portal. A request
    that did not arrive shows nothing."""
    arrived = [trial for trial in trials if trial.arrivals]
    found = [
        name
        for trial in arrived
        for arrival in trial.arrivals
        for name, said in (*arrival.fields, *arrival.trailers)
        if value in said
    ]
    if found:
        some = ", ".join(dict.fromkeys(found[:6]))
        more = f" and {len(found) - 6} more" if len(found) > 6 else ""
        return Verdict(colour="red", sent=trials[0].what, came=f"the portal got {some}{more}")
    if not arrived and must_arrive:
        came = ", ".join(sorted({str(trial.status) for trial in trials}))
        return Verdict(colour="green", sent=trials[0].what, came=f"refused ({came})")
    return Verdict(colour="green", sent=trials[0].what, came="none of it reached the portal")


def no_dashed(trials: Sequence[Trial], value: str, proxy: str) -> Verdict:
    """As `no_forged`, for the spellings of DASHED."""
    verdict = no_forged(trials, value)
    if verdict.colour == "red" and proxy == "nginx":
        came = f"{verdict.came}: nginx cannot remove these; deploy/nginx/README.md says what to do"
        return Verdict(colour="green", sent=verdict.sent, came=came)
    return verdict


def repeated_identity(trial: Trial) -> Verdict:
    """Whether each identity header of the gateway arrives once. A second one may be the client's."""
    counts: dict[str, int] = {}
    for arrival in trial.arrivals[-1:]:
        for name, _ in arrival.fields:
            if name.lower().startswith("x-auth-"):
                counts[name.lower()] = counts.get(name.lower(), 0) + 1
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        return Verdict(colour="red", sent=trial.what, came=f"the portal got {twice[0]} twice")
    return Verdict(colour="green", sent=trial.what, came=f"{len(counts)} identity headers, each once")


def same_fields(plain: Trial, named: Trial) -> Verdict:
    """Whether naming the gateway's headers in `Connection` has removed one of them."""
    if not named.arrivals or not plain.arrivals:
        return Verdict(colour="green", sent=named.what, came=f"refused ({named.status})")
    ours = _identity_of(plain)
    lost = ours - _identity_of(named)
    if lost:
        return Verdict(colour="red", sent=named.what, came=f"the portal did not get {min(lost)}")
    passed_on = {
        name.strip().lower() for said in named.arrivals[-1].all("Connection") for name in said.split(",")
    } & ours
    if passed_on:
        came = f"the portal got a Connection that names {min(passed_on)}: if it is a proxy, it removes that"
        return Verdict(colour="red", sent=named.what, came=came)
    return Verdict(colour="green", sent=named.what, came="the portal got all of them")


def _identity_of(trial: Trial) -> set[str]:
    return {
        name.lower()
        for name, _ in trial.arrivals[-1].fields
        if is_identity(name.encode("latin-1", "replace"))
    }


def client_is(client: str, forged: str, what: str) -> Verdict:
    if client == forged:
        return Verdict(colour="red", sent=what, came="the gateway takes the made-up address for the client's")
    return Verdict(colour="green", sent=what, came="the gateway does not believe it")


def upgraded(trials: Iterable[Trial], protocol: str) -> Verdict:
    """Whether another protocol was asked for at the portal."""
    return worst(
        [
            Verdict(
                colour="red" if trial.status == 101 or _asks_for(trial, protocol) else "green",
                sent=trial.what,
                came=trial.came,
            )
            for trial in trials
        ]
    )


def _asks_for(trial: Trial, protocol: str) -> bool:
    return any(protocol in value.lower() for arrival in trial.arrivals for value in arrival.all("Upgrade"))


def question_from_outside(trial: Trial) -> Verdict:
    """For the endpoint at which a proxy asks, asked by a client. A gateway that knows the question for a
    stranger's has closed the endpoint itself."""
    reason = _reason(trial.answer)
    if trial.echo is not None or 200 <= trial.status < 400 or trial.status == 401:
        return Verdict(colour="red", sent=trial.what, came=f"{trial.status}: the gateway has answered")
    if reason == Reason.SUBREQUEST_UNREADABLE or trial.status >= 500:
        came = f"{trial.status} {reason or ''}".strip()
        return Verdict(colour="yellow", sent=trial.what, came=f"{came}: the proxy has passed it on")
    return Verdict(colour="green", sent=trial.what, came=trial.came)


def gateway_asked(trial: Trial) -> Verdict:
    """For a question that is asked at the gateway itself, past the front proxy."""
    if trial.echo is not None:
        came = "the gateway takes whoever asks from here for a front proxy (server.trusted_proxies)"
        return Verdict(colour="red", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trial.what, came=trial.came)


def takes_questions(dialects: Sequence[str], *, asks: bool) -> Verdict:
    """Whether the gateway takes questions although the front proxy asks none, but passes everything on. What
    the proxy lets through by mistake would be believed."""
    if asks or not dialects:
        return Verdict(colour="green", sent="the gateway's settings", came="questions as they are needed")
    came = f"server.subrequests is {', '.join(dialects)}, and the proxy asks nothing: let it be []"
    return Verdict(colour="yellow", sent="the gateway's settings", came=came)


def _reason(answer: Message | None) -> str | None:
    if answer is None or "json" not in answer.get("Content-Type"):
        return None
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    reason = said.get("reason") if isinstance(said, dict) else None
    return reason if isinstance(reason, str) else None


def script_refused(trial: Trial) -> Verdict:
    if trial.status == 401 and "json" in (trial.answer.get("Content-Type") if trial.answer else ""):
        return Verdict(colour="green", sent=trial.what, came=trial.came)
    if trial.status == 401:
        return Verdict(colour="yellow", sent=trial.what, came="401 without `application/problem+json`")
    return Verdict(colour="red", sent=trial.what, came=trial.came)


def page_refused(trial: Trial, origin: str) -> Verdict:
    """A page without a session leads to the gateway's sign-in, at the portal's own address."""
    location = "" if trial.answer is None else trial.answer.get("Location")
    if trial.status in {302, 303} and location.startswith(f"{origin}/.authproxy/"):
        return Verdict(colour="green", sent=trial.what, came=f"{trial.status} to the sign-in")
    if trial.status in {302, 303, 307, 308}:
        came = f"{trial.status} to `{location.partition('?')[0]}`, which is not this portal's sign-in"
        return Verdict(
            colour="red" if not location.startswith("/.authproxy/") else "yellow", sent=trial.what, came=came
        )
    colour_is_red = 200 <= trial.status < 300 or trial.arrivals
    return Verdict(colour="red" if colour_is_red else "yellow", sent=trial.what, came=trial.came)


def has_status(trial: Trial, status: int) -> Verdict:
    """For an ordered refusal. Success or a way to the sign-in is wrong altogether."""
    if trial.status == status and not trial.arrivals:
        return Verdict(colour="green", sent=trial.what, came=trial.came)
    is_wrong = bool(trial.arrivals) or 200 <= trial.status < 400
    return Verdict(
        colour="red" if is_wrong else "yellow", sent=trial.what, came=f"{trial.came} instead of {status}"
    )


def cookies(answer: Message | None, what: str) -> Verdict:
    """Every cookie of the gateway in an answer of its own."""
    values = [] if answer is None else answer.all("Set-Cookie")
    own = [value for value in values if "authproxy" in value.partition("=")[0].lower()]
    if not own:
        return Verdict(colour="yellow", sent=what, came="no cookie of the gateway has arrived")
    for value in own:
        name, _, rest = value.partition("=")
        attributes = {part.strip().lower() for part in rest.split(";")[1:]}
        lacking = [
            each
            for each in ("Secure", "HttpOnly", "Path=/", "SameSite")
            if not any(attribute.startswith(each.lower()) for attribute in attributes)
        ]
        if any(attribute.startswith("domain=") for attribute in attributes):
            lacking.append("nothing but has a Domain")
        if lacking or not name.startswith("__Host-"):
            came = f"{name} lacks {', '.join(lacking)}" if lacking else f"{name} has lost its prefix"
            return Verdict(colour="red", sent=what, came=came)
    return Verdict(colour="green", sent=what, came=f"{len(own)} cookies with all attributes")


def own_page_uncached(answers: Sequence[Message | None], what: str) -> Verdict:
    """Two answers of the same page that is never the same twice."""
    first, second = answers
    if first is None or second is None:
        return not_tried(f"{what} was not answered")
    if "no-store" not in first.get("Cache-Control").lower():
        return Verdict(colour="red", sent=what, came=f"Cache-Control: {first.get('Cache-Control') or 'none'}")
    if second.get("Age") not in {"", "0"} or (
        first.body == second.body and first.all("Set-Cookie")[:1] == second.all("Set-Cookie")[:1]
    ):
        return Verdict(colour="red", sent=what, came="the second answer came from a cache")
    return Verdict(colour="green", sent=what, came="each answer is a new one")


def not_kept(mine: Trial, mine_again: Trial, others: Trial) -> Verdict:
    """Whether somebody without a session gets what somebody with one got at the same address before."""
    if not mine.arrivals:
        return not_tried(f"a request with the session did not reach the portal ({mine.status})")
    if others.arrivals:
        return Verdict(colour="red", sent=others.what, came=others.came)
    if 200 <= others.status < 300:
        return Verdict(colour="red", sent=others.what, came=f"{others.status} from a cache")
    if not mine_again.arrivals:
        came = f"{mine_again.status} from a cache"
        return Verdict(colour="yellow", sent=mine_again.what, came=came)
    return Verdict(colour="green", sent=others.what, came=others.came)


def decision_not_kept(trials: Sequence[Trial]) -> Verdict:
    """For orders to echo: each answer must be to its own order."""
    for trial in trials:
        said = echo_in(trial.answer)
        if said is not None and said["nonce"] != trial.nonce:
            came = "the answer to an earlier question, by somebody else's credentials"
            return Verdict(colour="red", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trials[-1].what, came="each question is answered by itself")


def hsts(answer: Message | None, what: str) -> Verdict:
    values = [] if answer is None else answer.all("Strict-Transport-Security")
    if len(values) != 1:
        came = "not sent" if not values else f"sent {len(values)} times"
        return Verdict(colour="yellow", sent=what, came=came)
    found = _MAX_AGE.search(values[0])
    if found is None or int(found[1]) < _SHORTEST_HSTS:
        return Verdict(colour="yellow", sent=what, came=f"`{values[0][:60]}`: less than half a year")
    return Verdict(colour="green", sent=what, came=f"`{values[0][:60]}`")


def plain_http(trial: Trial, host: str) -> Verdict:
    """`host` is without a port."""
    location = "" if trial.answer is None else trial.answer.get("Location")
    if trial.arrivals or 200 <= trial.status < 300:
        return Verdict(colour="red", sent=trial.what, came=trial.came)
    if not trial.status:
        return Verdict(colour="green", sent=trial.what, came="nobody listens there")
    if 300 <= trial.status < 400 and location.lower().startswith("https://"):
        is_here = location[8:].lower().startswith(host.lower())
        return Verdict(
            colour="green" if is_here else "yellow",
            sent=trial.what,
            came=f"{trial.status} to `{location.partition('?')[0][:80]}`",
        )
    return Verdict(colour="yellow", sent=trial.what, came=trial.came)


def clocks(own: float, gateways: float, provider_ahead: float | None) -> Verdict:
    """Seconds since 1970 of the doctor's machine and the gateway, and the provider's difference."""
    apart = gateways - own
    verdicts = [_clock(apart, "this machine's clock and the gateway's")]
    if provider_ahead is not None:
        verdicts.append(_clock(provider_ahead, "the gateway's clock and the provider's"))
    return worst(verdicts)


def _clock(apart: float, which: str) -> Verdict:
    colour = "green" if abs(apart) < 5 else "yellow" if abs(apart) < 60 else "red"
    return Verdict(colour=colour, sent=which, came=f"{abs(apart):.0f} s apart")  # type: ignore[arg-type]


def keys(published: Collection[str], own: Sequence[Mapping[str, object]]) -> Verdict:
    """`published` are the ids at `jwks.json` as it arrives; `own` are those of the gateway's files."""
    what = "GET /.authproxy/jwks.json"
    roles = {str(key.get("role")): key for key in own}
    lacking = [str(key.get("id")) for key in own if key.get("id") not in published]
    if not own or lacking:
        came = f"the key {lacking[0][:12]}… is not published" if lacking else "the key files cannot be read"
        return Verdict(colour="red", sent=what, came=came)
    if "next" not in roles:
        return Verdict(
            colour="yellow", sent=what, came="no next key is published, so a rotation locks people out"
        )
    age = roles["current"].get("seconds") if "current" in roles else None
    if isinstance(age, (int, float)) and age > 400 * _DAY:
        return Verdict(colour="yellow", sent=what, came=f"the key that signs is {age / _DAY:.0f} days old")
    return Verdict(colour="green", sent=what, came=f"{len(published)} keys")


def checks(results: Mapping[str, Mapping[str, object]]) -> Verdict:
    """What `/readyz` says."""
    what = "the gateway's own checks"
    for status, colour in (("failed", "red"), ("warning", "yellow")):
        for name, check in results.items():
            if check.get("status") == status:
                came = f"{name}: {str(check.get('detail'))[:400]}"
                return Verdict(colour=colour, sent=what, came=came)  # type: ignore[arg-type]
    return Verdict(colour="green", sent=what, came=f"{len(results)} checks are well")


def proxy_version(program: str, version: str) -> Verdict:
    if not program or not version:
        return not_tried("no proxy says its version in `Server`: --proxy-version tells it")
    below, what = versions.is_below(program, version), f"{program} {version}"
    if below is None:
        return not_tried(f"nothing is known about {what}")
    floors = versions.FLOORS[program]
    if not below or versions.is_mended(program, version):
        return Verdict(colour="green", sent=what, came=f"no fault is known ({versions.AS_OF})")
    came = f"below {', '.join(floors.floors)} ({versions.AS_OF}): {floors.because}"
    if floors.mended:
        packages = ", ".join(floors.mended)
        came = f"{came}. Distributions mend old versions: {packages} is good, tell yours by --proxy-version"
        return Verdict(colour="yellow", sent=what, came=came)
    return Verdict(colour="red", sent=what, came=came)


def certificate(days: float | None, fault: str) -> Verdict:
    """`fault` is why the handshake failed, empty if it did not; `days` how long the certificate lasts."""
    what = "a TLS handshake"
    if fault:
        return Verdict(colour="red", sent=what, came=fault)
    if days is None:
        return not_tried("the certificate could not be read")
    colour = "red" if days < 3 else "yellow" if days < 21 else "green"
    return Verdict(colour=colour, sent=what, came=f"{days:.0f} days are left")  # type: ignore[arg-type]


def old_tls(accepted: Mapping[str, bool | None]) -> Verdict:
    """By version: whether it was accepted, None if it could not be tried."""
    taken = [name for name, is_accepted in accepted.items() if is_accepted]
    if taken:
        return Verdict(colour="red", sent=f"a handshake with {taken[0]}", came="accepted")
    if all(is_accepted is None for is_accepted in accepted.values()):
        return not_tried("this machine cannot speak old TLS itself")
    return Verdict(colour="green", sent="handshakes with " + ", ".join(accepted), came="refused")


def smuggled(trials: Sequence[Trial], hidden: str, targets: Collection[str]) -> Verdict:
    """Whether a request that was hidden in another one has become one. `targets` are those of all requests
    that have reached the portal, because a hidden one may come late."""
    for trial in trials:
        if any(hidden in arrival.target for arrival in trial.arrivals):
            return Verdict(colour="red", sent=trial.what, came="the hidden request reached the portal")
        if len(trial.arrivals) > 1:
            return Verdict(colour="red", sent=trial.what, came="two requests reached the portal")
    sent = "requests with two readings of their length"
    if any(hidden in target for target in targets):
        return Verdict(colour="red", sent=sent, came="the hidden request reached the portal later")
    return Verdict(
        colour="green", sent=sent, came=", ".join(trial.came for trial in trials[-1:]) or "nothing"
    )


def capsules(trial: Trial, page: Trial) -> Verdict:
    """For Envoy: over HTTP/3 it does not compare the length of a request with Capsule-Protocol with what
    comes. The answer with the `page` says whether HTTP/3 is offered."""
    passes = bool(trial.echo or trial.arrivals)
    offers_http3 = page.answer is not None and any("h3" in value for value in page.answer.all("Alt-Svc"))
    if passes and offers_http3:
        came = "Envoy passes it on, and offers HTTP/3: there a second request can stand behind its length"
        return Verdict(colour="red", sent=trial.what, came=came)
    return Verdict(colour="green", sent=trial.what, came=trial.came)


def upload(trial: Trial, size: int) -> Verdict:
    got = sum(len(arrival.body) for arrival in trial.arrivals)
    if got == size:
        return Verdict(colour="green", sent=trial.what, came="all of it reached the portal")
    return Verdict(
        colour="yellow", sent=trial.what, came=f"{trial.status}; {got} of {size} bytes reached the portal"
    )


def beside(answered: Sequence[tuple[str, Message | None]]) -> Verdict:
    """For the servers of portals, asked directly."""
    for address, answer in answered:
        if answer is not None:
            return Verdict(colour="red", sent=f"GET / to {address}", came=f"{answer.status or 'an answer'}")
    where = ", ".join(address for address, _ in answered[:4])
    return Verdict(colour="green", sent=f"GET / to {where}", came="nobody answers from here")


def own_paths(trials: Sequence[Trial], keys_page: Message | None, *, has_eyes: bool) -> Verdict:
    verdict = must_not_reach(trials, has_eyes=has_eyes)
    if verdict.colour == "red":
        return verdict
    if keys_page is None or keys_page.status != 200 or "json" not in keys_page.get("Content-Type"):
        came = "no answer" if keys_page is None else f"{keys_page.status}"
        return Verdict(
            colour="red", sent="GET /.authproxy/jwks.json", came=f"{came}: the gateway's pages do not arrive"
        )
    return verdict


def forged_fields(value: str, spelling: Callable[[str], str], most: int) -> list[list[Field]]:
    """Forged identity headers in one spelling, in requests of so many headers."""
    names = [
        beginning + member
        for beginning, members in identity_names.FAMILIES.items()
        if not beginning.startswith("x-authproxy-")
        for member in members[:3]
    ] + sorted(set(identity_names.NAMES) - _ABOUT_REQUESTS)
    fields = [(spelling(name), value) for name in names]
    return [fields[at : at + most] for at in range(0, len(fields), most)]


SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "X-Auth-Name": lambda name: "-".join(part.capitalize() for part in name.split("-")),
    "X_Auth_Name": lambda name: name.replace("-", "_"),
    "x.auth.name": lambda name: name.replace("-", "."),
}
"""The ways in which forged names are written, by how they look."""
DASHED: Final[dict[str, Callable[[str], str]]] = {
    "X--Auth-Name": lambda name: name.replace("-", "--", 1),
    "X-Auth-Name-": lambda name: f"{name}-",
}
"""Further ones, which only servers for CGI, WSGI and PHP read as the same, and which nginx cannot remove."""
