"""PURE: the section `step_up.onepass` of the settings file: the service that notifies phones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from authproxy.settings.value_types import Duration, File, Form, Secret, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePassSettings:
    """Notifications to phones, signed answers back (contract: authproxy/delivery/README.md). The service is
    trusted to deliver, and with nothing more."""

    url: Annotated[
        str,
        Form("`https://host[:port]/path`"),
        Field(
            pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
            description="Address of the service for enrolments and notifications.",
        ),
    ]
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether `http://` may lead to another machine. Notifications can then be read "
            "in transit."
        ),
    ] = False
    api_key: Annotated[Secret, Field(description="The gateway's key at the service, sent as a bearer token.")]
    name: Annotated[Text, Field(description="Name of this gateway on phones.")] = (
        "Bankart Varni Spletni Prehod"
    )
    timeout: Annotated[Duration, Field(description="Time limit of one question; a person waits for it.")] = (
        timedelta(seconds=5)
    )
    ca_file: Annotated[
        File | None,
        Field(
            description="Certificate authority that must have issued the service's certificate. Unset: "
            "the system's."
        ),
    ] = None
