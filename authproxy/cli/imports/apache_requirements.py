"""PURE: `Require` of Apache → what a route demands.

Lines beside each other mean "one of them", as in `<RequireAny>`; `<RequireAll>` means all. What is made of
them lets in nobody whom Apache keeps out. In a choice between a session and an address, only the session is
left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from authproxy.cli.imports.apache_configuration import Directive
from authproxy.cli.imports.common import role_of

Keys = dict[str, object]
"""Keys of a route. No key: a session is enough."""
SECTIONS = frozenset({"requireall", "requireany", "requirenone"})


def keys_of(required: Sequence[Directive]) -> Keys | None:
    """The keys that say the same, or less; None if no keys do."""
    return _any(required)


def _any(required: Iterable[Directive]) -> Keys | None:
    found = [_one(each) for each in required]
    known = [keys for keys in found if keys is not None]
    if not known:
        return None
    if {"access": "public"} in known:
        return {"access": "public"}
    admitting = [keys for keys in known if keys.get("access") != "deny"]
    if not admitting:
        return {"access": "deny"} if len(known) == len(found) else None
    with_session = [keys for keys in admitting if keys.get("access") != "public"]
    if not with_session:
        return {"access": "public", "networks": _together(admitting, "networks")}
    if {} in with_session:
        return {}
    names = {frozenset(keys) for keys in with_session}
    if len(with_session) == 1:
        return with_session[0]
    if names == {frozenset({"roles"})}:
        return {"roles": _together(with_session, "roles")}
    return None


def _all(required: Iterable[Directive]) -> Keys | None:
    merged: Keys = {}
    needs_session = False
    required = tuple(required)
    if not required:
        return None
    for each in required:
        keys = _one(each)
        if keys is None:
            return None
        if keys.get("access") == "deny":
            return keys
        needs_session = needs_session or "access" not in keys
        for name, value in keys.items():
            if name != "access" and name in merged:
                return None  # both would have to hold, and a list means one of them
            if name != "access":
                merged[name] = value
    return merged if needs_session else {"access": "public"} | merged


def _one(required: Directive) -> Keys | None:
    if required.name == "requireall":
        return _all(required.inside or ())
    if required.name == "requireany":
        return _any(required.inside or ())
    if required.name == "requirenone" or not required.arguments:
        return None
    kind, *values = required.arguments
    match kind.lower():
        case "all":
            return {"access": "public" if [value.lower() for value in values] == ["granted"] else "deny"}
        case "valid-user":
            return {}
        case "user":
            return {"roles": [role_of(f"user-{value}") for value in values]} if values else None
        case "claim":
            # With several claims on a line, one of them is enough.
            return {"roles": [_role(value) for value in values]} if _are_plain(values) else None
        case "ip":
            return {"access": "public", "networks": values} if _are_networks(values) else None
        case "local":
            return {"access": "public", "networks": ["127.0.0.0/8", "::1"]}
        case _:
            return None


def _are_plain(claims: Sequence[str]) -> bool:
    """Whether each is `name:value`. `name~pattern` is a regular expression."""
    return bool(claims) and all(
        ":" in claim and "~" not in claim.partition(":")[0] and claim.partition(":")[2] for claim in claims
    )


def _role(claim: str) -> str:
    """The value of a claim that holds roles or groups is the role. Of others the name belongs to it."""
    name, _, value = claim.partition(":")
    is_role = name.rpartition(".")[2].lower() in {"roles", "groups", "role", "group"}
    return role_of(value if is_role else f"{name}.{value}")


def _are_networks(values: Sequence[str]) -> bool:
    try:
        return bool([ip_network(value) for value in values])
    except ValueError:
        return False


def _together(each: Sequence[Keys], name: str) -> list[object]:
    values: list[object] = []
    for keys in each:
        said = keys[name]
        assert isinstance(said, list)  # noqa: S101  (the values of both names are lists)
        values += [value for value in said if value not in values]
    return values
