"""The tree of values → the settings, and what the validation says in words for people: the operator's key,
not the library's location.

When one section has faults the others are still returned, so that one run of check-config shows everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from authproxy.settings import keys
from authproxy.settings.certificates import AcnlbSettings
from authproxy.settings.document import Value
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.keys import Key
from authproxy.settings.schema import (
    AssertionSettings,
    PageSettings,
    PortalSettings,
    ProviderSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    StoreSettings,
    TelemetrySettings,
)
from authproxy.settings.step_up import StepUpSettings

_SETTINGS = TypeAdapter(Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The sections without faults; None for one that has some."""

    server: ServerSettings | None = None
    store: StoreSettings | None = None
    sessions: SessionSettings | None = None
    assertions: AssertionSettings | None = None
    rekono: ProviderSettings | None = None
    acnlb: AcnlbSettings | None = None
    step_up: StepUpSettings | None = None
    pages: PageSettings | None = None
    portals: dict[str, PortalSettings] = field(default_factory=dict)
    telemetry: TelemetrySettings | None = None
    faulty: frozenset[str] = frozenset()
    """Those with faults: of a section that may be left out, None alone does not say which it is."""


_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "server": TypeAdapter(ServerSettings),
    "store": TypeAdapter(StoreSettings),
    "sessions": TypeAdapter(SessionSettings),
    "assertions": TypeAdapter(AssertionSettings),
    "rekono": TypeAdapter(ProviderSettings),
    "acnlb": TypeAdapter(AcnlbSettings | None),
    "step_up": TypeAdapter(StepUpSettings),
    "pages": TypeAdapter(PageSettings),
    "telemetry": TypeAdapter(TelemetrySettings),
}
_PORTAL: TypeAdapter[PortalSettings] = TypeAdapter(PortalSettings)


def validated(tree: dict[str, Value], unread: set[KeyPath]) -> tuple[Settings | None, Sections, list[Remark]]:
    """The settings if they are all right, what is right of them, and what is wrong. Keys in `unread` have
    been reported already."""
    broken = {_section_of(path) for path in unread}
    try:
        settings = _SETTINGS.validate_python(tree)
    except ValidationError as error:
        found = list(_remarks(error))
        return (
            None,
            _sound(tree, broken | {_section_of(each.path) for each in found}),
            [each for each in found if each.path not in unread],
        )
    if broken:
        return None, _sound(tree, broken), []
    return settings, Sections(**{each.name: getattr(settings, each.name) for each in fields(settings)}), []


def _section_of(path: KeyPath) -> KeyPath:
    return path[: 2 if path[:1] == ("portals",) else 1]


def _sound(tree: dict[str, Value], broken: set[KeyPath]) -> Sections:
    portals = tree.get("portals")
    return Sections(
        faulty=frozenset(str(path[0]) for path in broken if len(path) == 1),
        portals={
            name: _PORTAL.validate_python(portal)
            for name, portal in (portals.items() if isinstance(portals, dict) else ())
            if ("portals", name) not in broken
        },
        **{
            # A section that may be left out is not there; the others then have their defaults.
            name: adapter.validate_python(tree.get(name, None if name == "acnlb" else {}))
            for name, adapter in _ADAPTERS.items()
            if (name,) not in broken
        },
    )


def _remarks(error: ValidationError) -> Iterator[Remark]:
    """One remark per key: the alternatives of a union count as one."""
    seen: set[KeyPath] = set()
    for detail in error.errors(include_url=False):
        path, key = _place(detail["loc"])
        if path not in seen:
            seen.add(path)
            yield _remark(path, key, detail)


def _is_branch(part: str) -> bool:
    """Whether the library names an alternative of a union here and not a key, below one that may hold names
    or a plain value."""
    return "[" in part or part == "constrained-str"


def _place(location: tuple[int | str, ...]) -> tuple[KeyPath, Key | None]:
    """The key that a location speaks of. The library adds marks of its own: `[key]` for a name, a union's
    branch for its values."""
    path: KeyPath = ()
    key: Key | None = keys.ROOT
    for part in location:
        if key is None or (key.kind == "value") or part == "[key]":
            break
        if key.kind == "names" and " or " in key.expects and _is_branch(str(part)):
            continue
        path = (*path, part)
        key = key.keys.get(str(part)) if key.kind == "section" else key.item
    return path, key


def _remark(path: KeyPath, key: Key | None, detail: ErrorDetails) -> Remark:
    kind, read = detail["type"], detail["input"]
    if kind == "unexpected_keyword_argument":
        above = keys.at(path[:-1])
        known = above.keys if above is not None else {}
        nearest = keys.suggestion(str(path[-1]), known)
        return Remark(path=path, problem=f"unknown key{nearest}", valid="" if nearest else ", ".join(known))
    if kind == "missing":
        return Remark(path=path, problem="is missing", valid=_valid(key))
    if detail["loc"][-1:] == ("[key]",):
        return Remark(path=path, problem="is no name that can be used here", valid=_names(key, path))
    hidden = read is None or key is None or key.is_secret
    return Remark(
        path=path, problem=_problem(kind, detail), read=None if hidden else shown(read), valid=_valid(key)
    )


def _problem(kind: str, detail: ErrorDetails) -> str:
    if detail["input"] in (None, "") or kind == "too_short":
        return "is empty"
    if kind == "value_error":
        # From our own validators: their sentences repeat nothing of what was read.
        return str(detail["ctx"]["error"])
    if kind == "greater_than_equal":
        return f"is less than {detail['ctx']['ge']}"
    if kind == "less_than_equal":
        return f"is more than {detail['ctx']['le']}"
    if kind == "string_too_long":
        return f"is longer than {detail['ctx']['max_length']} characters"
    return "is not valid"


def _names(key: Key | None, path: KeyPath) -> str:
    above = keys.at(path[:-1])
    return above.meaning if above is not None and key is not None else ""


def _valid(key: Key | None) -> str:
    if key is None:
        return ""
    if key.kind == "section":
        return f"a section with the keys {', '.join(key.keys)}"
    return f"{key.expects}. {key.meaning}" if key.meaning else key.expects
