"""PURE: the section `acnlb` of the settings file: signing in with a client certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field

from authproxy.certificates.profiles import ACNLB_PERSONS, ACNLB_SEALS
from authproxy.identity.assurance import Level
from authproxy.settings.value_types import Day, Duration, File, Form, Size, Text, TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """Where the gateway asks whether a certificate is revoked. It never asks `ldap:` addresses."""

    allowed_hosts: Annotated[
        tuple[Text, ...],
        Field(
            description="Hosts (`host` or `host:port`) that may be asked if a certificate names them for "
            "its OCSP responder or its list. Their addresses must be public."
        ),
    ] = ("acldap.nlb.si",)
    moved: Annotated[
        dict[str, Text],
        Field(description="Beginnings of addresses in certificates, and their replacements."),
    ] = field(default_factory=dict)
    ocsp_url: Annotated[
        Text | None, Field(description="The OCSP responder to ask, regardless of the certificate.")
    ] = None
    crl_urls: Annotated[
        tuple[Text, ...],
        Field(description="Revocation lists (DER or PEM) to fetch, regardless of the certificates."),
    ] = ()
    timeout: Annotated[Duration, Field(description="Time limit of one question; a person waits for it.")] = (
        timedelta(seconds=5)
    )
    max_stale: Annotated[
        Duration,
        Field(
            description="How long the last valid answer still counts after it has expired, while its "
            "source is away. 0: not at all."
        ),
    ] = timedelta(0)
    refresh_every: Annotated[
        Duration,
        Field(
            description="Age at which a revocation list is fetched again, unless it expires sooner. A "
            "revocation that only a list contains counts after this time at the latest."
        ),
    ] = timedelta(hours=1)
    largest_list: Annotated[Size, Field(description="Largest revocation list that is read.")] = (
        8 * 1024 * 1024
    )
    sessions_checked_every: Annotated[
        Duration,
        Field(description="How often the certificates of signed-in people are checked."),
    ] = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcnlbSettings:
    """Signing in with an ACNLB certificate: where browsers show it, whose certificates are accepted, and
    until when."""

    url: Annotated[
        str,
        Form("`https://host[:port]`"),
        Field(
            pattern=r"^https://[^/?#@\s]+/?$",
            description="Address at which browsers show their certificate: a host or a port of its own, "
            "because a browser uses a chosen certificate for the whole host and port.",
        ),
    ]
    listen: Annotated[
        Text,
        Field(
            description="The listener behind `url`: `address:port`, or `unix:/path` for a front proxy on "
            "this machine."
        ),
    ] = "127.0.0.1:8444"
    tls: Annotated[
        TlsSettings | None,
        Field(description="The TLS certificate of `url`'s host, with `presented_by: listener`."),
    ] = None
    presented_by: Annotated[
        Literal["listener", "rfc9440", "nginx", "ingress_nginx", "traefik", "envoy", "apache", "haproxy"],
        Field(
            description="`listener`: the gateway itself ends TLS and asks for the certificate. Other "
            "values: the form in which a front proxy that ends TLS passes certificates on."
        ),
    ] = "listener"
    trusted_terminators: Annotated[
        tuple[Text, ...],
        Field(
            description="Addresses or networks of that front proxy; nobody else is answered. Peers on a "
            "Unix socket are trusted because of the socket's permissions (`server.unix_socket_mode`)."
        ),
    ] = ()
    certificate_header: Annotated[
        Text | None, Field(description="Header with the certificate; unset: the default for `presented_by`.")
    ] = None
    chain_header: Annotated[
        Text | None, Field(description="Header with the rest of the chain, with `rfc9440`.")
    ] = None
    verify_header: Annotated[
        Text | None,
        Field(
            description="Header with the front proxy's own verdict. Unset: the usual one for `presented_by`. "
            "Where there is one, the verdict must be present and be a success."
        ),
    ] = None
    root_file: Annotated[
        File,
        Field(description="ACNLB RootCA in PEM or DER, the only trust anchor of certificates."),
    ]
    sub_ca_file: Annotated[
        File,
        Field(
            description="ACNLB SubCA in PEM or DER, because browsers may send their certificate without it."
        ),
    ]
    accepted_policies: Annotated[
        tuple[Text, ...],
        Field(description="A certificate must contain one of these policies. Empty: any."),
    ] = tuple(sorted(ACNLB_PERSONS))
    seal_policies: Annotated[
        tuple[Text, ...], Field(description="Policies of seals; nobody can sign in with such a certificate.")
    ] = tuple(sorted(ACNLB_SEALS))
    requires_key_usage: Annotated[
        bool,
        Field(
            description="Whether a certificate must contain a key usage. If it contains one, it "
            "always counts."
        ),
    ] = False
    requires_extended_key_usage: Annotated[
        bool,
        Field(
            description="Whether a certificate must contain an extended key usage. If it contains "
            "one, it always counts."
        ),
    ] = False
    believes_tax_numbers: Annotated[
        bool,
        Field(
            description="Whether a `TINSI-` serial number in the subject also identifies a person: the "
            "one with this tax number in the register. Otherwise only certificates in the register sign "
            "anybody in."
        ),
    ] = False
    level: Annotated[Level, Field(description="Level of trust of people who sign in with a certificate.")] = (
        Level.MEDIUM
    )
    warn_from: Annotated[Day, Field(description="From this day on, pages tell people to move to Rekono.")] = (
        date(2027, 6, 28)
    )
    stop_at: Annotated[
        Day, Field(description="From this day on (0:00 UTC), nobody can sign in with a certificate.")
    ] = date(2028, 6, 28)
    revocation: RevocationSettings = field(default_factory=RevocationSettings)
