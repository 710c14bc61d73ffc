from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.provider_demand import provider_demand
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.sign_in.attempts import AlreadySignedIn, SignInRefused
from authproxy.flows.sign_in.round_trip import StepUpBy
from authproxy.flows.step_up.method_changes import REMOVING
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.member import Account, Member
from authproxy.identity.person import Issuer, MemberId, Person, Subject, TaxNumber
from authproxy.identity.ticket import parse
from authproxy.oidc.refused import AuthenticationTooOld, AuthorizationRefused
from tests.support.session_builders import ISSUER, NOW, new_ticket, session_for
from tests.support.sign_in_fixture import BROWSER, SignInFixture

HELD = "h" * 43
CERTIFICATE = AuthenticationEvent(
    method="acnlb", at=NOW, source="sha256:" + "a1" * 32, amr=("pop",), is_step_up=False
)


def id_token(auth_time):
    at = auth_time.timestamp() if isinstance(auth_time, datetime) else auth_time
    return f"e30.{base64.urlsafe_b64encode(json.dumps({'auth_time': at}).encode()).decode().rstrip('=')}.signature"


@pytest.fixture
async def house():
    """Ana has signed in, and four minutes later a route demands a fresh proof."""
    opened = SignInFixture()
    opened.before = await opened.complete(await opened.begin())
    opened.time = opened.provider.auth_time = NOW + timedelta(minutes=4)
    return opened


async def steps_up(house, **changes):
    return await returns(house, await house.begin_step_up(house.before.session, **changes))


async def returns(house, state, **changes):
    return await house.complete(state, **{"ticket": house.before.ticket_text, **changes})


async def has_session(house, ticket_text):
    return await house.sessions.load(parse(ticket_text), now=house.time) is not None


async def test_the_provider_is_to_ask_anew_who_it_is(house):
    await house.begin_step_up(house.before.session)
    assert house.provider.asked[-1]["anew"] is True
    assert house.provider.asked[-1]["redirect_uri"] == "https://acq.example/.authproxy/callback/rekono"


async def test_signing_in_again_is_a_proof_in_the_same_session(house):
    outcome = await steps_up(house, held=HELD)
    before, after = house.before.session, outcome.session
    assert isinstance(outcome, SteppedUp)
    assert (outcome.return_to, outcome.held, outcome.method) == ("/orders?a=1", HELD, "rekono")
    proved = AuthenticationEvent(
        method="rekono",
        at=house.time,
        source=ISSUER,
        acr="20",
        amr=("pwd", "sms"),
        is_step_up=True,
        level=Level.MEDIUM,
    )
    assert after == replace(before, session_id=after.session_id, events=(*before.events, proved))
    assert (await house.sessions.load(parse(outcome.ticket_text), now=house.time)).session == after
    assert not await has_session(house, house.before.ticket_text)
    assert outcome.ticket_text not in repr(outcome)


async def test_signing_out_later_ends_what_the_provider_has_begun_now(house):
    house.provider.id_token, house.provider.provider_session = "a.newer.token", "another-session"
    session = (await steps_up(house)).session
    assert (session.id_token, session.provider_session) == ("a.newer.token", "another-session")


async def test_a_higher_level_is_kept_as_evidence_and_raises_nothing(house):
    house.provider.userinfo |= {"loa": 20}
    house.before = replace(house.before, session=replace(house.before.session, level=Level.LOW))
    ticket = new_ticket()
    low = session_for(ticket, person=house.before.session.person, level=Level.LOW)
    await house.sessions.create(ticket, low, browser="", now=house.time)
    outcome = await returns(house, await house.begin_step_up(low), ticket=ticket.text)
    assert (outcome.session.level, outcome.session.events[-1].level) == (Level.LOW, Level.MEDIUM)


async def test_nobody_counts_it_as_a_sign_in_that_goes_round_in_circles(house):
    for _ in range(4):
        outcome = await steps_up(house)
        house.before = replace(house.before, ticket_text=outcome.ticket_text, session=outcome.session)
    assert not await house.login.looping(BROWSER, now=house.time)


