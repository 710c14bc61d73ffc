"""The tree of values → the settings, or remarks about them. A remark names the operator's key instead of the
library's location.

If one section has faults, the others are still returned, so that one run of check-config shows all faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from authproxy.settings import schema_keys
from authproxy.settings.certificates import AcnlbSettings
from authproxy.settings.document import Value
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import (
    AssertionSettings,
    MachineSettings,
    PageSettings,
    PortalSettings,
    ProviderSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    StoreSettings,
    TelemetrySettings,
)
from authproxy.settings.schema_keys import Key
from authproxy.settings.step_up import StepUpSettings


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
    machines: MachineSettings | None = None
    telemetry: TelemetrySettings | None = None
    faulty: frozenset[str] = frozenset()
    """The sections with faults; `portals` if some portal has one. An optional section is also None if it was
    left out."""


_SECTIONS: dict[str, Any] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "sessions": SessionSettings,
    "assertions": AssertionSettings,
    "rekono": ProviderSettings,
    "acnlb": AcnlbSettings | None,
    "step_up": StepUpSettings,
    "pages": PageSettings,
    "machines": MachineSettings | None,
    "telemetry": TelemetrySettings,
}
_OPTIONAL = frozenset({"acnlb", "machines"})


@cache
def _adapter(of: Any) -> TypeAdapter[Any]:
    """Made when it is needed, because that takes time: those of single sections only if there are faults."""
    return TypeAdapter(of)


def validated(tree: dict[str, Value], unread: set[KeyPath]) -> tuple[Settings | None, Sections, list[Remark]]:
    """The settings if there are no faults, the sections without faults, and remarks about the faults. Keys in
    `unread` have been reported already."""
    broken = {_section_of(path) for path in unread}
    try:
        settings = _adapter(Settings).validate_python(tree)
    except ValidationError as error:
        remarks = list(_remarks(error))
        return (
            None,
            _sound(tree, broken | {_section_of(remark.path) for remark in remarks}),
            [remark for remark in remarks if remark.path not in unread],
        )
    if broken:
        return None, _sound(tree, broken), []
    return (
        settings,
        Sections(**{section.name: getattr(settings, section.name) for section in fields(settings)}),
        [],
    )


def _section_of(path: KeyPath) -> KeyPath:
    return path[: 2 if path[:1] == ("portals",) else 1]


def _sound(tree: dict[str, Value], broken: set[KeyPath]) -> Sections:
    portals = tree.get("portals")
    return Sections(
        faulty=frozenset(str(path[0]) for path in broken),
        portals={
            name: _adapter(PortalSettings).validate_python(portal)
            for name, portal in (portals.items() if isinstance(portals, dict) else ())
            if ("portals", name) not in broken
        },
        **{
            # If a section is missing, an optional one is None, and any other has its defaults.
            name: _adapter(section).validate_python(tree.get(name, None if name in _OPTIONAL else {}))
            for name, section in _SECTIONS.items()
            if (name,) not in broken
        },
    )


def _remarks(error: ValidationError) -> Iterator[Remark]:
    """One remark for each key, also if several alternatives of a union fail."""
    seen: set[KeyPath] = set()
    for detail in error.errors(include_url=False):
        path, key = _key_at(detail["loc"])
        if path not in seen:
            seen.add(path)
            yield _remark(path, key, detail)


def _is_branch(part: str) -> bool:
    """Whether this part of the library's location is an alternative of a union instead of a key. It stands
    below a key that takes either names or a plain value."""
    return "[" in part or part == "constrained-str"


def _key_at(location: tuple[int | str, ...]) -> tuple[KeyPath, Key | None]:
    """The key of a location. The library adds parts of its own: `[key]` for a name, and the alternative of a
    union."""
    path: KeyPath = ()
    key: Key | None = schema_keys.ROOT
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
        above = schema_keys.at(path[:-1])
        known = above.keys if above is not None else {}
        nearest = schema_keys.suggestion(str(path[-1]), known)
        return Remark(path=path, problem=f"unknown key{nearest}", valid="" if nearest else ", ".join(known))
    if kind == "missing":
        return Remark(path=path, problem="is missing", valid=_valid(key))
    if detail["loc"][-1:] == ("[key]",):
        return Remark(path=path, problem="is no name that can be used here", valid=_names(key, path))
    hidden = read is None or key is None or key.may_be_in_file
    return Remark(
        path=path, problem=_problem(kind, detail), read=None if hidden else shown(read), valid=_valid(key)
    )


def _problem(kind: str, detail: ErrorDetails) -> str:
    if detail["input"] in (None, "") or kind == "too_short":
        return "is empty"
    if kind == "value_error":
        # The sentence of one of our own parsers, which repeats nothing of what was read.
        return str(detail["ctx"]["error"])
    if kind == "greater_than_equal":
        return f"is less than {detail['ctx']['ge']}"
    if kind == "less_than_equal":
        return f"is more than {detail['ctx']['le']}"
    if kind == "string_too_long":
        return f"is longer than {detail['ctx']['max_length']} characters"
    return "is not valid"


def _names(key: Key | None, path: KeyPath) -> str:
    above = schema_keys.at(path[:-1])
    return above.meaning if above is not None and key is not None else ""


def _valid(key: Key | None) -> str:
    if key is None:
        return ""
    if key.kind == "section":
        return f"a section with the keys {', '.join(key.keys)}"
    return f"{key.expects}. {key.meaning}" if key.meaning else key.expects
