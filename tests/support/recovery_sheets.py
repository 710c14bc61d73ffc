"""Sheets of recovery codes, one for each owner in a worker."""

from __future__ import annotations

import secrets

from authproxy.challenges.recovery import Cost, hashes_of, new_codes

QUICK = Cost(n=2, r=1, p=1)
"""For tests that are about something else: the gateway's own cost takes two seconds for a sheet."""

_made: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}


async def sheet_of(owner: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The codes, and what is kept of them."""
    if owner not in _made:
        codes = new_codes(secrets.randbelow)
        _made[owner] = codes, await hashes_of(owner, codes, cost=QUICK)
    return _made[owner]
