"""PURE: what a provider's claims say about the person (OpenID Connect Core §5.1), where its profile leaves names and types open.

Userinfo is read first, then the ID token. What contradicts itself is refused; what is doubtful is left out; an unknown level is the
lowest one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.access.routes import Claim
from authproxy.identity.assurance import Level
from authproxy.identity.person import InvalidTaxNumber, Person, TaxNumber, tax_number
from authproxy.oidc.id_token import VerifiedClaims
from authproxy.oidc.refused import ClaimsRefused
from authproxy.oidc.wire import is_visible

_TEXT_LIMIT = 300
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_AMR_LIMIT = 16

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedIdentity:
    """The person as the provider states them, and what is missing of what was required. `acr` and `amr` are the provider's words."""

    person: Person
    level: Level
    missing: tuple[Claim, ...]
    acr: str | None
    amr: tuple[str, ...]
    auth_time: datetime | None


def identity(
    id_token: VerifiedClaims,
    userinfo: Claims,
    *,
    tax_number_names: Sequence[str],
    level_names: Sequence[str],
    levels: Mapping[str, Level],
    required: Sequence[Claim],
) -> ClaimedIdentity:
    """The identity. Raises ClaimsRefused for a tax number that is invalid, or two that differ, whether or not one is required."""
    sources = (userinfo, id_token.every)
    person = Person(
        issuer=id_token.issuer,
        subject=id_token.subject,
        name=_first(_name, sources),
        email=_first(_email, sources),
        tax_number=_tax_number(sources, tax_number_names),
    )
    present: dict[Claim, bool] = {
        "tax_number": person.tax_number is not None,
        "name": person.name is not None,
        "birthdate": any(_text(source, "birthdate") for source in sources),
        "address": any(_has_address(source) for source in sources),
        "email": person.email is not None,
        "phone_number": any(_text(source, "phone_number") for source in sources),
    }
    return ClaimedIdentity(
        person=person,
        level=_level(sources, level_names, {word.lower(): level for word, level in levels.items()}),
        missing=tuple(claim for claim in required if not present[claim]),
        acr=_text(id_token.every, "acr"),
        amr=_amr(id_token.every),
        auth_time=id_token.auth_time,
    )


def _tax_number(sources: Iterable[Claims], names: Sequence[str]) -> TaxNumber | None:
    stated = [source[name] for source in sources for name in names if source.get(name) not in (None, "")]
    try:
        numbers = {tax_number(_digits(value)) for value in stated}
    except InvalidTaxNumber as found:
        raise ClaimsRefused(Reason.TAX_NUMBER_INVALID, str(found)) from None
    if len(numbers) > 1:
        raise ClaimsRefused(Reason.CLAIMS_CONTRADICT, "two different tax numbers are stated")
    return next(iter(numbers), None)


def _digits(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidTaxNumber("the tax number is neither text nor a whole number")
    return str(value)


def _level(sources: Iterable[Claims], names: Sequence[str], levels: Mapping[str, Level]) -> Level:
    """Each source speaks by the first of the names that it uses; of two that differ the lower one counts."""
    stated = [next((source[name] for name in names if source.get(name) is not None), None) for source in sources]
    return min((_level_of(value, levels) for value in stated if value is not None), default=Level.LOW)


def _level_of(value: object, levels: Mapping[str, Level]) -> Level:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return Level.LOW
    return levels.get(str(value).strip().lower(), Level.LOW)


def _first(read: Callable[[Claims], str | None], sources: Iterable[Claims]) -> str | None:
    return next((text for source in sources if (text := read(source)) is not None), None)


def _name(source: Claims) -> str | None:
    given, family = _text(source, "given_name"), _text(source, "family_name")
    name = _text(source, "name") or (f"{given} {family}" if given and family else None)
    return name[:_TEXT_LIMIT].rstrip() if name else None


def _email(source: Claims) -> str | None:
    email = _text(source, "email")
    # More than one `@`: mail software disagrees on which part is the domain. A shortened address is somebody else's: none is cut.
    if email is None or len(email) > _TEXT_LIMIT or not _EMAIL.fullmatch(email):
        return None
    return email if source.get("email_verified", True) in (True, "true") else None


def _has_address(source: Claims) -> bool:
    address = source.get("address")
    return any(_text(address, part) for part in address) if isinstance(address, dict) else bool(_text(source, "address"))


def _text(source: Claims, name: str) -> str | None:
    value = source.get(name)
    return value.strip() or None if isinstance(value, str) and is_visible(value) else None


def _amr(source: Claims) -> tuple[str, ...]:
    amr = source.get("amr")
    if not isinstance(amr, list):
        return ()
    return tuple(word for word in amr if isinstance(word, str) and 0 < len(word) <= _TEXT_LIMIT and is_visible(word))[:_AMR_LIMIT]
