from __future__ import annotations

from datetime import timedelta

import pytest

from authproxy.access.decision import Reason
from authproxy.access.provider_demand import provider_demand
from authproxy.access.unavailable import CannotAsk
from authproxy.assertions.claims import claims
from authproxy.flows.sign_in.attempts import AlreadySignedIn, SignedIn, SignInRefused
from authproxy.flows.sign_in.round_trip import StepUpBy
from authproxy.identity.assurance import Level
from authproxy.identity.attempt import Attempt
from authproxy.identity.grant import Grant
from authproxy.identity.member import Member, PortalRole, RegisterKey
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.ticket import parse
from authproxy.oidc.refused import AuthorizationRefused, TokenRefused
from authproxy.storage.records.sessions import session_in, session_octets
from tests.support.session_builders import ISSUER, NOW, visit_of
from tests.support.sign_in_fixture import BROWSER, USERINFO, SignInFixture


@pytest.fixture
def house():
    return SignInFixture()


async def test_a_sign_in_makes_a_session_of_what_came_back(house):
    outcome = await house.complete(await house.begin())
    assert isinstance(outcome, SignedIn)
    session = outcome.session
    assert (outcome.return_to, session.portal, session.level, session.person.tax_number) == (
        "/izpis?a=1",
        "acq",
        Level.MEDIUM,
        "99990008",
    )
    assert (session.started_at, session.expires_at, session.idle_for) == (
        NOW,
        NOW + timedelta(hours=8),
        timedelta(minutes=5),
    )
    ticket = parse(outcome.ticket_text)
    assert ticket.session_id == session.session_id
    assert (await house.sessions.load(ticket, now=NOW)).session == session
    (summary,) = await house.sessions.summaries(ISSUER, "ana", now=NOW)
    assert summary.browser == "FF"
    assert outcome.ticket_text not in repr(outcome)


async def test_what_was_sent_is_what_is_redeemed_with(house):
    state = await house.begin()
    await house.complete(state)
    asked, redeemed = house.provider.asked
    assert {name: asked[name] for name in ("redirect_uri", "nonce", "code_verifier")} == redeemed
    assert redeemed["redirect_uri"] == "https://acq.example/.authproxy/callback/rekono"
    assert len({state, asked["nonce"], asked["code_verifier"]}) == 3


async def test_a_provider_that_cannot_be_asked_begins_no_attempt(house):
    house.provider.failure = CannotAsk(Reason.PROVIDER_UNAVAILABLE, "away")
    with pytest.raises(CannotAsk):
        await house.begin()


async def test_an_authentication_ahead_of_our_clock_counts_from_now(house):
    house.provider.auth_time = NOW + timedelta(seconds=30)
    assert (await house.complete(await house.begin())).session.authenticated_at == NOW


async def test_the_step_up_is_as_old_as_the_authentication(house):
    house.provider.auth_time = NOW - timedelta(minutes=4)
    (event,) = (await house.complete(await house.begin())).session.events
    assert (event.at, event.is_step_up) == (NOW - timedelta(minutes=4), True)


async def test_a_sign_in_of_which_nobody_says_when_it_was_is_no_proof(house):
    house.provider.auth_time = None
    session = (await house.complete(await house.begin())).session
    (event,) = session.events
    assert (event.at, event.is_step_up) == (NOW, False)
    assert session.authenticated_at is None
    said = claims(
        session,
        issuer="https://gateway.example",
        portal_id="acq",
        now=NOW,
        lifetime=timedelta(minutes=1),
        token_id="j",
    )
    assert not {"auth_time", "step_up"} & said.keys()
    assert session_in(session_octets(session)) == session


