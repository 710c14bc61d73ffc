from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from authproxy.assertions.keys import KeyFiles, generate, read_ring
from authproxy.assertions.signer import AssertionSigner
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import Session, SessionId

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SESSION = Session(
    session_id=SessionId("s1"),
    portal="acq",
    person=Person(issuer=Issuer("https://idp/"), subject=Subject("90342.A"), name="Žiga Čuk"),
    method="rekono",
    level=Level.MEDIUM,
    started_at=NOW,
    expires_at=NOW + timedelta(hours=8),
    idle_for=timedelta(minutes=15),
    events=(AuthenticationEvent(method="rekono", at=NOW, source="https://idp/", is_step_up=True),),
)


@pytest.fixture
def make(tmp_path):
    def signer(algorithm: str = "ES256") -> AssertionSigner:
        path = tmp_path / f"{algorithm}.pem"
        if not path.exists():
            path.write_bytes(generate(algorithm))
            path.chmod(0o600)
        numbers = count()
        return AssertionSigner(
            read_ring(KeyFiles(current=path), algorithm),
            issuer="https://gateway/",
            lifetime=timedelta(seconds=60),
            random_text=lambda size: f"{size}-{next(numbers)}",
        )

    return signer


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
@pytest.mark.filterwarnings(
    "ignore::joserfc.errors.SecurityWarning"
)  # joserfc prefers the name Ed25519 to EdDSA
def test_another_library_verifies_the_assertion_by_the_published_keys(make, algorithm):
    signer = make(algorithm)
    assertion = jwt.decode(
        signer.mint(SESSION, portal_id="acq", now=NOW),
        KeySet.import_key_set(signer.jwks()),
        algorithms=[algorithm],
    )

    assert assertion.header == {"typ": "JWT", "alg": algorithm, "kid": signer.jwks()["keys"][0]["kid"]}
    assert (assertion.claims["iss"], assertion.claims["aud"], assertion.claims["sub"]) == (
        "https://gateway/",
        "acq",
        "90342.A",
    )
    assert assertion.claims["name"] == "Žiga Čuk"
    assert assertion.claims["exp"] - assertion.claims["iat"] == 60


def test_an_assertion_can_be_bound_to_one_request(make):
    signer = make()
    token = signer.mint(SESSION, portal_id="acq", now=NOW, bound_to=("POST", "https://acq.bankart.si/vnos"))

    said = jwt.decode(token, KeySet.import_key_set(signer.jwks()), algorithms=["ES256"]).claims
    assert (said["htm"], said["htu"]) == ("POST", "https://acq.bankart.si/vnos")


def test_every_assertion_has_an_identifier_of_its_own(make):
    signer = make()
    identifiers = {
        json.loads(
            base64.urlsafe_b64decode(signer.mint(SESSION, portal_id="acq", now=NOW).split(".")[1] + "==")
        )["jti"]
        for _ in range(3)
    }

    assert identifiers == {"16-0", "16-1", "16-2"}


def test_an_assertion_fits_into_a_header_even_for_the_longest_of_names(make):
    longest = replace(
        SESSION, person=replace(SESSION.person, name="Č" * 300, email="x" * 300, subject=Subject("x" * 255))
    )

    assert len(make().mint(longest, portal_id="acq", now=NOW)) < 8000


def test_a_changed_assertion_does_not_verify(make):
    signer = make()
    header, payload, signature = signer.mint(SESSION, portal_id="acq", now=NOW).split(".")
    forged = (
        base64.urlsafe_b64encode(
            base64.urlsafe_b64decode(payload + "==").replace(b'"level":20', b'"level":30')
        )
        .decode()
        .rstrip("=")
    )
    assert forged != payload

    with pytest.raises(BadSignatureError):
        jwt.decode(
            f"{header}.{forged}.{signature}", KeySet.import_key_set(signer.jwks()), algorithms=["ES256"]
        )
