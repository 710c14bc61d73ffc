from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.attempt import Attempt, Showing
from authproxy.identity.grant import Grant
from authproxy.identity.person import Person
from authproxy.identity.session import EndedSession, Session
from authproxy.storage.records import sessions as records
from authproxy.storage.records import values
from tests.support.session_builders import NOW, attempt_of, new_ticket, session_for

MOMENTS = st.datetimes(
    min_value=datetime(1980, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
TEXT = st.text(st.characters())
OPTIONAL = st.none() | TEXT


def every_field_of(record, **strategies):
    """Fills fields that have a default too, so that a field that the codec forgets is noticed."""
    assert {field.name for field in dataclasses.fields(record)} - {"newer_fields"} == set(strategies)
    return st.builds(record, **strategies)


EVENTS = every_field_of(
    AuthenticationEvent,
    method=TEXT,
    at=MOMENTS,
    source=TEXT,
    acr=OPTIONAL,
    amr=st.lists(TEXT).map(tuple),
    is_step_up=st.booleans(),
    level=st.none() | st.sampled_from(Level),
    is_dated=st.booleans(),
    asked_for=OPTIONAL,
    bound_to=OPTIONAL,
)
PERSONS = every_field_of(
    Person,
    issuer=TEXT,
    subject=TEXT,
    name=OPTIONAL,
    email=OPTIONAL,
    tax_number=OPTIONAL,
    member=OPTIONAL,
    phone=OPTIONAL,
)
SESSIONS = every_field_of(
    Session,
    session_id=TEXT,
    portal=TEXT,
    person=PERSONS,
    method=st.sampled_from(["rekono", "acnlb"]),
    level=st.sampled_from(Level),
    events=st.lists(EVENTS, max_size=3).map(tuple),
    started_at=MOMENTS,
    expires_at=MOMENTS,
    idle_for=SPANS,
    id_token=OPTIONAL,
    provider_session=OPTIONAL,
    roles=st.lists(TEXT).map(tuple),
    claims=st.lists(TEXT).map(tuple),
    grant=OPTIONAL,
)
GRANTS = every_field_of(Grant, refresh_token=OPTIONAL, access_token=OPTIONAL, ends_at=st.none() | MOMENTS)
ATTEMPTS = every_field_of(
    Attempt,
    portal=TEXT,
    return_to=TEXT,
    browser=TEXT,
    secret=TEXT,
    opened_at=MOMENTS,
    method=st.sampled_from(["rekono", "acnlb"]),
    step_up_of=OPTIONAL,
    route=TEXT,
    held=OPTIONAL,
    binding=OPTIONAL,
)

SESSION = session_for(new_ticket())


@given(SESSIONS)
def test_a_session_comes_back_as_it_was(session):
    assert records.session_in(records.session_octets(session)) == session


@given(GRANTS)
def test_a_grant_comes_back_as_it_was(grant):
    assert records.grant_in(records.grant_octets(grant)) == grant


def test_a_grant_of_another_shape_is_none():
    assert [records.grant_in(octets) for octets in (b"[]", b"7", b"{", b'{"ends_at": 7}')] == [None] * 4


@given(ATTEMPTS)
def test_an_attempt_comes_back_as_it_was(attempt):
    opened_at = values.moment_at(values.milliseconds(attempt.opened_at))
    assert records.attempt_in(records.attempt_octets(attempt), attempt.return_to) == dataclasses.replace(
        attempt, opened_at=opened_at
    )


def test_what_was_shown_on_an_attempt_comes_back_as_it_was():
    showing = Showing(attempt=attempt_of("browser"), fingerprint="a1" * 32, shown_at=NOW)
    assert records.showing_in(records.showing_octets(showing), showing.attempt) == showing


@given(SESSIONS, TEXT)
def test_a_summary_says_the_same_as_its_session(session, browser):
    lasting = dataclasses.replace(session, expires_at=NOW + timedelta(hours=1), idle_for=timedelta(minutes=5))
    summary = records.live_summary_in(
        records.summary_octets(lasting, browser), session_id=lasting.session_id, last_active_at=NOW, now=NOW
    )
    assert summary.browser == browser
    for name in (
        "session_id",
        "portal",
        "method",
        "level",
        "started_at",
        "expires_at",
        "provider_session",
        "certificates",
    ):
        assert getattr(summary, name) == getattr(lasting, name)


def test_the_certificates_of_a_session_are_in_its_summary():
    by_certificate = dataclasses.replace(SESSION.events[0], source="sha256:" + "a1" * 32)
    octets = records.summary_octets(
        dataclasses.replace(SESSION, events=(*SESSION.events, by_certificate)), "Firefox"
    )
    summary = records.live_summary_in(octets, session_id=SESSION.session_id, last_active_at=NOW, now=NOW)
    assert summary.certificates == ("a1" * 32,)
    assert records.lasting_in(octets) == ("Firefox", "")


def test_a_lone_surrogate_in_a_claim_survives():
    odd = dataclasses.replace(SESSION, person=dataclasses.replace(SESSION.person, name="\ud83d"))
    assert records.session_in(records.session_octets(odd)) == odd


def test_what_comes_back_is_in_utc_itself_so_that_comparing_is_cheap():
    session = records.session_in(records.session_octets(SESSION))
    assert session.expires_at.tzinfo is UTC
    assert session.events[0].at.tzinfo is UTC


def test_a_record_of_a_newer_version_with_more_fields_is_understood():
    fields = json.loads(records.session_octets(SESSION))
    fields |= {"invented_later": [1, {"a": None}]}
    fields["person"]["shoe_size"] = "hidden"
    fields["events"][0]["device"] = {}
    assert records.session_in(json.dumps(fields).encode()) == SESSION


def test_a_record_of_an_older_version_without_the_optional_fields_is_understood():
    fields = json.loads(records.session_octets(SESSION))
    del (
        fields["id_token"],
        fields["provider_session"],
        fields["person"]["name"],
        fields["person"]["email"],
        fields["person"]["tax_number"],
    )
    del (
        fields["events"][0]["acr"],
        fields["events"][0]["amr"],
        fields["events"][0]["level"],
        fields["claims"],
        fields["roles"],
        fields["person"]["phone"],
    )
    session = records.session_in(json.dumps(fields).encode())
    assert (session.claims, session.person.phone, session.events[0].level, session.certificates) == (
        (),
        None,
        None,
        (),
    )
    assert (session.id_token, session.person.name, session.person.tax_number) == (None, None, None)
    assert (session.events[0].acr, session.events[0].amr, session.roles) == (None, (), ())


def test_a_summary_of_an_older_version_is_understood():
    fields = json.loads(records.summary_octets(SESSION, "Firefox"))
    del fields["certificates"]
    octets = json.dumps(fields).encode()
    assert (
        records.live_summary_in(
            octets, session_id=SESSION.session_id, last_active_at=NOW, now=NOW
        ).certificates
        == ()
    )


UNREADABLE = [b"", b"\xff", b"null", b"[]", b'"text"', b"7", b"{}", b'{"portal": {}}']


@pytest.mark.parametrize("octets", UNREADABLE)
def test_what_is_no_record_is_none(octets):
    assert records.session_in(octets) is None
    assert records.attempt_in(octets, "/") is None
    assert records.showing_in(octets, attempt_of("browser")) is None
    assert records.lasting_in(octets) is None
    assert records.live_summary_in(octets, session_id=SESSION.session_id, last_active_at=NOW, now=NOW) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("person", None),
        ("level", 99),
        ("events", 5),
        ("events", [[]]),
        ("expires_at", "soon"),
        ("idle_for", "long"),
        ("idle_for", 10**30),
    ],
)
def test_a_field_of_the_wrong_kind_makes_the_record_unreadable(name, value):
    fields = json.loads(records.session_octets(SESSION)) | {name: value}
    assert records.session_in(json.dumps(fields).encode()) is None


