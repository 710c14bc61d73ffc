"""`authproxy keys`: lists and rotates the keys that sign assertions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.terminal import (
    config_option,
    fail,
    json_option,
    print_json,
    print_table,
    settings_of,
    store_asked,
)

if TYPE_CHECKING:
    from authproxy.assertions.keys import SigningKeyRing


@click.group()
def keys() -> None:
    """The keys that sign assertions."""


@keys.command("list")
@config_option
@json_option
def list_keys(config: Path, *, as_json: bool) -> None:
    """List the key that signs, the next and the retiring one, as portals see them in jwks.json."""
    from authproxy.assertions.keys import KeyRefused
    from authproxy.bootstrap.keys import signing_keys

    settings = settings_of(config)
    try:
        ring = signing_keys(settings.assertions)
    except KeyRefused as refused:
        fail(str(refused))
    _print_ring(ring, as_json=as_json)


@keys.command("rotate")
@config_option
@json_option
def rotate_keys(config: Path, *, as_json: bool) -> None:
    """Let the next key sign, keep the last one published, and make a new next one. It counts after a reload
    or a restart of the gateway."""
    from authproxy.assertions.keys import KeyRefused
    from authproxy.bootstrap.key_rotation import rotate_keys

    settings = settings_of(config)
    try:
        with store_asked():
            ring = asyncio.run(rotate_keys(settings))
    except KeyRefused as refused:
        fail(str(refused))
    _print_ring(ring, as_json=as_json)


def _print_ring(ring: SigningKeyRing, *, as_json: bool) -> None:
    roles = {"current": ring.current, "next": ring.upcoming, "retiring": ring.retiring}
    rows = [
        {"role": role, "algorithm": key.algorithm, "kid": key.key_id}
        for role, key in roles.items()
        if key is not None
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