async def test_a_provider_that_names_no_session_this_time_has_not_ended_the_one_that_it_named(house):
    house.provider.provider_session = "at-the-provider"
    house.before = await house.complete(await house.begin())
    house.provider.provider_session = None
    assert (await steps_up(house)).session.provider_session == "at-the-provider"


@pytest.mark.parametrize(
    ("change", "reason", "found"),
    [
        ({"subject": "bor"}, Reason.STEP_UP_BY_ANOTHER, "another account"),
        ({"auth_time": NOW}, Reason.PROOF_TOO_OLD, "240 s before it was asked for"),
        (
            {"userinfo": {"taxnumber": "99990008", "loa": 10}},
            Reason.LEVEL_TOO_LOW,
            "level 10 now, and 20 is needed",
        ),
    ],
)
async def test_what_proves_nothing_is_told_to_operators_with_the_session_that_it_was_for(
    house, change, reason, found
):
    for name, value in change.items():
        setattr(house.provider, name, value)
    outcome = await steps_up(house, route="acq/orders POST")
    assert (outcome.reason, outcome.session) == (reason, house.before.session)
    assert found in outcome.detail


@pytest.mark.parametrize("binding", [None, "the request"], ids=["for the session", "for one request"])
async def test_one_authentication_at_the_provider_makes_one_proof_though_a_prompt_was_cut_out_within_the_leeway(
    house, binding
):
    house.provider.auth_time, house.provider.id_token = house.time, id_token(house.time)
    outcome = await steps_up(house, binding=binding)
    house.before = replace(house.before, ticket_text=outcome.ticket_text, session=outcome.session)
    house.time += timedelta(seconds=20)
    again = await steps_up(house, binding=binding and "another request")
    assert (again.reason, again.session) == (Reason.PROOF_TOO_OLD, outcome.session)
    assert "has not authenticated anew" in again.detail
    house.provider.auth_time, house.provider.id_token = house.time, id_token(house.time)
    assert isinstance(await steps_up(house), SteppedUp)


async def test_the_sign_in_that_opened_the_session_is_not_the_proof_that_is_asked_for_a_moment_later(house):
    house.time = house.provider.auth_time = NOW
    house.provider.id_token = id_token(NOW)
    house.before = await house.complete(await house.begin())
    house.time += timedelta(seconds=5)
    assert (await steps_up(house, route=":totp")).reason is Reason.PROOF_TOO_OLD


@pytest.mark.parametrize(
    ("before", "reason"),
    [(0, None), (1, Reason.PROOF_TOO_OLD)],
    ids=["in the same second", "a second before"],
)
async def test_an_authentication_in_the_second_in_which_it_was_asked_for_is_taken_for_a_new_one(
    house, before, reason
):
    """The provider's times are whole seconds, so nobody can tell the order within one second."""
    house.provider.auth_time = house.time - timedelta(seconds=before)
    house.before = replace(
        house.before, session=replace(house.before.session, id_token=id_token(house.provider.auth_time))
    )
    ticket = new_ticket()
    await house.sessions.create(
        ticket, replace(house.before.session, session_id=ticket.session_id), browser="", now=house.time
    )
    session = (await house.sessions.load(ticket, now=house.time)).session
    assert (
        getattr(await returns(house, await house.begin_step_up(session), ticket=ticket.text), "reason", None)
        is reason
    )


@pytest.mark.parametrize("unreadable", ["", "a.b", "e30.e30.x", id_token("soon"), id_token(True)])
async def test_an_earlier_token_that_states_no_time_is_no_reason_to_refuse(house, unreadable):
    house.before = replace(house.before, session=replace(house.before.session, id_token=unreadable))
    assert isinstance(await steps_up(house), SteppedUp)


# Who comes back.


async def test_another_account_proves_nothing_and_the_session_stays(house):
    house.provider.subject = "bor"
    outcome = await steps_up(house, held=HELD)
    assert (outcome.reason, outcome.held, outcome.session) == (
        Reason.STEP_UP_BY_ANOTHER,
        HELD,
        house.before.session,
    )
    assert await has_session(house, house.before.ticket_text)


