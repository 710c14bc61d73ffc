"""What the commands of the register share: running on the register, naming somebody, and saying what came of
it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from authproxy.cli.terminal import fail, store_asked

if TYPE_CHECKING:
    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.flows.register.operators import AccountIsBlocked, Changed, Contradicted
    from authproxy.identity.member import Account
    from authproxy.settings.schema import Settings

_Answer = TypeVar("_Answer")
person_argument = click.argument("person")
subject_option = click.option(
    "--subject",
    nargs=2,
    metavar="ISSUER SUB",
    help="Somebody who is not in the register, by their account at the provider.",
)


def on_register(
    settings: Settings,
    work: Callable[[AuditedRegister], Awaitable[_Answer]],
    *,
    command: str | None = None,
    person: str | Account | None = None,
) -> _Answer:
    """Runs `work` on the register. `command` names a command that changes something; the audit trail has it
    before `work` begins."""
    from authproxy.bootstrap.audited_register import audited_register
    from authproxy.bootstrap.stores import MEMORY

    if command is not None and settings.store.url == MEMORY:
        fail(f"store.url is {MEMORY}: what is written there ends with this command")

    async def run() -> _Answer:
        async with audited_register(settings, command, person=person) as register:
            return await work(register)

    with store_asked():
        return asyncio.run(run())


def account_of(subject: tuple[str, str]) -> Account:
    from authproxy.identity.member import Account
    from authproxy.identity.person import Issuer, Subject

    issuer, sub = subject
    return Account(issuer=Issuer(issuer), subject=Subject(sub))


def nobody(person: str) -> NoReturn:
    fail(f"nobody in the register has the id {person}")


def belongs_to(subject: tuple[str, str], member_id: str) -> NoReturn:
    fail(f"the account {subject[1]} is that of {member_id} in the register: name that person instead")


def say(person: str, outcome: Changed | Contradicted | AccountIsBlocked | None, state: str) -> None:
    from authproxy.flows.register.operators import AccountIsBlocked, Contradicted

    if outcome is None:
        nobody(person)
    if isinstance(outcome, AccountIsBlocked):
        fail("the account is blocked: end that first with `authproxy people unblock --subject`")
    if isinstance(outcome, Contradicted):
        fail(
            "; ".join(
                f"this {conflict.key.kind} is that of {conflict.earlier}" for conflict in outcome.conflicts
            )
        )
    click.echo(f"{person}: {state}; {outcome.sessions_ended} sessions ended")
