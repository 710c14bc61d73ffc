"""PURE: what a portal or route demands of the OpenID provider: extra parameters of the authorization request,
and claims that must be confirmed (OpenID Connect Core §3.1.2.1, §5.5).

Parameters travel through the browser, so the person can change them, and providers may ignore them. What
counts is what comes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Source = Literal["id_token", "userinfo"]
SOURCES: Final[tuple[Source, ...]] = ("id_token", "userinfo")

RESERVED: Final = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "dpop_jkt",
        "grant_type",
        "id_token_hint",
        "max_age",
        "nonce",
        "prompt",
        "redirect_uri",
        "registration",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
        "ui_locales",
    }
)
"""Parameters on which the security of the sign-in rests, or that have settings of their own. No setting may
name them, in upper or lower case."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,63}", re.ASCII)
LONGEST: Final = 2048
"""Characters of one value: the request must fit into a URL beside a long `state`."""


class NotAskable(ValueError):  # noqa: N818
    """A parameter that cannot be sent. The message is for operators and continues a sentence that begins with
    the parameter's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EssentialClaim:
    """A claim that must come back from its source. With `values`, it must equal one of them or be a list that
    contains one."""

    source: Source
    name: str
    values: tuple[object, ...] = ()

    def is_confirmed(self, claims: Mapping[str, object]) -> bool:
        stated = claims.get(self.name)
        if stated is None:
            return False
        candidates = [stated, *stated] if isinstance(stated, list) else [stated]
        return not self.values or any(
            _are_equal(candidate, wanted) for candidate in candidates for wanted in self.values
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDemand:
    """What a portal or route demands. `parameters` never contains a parameter of `RESERVED`."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    essential: tuple[EssentialClaim, ...] = ()

    @property
    def acr(self) -> tuple[str, ...]:
        """The values of `acr` of which the ID token must have one; empty if any value will do."""
        demanded = [claim for claim in self.essential if claim.source == "id_token" and claim.name == "acr"]
        return tuple(value for claim in demanded for value in claim.values if isinstance(value, str))

    def unconfirmed(self, *, id_token: Mapping[str, object], userinfo: Mapping[str, object]) -> str | None:
        """The first essential claim that was not confirmed, in words for operators and without its value;
        None if all were confirmed."""
        for claim in self.essential:
            if not claim.is_confirmed(id_token if claim.source == "id_token" else userinfo):
                wanted = "with a value that was asked for" if claim.values else "at all"
                return f"the essential claim `{claim.name}` is not in {_WORDS[claim.source]} {wanted}"
        return None


_WORDS: Final[dict[Source, str]] = {"id_token": "the ID token", "userinfo": "userinfo"}
NOTHING: Final = ProviderDemand()


def provider_demand(layers: Iterable[Mapping[str, str]]) -> ProviderDemand:
    """Merges layers of parameters; of two layers that set the same parameter the later one counts. Raises
    NotAskable."""
    parameters: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            check(name, value)
            parameters[name] = value
    requested = parameters.get("claims")
    return ProviderDemand(
        parameters=parameters, essential=() if requested is None else essential_claims(requested)
    )


def check(name: str, value: str) -> None:
    """Raises NotAskable for a parameter that must not be sent or cannot be read."""
    if name.lower() in RESERVED:
        raise NotAskable("belongs to the gateway, which sets it itself")
    if not _NAME.fullmatch(name):
        raise NotAskable("is no name of a parameter")
    if not value.isprintable() or len(value) > LONGEST:
        raise NotAskable(f"has a value that is not one line of at most {LONGEST} characters")
    if name == "claims":
        essential_claims(value)


def essential_claims(text: str) -> tuple[EssentialClaim, ...]:
    """The claims that the JSON text of a `claims` parameter calls essential (OpenID Connect Core §5.5.1).
    Raises NotAskable for text that is malformed or requests nothing."""
    requested = _object(text)
    if strange := requested.keys() - set(SOURCES):
        raise NotAskable(f"has `{min(strange)}` beside `id_token` and `userinfo`")
    claims: list[EssentialClaim] = []
    for source in SOURCES:
        members = requested.get(source)
        if members is None:
            continue
        if not isinstance(members, dict):
            raise NotAskable(f"has no JSON object in `{source}`")
        for name, wanted in members.items():
            claim = _essential(source, name, wanted)
            if claim is not None:
                claims.append(claim)
    return tuple(claims)


def _essential(source: Source, name: str, wanted: object) -> EssentialClaim | None:
    if wanted is None:
        return None
    if not isinstance(wanted, dict) or not isinstance(wanted.get("essential", False), bool):
        raise NotAskable(
            f"asks for `{name}` neither by null nor by an object whose `essential` is true or false"
        )
    values = wanted.get("values", [])
    if not isinstance(values, list) or ("values" in wanted and not values):
        raise NotAskable(f"asks for `{name}` with `values` that are no list of some")
    if "value" in wanted:
        values = [*values, wanted["value"]]
    return (
        EssentialClaim(source=source, name=name, values=tuple(values))
        if wanted.get("essential", False)
        else None
    )


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        raise NotAskable("is not JSON, or names something twice") from None
    if not isinstance(value, dict):
        raise NotAskable("is no JSON object")
    return value


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _are_equal(stated: object, wanted: object) -> bool:
    # Python says that True equals 1. JSON does not.
    return isinstance(stated, bool) == isinstance(wanted, bool) and stated == wanted
