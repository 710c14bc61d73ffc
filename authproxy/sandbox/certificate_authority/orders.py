"""PURE: the list of certificates, each described by how it differs from the usual one: people of the sandbox,
and variants for tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from authproxy.sandbox.certificate_authority.names import BMP, UTF8, StringType

Usage = Literal["digital_signature", "content_commitment", "key_encipherment"]
Group = Literal["person", "variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One certificate of a person or a seal. By default: RSA-2048, SHA-256, valid now, issued by the issuing
    CA."""

    name: str
    """As in the address `/people/{name}.p12`."""
    common_name: str
    given_name: str | None = None
    family_name: str | None = None
    email: str | None
    serial_number: str
    """The subject's attribute: a number of the CA's own, `TINSI-…` or `PNOSI-…`."""
    organization: tuple[str, str] | None = None
    """Name and tax number of the employer, or of the seal's owner."""
    policy: int = 11
    """Last arc of 1.3.6.1.4.1.7597.1.5: 11 to 14 for people, 15 and 16 for seals."""
    usages: tuple[Usage, ...] = ("digital_signature", "content_commitment", "key_encipherment")
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    """Extended key usage; empty: the extension is absent."""
    names_in: StringType = field(default=UTF8, repr=False)
    is_multi_valued: bool = True
    bits: int = 2048
    key: str
    """The name of the key; certificates with the same name share a key."""
    is_sha1: bool = False
    valid: Literal["now", "past", "future"] = "now"
    by: Literal["sub", "impostor"] = "sub"
    partition: Literal[1, 2] = 1
    """Number of the CRL that covers it."""
    is_revoked: bool = False
    """Whether it is revoked from the start."""
    group: Group = "person"

    @property
    def is_seal(self) -> bool:
        return self.policy in {15, 16}


def _person(given: str, family: str, serial_number: str) -> Order:
    name = f"{given}.{family}".lower().translate(str.maketrans("čšž", "csz"))
    return Order(
        name=name,
        key=name,
        email=f"{name}@example.si",
        common_name=f"{given} {family}",
        given_name=given,
        family_name=family,
        serial_number=serial_number,
    )


def _variant(name: str, given: str, family: str, serial_number: str) -> Order:
    return replace(
        _person(given, family, serial_number),
        name=name,
        key=_SHARED_KEY,
        email=f"{name}@example.si",
        group="variant",
    )


_SHARED_KEY = "variants"
_CLIENT, _SERVER, _MAIL = (
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
)
_BANK = ("Vzorčna banka d.d.", "99990202")
ORDERS: tuple[Order, ...] = (
    _person("Ana", "Novak", "2305100001017"),
    replace(
        _person("Cvetka", "Zupan", "TINSI-99990016"),
        policy=12,
        purposes=(_CLIENT, _MAIL),
        organization=_BANK,
        partition=2,
    ),
    replace(_person("Erik", "Kos", "2305100001025"), is_revoked=True),
    replace(_person("Franc", "Golob", "2105100001033"), valid="past"),
    replace(_person("Gregor", "Žagar", "2305100001041"), policy=13, partition=2),
    Order(
        name="seal",
        key="seal",
        common_name="Vzorčna banka d.d. – elektronski žig",
        email=None,
        serial_number="2305100001058",
        organization=_BANK,
        policy=15,
    ),
    # A tolerant reader accepts these.
    _variant("tinsi", "Tina", "Sitar", "TINSI-99990032"),
    replace(_variant("pnosi", "Petra", "Nosan", "PNOSI-0101900505028"), policy=14),
    replace(_variant("employee", "Emil", "Podlogar", "2305100002011"), organization=_BANK, policy=12),
    replace(_variant("caron", "Živa", "Češčut", "2305100002029"), names_in=BMP),
    replace(_variant("single-valued", "Simon", "Vidmar", "2305100002037"), is_multi_valued=False),
    replace(
        _variant("sign-only", "Sonja", "Bele", "2305100002045"),
        usages=("digital_signature",),
        purposes=(_CLIENT,),
    ),
    replace(_variant("rsa-3072", "Rok", "Trček", "2305100002052"), key="rsa-3072", bits=3072),
    # These must be refused.
    replace(_variant("nonrepudiation", "Nik", "Rep", "2305100003019"), usages=("content_commitment",)),
    replace(_variant("server-only", "Srečko", "Verk", "2305100003027"), purposes=(_SERVER,)),
    replace(_variant("mail-only", "Mila", "Ocvirk", "2305100003035"), purposes=(_MAIL,)),
    replace(_variant("foreign-policy", "Filip", "Pirc", "2305100003043"), policy=99),
    replace(_variant("seal-qscd", "Žiga", "Kvas", "2305100003050"), policy=16, organization=_BANK),
    replace(_variant("not-yet-valid", "Nada", "Jutri", "2705100003068"), valid="future"),
    replace(_variant("sha1", "Sandi", "Haupt", "2305100003076"), is_sha1=True),
    replace(_variant("rsa-1024", "Rado", "Šibek", "2305100003084"), key="rsa-1024", bits=1024),
    replace(_variant("impostor", "Ivo", "Mlakar", "2305100003092"), by="impostor"),
    replace(
        _variant("impostor-ana", "Ana", "Novak", "2305100001017"), email="ana.novak@example.si", by="impostor"
    ),
)


def ordered(name: str) -> Order | None:
    """The order with this name or e-mail address, in any case; a person also by the first name."""
    wanted = name.strip().casefold()
    return next((order for order in ORDERS if wanted in _called(order)), None)


def _called(order: Order) -> set[str]:
    names = {order.name}
    if order.group == "person":
        names |= {order.name.partition(".")[0], order.email or order.name}
    return names
