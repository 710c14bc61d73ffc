"""`authproxy people import` with a backup: what comes back, and what the operator should know about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from authproxy.cli.people.register import on_register
from authproxy.cli.terminal import FINDINGS, UNREADABLE, fail, visible

if TYPE_CHECKING:
    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.flows.register.backups import NotEmpty, PutBack
    from authproxy.flows.register.operators import Contradicted, NotLost
    from authproxy.settings.schema import Settings

_LARGEST: Final = 256 * 1024 * 1024
_NAMED: Final = 20
"""How many people a warning names."""


def content_of(file: Path) -> bytes:
    """The file's content. Ends the command if it cannot be read."""
    try:
        with file.open("rb") as opened:
            is_too_large = os.fstat(opened.fileno()).st_size > _LARGEST
            octets = b"" if is_too_large else opened.read(_LARGEST + 1)
    except OSError as error:
        click.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        sys.exit(UNREADABLE)
    if is_too_large or len(octets) > _LARGEST:
        click.echo(f"{file}: is larger than {_LARGEST // 1024 // 1024} MiB", err=True)
        sys.exit(UNREADABLE)
    return octets


def is_backup(octets: bytes) -> bool:
    from authproxy.storage.records import backups

    return backups.is_backup(octets)


def put_back(
    file: Path,
    octets: bytes,
    settings: Settings,
    *,
    is_rehearsal: bool,
    keeps_methods: bool | None,
    adds_missing: bool,
    brings_recovery: bool,
    key_file: Path | None,
) -> None:
    """`keeps_methods` is None unless a new register begins."""
    from authproxy.bootstrap.backups import BackupSeals
    from authproxy.flows.register.backups import NotEmpty
    from authproxy.flows.register.operators import Contradicted, NotLost
    from authproxy.storage.records.backups import BackupUnreadable

    try:
        backup = BackupSeals(settings, key_file).open(octets)
    except BackupUnreadable as problem:
        click.echo(f"{file}: {problem}", err=True)
        sys.exit(UNREADABLE)

    async def work(register: AuditedRegister) -> PutBack | NotEmpty | NotLost | Contradicted:
        return await register.put_back(
            backup,
            keeps_methods=keeps_methods,
            adds_missing=adds_missing,
            brings_recovery=brings_recovery,
            is_rehearsal=is_rehearsal,
        )

    command = "people import of a backup" + (" --new-register" if keeps_methods is not None else "")
    outcome = on_register(settings, work, command=None if is_rehearsal else command)
    if isinstance(outcome, NotLost):
        fail("the register is there and whole: leave --new-register out")
    if isinstance(outcome, NotEmpty):
        fail(
            "the store is not empty, so it may know better than the backup who was removed; nothing was "
            "changed. --missing adds whoever is not there; --dry-run says how many that are"
        )
    if isinstance(outcome, Contradicted):
        for conflict in outcome.conflicts:
            click.echo(
                f"{file}: the {conflict.key.kind} of {visible(conflict.later)} is that of "
                f"{visible(conflict.earlier)} in the register: nothing was changed",
                err=True,
            )
        sys.exit(FINDINGS)
    _say(outcome, is_rehearsal=is_rehearsal)


def _say(outcome: PutBack, *, is_rehearsal: bool) -> None:
    counts = (
        f"{outcome.people} added, {outcome.present} as they were, {outcome.blocked} blocked accounts, "
        f"{outcome.methods} with their methods"
    )
    click.echo(
        f"would be: {counts}" if is_rehearsal else f"{counts}; {outcome.sessions_ended} sessions ended"
    )
    if outcome.sheets_left_out:
        click.echo(
            f"recovery codes of {outcome.sheets_left_out} left out: some may have been used since; with "
            "--recovery-codes they come back",
            err=True,
        )
    if outcome.not_blocked_here:
        named = ", ".join(map(visible, outcome.not_blocked_here[:_NAMED]))
        rest = len(outcome.not_blocked_here) - _NAMED
        click.echo(
            f"blocked in the backup and not here: {named}{f' and {rest} others' if rest > 0 else ''}",
            err=True,
        )