@pytest.mark.parametrize(
    ("rule", "is_proof"),
    [
        (StepUpBy(every=True), True),
        (StepUpBy(), False),
        (StepUpBy(amr=frozenset({"sms", "otp"})), True),
        (StepUpBy(amr=frozenset({"mfa"})), False),
        (StepUpBy(acr=frozenset({"20"})), True),
        (StepUpBy(acr=frozenset({"30"}), amr=frozenset({"SMS"})), False),
        (StepUpBy(acr=frozenset({"30"}), amr=frozenset({"pwd"})), True),
    ],
)
async def test_the_settings_say_which_sign_ins_are_a_proof(rule, is_proof):
    house = SignInFixture(step_up_by=rule)
    (event,) = (await house.complete(await house.begin())).session.events
    assert event.is_step_up is is_proof
    house.provider.auth_time = None
    (event,) = (await house.complete(await house.begin())).session.events
    assert not event.is_step_up


@pytest.mark.parametrize(
    ("rule", "is_possible"),
    [
        (StepUpBy(every=True), True),
        (StepUpBy(amr=frozenset({"sms"})), True),
        (StepUpBy(acr=frozenset({"30"})), True),
        (StepUpBy(), False),
    ],
)
def test_a_fresh_proof_is_possible_where_some_sign_in_can_be_one(rule, is_possible):
    assert rule.is_possible is is_possible


# Refusals, in the order in which they are checked.


async def test_refusals_come_in_the_order_of_what_may_be_known(house):
    """Portal, cookie, browser, age, use: an earlier refusal hides what a later one would reveal."""
    state = await house.begin()
    await house.complete(state)
    assert await house.complete(state) == SignInRefused(Reason.ATTEMPT_USED, "/izpis?a=1")
    house.time += timedelta(minutes=30, seconds=1)
    assert await house.complete(state) == SignInRefused(Reason.ATTEMPT_TOO_OLD, "/izpis?a=1")
    assert await house.complete(state, browser="another") == SignInRefused(
        Reason.ATTEMPT_OF_ANOTHER_BROWSER, "/"
    )
    assert await house.complete(state, browser=None) == SignInRefused(Reason.COOKIES_OFF, "/")
    assert await house.complete(state, browser=None, portal_id="b2b") == SignInRefused(
        Reason.ATTEMPT_UNKNOWN, "/"
    )
    # One sign-in was begun and one redeemed; no refusal has asked the provider.
    assert len(house.provider.asked) == 1 + 1


@pytest.mark.parametrize("found", [{}, {"portal_id": "b2b"}])
async def test_what_has_no_flow_cookie_spends_no_attempt_of_the_right_browser_and_redeems_nothing(
    house, found
):
    """A mail scanner, a preview, or another program of the same person follows the address first."""
    state = await house.begin()
    for _ in range(3):
        assert isinstance(await house.complete(state, browser=None, **found), SignInRefused)
    assert (len(house.attempts._used), len(house.provider.asked)) == (0, 1)
    assert isinstance(await house.complete(state), SignedIn)


@pytest.mark.parametrize("change", [{"browser": "another"}, {"portal_id": "b2b"}])
async def test_an_address_with_a_code_that_was_opened_in_a_wrong_place_is_worth_nothing_in_the_right_one(
    house, change
):
    """An attacker begins, makes another person sign in at the provider, and learns the address to which that
    person came back."""
    state = await house.begin()
    assert isinstance(await house.complete(state, **change), SignInRefused)
    assert await house.complete(state) == SignInRefused(Reason.ATTEMPT_USED, "/izpis?a=1")


async def test_nothing_is_kept_for_whoever_merely_begins_or_comes_back_too_late(house):
    for _ in range(100):
        state = await house.begin()
    house.time += timedelta(minutes=31)
    await house.complete(state)
    await house.complete("never sealed by us")
    assert len(house.attempts._used) == 0


async def test_a_response_without_a_state_is_unknown(house):
    outcome = await house.login.complete(visit_of(BROWSER), (("code", "c"),))
    assert outcome == SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
    assert house.provider.asked == []