async def test_another_account_is_told_so_before_anything_about_its_data(house):
    house.provider.subject, house.provider.userinfo = "bor", {"taxnumber": "1234"}
    assert (await steps_up(house)).reason is Reason.STEP_UP_BY_ANOTHER


def entered(**changes):
    member = Member(member_id=MemberId("m-1"), name="Ana", tax_number=TaxNumber("99990008"), portals=("acq",))
    return replace(member, **changes)


ANAS_ACCOUNT = Account(issuer=ISSUER, subject=Subject("ana"))


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (entered(accounts=(ANAS_ACCOUNT,)), None),
        (entered(), Reason.STEP_UP_BY_ANOTHER),
        (entered(member_id=MemberId("m-2"), accounts=(ANAS_ACCOUNT,)), Reason.STEP_UP_BY_ANOTHER),
        (entered(accounts=(ANAS_ACCOUNT,), blocked_at=NOW), Reason.STEP_UP_BY_ANOTHER),
    ],
    ids=["theirs", "not linked", "somebody else's", "blocked"],
)
async def test_whoever_came_with_a_certificate_proves_themselves_by_the_account_that_the_register_has_linked(
    house, member, reason
):
    await house.people.take_over([member], revision=0, departures=())
    ticket = new_ticket()
    person = Person(issuer=Issuer("https://gateway.example"), subject=Subject("m-1"), member=MemberId("m-1"))
    session = session_for(
        ticket,
        person=person,
        method="acnlb",
        events=(CERTIFICATE,),
        id_token=None,
        provider_session="a1" * 32,
    )
    await house.sessions.create(ticket, session, browser="", now=house.time)
    house.provider.provider_session = "at-the-provider"
    outcome = await returns(house, await house.begin_step_up(session), ticket=ticket.text)
    assert getattr(outcome, "reason", None) is reason
    if reason is None:
        # The session still rests on its certificate, and signing out ends the provider's session too.
        assert (outcome.session.provider_session, outcome.session.id_token) == ("a1" * 32, "the.id.token")
        assert outcome.session.method == "acnlb"


# When they authenticated.


@pytest.mark.parametrize(
    ("before_it_was_asked", "reason"),
    [(0, None), (60, None), (61, Reason.PROOF_TOO_OLD), (600, Reason.PROOF_TOO_OLD), (-30, None)],
)
async def test_an_authentication_from_before_it_was_asked_for_proves_nothing(
    house, before_it_was_asked, reason
):
    house.provider.auth_time = house.time - timedelta(seconds=before_it_was_asked)
    assert getattr(await steps_up(house), "reason", None) is reason


async def test_an_authentication_of_which_nobody_says_when_it_was_proves_nothing(house):
    house.provider.auth_time = None
    assert (await steps_up(house)).reason is Reason.PROOF_TOO_OLD


async def test_a_sign_in_that_is_no_proof_by_the_settings_changes_nothing(house):
    weak = SignInFixture(step_up_by=StepUpBy(amr=frozenset({"mfa"})))
    weak.before = await weak.complete(await weak.begin())
    outcome = await steps_up(weak)
    assert (outcome.reason, outcome.session) == (Reason.PROOF_TOO_WEAK, weak.before.session)
    assert "rekono.step_up_by" in outcome.detail
    assert await has_session(weak, weak.before.ticket_text)


async def test_the_provider_is_to_say_when_it_was_for_a_proof_and_not_for_a_sign_in(house):
    assert house.provider.asked[0]["dated"] is False
    await house.begin_step_up(house.before.session)
    assert house.provider.asked[-1]["dated"] is True


async def test_what_the_id_token_itself_tells_of_an_old_authentication_is_told_as_that(house):
    state = await house.begin_step_up(house.before.session)
    house.provider.failure = AuthenticationTooOld(
        "ID token: auth_time is missing, though max_age was asked for"
    )
    outcome = await returns(house, state)
    assert (outcome.reason, outcome.session) == (Reason.PROOF_TOO_OLD, house.before.session)
    assert outcome.detail == "ID token: auth_time is missing, though max_age was asked for"


