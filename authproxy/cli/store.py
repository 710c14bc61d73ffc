"""`authproxy store`: the condition of the store, and the rights that the gateway needs in it."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Final

import click

from authproxy.cli.terminal import (
    FINDINGS,
    config_option,
    fail,
    json_option,
    print_json,
    print_table,
    settings_of,
    store_asked,
)

_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@click.group()
def store() -> None:
    """The store: Redis or Valkey, which the gateways share."""


@store.command("check")
@config_option
@json_option
def check_store(config: Path, *, as_json: bool) -> None:
    """Ask the store how it is: latency, rights, eviction, memory, persistence, role and clock.

    A warning is something to mend while people are served; `failed` means that gateways are not ready.

    Exit code 1: there is something to mend, or the store cannot be asked; 2: the settings cannot be read."""
    settings = settings_of(config)
    from authproxy.bootstrap.store_condition import examine_store
    from authproxy.bootstrap.stores import MEMORY

    if settings.store.url == MEMORY:
        fail(f"store.url is {MEMORY}: there is no server to ask")
    with store_asked():
        aspects = asyncio.run(examine_store(settings))
    rows: list[dict[str, object]] = [
        {
            "check": aspect.name,
            "status": "failed" if aspect.is_failure else "warning" if aspect.is_warning else "ok",
            "detail": aspect.detail,
        }
        for aspect in aspects
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
    sys.exit(FINDINGS if any(aspect.is_warning for aspect in aspects) else 0)


@store.command("acl")
@click.option("--user", default="gateway", show_default=True, help="Name of the gateway's user.")
def print_acl(user: str) -> None:
    """Print an ACL file for Redis or Valkey: a user with exactly the rights that the gateway needs.

    Put the SHA-256 of the password where the file says so: printf %s PASSWORD | sha256sum"""
    if _USER.fullmatch(user) is None:
        raise click.UsageError("--user is at most 64 letters, digits and `._-`")
    from authproxy.storage.redis.rights import acl_file

    click.echo(acl_file(user), nl=False)
