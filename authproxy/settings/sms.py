"""PURE: the section `step_up.sms` of the settings file: text messages with codes, and their gateways."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from authproxy.settings.value_types import Duration, File, Form, Secret, Text

GatewayName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
"""The name of a gateway in logs and metrics."""
_BODY = '{"sender": "{sender}", "recipient": "{recipient}", "text": "{text}"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSuccessSettings:
    """Answers that mean that the SMS gateway has accepted the message."""

    statuses: Annotated[tuple[int, ...], Field(min_length=1, description="HTTP statuses of success.")] = (
        200,
        201,
        202,
    )
    pointer: Annotated[
        str | None,
        Form("JSON pointer"),
        Field(
            pattern=r"^/",
            description="JSON pointer (RFC 6901) to a value that must also be present, such as `/status`.",
        ),
    ] = None
    values: Annotated[
        tuple[Text, ...],
        Field(description="Accepted values at `pointer`. Empty: anything but null and false."),
    ] = ()
    id_pointer: Annotated[
        str | None,
        Form("JSON pointer"),
        Field(
            pattern=r"^/",
            description="JSON pointer to the SMS gateway's identifier of the message, such as `/message_id`.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSignatureSettings:
    """A signature over the body: HMAC-SHA-256."""

    header: Annotated[Text, Field(description="Header with the signature.")]
    key: Annotated[Secret, Field(description="The key that is shared with the gateway.")]
    encoding: Annotated[Literal["hex", "base64"], Field(description="Encoding of the signature.")] = "hex"
    prefix: Annotated[str, Field(description="Text before the signature, such as `sha256=`.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsReportSettings:
    """Delivery reports of an HTTP gateway. The gateway asks for them a few times within minutes, for the
    metrics."""

    url: Annotated[
        Text,
        Field(
            description="Address to ask by GET; `{message_id}` is replaced by the value at "
            "`success.id_pointer`."
        ),
    ]
    pointer: Annotated[
        str,
        Form("JSON pointer"),
        Field(pattern=r"^/", description="JSON pointer to the state, such as `/status`."),
    ] = "/status"
    delivered: Annotated[
        tuple[Text, ...], Field(description="States of a message that has arrived (upper or lower case).")
    ] = ("delivered",)
    failed: Annotated[tuple[Text, ...], Field(description="States of a message that will not arrive.")] = (
        "failed",
        "undelivered",
        "undeliverable",
        "rejected",
        "expired",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSmsSettings:
    """An SMS gateway with an HTTP interface. Nothing of a message goes into the URL, because many programs
    log URLs."""

    url: Annotated[Text, Field(description="Address to which messages are sent, by POST.")]
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether `http://` may lead to another machine. Codes can then be read in transit."
        ),
    ] = False
    content_type: Annotated[
        Text,
        Field(
            description="JSON, `application/x-www-form-urlencoded`, XML or `text/plain`. It decides how "
            "values are escaped in `body`."
        ),
    ] = "application/json"
    body: Annotated[
        Text,
        Field(
            description="The body. `{recipient}`, `{text}`, `{sender}` and `{reference}` are replaced; "
            "in JSON they must be inside quotation marks."
        ),
    ] = _BODY
    headers: Annotated[dict[str, Text], Field(description="Further headers, without secrets.")] = field(
        default_factory=dict
    )
    recipient_form: Annotated[
        Literal["+", "00", "digits"],
        Field(description="How numbers are written: `+386…`, `00386…` or `386…`."),
    ] = "+"
    authentication: Annotated[
        Literal["none", "basic", "bearer", "header"],
        Field(
            description="`basic`: `user` and `secret`. `bearer`: `secret`. `header`: `secret` in the header "
            "`secret_header`."
        ),
    ] = "none"
    user: Annotated[Text | None, Field(description="User, with `basic`.")] = None
    secret: Annotated[Secret | None, Field(description="Password, token or key.")] = None
    secret_header: Annotated[
        Text | None, Field(description="The header for the secret, with `header`, such as `X-API-Key`.")
    ] = None
    signature: SmsSignatureSettings | None = None
    reference_header: Annotated[
        Text | None,
        Field(
            description="Header by which the SMS gateway recognises a message that is sent again after "
            "its answer was lost, such as `Idempotency-Key`. Unset: a person may then get the same code "
            "twice."
        ),
    ] = None
    success: SmsSuccessSettings = field(default_factory=SmsSuccessSettings)
    reports: SmsReportSettings | None = None
    ca_file: Annotated[
        File | None, Field(description="Certificate authority of the gateway. Unset: the system's.")
    ] = None
    certificate_file: Annotated[File | None, Field(description="Client certificate for the SMS gateway.")] = (
        None
    )
    key_file: Annotated[File | None, Field(description="Its private key.")] = None
    timeout: Annotated[Duration, Field(description="Time limit of one try.")] = timedelta(seconds=4)
    tries: Annotated[
        int,
        Field(
            ge=1,
            le=5,
            description="Number of tries, if trying again may help: no answer, 408, 425, 429, 5xx.",
        ),
    ] = 2
    deadline: Annotated[
        Duration, Field(description="Time limit of all tries together; a person waits for it.")
    ] = timedelta(seconds=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppSettings:
    """A message centre that speaks SMPP 3.4. The gateway keeps one connection to it open."""

    host: Annotated[Text, Field(description="Its name or address.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its port.")] = 2775
    system_id: Annotated[
        str,
        Field(min_length=1, max_length=15, description="The message centre's name for this gateway."),
    ]
    password: Annotated[Secret, Field(description="Password, at most 8 characters long by the standard.")]
    system_type: Annotated[
        str, Field(max_length=12, description="System type, if the message centre demands one.")
    ] = ""
    bind: Annotated[
        Literal["transceiver", "transmitter"],
        Field(description="`transceiver` also receives reports about deliveries."),
    ] = "transceiver"
    long_messages: Annotated[
        Literal["parts", "payload"],
        Field(
            description="How to send a text that is too long for one message: in parts, which telephones "
            "join, or whole in `message_payload`, which the message centre splits."
        ),
    ] = "parts"
    alphabet: Annotated[
        Literal["automatic", "ucs2"],
        Field(
            description="`automatic`: the GSM alphabet (GSM 03.38) if it can express the text, otherwise "
            "UCS-2. `ucs2`: for a message centre with another default alphabet."
        ),
    ] = "automatic"
    recipient_form: Annotated[
        Literal["+", "00", "digits"],
        Field(description="How numbers are written: `+386…`, `00386…` or `386…`."),
    ] = "digits"
    tls: Annotated[bool, Field(description="Whether the connection uses TLS.")] = False
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether a connection without TLS may lead to another machine, for example "
            "through a tunnel."
        ),
    ] = False
    ca_file: Annotated[
        File | None, Field(description="Certificate authority of the message centre. Unset: the system's.")
    ] = None
    enquire_every: Annotated[
        Duration, Field(description="How often a silent connection is tested (`enquire_link`).")
    ] = timedelta(seconds=30)
    deadline: Annotated[Duration, Field(description="Time limit of a message, connecting included.")] = (
        timedelta(seconds=8)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsGatewaySettings:
    """One gateway: `http` or `smpp`."""

    http: HttpSmsSettings | None = None
    smpp: SmppSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsRestSettings:
    """When an SMS gateway that fails is asked only after all others, until it accepts a message again."""

    after: Annotated[int, Field(ge=1, le=100, description="Failures in a row that begin the rest.")] = 3
    lasts: Annotated[Duration, Field(description="Duration of the rest.")] = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSettings:
    """Text messages with codes."""

    sender: Annotated[
        str,
        Form("up to 11 letters and digits, or a number"),
        Field(
            pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9 ._-]{0,10}|\+?[0-9]{3,15})$",
            description="Sender of the text messages: up to 11 letters and digits, or a number.",
        ),
    ]
    gateways: Annotated[
        dict[GatewayName, SmsGatewaySettings],
        Field(
            min_length=1,
            description="Gateways by short name, in order: the first one that accepts a message sends it.",
        ),
    ]
    rest: SmsRestSettings = field(default_factory=SmsRestSettings)