async def test_a_replay_in_a_signed_in_browser_goes_on_without_a_word(house):
    state = await house.begin()
    signed_in = await house.complete(state)
    assert await house.complete(state, ticket=signed_in.ticket_text) == AlreadySignedIn("/izpis?a=1")
    assert await house.complete("unknown", ticket=signed_in.ticket_text) == AlreadySignedIn("/")
    assert isinstance(
        await house.complete(state, browser="another", ticket=signed_in.ticket_text), SignInRefused
    )
    assert isinstance(await house.complete(state, ticket="garbage"), SignInRefused)
    assert isinstance(
        await house.complete("unknown", browser=None, ticket=signed_in.ticket_text), SignInRefused
    )


async def test_a_session_of_another_portal_makes_no_replay_good(house):
    elsewhere = await house.login.begin(visit_of(BROWSER, portal_id="b2b"))
    signed_in = await house.complete(elsewhere.partition("state=")[2], portal_id="b2b")
    state = await house.begin()
    await house.complete(state)
    assert await house.complete(state, ticket=signed_in.ticket_text) == SignInRefused(
        Reason.ATTEMPT_USED, "/izpis?a=1"
    )


async def test_what_the_protocol_refuses_signs_nobody_in_and_uses_the_attempt_up(house):
    state = await house.begin()
    house.provider.failure = TokenRefused("the nonce is another one")
    outcome = await house.complete(state)
    assert (outcome.reason, outcome.return_to, outcome.detail) == (
        Reason.PROVIDER_ANSWER_INVALID,
        "/izpis?a=1",
        "the nonce is another one",
    )
    house.provider.failure = None
    assert (await house.complete(state)).reason is Reason.ATTEMPT_USED


async def test_operators_learn_which_error_the_provider_has_stated(house):
    state = await house.begin()
    house.provider.failure = AuthorizationRefused(
        Reason.CONSENT_REFUSED, "authorization response: access_denied", error="access_denied"
    )
    assert await house.complete(state) == SignInRefused(
        Reason.CONSENT_REFUSED,
        "/izpis?a=1",
        detail="authorization response: access_denied",
        provider_error="access_denied",
    )


async def test_what_the_provider_can_be_asked_with_later_is_kept_for_the_session(house):
    held = []

    class Accounts:
        async def keep(self, grant, *, idle_for, now):
            held.append((grant, idle_for, now))
            return "the-secret"

    house.provider.grant = Grant(refresh_token="r1")
    house.accounts = Accounts()
    house.demand(Level.LOW)
    assert (await house.complete(await house.begin())).session.grant == "the-secret"
    assert held == [(Grant(refresh_token="r1"), timedelta(minutes=5), NOW)]


async def test_every_new_session_is_greeted_and_none_that_was_refused(house):
    greeted = []

    async def greet(session):
        greeted.append(session)

    house.greet = greet
    house.demand(Level.LOW)
    signed_in = await house.complete(await house.begin())
    house.demand(Level.HIGH)
    assert isinstance(await house.complete(await house.begin()), SignInRefused)
    assert greeted == [signed_in.session]


async def test_a_provider_that_cannot_be_asked_at_the_end_is_an_outage_that_keeps_the_way_back(house):
    state = await house.begin()
    house.provider.failure = CannotAsk(Reason.PROVIDER_UNAVAILABLE, "away")
    assert await house.complete(state) == SignInRefused(
        Reason.PROVIDER_UNAVAILABLE, "/izpis?a=1", detail="away"
    )


async def test_a_store_that_cannot_be_asked_for_the_attempt_is_an_outage_that_keeps_the_way_back(house):
    state = await house.begin()
    house.attempts.away = {"take"}
    assert await house.complete(state) == SignInRefused(Reason.STORE_UNAVAILABLE, "/izpis?a=1", detail="away")
    # Only the beginning has asked the provider: the code was not redeemed, and the attempt is unused.
    assert len(house.provider.asked) == 1
    house.attempts.away.clear()
    assert isinstance(await house.complete(state), SignedIn)


