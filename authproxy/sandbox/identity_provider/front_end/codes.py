"""Codes by e-mail and SMS that prove an address or a number: they are sent within limits and checked, and
pages show them.

A code can be sent again after a minute, at most five times an hour to one recipient. After five wrong answers
a recipient must wait for 15 minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from authproxy.sandbox.identity_provider.front_end.confirmation import SMS_LIVES_FOR, six_digits
from authproxy.sandbox.identity_provider.front_end.mail import mailed
from authproxy.sandbox.identity_provider.front_end.sent_code import MAIL_LIVES_FOR, SentCode
from authproxy.sandbox.identity_provider.front_end.text_message import sent
from authproxy.sandbox.identity_provider.provider import OUTGOING, PROVIDER, Provider

Problem = Literal["code", "expired", "wait", "early", "limit", "not_sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What must be proven, and by which message. Limits are per `purpose` and recipient. Without `has_code`
    the message contains no code, and no answer is right."""

    purpose: str
    kind: Literal["mail", "sms"]
    to: str = field(repr=False)
    template: str
    has_code: bool = True

    @property
    def key(self) -> str:
        return f"{self.purpose} {self.to.casefold()}"


async def sent_again(
    request: web.Request, proof: Proof, before: SentCode | None
) -> tuple[SentCode | None, Problem | None]:
    """The code that is valid from now on. If none could be sent, it is the previous one, with the problem."""
    provider = request.app[PROVIDER]
    now, source = provider.clock(), request.remote or ""
    if before is not None and before.seconds_until_again(now):
        return before, "early"
    if provider.messages_to.seconds_to_wait(proof.key) or provider.messages_from.seconds_to_wait(source):
        return before, "limit"
    # Counted before it is sent, so that a gateway that refuses slowly is no way around the limit.
    provider.messages_to.count(proof.key)
    provider.messages_from.count(source)
    digits = six_digits(provider.random_bytes(8)) if proof.has_code else None
    text = provider.pages.text(request, proof.template, **({"code": digits} if digits is not None else {}))
    if proof.kind == "sms":
        is_sent, lives_for = (
            await sent(request.app[OUTGOING], provider.sms_url, to=proof.to, text=text),
            SMS_LIVES_FOR,
        )
    else:
        is_sent, lives_for = (
            await mailed(request.app[OUTGOING], provider.mail_url, to=proof.to, text=text),
            MAIL_LIVES_FOR,
        )
    return (
        (SentCode(digits=digits, sent_at=now, lives_for=lives_for), None) if is_sent else (before, "not_sent")
    )


def problem_with(provider: Provider, proof: Proof, code: SentCode | None, typed: str) -> Problem | None:
    """None if the code is right. Wrong codes are counted for the recipient, over all registrations."""
    if provider.wrong_proofs.minutes_to_wait(proof.key):
        return "wait"
    if code is None or code.has_expired(provider.clock()):
        return "expired"
    if not code.is_answered_by(typed, provider.clock()):
        provider.wrong_proofs.count(proof.key)
        return "wait" if provider.wrong_proofs.minutes_to_wait(proof.key) else "code"
    provider.wrong_proofs.forget(proof.key)
    return None


def page_values(
    request: web.Request, proof: Proof, code: SentCode | None, problem: Problem | None
) -> dict[str, Any]:
    """The values for `sent_code.html`. With no code and no problem, the first message was not sent."""
    provider = request.app[PROVIDER]
    seconds = max(
        provider.messages_to.seconds_to_wait(proof.key),
        provider.messages_from.seconds_to_wait(request.remote or ""),
    )
    if code is None and problem is None:
        problem = "limit" if seconds else "not_sent"
    minutes = -(-seconds // 60) if problem == "limit" else provider.wrong_proofs.minutes_to_wait(proof.key)
    return {
        "proof": proof,
        "problem": problem,
        "minutes": minutes,
        "tries_left": provider.wrong_proofs.tries_left(proof.key),
        "wait": code.seconds_until_again(provider.clock()) if code is not None else 0,
    }