async def test_a_time_ahead_of_our_clock_makes_no_proof_fresher_than_now(house):
    house.provider.auth_time = house.time + timedelta(seconds=30)
    assert (await steps_up(house)).session.events[-1].at == house.time


# Which level the account has now.


@pytest.mark.parametrize(
    ("route", "level", "reason"),
    [
        ("acq/orders POST", 20, None),
        ("acq/orders POST", 10, Reason.LEVEL_TOO_LOW),
        ("acq/orders POST + acq", 20, None),
        ("acq/orders POST + acq", 10, Reason.LEVEL_TOO_LOW),
        ("acq + acq/orders POST", 10, Reason.LEVEL_TOO_LOW),
        ("acq", 10, None),
        (":any", 10, None),
    ],
)
async def test_an_account_that_has_lost_its_level_proves_nothing_where_more_is_demanded(
    house, route, level, reason
):
    house.provider.userinfo |= {"loa": level}
    assert getattr(await steps_up(house, route=route), "reason", None) is reason


HIGH = provider_demand([{"claims": '{"id_token":{"acr":{"essential":true,"value":"high"}}}'}])


@pytest.mark.parametrize(("acr", "reason"), [("high", None), ("20", Reason.ESSENTIAL_CLAIM_MISSING)])
async def test_a_proof_without_what_is_essential_for_the_route_proves_nothing(house, acr, reason):
    house.asking, house.provider.acr = HIGH, acr
    outcome = await steps_up(house, route="acq/orders POST", held=HELD)
    assert house.provider.asked[-2]["extra"] == HIGH.parameters
    assert getattr(outcome, "reason", None) is reason
    if reason is not None:
        assert (outcome.held, outcome.route, outcome.session) == (
            HELD,
            "acq/orders POST",
            house.before.session,
        )
        assert "the essential claim `acr`" in outcome.detail
        assert await has_session(house, house.before.ticket_text)


async def test_claims_that_cannot_be_used_prove_nothing(house):
    house.provider.userinfo |= {"taxnumber": "99990009"}
    outcome = await steps_up(house)
    assert (outcome.reason, outcome.session) == (Reason.TAX_NUMBER_INVALID, house.before.session)
    assert await has_session(house, house.before.ticket_text)


# What else may come back.


@pytest.mark.parametrize(
    "failure",
    [
        AuthorizationRefused(Reason.CONSENT_REFUSED, "authorization response: access_denied"),
        AuthorizationRefused(Reason.PROVIDER_REFUSED, "the code was refused"),
        CannotAsk(Reason.PROVIDER_UNAVAILABLE, "away"),
    ],
)
async def test_whoever_does_not_go_through_with_it_stays_signed_in_and_knows_the_way_back(house, failure):
    state = await house.begin_step_up(house.before.session, route="acq/orders POST", held=HELD)
    house.provider.failure = failure
    outcome = await returns(house, state)
    assert (
        outcome.reason,
        outcome.detail,
        outcome.return_to,
        outcome.route,
        outcome.held,
        outcome.session,
    ) == (
        failure.reason,
        str(failure),
        "/orders?a=1",
        "acq/orders POST",
        HELD,
        house.before.session,
    )
    assert await has_session(house, house.before.ticket_text)


@pytest.mark.parametrize("ticket", [None, "garbage", "another"])
async def test_without_the_session_that_began_it_nobody_is_even_asked(house, ticket):
    if ticket == "another":
        ticket = (await house.complete(await house.begin())).ticket_text
    state = await house.begin_step_up(house.before.session)
    asked = len(house.provider.asked)
    outcome = await returns(house, state, ticket=ticket)
    assert (outcome.reason, outcome.session, outcome.return_to) == (Reason.SESSION_ENDED, None, "/orders?a=1")
    assert len(house.provider.asked) == asked
    assert await has_session(house, house.before.ticket_text)


