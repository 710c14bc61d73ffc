from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from authproxy.assertions.claims import claims, machine_claims
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, MemberId, Person, Subject, TaxNumber
from authproxy.identity.session import Session, SessionId

NOW = datetime(2026, 11, 22, 8, 0, 0, 900_000, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SIGN_IN = AuthenticationEvent(
    method="rekono",
    at=NOW - timedelta(minutes=10),
    source="https://idp/",
    acr="20",
    amr=("pwd", "sms"),
    is_step_up=True,
)
CODE = AuthenticationEvent(
    method="totp", at=NOW - timedelta(minutes=1), source="gateway", amr=("otp", "sms"), is_step_up=True
)
SESSION = Session(
    session_id=SessionId("kN3v_session"),
    portal="acq",
    method="rekono",
    level=Level.MEDIUM,
    events=(SIGN_IN, CODE),
    person=Person(
        issuer=Issuer("https://idp/"),
        subject=Subject("90342.A"),
        name="Žiga Čuk",
        email="z@example.si",
        tax_number=TaxNumber("99990008"),
    ),
    started_at=NOW,
    expires_at=NOW + timedelta(hours=8),
    idle_for=timedelta(minutes=15),
    id_token="as.received.x",
)


def stated(session: Session = SESSION, bound_to: tuple[str, str] | None = None) -> dict[str, object]:
    return claims(
        session,
        issuer="https://gateway/",
        portal_id="acq",
        now=NOW,
        lifetime=timedelta(seconds=60),
        token_id="j1",
        bound_to=bound_to,
    )


def test_every_known_claim_is_stated_once_and_nothing_else():
    assert stated() == {
        "iss": "https://gateway/",
        "aud": "acq",
        "sub": "90342.A",
        "sid": "kN3v_session",
        "jti": "j1",
        "iat": SECONDS,
        "exp": SECONDS + 60,
        "auth_time": SECONDS - 60,
        "acr": "20",
        "amr": ["pwd", "sms", "otp"],
        "level": 20,
        "method": "rekono",
        "step_up": [{"method": "rekono", "at": SECONDS - 600}, {"method": "totp", "at": SECONDS - 60}],
        "name": "Žiga Čuk",
        "email": "z@example.si",
        "tax_number": "99990008",
    }


def test_unknown_claims_are_left_out():
    bare = replace(
        SESSION,
        person=Person(issuer=Issuer("https://idp/"), subject=Subject("90342.A")),
        events=(replace(SIGN_IN, acr=None, amr=(), is_step_up=False),),
    )

    assert stated(bare).keys() == {
        "iss",
        "aud",
        "sub",
        "sid",
        "jti",
        "iat",
        "exp",
        "auth_time",
        "level",
        "method",
    }


def test_acr_is_the_latest_stated_one():
    later = replace(CODE, acr="30")

    assert stated(replace(SESSION, events=(later, SIGN_IN)))["acr"] == "30"
    assert stated(replace(SESSION, events=(SIGN_IN, replace(CODE, acr=""))))["acr"] == "20"


def test_times_are_whole_seconds_and_the_level_a_plain_number():
    said = stated()

    assert all(type(said[name]) is int for name in ("iat", "exp", "auth_time", "level"))


def test_an_assertion_for_one_request_names_its_method_and_url():
    bound = stated(bound_to=("POST", "https://acq.bankart.si/vnos"))

    assert (bound.pop("htm"), bound.pop("htu")) == ("POST", "https://acq.bankart.si/vnos")
    assert bound == stated()


def test_a_member_is_stated_by_the_id_of_the_register():
    assert stated(replace(SESSION, person=replace(SESSION.person, member=MemberId("m-1"))))["sub"] == "m-1"


def test_roles_are_a_list_and_a_person_without_any_has_no_such_claim():
    assert stated(replace(SESSION, roles=("approver", "clerk")))["roles"] == ["approver", "clerk"]
    assert "roles" not in stated(SESSION)


def test_a_program_is_stated_as_a_client_without_anything_that_only_people_have():
    about = {
        "issuer": "https://gateway/",
        "portal_id": "acq",
        "now": NOW,
        "lifetime": timedelta(seconds=60),
        "token_id": "j1",
    }
    assert machine_claims("batch", **about) == {
        "iss": "https://gateway/",
        "aud": "acq",
        "sub": "batch",
        "client_id": "batch",
        "jti": "j1",
        "iat": SECONDS,
        "exp": SECONDS + 60,
        "level": 0,
        "method": "machine",
    }
    bound = machine_claims("batch", **about, bound_to=("POST", "https://acq.example/uvoz"))
    assert (bound["htm"], bound["htu"]) == ("POST", "https://acq.example/uvoz")
    assert "client_id" not in stated()
