"""`authproxy certificate explain`: what a certificate says, which checks it passes, and whom it would
sign in.

The validator, the profile and the register are those of a running gateway, so its answer would be the same.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.terminal import (
    UNREADABLE,
    config_option,
    fail,
    json_option,
    print_details,
    print_json,
    print_table,
    settings_of,
    store_asked,
    time_text,
    visible,
)

if TYPE_CHECKING:
    from authproxy.bootstrap.certificate_explanation import ExplainedCertificate

_CHECKS = {
    "readable": "it is an X.509 certificate that can be read to the end",
    "strength": "its key and its signature cannot be forged",
    "issuer": "an authority that is trusted here has issued it",
    "time": "it is valid now",
    "sunset": "certificates of this authority are still accepted",
    "seal": "it is a person's, not the seal of an organisation",
    "policy": "it states a policy that is accepted",
    "key_usage": "its key may sign",
    "extended_key_usage": "it may be used for signing in",
    "path": "a path leads from it to the root",
    "second_opinion": "two other validators agree",
    "revocation": "nobody has revoked it",
}


@click.group()
def certificate() -> None:
    """Client certificates."""


@certificate.command("explain")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
def explain_certificate(file: Path, config: Path, *, as_json: bool) -> None:
    """Say what the certificate in FILE (PEM, DER or .p7b) says, which check it passes or fails, and whom it
    would sign in where.

    Asks its issuer's lists and responders. Exit code 0: it signs somebody in; 1: it does not; 2: there is no
    file that can be read."""
    settings = settings_of(config)
    from authproxy.bootstrap.certificate_explanation import explain_certificate

    if settings.acnlb is None:
        fail("the settings have no section `acnlb`: nobody signs in with a certificate")
    try:
        octets = file.read_bytes()
    except OSError as error:
        click.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    with store_asked():
        explained = asyncio.run(explain_certificate(settings, octets))
    if as_json:
        print_json(_described(explained))
    else:
        _print(explained)
    sys.exit(0 if explained.admits else 1)


def _described(explained: ExplainedCertificate) -> dict[str, object]:
    return {
        "file": explained.kind,
        "says": _says(explained),
        "checks": [
            {"check": line.check, "outcome": line.outcome, "detail": line.detail} for line in explained.lines
        ],
        "person": explained.person,
        "portals": explained.portals,
        "refused": explained.refused,
        "refused_at": {
            portal_id: refusal for portal_id, refusal in explained.refused_at.items() if refusal is not None
        },
    }


def _print(explained: ExplainedCertificate) -> None:
    print_details({"file": explained.kind, **_says(explained)})
    click.echo()
    marks = {"passed": "yes", "failed": "NO", "not_reached": "–", "unknown": "?"}
    print_table(
        [
            {"": marks[line.outcome], "check": _CHECKS[line.check], "because": line.detail or ""}
            for line in explained.lines
        ]
    )
    click.echo()
    if explained.admits:
        click.echo(f"signs in {visible(str(explained.person))} at: {', '.join(explained.portals)}")
    elif explained.refused or not explained.refused_at:
        click.echo(f"signs nobody in: {visible(explained.refused or 'no portal takes certificates')}")
        return
    for portal_id, refusal in explained.refused_at.items():
        if refusal is not None:
            click.echo(f"signs nobody in at {portal_id}: {visible(refusal)}")


def _says(explained: ExplainedCertificate) -> dict[str, object]:
    leaf = explained.leaf
    if leaf is None:
        return {}
    return {
        "holder": leaf.known_as or "–",
        "organisation": leaf.organization or "–",
        "e-mail": leaf.email or "–",
        "issuer": leaf.issuer,
        "serial": f"{leaf.serial_number:x}",
        "sha-256": leaf.fingerprint,
        "valid from": time_text(leaf.not_before),
        "valid until": time_text(leaf.not_after),
        "policies": ", ".join(leaf.policies) or "–",
    }
