"""How slowly recovery codes are hashed, and that sheets of earlier versions still work."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from authproxy.challenges.challenge import Challenge, ChallengeId
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.limits import person_name
from authproxy.challenges.method import Verdict
from authproxy.challenges.recovery import COST, RecoveryMethod, hashes_of
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import SessionId
from authproxy.storage.memory import MemoryEnrolments
from tests.support.recovery_sheets import QUICK

NOW = datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
ANA = Person(issuer=Issuer("https://idp.example.si/"), subject=Subject("ana"))
OWNER = owner_of(ANA)
CODES = ("7mpq2-x9fhk", "8mpq2-x9fhk")
OF_OWASP = {(2**17, 8, 1), (2**16, 8, 2), (2**15, 8, 3), (2**14, 8, 5), (2**13, 8, 10)}
"""Password Storage Cheat Sheet, scrypt."""


async def answered(codes, method, typed):
    await codes.make_recovery(
        OWNER,
        codes.sheet,
        Enrolment(enrolment_id="e", method="recovery", label="", enrolled_at=NOW, level=Level.MEDIUM),
        instead_of=None,
    )
    challenge = Challenge(
        challenge_id=ChallengeId("c"),
        method="recovery",
        session_id=SessionId("s"),
        portal="acq",
        route="acq",
        return_to="/",
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
    )
    return await method.verify(challenge, ANA, typed, now=NOW)


class Codes(MemoryEnrolments):
    sheet = ()


def made_by(n, r, p):
    salt = hashlib.sha256(f"authproxy recovery\0{person_name(OWNER)}".encode()).digest()
    return tuple(
        hashlib.scrypt(code.replace("-", "").encode(), salt=salt, n=n, r=r, p=p, dklen=32).hex()
        for code in CODES
    )


async def test_new_sheets_are_hashed_as_slowly_as_owasp_recommends():
    assert (COST.n, COST.r, COST.p) in OF_OWASP
    assert await hashes_of(OWNER, CODES[:1]) == made_by(COST.n, COST.r, COST.p)[:1]


async def test_each_code_of_an_earlier_version_s_sheet_works_once():
    codes = Codes()
    codes.sheet = made_by(2**14, 8, 1)
    method = RecoveryMethod(enrolments=codes, lives_for=timedelta(minutes=5), cost=QUICK)
    assert await answered(codes, method, CODES[0]) is Verdict.RIGHT
    assert await codes.spend_recovery(OWNER, codes.sheet[0]) is False
    assert await codes.spend_recovery(OWNER, codes.sheet[1]) is True