@pytest.mark.parametrize(
    ("without", "reason"), [("taxnumber", Reason.TAX_NUMBER_MISSING), ("name", Reason.PERSONAL_DATA_MISSING)]
)
async def test_missing_data_is_named_and_makes_no_session(house, without, reason):
    del house.provider.userinfo[without]
    outcome = await house.complete(await house.begin())
    assert (outcome.reason, len(outcome.missing), outcome.person.subject) == (reason, 1, "ana")
    assert "99990008" not in repr(outcome)
    assert await house.sessions.summaries(ISSUER, "ana", now=NOW) == ()


@pytest.mark.parametrize(("demanded", "reason"), [(Level.MEDIUM, None), (Level.HIGH, Reason.LEVEL_TOO_LOW)])
async def test_the_level_that_came_back_is_judged(house, demanded, reason):
    house.demand(demanded)
    assert getattr(await house.complete(await house.begin()), "reason", None) is reason


HIGH = provider_demand(
    [{"acr_values": "high", "claims": '{"id_token":{"acr":{"essential":true,"value":"high"}}}'}]
)


async def test_what_the_place_asks_for_goes_to_the_provider(house):
    house.asking = HIGH
    await house.begin()
    assert house.provider.asked[-1]["extra"] == HIGH.parameters


@pytest.mark.parametrize(("acr", "reason"), [("high", None), ("20", Reason.ESSENTIAL_CLAIM_MISSING)])
async def test_what_is_essential_for_the_place_must_have_come_back(house, acr, reason):
    house.asking, house.provider.acr = HIGH, acr
    outcome = await house.complete(await house.begin())
    assert getattr(outcome, "reason", None) is reason
    if reason is not None:
        assert (
            outcome.detail
            == "the essential claim `acr` is not in the ID token with a value that was asked for"
        )
        assert outcome.person.subject == "ana"
        assert await house.sessions.summaries(ISSUER, "ana", now=NOW) == ()


async def test_whoever_comes_back_without_what_is_essential_loses_the_session_that_the_browser_had(house):
    before = await house.complete(await house.begin())
    house.asking = HIGH
    assert isinstance(await house.complete(await house.begin(), ticket=before.ticket_text), SignInRefused)
    assert await house.sessions.summaries(ISSUER, "ana", now=NOW) == ()


async def test_essential_claims_of_userinfo_are_looked_for_there(house):
    house.asking = provider_demand(
        [{"claims": '{"userinfo":{"department":{"essential":true,"values":["cards"]}}}'}]
    )
    assert (await house.complete(await house.begin())).reason is Reason.ESSENTIAL_CLAIM_MISSING
    house.provider.userinfo["department"] = "cards"
    assert isinstance(await house.complete(await house.begin()), SignedIn)


async def test_a_level_too_low_says_which_one_there_is_and_which_one_is_needed(house):
    house.demand(Level.HIGH)
    refused = await house.complete(await house.begin())
    assert (refused.level, refused.level_needed, refused.person.name) == (
        Level.MEDIUM,
        Level.HIGH,
        "Ana Novak",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"taxnumber": None}, Reason.TAX_NUMBER_MISSING),
        ({"name": None}, Reason.PERSONAL_DATA_MISSING),
        ({"taxnumber": 9999000}, Reason.TAX_NUMBER_INCOMPLETE),
    ],
)
async def test_whoever_may_not_come_in_any_more_leaves_no_session_behind(house, change, reason):
    before = await house.complete(await house.begin())
    house.provider.userinfo |= change
    refused = await house.complete(await house.begin(), ticket=before.ticket_text)
    assert (refused.reason, refused.person.subject) == (reason, "ana")
    assert refused.missing or refused.detail
    assert await house.sessions.load(parse(before.ticket_text), now=NOW) is None
    house.provider.userinfo |= USERINFO
    assert isinstance(await house.complete(await house.begin(), ticket=before.ticket_text), SignedIn)


async def test_an_answer_that_proves_nobody_ends_no_session(house):
    before = await house.complete(await house.begin())
    state = await house.begin()
    house.provider.failure = TokenRefused("the nonce is another one")
    await house.complete(state, ticket=before.ticket_text)
    assert await house.sessions.load(parse(before.ticket_text), now=NOW) is not None


