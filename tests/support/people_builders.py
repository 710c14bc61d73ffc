"""People of a register as tests want them."""

from __future__ import annotations

from dataclasses import replace

from authproxy.identity.member import Account, CertificateName, Member
from authproxy.identity.person import Issuer, MemberId, Subject, TaxNumber

REKONO = Issuer("https://rekono.example/")
SUBCA = "CN=ACNLB SubCA,2.5.4.97=VATSI-91132550,O=NLB d.d.,C=SI"
ANAS_CERTIFICATE = CertificateName(fingerprint="a1" * 32, issuer=SUBCA, serial=0xEE61ADE0)
ANA = Member(
    member_id=MemberId("ana"),
    name="Ana Novak Žužemberk",
    tax_number=TaxNumber("99990008"),
    email="ana@example.si",
    phone="+38640123456",
    portals=("acq", "b2b"),
    certificates=(ANAS_CERTIFICATE,),
)
CVETKA = Member(
    member_id=MemberId("cvetka"), name="Cvetka Zupan", tax_number=TaxNumber("99990016"), portals=("*",)
)
DAVID = Member(member_id=MemberId("david"), name="David Horvat")


def account(subject: str = "rekono-ana", issuer: Issuer = REKONO) -> Account:
    return Account(issuer=issuer, subject=Subject(subject))


def linked(member: Member, subject: str) -> Member:
    return replace(member, accounts=(account(subject),))
