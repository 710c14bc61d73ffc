"""PURE: the section `step_up.mail` of the settings file: the mail server for letters about changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from authproxy.settings.value_types import Duration, File, Form, Secret, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """E-mail that tells people of changes in how they prove themselves. No code is ever sent by e-mail."""

    host: Annotated[Text, Field(description="The mail server's name or address.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its port.")] = 587
    tls: Annotated[
        Literal["starttls", "implicit", "none"],
        Field(
            description="`starttls` on a connection that begins in plain text (port 587), `implicit` from "
            "the first byte (port 465), or `none`."
        ),
    ] = "starttls"
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether `tls: none` may lead to another machine. Mail can then be read in transit."
        ),
    ] = False
    user: Annotated[
        Text | None,
        Field(description="User name at the mail server. Unset: no authentication."),
    ] = None
    password: Annotated[Secret | None, Field(description="The password of `user`.")] = None
    sender: Annotated[
        str,
        Form("mailbox such as `varni-prehod@bankart.si`"),
        Field(
            pattern=r"^[^\s\"(),:;<>@\[\\\]]{1,64}@[^\s\"(),:;<>@\[\\\]]{1,255}$",
            description="Sender's address.",
        ),
    ]
    ca_file: Annotated[
        File | None,
        Field(
            description="Certificate authority that must have issued the mail server's certificate. "
            "Unset: the system's."
        ),
    ] = None
    timeout: Annotated[Duration, Field(description="Time limit of one step of sending a mail.")] = timedelta(
        seconds=5
    )
