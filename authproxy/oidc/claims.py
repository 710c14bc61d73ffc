"""PURE: makes a person and a level of a provider's claims (OpenID Connect Core §5.1). The names and types of
some claims are configurable, because the provider's profile leaves them open.

Userinfo is read first, then the ID token. Contradictions are refused, doubtful values are left out, and an
unknown level counts as the lowest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from authproxy.access.decision import Reason
from authproxy.access.routes import Claim
from authproxy.identity.assurance import Level
from authproxy.identity.person import IncompleteTaxNumber, InvalidTaxNumber, Person, TaxNumber, tax_number
from authproxy.oidc.id_token import VerifiedClaims
from authproxy.oidc.refused import ClaimsRefused
from authproxy.oidc.wire import is_visible

_TEXT_LIMIT = 300
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_AMR_LIMIT = 16
_E164 = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
_AT_HOME = re.compile(r"0([1-9][0-9]{7})", re.ASCII)
_SLOVENIAN = re.compile(r"\+386[1-9][0-9]{7}", re.ASCII)
_BETWEEN_DIGITS = re.compile(r"\(0\)|[ ()/.\-]")

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNames:
    """The names of the provider's claims, in the order in which they are tried. A name is first taken as a
    whole (it may be a URL). If there is no such claim, its dots lead into objects: `tax.value` is `value`
    within `tax`."""

    tax_number: tuple[str, ...]
    level: tuple[str, ...]
    name: tuple[str, ...] = ("name",)
    given_name: tuple[str, ...] = ("given_name",)
    family_name: tuple[str, ...] = ("family_name",)
    birthdate: tuple[str, ...] = ("birthdate",)
    address: tuple[str, ...] = ("address",)
    email: tuple[str, ...] = ("email",)
    phone_number: tuple[str, ...] = ("phone_number",)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedWhenAbsent:
    """Whether an e-mail address and a telephone number count as verified if the provider says neither yes nor
    no."""

    email: bool = True
    phone_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedIdentity:
    """The person as the provider states them, the claims that are `present`, and the required ones that are
    `missing`. `acr` and `amr` are the provider's values."""

    person: Person
    level: Level
    present: tuple[Claim, ...]
    missing: tuple[Claim, ...]
    acr: str | None
    amr: tuple[str, ...]
    auth_time: datetime | None


def identity(
    id_token: VerifiedClaims,
    userinfo: Claims,
    *,
    names: ClaimNames,
    levels: Mapping[str, Level],
    required: Sequence[Claim],
    verified_when_absent: VerifiedWhenAbsent = VerifiedWhenAbsent(),
) -> ClaimedIdentity:
    """Raises ClaimsRefused for an invalid tax number, or two that differ, even if none is required."""
    sources = (userinfo, id_token.every)
    person = Person(
        issuer=id_token.issuer,
        subject=id_token.subject,
        name=_first(lambda source: _name(source, names), sources),
        email=_verified(
            "email_verified",
            sources,
            lambda source: _email(source, names.email),
            verified_when_absent=verified_when_absent.email,
        ),
        phone=_verified(
            "phone_number_verified",
            sources,
            lambda source: _phone(source, names.phone_number),
            verified_when_absent=verified_when_absent.phone_number,
        ),
    )
    person = replace(person, tax_number=_tax_number(sources, names.tax_number, of=person))
    stated: dict[Claim, bool] = {
        "tax_number": person.tax_number is not None,
        "name": person.name is not None,
        "birthdate": any(_text(source, names.birthdate) for source in sources),
        "address": any(_has_address(source, names.address) for source in sources),
        "email": person.email is not None,
        "phone_number": any(_text(source, names.phone_number) for source in sources),
    }
    return ClaimedIdentity(
        person=person,
        level=_level(sources, names.level, {word.lower(): level for word, level in levels.items()}),
        present=tuple(claim for claim, is_stated in stated.items() if is_stated),
        missing=tuple(claim for claim in required if not stated[claim]),
        acr=_text(id_token.every, ("acr",)),
        amr=_amr(id_token.every),
        auth_time=id_token.auth_time,
    )


