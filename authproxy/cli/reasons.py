"""PURE: what operators are told about each reason for a refusal: what has happened, and what helps.
`python -m authproxy.cli.reasons FILE` writes the table between the markers of that file (config/README.md).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from authproxy.access.decision import Reason

BEGIN: Final = "<!-- reasons: begin (made by `make reference`) -->"
END: Final = "<!-- reasons: end -->"


class Meaning(NamedTuple):
    """One line of the table. The texts are Markdown: names of settings and commands stand in backticks."""

    statuses: str
    """For people / for scripts, where these differ."""
    happened: str
    helps: str


MEANINGS: Final[Mapping[Reason, Meaning]] = {
    Reason.NO_SESSION: Meaning(
        "303 / 401",
        "nobody is signed in",
        "signing in",
    ),
    Reason.SESSION_ENDED: Meaning(
        "303 / 401",
        "idle too long, over, or revoked",
        "signing in",
    ),
    Reason.ACCOUNT_WITHDRAWN: Meaning(
        "401",
        (
            "only in the audit trail: the provider no longer confirms a signed-in account "
            "(`rekono.recheck_every`); the person reads `session_ended`"
        ),
        "signing in, if the account is valid again",
    ),
    Reason.SESSION_OF_ANOTHER_PORTAL: Meaning(
        "303 / 401",
        "the session belongs to another portal of this gateway",
        "signing in here",
    ),
    Reason.NOT_SENT: Meaning(
        "303 / 401",
        (
            "a person sent a form without being signed in, and it could not be kept: it is too large or of "
            "another type, its page is not known to be the portal's, nobody knows whose session it was, or "
            "a front proxy has it"
        ),
        "signing in; the way back is the page with the form. `step_up.held`",
    ),
    Reason.UNKNOWN_HOST: Meaning(
        "403",
        "no portal has this host",
        "`portals.<name>.url`, or the front proxy's `Host`",
    ),
    Reason.LEVEL_TOO_LOW: Meaning(
        "403",
        "Rekono trusts the person's identity less than the route demands",
        "raising the level at Rekono",
    ),
    Reason.METHOD_NOT_ALLOWED_HERE: Meaning(
        "403",
        "the portal does not accept this way of signing in",
        "another way",
    ),
    Reason.TAX_NUMBER_MISSING: Meaning(
        "403",
        "Rekono states no tax number",
        "adding it in the Rekono dashboard",
    ),
    Reason.TAX_NUMBER_INVALID: Meaning(
        "403",
        "Rekono states a value that is no tax number, or has a wrong check digit",
        "correcting it in the Rekono dashboard",
    ),
    Reason.TAX_NUMBER_INCOMPLETE: Meaning(
        "403",
        "Rekono states a tax number of seven digits: the leading one was lost",
        "correcting it in the Rekono dashboard; if it is right there, Rekono sends it as a number",
    ),
    Reason.PERSONAL_DATA_MISSING: Meaning(
        "403",
        "one of `required_claims` is missing",
        "completing the Rekono account",
    ),
    Reason.CLAIMS_CONTRADICT: Meaning(
        "403",
        "Rekono states two different tax numbers",
        "Rekono's help",
    ),
    Reason.ESSENTIAL_CLAIM_MISSING: Meaning(
        "403",
        "Rekono has not confirmed a claim that `rekono_parameters` calls essential",
        "a stronger confirmation at Rekono; the operator: `detail` of the audit event names the claim",
    ),
    Reason.NOT_A_MEMBER: Meaning(
        "403",
        (
            "the register of people does not contain the person, or not for this portal, or the person is "
            "blocked; or the account states somebody else's tax number"
        ),
        "`authproxy people show`; `detail` of the audit event",
    ),
    Reason.ROLE_MISSING: Meaning(
        "403",
        "the person has none of the roles that the route demands",
        "`authproxy people roles`; `authproxy explain` shows the route",
    ),
    Reason.NETWORK_NOT_ALLOWED: Meaning(
        "403",
        (
            "the client's address is in none of the networks of the route, or a trusted proxy does not say "
            "whose request it is"
        ),
        "the address in the access log; `X-Forwarded-For` of the proxy; `authproxy explain --address`",
    ),
    Reason.ACCESS_DENIED_HERE: Meaning(
        "403",
        "the route lets nobody in (`access: deny`)",
        "nothing, if that is meant",
    ),
    Reason.MACHINE_TOKEN_INVALID: Meaning(
        "401",
        (
            "a program's access token or API key is not genuine, over, revoked, or for another server; or "
            "it came twice, or with a session cookie"
        ),
        "`detail` of `machine.refused` in the audit trail; `authproxy machines list`",
    ),
    Reason.MACHINE_NOT_ALLOWED_HERE: Meaning(
        "403",
        "the token or key is genuine, but not for this portal or route, or lacks a scope",
        "`machines` of the route, `authproxy explain`; `authproxy machines list`",
    ),
    Reason.UNTRUSTED_PEER: Meaning(
        "403",
        (
            "a question of a front proxy came from an address that may not ask, in a way that "
            "`server.subrequests` does not name, or with a proof that does not hold"
        ),
        (
            "`server.trusted_proxies`, or the Unix socket; for the other two, `question.refused` in the log "
            "says what is wrong"
        ),
    ),
    Reason.SUBREQUEST_UNREADABLE: Meaning(
        "403",
        "the front proxy did not say in one way only what the request was",
        (
            "`question.refused` in the log, which names what is missing; the proxy's configuration: "
            "`deploy/nginx/`, `caddy/`, `traefik/`, `envoy/`, `haproxy/`"
        ),
    ),
    Reason.FOREIGN_ORIGIN: Meaning(
        "403",
        (
            "a page of another site sent a form or opened a WebSocket, a script asked for a page that "
            "accepts only navigations, or the `Destination` of a `COPY` or `MOVE` is not the portal's"
        ),
        "`websocket_origins`, if that site is yours",
    ),
    Reason.ATTEMPT_UNKNOWN: Meaning(
        "400",
        "the sign-in attempt is not known",
        "starting again",
    ),
    Reason.ATTEMPT_USED: Meaning(
        "400",
        "the sign-in attempt was used already (back button, second tab, opened in another browser before)",
        "starting again",
    ),
    Reason.ATTEMPT_TOO_OLD: Meaning(
        "400",
        "signing in took longer than `sessions.attempt`",
        "starting again",
    ),
    Reason.ATTEMPT_OF_ANOTHER_BROWSER: Meaning(
        "400",
        "the answer came to another browser than the one that asked",
        "starting again in one browser",
    ),
    Reason.COOKIES_OFF: Meaning(
        "400",
        "the browser keeps no cookies",
        "allowing them for this site",
    ),
    Reason.CONSENT_REFUSED: Meaning(
        "403",
        "the person said no at Rekono",
        "starting again and agreeing",
    ),
    Reason.PROVIDER_REFUSED: Meaning(
        "403",
        "Rekono refused the request, or does not accept the gateway as its client",
        (
            "the operator: client registration, id and secret; the error code is in the log, the audit "
            "event and beside the code for the help desk"
        ),
    ),
    Reason.PROVIDER_ANSWER_INVALID: Meaning(
        "502",
        "Rekono's answer did not pass the checks",
        "the operator: log and `rekono` settings",
    ),
    Reason.SIGN_IN_LOOP: Meaning(
        "429",
        "three sign-ins in a row led back here",
        "the page names the cause",
    ),
    Reason.CERTIFICATE_MISSING: Meaning(
        "403",
        (
            "the browser showed no certificate: none chosen, none of these authorities, or a card that does "
            "not answer"
        ),
        "choosing one after the browser was closed",
    ),
    Reason.CERTIFICATE_UNREADABLE: Meaning(
        "403",
        "the shown or forwarded data are not exactly one certificate",
        "the front proxy's header (`acnlb.presented_by`), or another certificate",
    ),
    Reason.CERTIFICATE_EXPIRED: Meaning(
        "403",
        "it has expired",
        "Rekono",
    ),
    Reason.CERTIFICATE_NOT_YET_VALID: Meaning(
        "403",
        "it is not valid yet",
        "the gateway's clock, or another certificate",
    ),
    Reason.CERTIFICATE_UNTRUSTED: Meaning(
        "403",
        "it does not lead to `acnlb.root_file`, or the front proxy did not accept it",
        "another certificate",
    ),
    Reason.CERTIFICATE_NOT_FOR_SIGNING_IN: Meaning(
        "403",
        "its policy, key usage or extended key usage does not allow signing in",
        "another certificate",
    ),
    Reason.CERTIFICATE_IS_A_SEAL: Meaning(
        "403",
        "its policy is for seals of organizations",
        "the person's own certificate",
    ),
    Reason.CERTIFICATE_WEAK: Meaning(
        "403",
        "a short key or an old hash",
        "Rekono",
    ),
    Reason.CERTIFICATE_REVOKED: Meaning(
        "403",
        "its issuer has revoked it",
        "Rekono",
    ),
    Reason.CERTIFICATE_SUNSET: Meaning(
        "403",
        "`acnlb.stop_at` has passed",
        "Rekono",
    ),
    Reason.CERTIFICATE_UNKNOWN: Meaning(
        "403",
        "the certificate is valid, but nobody in the register has it",
        "`authproxy people link PERSON --from-refusal CODE`",
    ),
    Reason.STEP_UP_REQUIRED: Meaning(
        "303 / 401",
        "the route demands a fresh proof",
        "the page where it is chosen; for scripts its address is in `step_up_url`",
    ),
    Reason.CODE_WRONG: Meaning(
        "303 / 403",
        "a code was wrong, no longer valid, or for something else: the answer does not reveal which",
        "entering it again; after the last try a new one",
    ),
    Reason.CHALLENGE_OVER: Meaning(
        "403",
        "the challenge was already answered, took too long, or belongs to another session",
        "starting again",
    ),
    Reason.PUSH_REFUSED: Meaning(
        "403",
        "the person refused on the phone, or chose another number",
        "starting again; if it was somebody else, signing out everywhere",
    ),
    Reason.STEP_UP_BLOCKED: Meaning(
        "429",
        "too many wrong codes of the person or from the address (`step_up.blocks`)",
        "another method (the page names them); waiting; `authproxy people unblock`",
    ),
    Reason.STEP_UP_TOO_OFTEN: Meaning(
        "303 / 429",
        "too many messages to the person (`step_up.codes`, `step_up.pushes`)",
        "waiting, or another method",
    ),
    Reason.STEP_UP_IMPOSSIBLE: Meaning(
        "403",
        "the person has none of the methods that the route accepts at their level of trust",
        "the page names what is missing; `step_up.levels`, `authproxy people show`",
    ),
    Reason.STEP_UP_BY_ANOTHER: Meaning(
        "403",
        "the proof came from another account or certificate than that of the signed-in person",
        "the right one",
    ),
    Reason.PROOF_TOO_OLD: Meaning(
        "403",
        (
            "the person authenticated at the provider longer ago than `rekono.max_age`, which some "
            "providers ignore; for a fresh proof: Rekono states no new time of authentication"
        ),
        (
            "signing in there again, as the page offers; another method; if this happens to everybody, "
            "`rekono.prompt: login` instead of `max_age`"
        ),
    ),
    Reason.PROOF_TOO_WEAK: Meaning(
        "403",
        "the sign-in at the provider is no fresh proof by `rekono.step_up_by`",
        "a stronger way there, or another method",
    ),
    Reason.HELD_REQUEST_GONE: Meaning(
        "410",
        "a kept form was already sent, waited too long, or belongs to another person",
        "checking at the portal whether it has arrived",
    ),
    Reason.REQUEST_CANNOT_BE_BOUND: Meaning(
        "403",
        (
            "the route demands a proof for each request (`step_up.max_age: 0`), and none can be bound to "
            "this one: a subrequest of a front proxy, a form that is not kept (too large, of another type, "
            "from a script), a form that the portal may read differently (`;` between fields, its own "
            "charset, parts that no browser writes), a WebSocket"
        ),
        "reverse-proxy mode for this portal; `step_up.held`",
    ),
    Reason.STORE_UNAVAILABLE: Meaning(
        "503",
        "the session store cannot be asked",
        "Redis; nobody is signed out",
    ),
    Reason.PROVIDER_UNAVAILABLE: Meaning(
        "503",
        "Rekono cannot be asked",
        "waiting; sessions continue",
    ),
    Reason.SIGNER_UNAVAILABLE: Meaning(
        "503",
        "the assertion cannot be signed",
        "key files, log",
    ),
    Reason.REVOCATION_UNAVAILABLE: Meaning(
        "503",
        "neither OCSP nor CRL says whether the certificate is revoked",
        "the sources in `/readyz`, `acnlb.revocation`",
    ),
    Reason.AUDIT_UNAVAILABLE: Meaning(
        "503",
        "an audit event cannot be written, and `telemetry.audit_required` is set",
        "room on the disk of `telemetry.audit_file`; `audit` in `/readyz`",
    ),
    Reason.SENDER_UNAVAILABLE: Meaning(
        "503",
        "no gateway accepts text messages, or OnePass accepts no notifications",
        "another method; the senders in `/readyz`",
    ),
    Reason.REQUEST_UNREADABLE: Meaning(
        "400",
        "the request can be read in more than one way, or not at all",
        "the client; behind a front proxy that asks, the log says `subrequest_unreadable`",
    ),
    Reason.TARGET_AMBIGUOUS: Meaning(
        "403 / 400",
        (
            "the path can be read in more than one way: 400 if by itself, 403 if its readings fall under "
            "different routes and nobody can meet what all of them demand"
        ),
        "`authproxy explain`; `accepts_encoded_slash`, if the portal needs it",
    ),
    Reason.METHOD_UNSUPPORTED: Meaning(
        "405",
        "the method is not passed on to this portal",
        "`methods` and `webdav` of the portal",
    ),
    Reason.NOT_FOUND: Meaning(
        "404",
        "the gateway has nothing at this path",
        "–",
    ),
    Reason.HEAD_TOO_LARGE: Meaning(
        "431",
        "`server.limits.head_size` or `header_count`",
        "cookies of the portal",
    ),
    Reason.TARGET_TOO_LONG: Meaning(
        "414",
        "`server.limits.target_size`",
        "–",
    ),
    Reason.BODY_TOO_LARGE: Meaning(
        "413",
        "`server.limits.body_size`",
        "–",
    ),
    Reason.REQUEST_TIMEOUT: Meaning(
        "408",
        "`server.timeouts.head` or `body`",
        "–",
    ),
    Reason.TOO_MANY_REQUESTS: Meaning(
        "429",
        (
            "one address began or ended more sign-ins, sent more false logout tokens, or asked for more "
            "codes than `server.limits.per_minute`"
        ),
        (
            "waiting as long as `Retry-After` says; if many people share the address, check that "
            "`server.trusted_proxies` names the front proxy and that it passes client addresses on"
        ),
    ),
    Reason.TOO_MANY_CONNECTIONS: Meaning(
        "503",
        "one address or session has too many open at once",
        "`server.limits.connections_per_address` or `connections_per_session`",
    ),
    Reason.PORTAL_UNREACHABLE: Meaning(
        "502",
        "the portal does not accept connections",
        "the portal, `upstream`",
    ),
    Reason.PORTAL_ANSWER_INVALID: Meaning(
        "502",
        "the portal's answer can be read in more than one way, or not at all",
        "the portal",
    ),
    Reason.PORTAL_TIMEOUT: Meaning(
        "504",
        "`server.timeouts.connect` or `first_byte`",
        "the portal",
    ),
    Reason.LOOP_DETECTED: Meaning(
        "508",
        (
            "the request has already passed the name in `server.via` twice: an upstream leads back to the "
            "gateway, or three gateways in a row have the same name"
        ),
        "`upstream`; different names for gateways behind each other",
    ),
    Reason.UNEXPECTED: Meaning(
        "500",
        "a fault of the gateway",
        "the log, by request id",
    ),
}


def explained(code: str) -> str:
    """What the code of a refusal says, in lines: a reason, and behind a hyphen the id of the request. The
    reason alone will do. Raises ValueError if no reason stands in front."""
    name, _, request_id = code.strip().partition("-")
    try:
        reason = Reason(name)
    except ValueError:
        raise ValueError("begins with none of the gateway's reasons") from None
    meaning = MEANINGS[reason]
    lines = [
        f"reason   {reason}",
        f"status   {meaning.statuses}",
        f"because  {meaning.happened}",
        f"helps    {meaning.helps}",
    ]
    if request_id:
        lines.append(f"log      lines with this `request_id`: {request_id}")
    return "\n".join(lines).replace("`", "")


def table() -> str:
    """The table in Markdown."""
    rows = (
        f"| `{reason}` | {meaning.statuses} | {meaning.happened} | {meaning.helps} |"
        for reason, meaning in MEANINGS.items()
    )
    return "\n".join(("| reason | status | what happened | what helps |", "|---|---|---|---|", *rows))


def replaced(document: str) -> str:
    """The document with a new table between its markers. Raises ValueError if it has no markers."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main(arguments: list[str]) -> None:
    file = Path(arguments[0])
    file.write_text(replaced(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
