"""PURE: the section `step_up` of the settings file: methods of step-up, limits on wrong codes, and forms that
wait for a proof."""

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
    lives_for: Annotated[Duration, Field(description="How long a code is valid; at most 10 minutes.")] = (
        timedelta(minutes=5)
    )
    tries: Annotated[int, Field(ge=1, le=5, description="Answers to one challenge, right or wrong.")] = 5
    again_after: Annotated[
        Duration, Field(description="How long a person must wait before another message.")
    ] = timedelta(seconds=60)
    per_hour: Annotated[int, Field(ge=1, le=20, description="Messages to one person per hour.")] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSettings:
    """Notifications to a phone."""

    lives_for: Annotated[Duration, Field(description="How long a notification waits for its answer.")] = (
        timedelta(minutes=2)
    )
    per_ten_minutes: Annotated[
        int, Field(ge=1, le=10, description="Notifications to one person per ten minutes.")
    ] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSettings:
    """Blocks after wrong codes of a person or from an address. A block closes codes and no other method. It
    ends by itself, and each lasts twice as long as the one before."""

    after: Annotated[
        int,
        Field(
            ge=1,
            le=5,
            description="Wrong codes of one person in a row, over all challenges, that lead to a block.",
        ),
    ] = 5
    after_from_address: Annotated[
        int,
        Field(
            ge=5,
            description="Wrong codes from one address in a row that lead to a block of the "
            "address. Higher, because offices share an address.",
        ),
    ] = 30
    lasts: Annotated[Duration, Field(description="How long the first block lasts.")] = timedelta(minutes=15)
    at_most: Annotated[Duration, Field(description="Longest duration of a block.")] = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRequestSettings:
    """Forms that were submitted without the demanded proof, or after the session had ended by time. They are
    kept, shown after the proof or the sign-in, and sent once."""

    size: Annotated[Size, Field(description="Largest body to keep, in bytes. 0: none is kept.")] = 256 * 1024
    types: Annotated[tuple[Text, ...], Field(description="Content types to keep.")] = (
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
    """Fresh proofs inside a session, for portals that demand them."""

    levels: Annotated[
        dict[LevelName, tuple[StepUpMethod, ...]],
        Field(
            description="Methods that people of each level of trust may use. People with a Rekono "
            "account may also sign in there again. Your table replaces the one shown."
        ),
    ] = field(default_factory=lambda: dict(_BY_LEVEL))
    codes: CodeSettings = field(default_factory=CodeSettings)
    pushes: PushSettings = field(default_factory=PushSettings)
    blocks: BlockSettings = field(default_factory=BlockSettings)
    held: HeldRequestSettings = field(default_factory=HeldRequestSettings)
    enrolment_proof_for: Annotated[
        Duration,
        Field(
            description="Greatest age of the proof that a person must give before adding or removing "
            "a method."
        ),
    ] = timedelta(minutes=5)
    sms: Annotated[
        SmsSettings | None, Field(description="Leave it out if no codes are sent by text message.")
    ] = None
    mail: Annotated[
        MailSettings | None, Field(description="Leave it out if nobody is told about changes by e-mail.")
    ] = None
    onepass: Annotated[
        OnePassSettings | None, Field(description="Leave it out if phones are not notified.")
    ] = None