@pytest.mark.parametrize("anew", [False, True])
async def test_a_new_authentication_is_asked_for_where_it_is_wanted(house, anew):
    await house.login.begin(visit_of(BROWSER), anew=anew)
    assert house.provider.asked[-1]["anew"] is anew


async def test_a_new_sign_in_ends_the_session_that_the_browser_had(house):
    first = await house.complete(await house.begin())
    second = await house.complete(await house.begin(), ticket=first.ticket_text)
    assert await house.sessions.load(parse(first.ticket_text), now=NOW) is None
    assert await house.sessions.load(parse(second.ticket_text), now=NOW) is not None
    assert isinstance(await house.complete(await house.begin(), ticket="garbage"), SignedIn)


def entered(**changes):
    return Member(
        member_id=MemberId("m-1"), name="Ana", tax_number=TaxNumber("99990008"), portals=("acq",), **changes
    )


async def test_a_member_is_known_to_portals_by_the_id_of_the_register(house):
    await house.people.take_over([entered()], revision=0, departures=())
    first, second = await house.complete(await house.begin()), await house.complete(await house.begin())
    assert [
        (each.is_new_link, each.session.person.member, each.session.person.subject)
        for each in (first, second)
    ] == [
        (True, "m-1", "ana"),
        (False, "m-1", "ana"),
    ]


async def test_a_session_remembers_which_data_were_stated_and_where_codes_may_be_sent(house):
    house.provider.userinfo |= {"phone_number": "041 123 456", "phone_number_verified": True}
    session = (await house.complete(await house.begin())).session
    assert session.claims == ("tax_number", "name", "birthdate", "address", "phone_number")
    assert session.person.phone == "+38641123456"
    assert session.events[0].level is Level.MEDIUM


async def test_a_session_remembers_what_the_provider_needs_for_its_end(house):
    house.provider.provider_session = "at-the-provider"
    session = (await house.complete(await house.begin())).session
    assert (session.id_token, session.provider_session, session.idle_for) == (
        "the.id.token",
        "at-the-provider",
        timedelta(minutes=5),
    )


async def test_an_attempt_that_was_begun_with_a_certificate_ends_at_no_other_callback(house):
    attempt = Attempt(
        portal="acq",
        return_to="/izpis",
        browser=BROWSER,
        secret="s" * 43,
        opened_at=house.time,
        method="acnlb",
    )
    outcome = await house.complete(house.seals.attempt_sealed(attempt))
    assert outcome == SignInRefused(Reason.ATTEMPT_UNKNOWN, "/")
    assert house.provider.asked == []


async def test_an_attempt_is_good_for_exactly_as_long_as_the_settings_say(house):
    state, late = await house.begin(), await house.begin()
    house.time += timedelta(minutes=30)
    assert isinstance(await house.complete(state), SignedIn)
    house.time += timedelta(milliseconds=1)
    assert (await house.complete(late)).reason is Reason.ATTEMPT_TOO_OLD


async def test_an_old_attempt_in_a_browser_that_is_signed_in_goes_on_without_a_word(house):
    late = await house.begin()
    house.time = house.provider.auth_time = NOW + timedelta(minutes=31)
    signed_in = await house.complete(await house.begin())
    assert await house.complete(late, ticket=signed_in.ticket_text) == AlreadySignedIn("/izpis?a=1")


@pytest.mark.parametrize("phone", ["+38640999888", None])
async def test_the_codes_of_a_member_go_where_the_bank_says_and_not_where_the_account_does(house, phone):
    await house.people.take_over([entered(phone=phone)], revision=0, departures=())
    house.provider.userinfo |= {"phone_number": "+38641123456"}
    assert (await house.complete(await house.begin())).session.person.phone == phone