def _stated(source: Claims, name: str) -> object:
    """The value of a claim; None if it is missing."""
    if name in source:
        return source[name]
    value: object = source
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _tax_number(sources: Iterable[Claims], names: Sequence[str], *, of: Person) -> TaxNumber | None:
    stated = [value for source in sources for name in names if not _is_blank(value := _stated(source, name))]
    try:
        numbers = {tax_number(_digits(value)) for value in stated}
    except IncompleteTaxNumber as found:
        raise ClaimsRefused(Reason.TAX_NUMBER_INCOMPLETE, str(found), person=of) from None
    except InvalidTaxNumber as found:
        raise ClaimsRefused(Reason.TAX_NUMBER_INVALID, str(found), person=of) from None
    if len(numbers) > 1:
        raise ClaimsRefused(Reason.CLAIMS_CONTRADICT, "two different tax numbers are stated", person=of)
    return next(iter(numbers), None)


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _digits(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidTaxNumber("the tax number is neither text nor a whole number")
    return str(value)


def _level(sources: Iterable[Claims], names: Sequence[str], levels: Mapping[str, Level]) -> Level:
    """Each source counts with the first name that it uses. If the sources differ, the lower level counts."""
    stated = [
        next((value for name in names if (value := _stated(source, name)) is not None), None)
        for source in sources
    ]
    return min((_level_of(value, levels) for value in stated if value is not None), default=Level.LOW)


def _level_of(value: object, levels: Mapping[str, Level]) -> Level:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return Level.LOW
    return levels.get(str(value).strip().lower(), Level.LOW)


def _first(read: Callable[[Claims], str | None], sources: Iterable[Claims]) -> str | None:
    return next((text for source in sources if (text := read(source)) is not None), None)


def _verified(
    flag: str, sources: Sequence[Claims], read: Callable[[Claims], str | None], *, verified_when_absent: bool
) -> str | None:
    """The first verified value. If one source says "not verified", there is none. A source that says
    "verified" vouches for its own value, and for the other's value only if that is the same or it states none
    itself."""
    if any(not (source[flag] is True or source[flag] == "true") for source in sources if flag in source):
        return None
    stated = [(read(source), flag in source) for source in sources]
    vouched = {value for value, is_vouched in stated if is_vouched}
    return next(
        (
            value
            for value, _ in stated
            if value is not None and (verified_when_absent or value in vouched or None in vouched)
        ),
        None,
    )


def _name(source: Claims, names: ClaimNames) -> str | None:
    given, family = _text(source, names.given_name), _text(source, names.family_name)
    name = _text(source, names.name) or (f"{given} {family}" if given and family else None)
    # NFC (Unicode Standard Annex 15) spells `š` as one character, not as `s` and a caron, so that names can
    # be compared.
    return unicodedata.normalize("NFC", name)[:_TEXT_LIMIT].rstrip() if name else None


def _email(source: Claims, names: Sequence[str]) -> str | None:
    email = _text(source, names)
    # Mail software disagrees on the domain of an address with more than one `@`. A long address is not cut,
    # because the rest could be somebody else's address.
    if email is None or len(email) > _TEXT_LIMIT or not _EMAIL.fullmatch(email):
        return None
    return email


def _phone(source: Claims, names: Sequence[str]) -> str | None:
    """E.164. A number without a country code is taken as Slovenian if it has that form. Otherwise nothing is
    guessed, because codes are sent to this number."""
    text = _text(source, names)
    if text is None:
        return None
    digits = _BETWEEN_DIGITS.sub("", text)
    digits = (
        _AT_HOME.sub(r"+386\1", digits)
        if _AT_HOME.fullmatch(digits)
        else f"+{digits[2:]}"
        if digits.startswith("00")
        else digits
    )
    is_number = _SLOVENIAN if digits.startswith("+386") else _E164
    return digits if is_number.fullmatch(digits) else None


def _has_address(source: Claims, names: Sequence[str]) -> bool:
    """An address is text, or an object with at least one part; `formatted` may have several lines (OpenID
    Connect Core §5.1.1)."""
    return any(_is_address_part(part) for name in names for part in _parts(_stated(source, name)))


def _parts(address: object) -> Iterable[object]:
    return address.values() if isinstance(address, Mapping) else (address,)


def _is_address_part(part: object) -> bool:
    return isinstance(part, str) and bool(part.strip()) and is_visible("".join(part.splitlines()))


def _text(source: Claims, names: Sequence[str]) -> str | None:
    """The value of the first name that has one line of visible text."""
    values = (_stated(source, name) for name in names)
    return next(
        (value.strip() for value in values if isinstance(value, str) and value.strip() and is_visible(value)),
        None,
    )


def _amr(source: Claims) -> tuple[str, ...]:
    amr = source.get("amr")
    if not isinstance(amr, list):
        return ()
    return tuple(
        word for word in amr if isinstance(word, str) and 0 < len(word) <= _TEXT_LIMIT and is_visible(word)
    )[:_AMR_LIMIT]