@given(
    st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(Session)]),
        st.none() | st.integers() | TEXT | st.lists(TEXT),
    )
)
def test_no_wrong_field_raises(changes):
    fields = json.loads(records.session_octets(SESSION)) | changes
    assert isinstance(records.session_in(json.dumps(fields).encode()), Session | None)


@pytest.mark.parametrize(
    ("now", "last_active_at"),
    [(SESSION.expires_at, SESSION.expires_at), (NOW + SESSION.idle_for, NOW)],
    ids=["absolute end", "idle end"],
)
def test_a_session_that_is_over_has_no_live_summary(now, last_active_at):
    octets = records.summary_octets(SESSION, "Firefox")
    just_before = now - timedelta(milliseconds=1)
    assert (
        records.live_summary_in(octets, session_id=SESSION.session_id, last_active_at=last_active_at, now=now)
        is None
    )
    assert (
        records.live_summary_in(
            octets, session_id=SESSION.session_id, last_active_at=last_active_at, now=just_before
        )
        is not None
    )


@given(MOMENTS)
def test_moments_are_kept_to_the_millisecond(at):
    kept = values.moment(str(values.milliseconds(at)).encode())
    assert timedelta(0) <= at - kept < timedelta(milliseconds=1)


@pytest.mark.parametrize("octets", [None, b"", b"soon", b"1e3", b"9" * 40])
def test_what_is_no_moment_is_none(octets):
    assert values.moment(octets) is None


def test_spans_are_whole_milliseconds():
    assert values.span_in_milliseconds(timedelta(seconds=1, microseconds=1999)) == 1001


def test_an_attempt_does_not_show_its_secrets():
    shown = repr(attempt_of("the-browser-value"))
    assert not any(secret in shown for secret in ("the-browser-value", "the-secret"))


def test_a_summary_of_before_people_had_names_in_it_is_understood():
    fields = json.loads(records.summary_octets(SESSION, "Firefox"))
    del fields["person"]
    octets = json.dumps(fields).encode()
    summary = records.live_summary_in(octets, session_id=SESSION.session_id, last_active_at=NOW, now=NOW)
    assert summary.person is None


def test_what_the_audit_trail_says_of_a_session_that_ends_by_time_comes_back():
    details = records.open_session_in(records.open_session_octets(SESSION, "p-1"))
    assert details == records.OpenSessionDetails(
        portal="acq", method="rekono", person_name="p-1", expires_at=SESSION.expires_at
    )


@pytest.mark.parametrize("octets", UNREADABLE)
def test_what_is_no_open_session_is_none(octets):
    assert records.open_session_in(octets) is None


@given(SESSIONS)
def test_of_an_ended_session_its_portal_and_the_identifiers_of_its_person_are_remembered_and_no_more(session):
    octets = records.ended_session_octets(session)
    person = session.person
    assert records.ended_session_in(octets) == EndedSession(
        portal=session.portal,
        person=Person(issuer=person.issuer, subject=person.subject, member=person.member),
    )
    assert json.loads(octets).keys() == {"portal", "person"}


@pytest.mark.parametrize("octets", [b"", b"[]", b"{}", b'{"portal": "acq", "person": ["a"]}', b"\xff"])
def test_what_is_no_record_of_an_ended_session_says_nothing(octets):
    assert records.ended_session_in(octets) is None