async def test_whom_the_register_refuses_leaves_no_session_behind(house):
    before = await house.complete(await house.begin())
    await house.people.take_over([entered(blocked_at=NOW)], revision=0, departures=())
    refused = await house.complete(await house.begin(), ticket=before.ticket_text)
    assert (refused.reason, refused.detail, refused.person.subject) == (
        Reason.NOT_A_MEMBER,
        "the person is blocked",
        "ana",
    )
    assert (refused.by_register.reason, refused.by_register.member.member_id) == (Reason.NOT_A_MEMBER, "m-1")
    assert await house.sessions.load(parse(before.ticket_text), now=NOW) is None


async def test_an_account_below_the_level_at_which_it_would_be_linked_is_told_its_own_level_and_the_one_that_is_needed(
    house,
):
    house.members = "register"
    house.demand(Level.LOW)
    house.provider.userinfo |= {"loa": 10}
    refused = await house.complete(await house.begin())
    assert (refused.reason, refused.level, refused.level_needed) == (
        Reason.LEVEL_TOO_LOW,
        Level.LOW,
        Level.MEDIUM,
    )
    house.provider.userinfo |= {"loa": 20}
    refused = await house.complete(await house.begin())
    assert (refused.reason, refused.level, refused.level_needed) == (Reason.NOT_A_MEMBER, None, None)


async def test_somebody_who_is_blocked_while_they_sign_in_is_not_signed_in(house):
    await house.people.take_over([entered()], revision=0, departures=())

    async def block():
        """The operator's command looks for sessions just before this one is stored."""
        [found] = await house.people.find([RegisterKey("id", "m-1")])
        await house.people.change(found, found.member.blocked(NOW, None), departs=True)

    house.sessions.before("create", "rotate", happens=block)
    assert (await house.complete(await house.begin())).reason is Reason.NOT_A_MEMBER
    assert await house.sessions.summaries(ISSUER, "ana", now=NOW) == ()


async def test_a_session_has_the_roles_of_its_portal(house):
    roles = (PortalRole("*", "auditor"), PortalRole("acq", "approver"), PortalRole("b2b", "clerk"))
    await house.people.take_over([entered(roles=roles)], revision=0, departures=())
    assert (await house.complete(await house.begin())).session.roles == ("approver", "auditor")


async def test_a_role_that_is_lost_during_the_sign_in_is_in_no_session(house):
    roles = (PortalRole("acq", "approver"),)
    await house.people.take_over([entered(roles=roles)], revision=0, departures=())

    async def take_away():
        [found] = await house.people.find([RegisterKey("id", "m-1")])
        await house.people.change(found, found.member.with_roles(()), departs=True)

    house.sessions.before("create", "rotate", happens=take_away)
    refused = await house.complete(await house.begin())
    assert refused.reason is Reason.STORE_UNAVAILABLE
    assert await house.sessions.summaries(ISSUER, "ana", now=NOW) == ()
    assert (await house.complete(await house.begin())).session.roles == ()


async def test_a_sign_in_during_which_the_person_has_become_another_one_begins_anew(house):
    async def enter():
        await house.people.take_over([entered()], revision=0, departures=())

    house.sessions.before("create", "rotate", happens=enter)
    refused = await house.complete(await house.begin())
    assert (refused.reason, refused.detail) == (
        Reason.STORE_UNAVAILABLE,
        "the register of people was changed during the sign-in",
    )
    assert await house.sessions.summaries(ISSUER, "ana", now=NOW) == ()


async def test_three_sign_ins_within_a_minute_are_a_loop_that_clears_itself(house):
    assert not await house.login.looping(None, now=NOW)
    for _ in range(3):
        assert not await house.login.looping(BROWSER, now=house.time)
        await house.complete(await house.begin())
    assert await house.login.looping(BROWSER, now=house.time)
    assert not await house.login.looping("another", now=house.time)
    assert not await house.login.looping(BROWSER, now=house.time + timedelta(seconds=60))


async def test_a_sign_in_that_cannot_be_counted_is_a_sign_in(house):
    house.attempts.away = {"note_sign_in"}
    assert isinstance(await house.complete(await house.begin()), SignedIn)
