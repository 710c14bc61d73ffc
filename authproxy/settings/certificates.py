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
    """How it is found out whether a certificate has been revoked. Addresses of `ldap:` are never asked."""

    allowed_hosts: Annotated[
        tuple[Text, ...],
        Field(
            description="Hosts (`host` or `host:port`) that may be asked when a certificate names them for "
            "its OCSP responder or its list. They must be public addresses."
        ),
    ] = ("acldap.nlb.si",)
    moved: Annotated[
        dict[str, Text],
        Field(
            description="How an address in certificates begins, and what is asked instead of that beginning."
        ),
    ] = field(default_factory=dict)
    ocsp_url: Annotated[
        Text | None, Field(description="The OCSP responder to ask, whatever certificates name.")
    ] = None
    crl_urls: Annotated[
        tuple[Text, ...], Field(description="Lists (DER or PEM) to keep at hand, whatever certificates name.")
    ] = ()
    timeout: Annotated[
        Duration, Field(description="The longest that one question may take; a person waits for it.")
    ] = timedelta(seconds=5)
    max_stale: Annotated[
        Duration,
        Field(
            description="How long after its own end the last good answer still counts while its source is "
            "away. 0: not at all."
        ),
    ] = timedelta(0)
    refresh_every: Annotated[
        Duration,
        Field(
            description="How old a list at hand may become before it is fetched again, if it does not end "
            "sooner. A revocation that is only in a list counts after this time at the latest."
        ),
    ] = timedelta(hours=1)
    largest_list: Annotated[Size, Field(description="The largest list that is read.")] = 8 * 1024 * 1024
    sessions_checked_every: Annotated[
        Duration,
        Field(description="How often it is asked about the certificates of people who are signed in."),
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
            description="Where browsers show their certificate, as they see it: a host or a port of its "
            "own, because a browser keeps its choice of a certificate for the whole of both.",
        ),
    ]
    listen: Annotated[
        Text,
        Field(
            description="The listener behind `url`: `address:port` or, for a terminator on this machine, "
            "`unix:/path`."
        ),
    ] = "127.0.0.1:8444"
    tls: Annotated[
        TlsSettings | None,
        Field(description="The certificate of the host of `url`; with `presented_by: listener`."),
    ] = None
    presented_by: Annotated[
        Literal["listener", "rfc9440", "nginx", "ingress_nginx", "traefik", "envoy", "apache", "haproxy"],
        Field(
            description="`listener`: the gateway ends TLS and asks for the certificate. Otherwise the one "
            "form in which a terminator of TLS in front of the listener passes certificates on."
        ),
    ] = "listener"
    trusted_terminators: Annotated[
        tuple[Text, ...],
        Field(
            description="Addresses or networks of that terminator; nobody else is answered. Peers on a Unix "
            "socket are trusted by the permissions of the socket (`server.unix_socket_mode`)."
        ),
    ] = ()
    certificate_header: Annotated[
        Text | None, Field(description="Header with the certificate; unset: the usual one of `presented_by`.")
    ] = None
    chain_header: Annotated[
        Text | None, Field(description="Header with the rest of the chain, with `rfc9440`.")
    ] = None
    verify_header: Annotated[
        Text | None,
        Field(
            description="Header with the terminator's own verdict, which must then be there and be a success."
        ),
    ] = None
    root_file: Annotated[
        File,
        Field(
            description="ACNLB RootCA in PEM or DER: what certificates must lead to. Nothing else is trusted."
        ),
    ]
    sub_ca_file: Annotated[
        File,
        Field(description="ACNLB SubCA in PEM or DER: browsers may send their own certificate without it."),
    ]
    accepted_policies: Annotated[
        tuple[Text, ...],
        Field(description="A certificate must state one of these policies. Empty: whatever it states."),
    ] = tuple(sorted(ACNLB_PERSONS))
    seal_policies: Annotated[
        tuple[Text, ...], Field(description="Policies of seals: no person signs in with such a certificate.")
    ] = tuple(sorted(ACNLB_SEALS))
    requires_key_usage: Annotated[
        bool, Field(description="Whether a key usage must be stated; a stated one always counts.")
    ] = False
    requires_extended_key_usage: Annotated[
        bool, Field(description="Whether an extended key usage must be stated; a stated one always counts.")
    ] = False
    believes_tax_numbers: Annotated[
        bool,
        Field(
            description="Whether a `TINSI-` serial number in the subject also says who it is: whoever has "
            "that tax number in the register. Otherwise only certificates that the register "
            "names sign anybody in."
        ),
    ] = False
    level: Annotated[
        Level, Field(description="The level of trust of whoever signs in with a certificate.")
    ] = Level.MEDIUM
    warn_from: Annotated[Day, Field(description="From this day on people are told to move to Rekono.")] = (
        date(2027, 6, 28)
    )
    stop_at: Annotated[
        Day, Field(description="From this day on (0:00 UTC) nobody signs in with a certificate.")
    ] = date(2028, 6, 28)
    revocation: RevocationSettings = field(default_factory=RevocationSettings)