async def test_whoever_has_signed_out_meanwhile_is_not_signed_in_again(house):
    state = await house.begin_step_up(house.before.session)
    await house.sessions.revoke(house.before.session.session_id)
    outcome = await returns(house, state)
    assert isinstance(outcome, NotProved)
    assert outcome.reason is Reason.SESSION_ENDED
    assert await house.sessions.summaries(ISSUER, "ana", now=house.time) == ()


async def test_a_session_that_ends_during_the_last_step_has_ended(house):
    async def sign_out():
        await house.sessions.revoke(house.before.session.session_id)

    state = await house.begin_step_up(house.before.session)
    house.sessions.before("create", "rotate", happens=sign_out)
    assert (await returns(house, state)).reason is Reason.SESSION_ENDED
    assert await house.sessions.summaries(ISSUER, "ana", now=house.time) == ()


async def test_a_proof_that_was_asked_for_by_one_request_is_good_for_that_request(house):
    proved = (await steps_up(house, route="acq/orders POST", binding="the request")).session.events[-1]
    assert (proved.is_step_up, proved.bound_to.partition(".")[0]) == (False, "the request")


@pytest.mark.parametrize(
    ("route", "asked_for"),
    [("acq", None), (REMOVING, REMOVING)],
    ids=["for a page", "for a change of methods"],
)
async def test_a_proof_remembers_whether_it_was_given_for_a_change_of_methods(house, route, asked_for):
    assert (await steps_up(house, route=route)).session.events[-1].asked_for == asked_for


async def test_a_store_that_cannot_be_asked_for_the_attempt_adds_no_proof_and_keeps_the_way_back(house):
    state = await house.begin_step_up(house.before.session, held=HELD)
    house.attempts.away = {"take"}
    outcome = await returns(house, state)
    assert (outcome.reason, outcome.detail, outcome.held, outcome.return_to) == (
        Reason.STORE_UNAVAILABLE,
        "away",
        HELD,
        "/orders?a=1",
    )
    house.attempts.away.clear()
    assert isinstance(await returns(house, state), SteppedUp)


async def test_operators_learn_which_error_the_provider_has_stated(house):
    state = await house.begin_step_up(house.before.session)
    house.provider.failure = AuthorizationRefused(
        Reason.PROVIDER_REFUSED, "authorization response: login_required", error="login_required"
    )
    assert (await returns(house, state)).provider_error == "login_required"


async def test_another_browser_proves_nothing_for_this_one(house):
    state = await house.begin_step_up(house.before.session, held=HELD)
    outcome = await returns(house, state, browser="another")
    assert outcome == SignInRefused(Reason.ATTEMPT_OF_ANOTHER_BROWSER, "/")
    assert await has_session(house, house.before.ticket_text)


async def test_a_repeated_response_goes_on_to_what_waits_and_adds_nothing(house):
    state = await house.begin_step_up(house.before.session, held=HELD)
    proved = await returns(house, state)
    assert await returns(house, state, ticket=proved.ticket_text) == AlreadySignedIn("/orders?a=1", HELD)
    assert (await house.sessions.load(parse(proved.ticket_text), now=house.time)).session == proved.session
    again = await returns(house, state)
    assert (again.reason, again.method) == (Reason.ATTEMPT_USED, "rekono")


async def test_what_took_too_long_says_so_though_somebody_is_signed_in(house):
    state = await house.begin_step_up(house.before.session, held=HELD)
    house.time += timedelta(minutes=30, seconds=1)
    ticket = new_ticket()
    await house.sessions.create(ticket, session_for(ticket), browser="", now=house.time)
    outcome = await returns(house, state, ticket=ticket.text)
    assert (outcome.reason, outcome.held, outcome.return_to) == (Reason.ATTEMPT_TOO_OLD, HELD, "/orders?a=1")


async def test_an_attempt_to_sign_in_steps_nobody_up(house):
    outcome = await returns(house, await house.begin())
    assert [event.method for event in outcome.session.events] == ["rekono"]
    assert outcome.session.started_at == house.time
    assert not await has_session(house, house.before.ticket_text)
