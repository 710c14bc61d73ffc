"""PURE: the section `step_up` of the settings file: by what people prove themselves afresh, how often they
may be wrong, what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from authproxy.identity.assurance import StepUpMethod
from authproxy.settings.mail import MailSettings
from authproxy.settings.onepass import OnePassSettings
from authproxy.settings.sms import SmsSettings
from authproxy.settings.value_types import Duration, Size, Text

LevelName = Literal["10", "20", "30"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSettings:
    """One-time codes that the gateway sends."""

    digits: Annotated[int, Field(ge=6, le=10, description="Digits of a code.")] = 6
    lives_for: Annotated[Duration, Field(description="How long a code is good; at most 10 minutes.")] = (
        timedelta(minutes=5)
    )
    tries: Annotated[
        int, Field(ge=1, le=5, description="Answers that one challenge takes, right or wrong.")
    ] = 5
    again_after: Annotated[Duration, Field(description="How long a person waits before another message.")] = (
        timedelta(seconds=60)
    )
    per_hour: Annotated[int, Field(ge=1, le=20, description="Messages to one person within an hour.")] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """Notifications to a phone."""

    lives_for: Annotated[Duration, Field(description="How long a notification waits for its answer.")] = (
        timedelta(minutes=2)
    )
    per_ten_minutes: Annotated[
        int, Field(ge=1, le=10, description="Notifications to one person within ten minutes.")
    ] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSettings:
    """Wrong codes of people and addresses. A block closes codes and no other method, ends by itself, and each
    lasts twice as long."""

    after: Annotated[
        int,
        Field(
            ge=1, le=5, description="Wrong codes of one person in a row, over all challenges, before a block."
        ),
    ] = 5
    after_from_address: Annotated[
        int,
        Field(
            ge=5, description="Wrong codes from one address in a row before it is blocked: offices share one."
        ),
    ] = 30
    lasts: Annotated[Duration, Field(description="How long the first block lasts.")] = timedelta(minutes=15)
    at_most: Annotated[Duration, Field(description="How long a block lasts at most.")] = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRequestSettings:
    """Forms that were sent when a fresh proof was missing: kept, shown after the proof, and sent once."""

    size: Annotated[Size, Field(description="The largest body that is kept, in bytes. 0 keeps none.")] = (
        256 * 1024
    )
    types: Annotated[tuple[Text, ...], Field(description="Content types that are kept.")] = (
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain",
    )


_BY_LEVEL: dict[LevelName, tuple[StepUpMethod, ...]] = {
    "10": ("sms", "totp", "recovery"),
    "20": ("sms", "totp", "push", "recovery"),
    "30": ("totp", "push", "certificate", "recovery"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpSettings:
    """A fresh proof inside a session, where a portal demands one."""

    levels: Annotated[
        dict[LevelName, tuple[StepUpMethod, ...]],
        Field(
            description="Which methods a person of each level of trust may use. Signing in again at Rekono "
            "is always one of them for whoever has an account there. Your table replaces the one "
            "shown."
        ),
    ] = field(default_factory=lambda: dict(_BY_LEVEL))
    codes: CodeSettings = field(default_factory=CodeSettings)
    pushes: PushSettings = field(default_factory=PushSettings)
    blocks: BlockSettings = field(default_factory=BlockSettings)
    held: HeldRequestSettings = field(default_factory=HeldRequestSettings)
    enrolment_proof_for: Annotated[
        Duration,
        Field(description="How old the proof may be that comes before somebody adds or removes a method."),
    ] = timedelta(minutes=5)
    sms: Annotated[
        SmsSettings | None, Field(description="Leave it out where no codes are sent by text message.")
    ] = None
    mail: Annotated[
        MailSettings | None, Field(description="Leave it out where nobody is told of changes by e-mail.")
    ] = None
    onepass: Annotated[
        OnePassSettings | None, Field(description="Leave it out where phones are not notified.")
    ] = None
