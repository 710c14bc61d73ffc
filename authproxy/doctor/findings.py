"""PURE: what the doctor looks for, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Colour = Literal["red", "yellow", "green", "not_tried"]
"""`red`: the gateway can be got around, or people are in danger. `yellow`: it should be mended. `not_tried`:
nothing is known."""
_ORDER: Final[tuple[Colour, ...]] = ("not_tried", "green", "yellow", "red")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    title: str
    """How it should be, in one sentence. What is red or yellow is not so."""
    why: str
    """Why it matters, in one sentence."""


SUBJECTS: Final[dict[str, Subject]] = {
    "portal_reachable": Subject(
        title="The portal cannot be reached past the gateway",
        why="Whoever reaches the portal itself needs no sign-in, and writes the identity headers.",
    ),
    "unprotected_path": Subject(
        title="The front proxy asks the gateway about every path",
        why="A path that the proxy answers without asking is open to everybody.",
    ),
    "host_confusion": Subject(
        title="Proxy and gateway agree about the host",
        why="If the proxy serves one portal and the gateway judges another, one session opens both.",
    ),
    "missing_host": Subject(
        title="A request without a host reaches no portal",
        why="What is judged for no portal in particular must not be served by one.",
    ),
    "forged_identity": Subject(
        title="A client's identity headers never reach the portal",
        why="The portal takes these headers for the gateway's word, so anybody could be anybody.",
    ),
    "forged_forwarding": Subject(
        title="A client's forwarding headers are not believed",
        why="Rules about networks, limits and the audit trail would go by an address that was made up.",
    ),
    "connection_named": Subject(
        title="`Connection` removes none of the gateway's headers",
        why="A client that has the identity removed reaches the portal as nobody, or as whoever it names.",
    ),
    "trailers": Subject(
        title="Fields after a body do not become headers",
        why="Some servers add them to the headers, and then they name a person.",
    ),
    "path_confusion": Subject(
        title="The gateway judges the path that the portal gets",
        why="If the proxy changes the path after it was judged, an open path leads to a closed one.",
    ),
    "method_confusion": Subject(
        title="The gateway judges the method that the portal gets",
        why="A rule for GET would let a POST through.",
    ),
    "method_override": Subject(
        title="Headers that replace the method do not reach the portal",
        why="The gateway has judged a GET, and the portal's framework makes a DELETE of it.",
    ),
    "upgrade_unasked": Subject(
        title="Other protocols begin only after the gateway was asked",
        why="Whatever goes through such a connection is judged by nobody.",
    ),
    "subrequest_from_outside": Subject(
        title="The gateway's endpoints for questions are closed to the outside",
        why="Whoever may ask them says which request was meant, and learns the identity headers.",
    ),
    "question_forged": Subject(
        title="A client cannot change what the proxy asks",
        why="The gateway would judge a harmless request, and the portal would get another one.",
    ),
    "portal_own_paths": Subject(
        title="The portal answers nothing below `/.authproxy/`",
        why="What it serves there looks like a page of the gateway, and people type codes into those.",
    ),
    "error_status": Subject(
        title="Refusals arrive with their status",
        why="Programs believe a refusal that looks like success; people may go in circles.",
    ),
    "fails_open": Subject(
        title="Nothing is open while the gateway cannot answer",
        why="Whoever can make the gateway busy would come in without a sign-in.",
    ),
    "cookie_flags": Subject(
        title="The gateway's cookies arrive with all their attributes",
        why="The session would travel in plain text, or any script of the portal could read it.",
    ),
    "cached_pages": Subject(
        title="No cache keeps personal pages",
        why="The page of one person is shown to the next one.",
    ),
    "cached_decisions": Subject(
        title="An answer of the gateway is not used for another request",
        why="A decision that was made for somebody who is signed in would let everybody in.",
    ),
    "plain_http": Subject(
        title="Plain HTTP leads to HTTPS and to nothing else",
        why="Sessions and passwords could be read on the way.",
    ),
    "tls_version": Subject(
        title="TLS 1.2 or newer", why="TLS 1.0 and 1.1 can be broken, and no browser needs them."
    ),
    "certificate_end": Subject(
        title="The certificate is valid, for this host, for some weeks",
        why="When it ends, nobody can sign in.",
    ),
    "hsts": Subject(
        title="Browsers are told to use HTTPS only",
        why="The first request of each visit could be taken over otherwise.",
    ),
    "clock": Subject(
        title="The clocks agree",
        why="Tokens of the provider and assertions for the portal are valid for minutes.",
    ),
    "keys": Subject(
        title="The keys of assertions are there, and can be rotated",
        why="A portal must know the next key before it signs, or everybody is locked out at the rotation.",
    ),
    "store": Subject(
        title="What `/readyz` checks is well",
        why="The gateway says so itself; people may be locked out or lose their sessions.",
    ),
    "proxy_version": Subject(
        title="The front proxy has no known hole",
        why="These versions have published faults by which its rules can be got around.",
    ),
    "request_framing": Subject(
        title="Proxy and portal agree where a request ends",
        why="A second request hidden in the first one's body is judged by nobody.",
    ),
    "large_upload": Subject(
        title="A large upload arrives whole",
        why="People would fill in a form for nothing.",
    ),
}
"""By the id of the finding, in the order of the report. Ids are never renamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`sent` and `came` say in short what was sent and what came back, without any secret; `sent` says why
    for what was not tried."""

    colour: Colour
    sent: str
    came: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    finding_id: str
    verdict: Verdict
    advice: str = ""
    """The line to change, in the file of this front proxy."""
    requests: int = 0
    """How many were sent to find it."""


def worst(verdicts: list[Verdict]) -> Verdict:
    """The first of the worst. Without any there was nothing to try."""
    if not verdicts:
        return Verdict(colour="not_tried", sent="there was nothing to try")
    return max(verdicts, key=lambda verdict: _ORDER.index(verdict.colour))


def not_tried(because: str) -> Verdict:
    return Verdict(colour="not_tried", sent=because)
