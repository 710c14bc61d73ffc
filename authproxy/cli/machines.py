"""`authproxy machines`: API keys for programs that come in without a person."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from authproxy.cli.terminal import (
    check_portal,
    config_option,
    fail,
    json_option,
    print_details,
    print_json,
    print_table,
    settings_of,
    store_asked,
    time_text,
)

if TYPE_CHECKING:
    from authproxy.identity.machine_client import ApiKey, Network
    from authproxy.settings.schema import Settings

_CLIENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}", re.ASCII)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")
"""RFC 6749 §3.3."""
_LASTS: Final = timedelta(days=365)


@click.group()
def machines() -> None:
    """API keys for programs that come in without a person."""


@machines.command("add")
@click.argument("client")
@click.option(
    "--portal", "portals", multiple=True, required=True, help="A portal at which it is good; may be repeated."
)
@click.option("--scope", "scopes", multiple=True, help="A scope that routes may demand; may be repeated.")
@click.option(
    "--network", "networks", multiple=True, help="Where it may come from; may be repeated. Default: anywhere."
)
@click.option("--until", help="The last day on which it is good (UTC). Default: for a year.")
@config_option
def add_machine(
    client: str,
    portals: tuple[str, ...],
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    until: str | None,
    config: Path,
) -> None:
    """Make an API key for CLIENT, the name by which portals know the program.

    The key is printed once, on standard output, and nothing can show it again."""
    if _CLIENT.fullmatch(client) is None:
        raise click.UsageError(
            "CLIENT is at most 64 letters, digits and `._:@-`, and begins with a letter or digit"
        )
    for scope in scopes:
        if _SCOPE.fullmatch(scope) is None:
            raise click.UsageError("a scope is one word of visible characters without quotes and backslashes")
    settings = settings_of(config)
    for portal in portals:
        check_portal(settings, portal)
    from authproxy.bootstrap.clock import utc_now
    from authproxy.bootstrap.machine_keys import NameOfPerson, add_machine_key

    ends_at = _end_of(until, utc_now())
    with store_asked():
        try:
            issued = asyncio.run(
                add_machine_key(
                    settings,
                    client,
                    portals=list(dict.fromkeys(portals)),
                    scopes=list(dict.fromkeys(scopes)),
                    networks=[_network(text) for text in networks],
                    ends_at=ends_at,
                )
            )
        except NameOfPerson:
            fail(
                f"{client}: a person of the register has this id, and portals could take the program for them"
            )
    print_details({name: _words(value) for name, value in _details(issued.key).items()}, err=True)
    for portal in _without_keys(settings, portals):
        click.echo(f"warning: no route of {portal} lets API keys in (`routes[].machines`)", err=True)
    click.echo(issued.text)


@machines.command("list")
@click.option("--portal", help="Only those that are good at this portal.")
@config_option
@json_option
def list_machines(portal: str | None, config: Path, *, as_json: bool) -> None:
    """List API keys, without anything that could be used in their place. Ended ones are listed for 30
    days."""
    settings = settings_of(config)
    check_portal(settings, portal)
    from authproxy.bootstrap.clock import utc_now
    from authproxy.bootstrap.machine_keys import list_machine_keys

    with store_asked():
        keys = asyncio.run(list_machine_keys(settings))
    now = utc_now()
    rows = [
        _details(key) | {"ended": key.ends_at <= now}
        for key in keys
        if portal is None or portal in key.portals
    ]
    if as_json:
        print_json(rows)
        return
    print_table([{name: _words(cell) for name, cell in row.items()} for row in rows])
    click.echo(f"{len(rows)} keys", err=True)


@machines.command("revoke")
@click.argument("key_id", required=False)
@click.option("--client", help="Revoke all keys of this program.")
@config_option
def revoke_machine(key_id: str | None, client: str | None, config: Path) -> None:
    """Revoke one API key, or all of a program. It is refused everywhere at once.

    Exit code 1 if there was none."""
    if (key_id is None) == (client is None):
        raise click.UsageError("name either a key or, with --client, a program")
    settings = settings_of(config)
    from authproxy.bootstrap.machine_keys import revoke_machine_key, revoke_machine_keys_of

    work = (
        revoke_machine_key(settings, key_id)
        if key_id is not None
        else revoke_machine_keys_of(settings, client or "")
    )
    with store_asked():
        revoked = asyncio.run(work)
    click.echo(f"{revoked} revoked")
    sys.exit(0 if revoked else 1)


def _end_of(until: str | None, now: datetime) -> datetime:
    from authproxy.settings.values import day_of

    if until is None:
        return now + _LASTS
    try:
        day = day_of(until)
    except ValueError as error:
        raise click.UsageError(f"--until {error}") from None
    ends_at = datetime.combine(day, time.min, UTC) + timedelta(days=1) if day < date.max else now
    if ends_at <= now:
        raise click.UsageError("--until is over")
    return ends_at


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise click.UsageError(
            f"--network {text!r} is no network such as `10.1.2.0/24`, and no address"
        ) from None


def _without_keys(settings: Settings, portals: tuple[str, ...]) -> list[str]:
    """The portals at which the key is good for nothing yet."""
    return [
        portal
        for portal in dict.fromkeys(portals)
        if not any(route.machines and route.machines.keys for route in settings.portals[portal].routes)
    ]


def _details(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.key_id,
        "client": key.client_id,
        "portals": list(key.portals),
        "scopes": list(key.scopes),
        "networks": [str(network) for network in key.networks],
        "created_at": time_text(key.created_at),
        "created_by": key.created_by,
        "ends_at": time_text(key.ends_at),
    }


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
