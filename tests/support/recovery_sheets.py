"""Sheets of recovery codes, one for each owner in a worker: what is kept of a sheet is made slowly on purpose."""

from __future__ import annotations

import secrets

from authproxy.challenges.recovery import fresh_codes, hashes_of

_made: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}


async def sheet_of(owner: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The codes, and what is kept of them."""
    if owner not in _made:
        codes = fresh_codes(secrets.randbelow)
        _made[owner] = codes, await hashes_of(owner, codes)
    return _made[owner]
