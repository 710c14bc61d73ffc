"""PURE: the types of single values in the settings file, with their names in findings and in the
reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from authproxy.settings.values import bytes_of, day_of, duration_of


@dataclass(frozen=True, slots=True)
class Form:
    """The name of a type in findings and in the reference. A relative `file` is relative to the directory of
    the settings file."""

    words: str


def unless_off(value: object) -> object:
    """None for `off`, which switches a section off."""
    return None if value == "off" else value


Duration = Annotated[timedelta, BeforeValidator(duration_of), Form("duration")]
Day = Annotated[date, BeforeValidator(day_of), Form("day")]
Size = Annotated[int, BeforeValidator(bytes_of), Field(ge=0), Form("size")]
Text = Annotated[str, Field(min_length=1)]
File = Annotated[str, Field(min_length=1), Form("file")]
Secret = Annotated[SecretStr, Field(min_length=1), Form("secret")]
TextOrFile = Annotated[SecretStr, Field(min_length=1), Form("text or file")]
"""A text that may be a secret: it is never printed, and may stand in a file of its own (`…_file`)."""
HeaderName = Annotated[str, Form("header name, or nothing")] | None
Telephone = (
    Annotated[
        str,
        Form("telephone number such as `+386 1 234 56 78`"),
        Field(pattern=r"^\+?[0-9(][0-9 ()/-]{4,24}$"),
    ]
    | None
)
PortalId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
"""The portal's short name: `aud` of its assertion, and its name in logs and metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """A certificate of our own, in PEM files."""

    certificate_file: Annotated[File, Field(description="Certificate chain, leaf first.")]
    key_file: Annotated[File, Field(description="Private key, readable by the gateway's user only.")]
