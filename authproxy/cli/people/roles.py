"""`authproxy people roles`: what somebody is at a portal: shown, added, taken away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy.cli.people.register import nobody, on_register, say
from authproxy.cli.terminal import config_option, fail, json_option, print_json, settings_of

if TYPE_CHECKING:
    from authproxy.bootstrap.audited_register import AuditedRegister
    from authproxy.flows.register.operators import Changed, MayNotEnter, NotGiven
    from authproxy.identity.member import Member, PortalRole
    from authproxy.settings.schema import Settings

_WORDS = ("list", "add", "remove")


@click.command("roles")
@click.argument("person")
@click.argument("words", nargs=-1, metavar="[list | add PORTAL:ROLE… | remove PORTAL:ROLE…]")
@config_option
@json_option
def roles(person: str, words: tuple[str, ...], config: Path, *, as_json: bool) -> None:
    """Show a PERSON's roles, add some, or take some away.

    PORTAL is an id in the settings, or `*` for every portal that the person may enter. Whoever loses a role
    is signed out everywhere. A new role counts from the next sign-in on."""
    action, names = (words[0], words[1:]) if words else ("list", ())
    if action not in _WORDS or bool(names) == (action == "list"):
        raise click.UsageError("say `list`, `add PORTAL:ROLE…` or `remove PORTAL:ROLE…`")
    settings = settings_of(config)
    if action == "list":
        _show(settings, person, as_json=as_json)
        return
    named = _roles_in(names, settings, is_added=action == "add")

    async def change(register: AuditedRegister) -> Changed | MayNotEnter | NotGiven | None:
        if action == "add":
            return await register.change_roles(person, added=named)
        return await register.change_roles(person, removed=named)

    outcome = on_register(settings, change, command=f"people roles {action}", person=person)
    from authproxy.flows.register.operators import MayNotEnter, NotGiven

    if isinstance(outcome, MayNotEnter):
        fail(
            f"{person} may not enter {outcome.portal_id}, so they can have no role there; nothing was changed"
        )
    if isinstance(outcome, NotGiven):
        fail(f"{person} does not have {outcome.role}: `authproxy people roles {person}` shows what they have")
    say(person, outcome, _words_of(outcome.member) if outcome is not None else "")


def _roles_in(names: tuple[str, ...], settings: Settings, *, is_added: bool) -> tuple[PortalRole, ...]:
    from authproxy.cli.people import columns

    # A portal that has gone from the settings may still have to be taken away from somebody.
    known = settings.portals.keys() if is_added else {name.partition(":")[0] for name in names}
    try:
        return tuple(columns.role(name, known) for name in names)
    except ValueError as problem:
        raise click.UsageError(f"one of the roles {problem}; valid: {columns.VALID['roles']}") from None


def _show(settings: Settings, person: str, *, as_json: bool) -> None:
    async def find(register: AuditedRegister) -> Member | None:
        return await register.people.named(person)

    member = on_register(settings, find)
    if member is None:
        nobody(person)
    if as_json:
        print_json({"roles": list(map(str, member.roles))})
        return
    click.echo(_words_of(member))


def _words_of(member: Member) -> str:
    return " ".join(map(str, member.roles)) or "no roles"
