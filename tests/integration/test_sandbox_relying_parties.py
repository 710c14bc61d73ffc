"""The gateway's side of OnePass against the sandbox's, over HTTP: phones are enrolled by their code and sign
what they were shown."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.challenge import ChallengeId
from authproxy.challenges.enrolment import Enrolment, owner_of
from authproxy.challenges.method import ProofRequest, Verdict
from authproxy.challenges.notification import Notification
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.challenges.push import EnrolmentFailed, PushEnrolling, PushMethod, PushRules
from authproxy.delivery.onepass import OnePassService, client_session
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.sandbox.identity_provider.onepass.relying_parties import ROOT, SANDBOX_API_KEY
from authproxy.sandbox.installation import RELYING_PARTY, to_be_enrolled
from authproxy.sandbox.phone.application import PHONE
from authproxy.storage.memory import MemoryChallenges, MemoryEnrolments, MemoryLimits
from authproxy.storage.retention import BlockRules
from tests.support.challenge_builders import issued_challenge
from tests.support.http_client import Browser
from tests.support.onepass_fixture import ANA, CVETKA, DAVID, pressed, running_onepass, title

RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))


def person(email):
    return Person(issuer=Issuer("https://provider.example/"), subject=Subject(email), email=email)


class Gateway:
    """The push method as the gateway has it, and the sandbox's service."""

    def __init__(self, house, session):
        self.house = house
        self.service = OnePassService(
            session,
            url=f"{house.provider.url}{ROOT}",
            api_key=SANDBOX_API_KEY,
            timeout=timedelta(seconds=10),
            clock=house.clock,
        )
        self.enrolments, self.challenges, self.turn = MemoryEnrolments(), MemoryChallenges(), 0
        self.method = PushMethod(
            service=self.service,
            enrolments=self.enrolments,
            pending=self.challenges,
            limits=MemoryLimits(people=RULES, addresses=RULES),
            rules=PushRules(),
            random_below=secrets.randbelow,
        )
        self.enrolling = PushEnrolling(
            service=self.service,
            hashes=CodeHashes((b"k" * 32,)),
            relying_party=RELYING_PARTY,
            random_text=secrets.token_urlsafe,
        )

    async def asks(self, email=ANA):
        self.turn += 1
        asked = ProofRequest(
            person=person(email),
            portal_id="bips",
            portal_name="Takojšnja plačila BIPS",
            origin="https://bips.example",
            path="/placila/novo",
            browser="Firefox, Windows",
            address="192.0.2.7",
            locale="sl",
        )
        name, now = ChallengeId(f"challenge-{self.turn}"), self.house.clock.now
        issue = await self.method.issue(asked, name, now=now)
        challenge = issued_challenge(name, "push", issue, now)
        await self.challenges.open(challenge, tries=5, now=now)
        return challenge

    async def sees(self, challenge, email=ANA):
        return await self.method.verify(challenge, person(email), "", now=self.house.clock.now)

    async def enrol(self, email, enrolment):
        assert await self.enrolments.add(owner_of(person(email)), enrolment)


@pytest.fixture
async def house():
    async with running_onepass(linked=True) as house:
        yield house


@pytest.fixture
async def gateway(house):
    async with client_session(None) as session:
        gateway = Gateway(house, session)
        for one in to_be_enrolled(house.accounts, house.linked):
            await gateway.enrol(
                one.email,
                Enrolment(
                    enrolment_id=f"seed-{one.email}",
                    method="push",
                    label=one.device_name,
                    enrolled_at=house.clock.now,
                    secret=one.public_key,
                    device_id=one.device_id,
                ),
            )
        yield gateway


def wrong(push):
    return next(choice for choice in push["choices"] if choice != push["number"])


async def opened(house, browser, path="/"):
    return await browser.navigate(f"{house.phone.url}{path}")


async def test_ana_and_cvetka_have_a_phone_from_the_start_and_codes_with_it(house):
    enrolled = {one.email: one for one in to_be_enrolled(house.accounts, house.linked)}
    assert {email: one.device_name for email, one in enrolled.items()} == {
        ANA: "Anin telefon",
        CVETKA: "Cvetkin telefon",
    }
    assert all(one.totp_secret == house.accounts.find(email).totp_secret for email, one in enrolled.items())
    assert enrolled[ANA].public_key == house.link(ANA).public_key


async def test_a_notification_is_listed_for_scripts_with_its_number_and_approved(house, gateway):
    challenge = await gateway.asks()
    [push] = await house.pushes(ANA)
    assert (push["for"], push["place"], push["browser"], push["address"]) == (
        "Takojšnja plačila BIPS",
        "/placila/novo",
        "Firefox, Windows",
        "192.0.2.7",
    )
    assert push["number"] == challenge.number
    assert await gateway.sees(challenge) is Verdict.WAITING
    assert (await house.answers(push)).status == 204
    assert await gateway.sees(challenge) is Verdict.RIGHT
    assert await house.pushes(ANA) == []


async def test_refusing_and_a_wrong_number_end_it(house, gateway):
    challenge = await gateway.asks()
    [push] = await house.pushes(ANA)
    assert (await house.answers(push, "refuse")).status == 204
    assert await gateway.sees(challenge) is Verdict.REFUSED
    challenge = await gateway.asks()
    [push] = await house.pushes(ANA)
    answer = await house.answers(push, number=wrong(push))
    assert (answer.status, answer.json) == (400, {"error": "wrong_number"})
    assert await gateway.sees(challenge) is Verdict.WRONG
    assert (await house.answers(push)).json == {"error": "unknown"}


async def test_a_sign_in_and_a_step_up_can_wait_at_the_same_time(house, gateway):
    await house.asked_to_confirm(Browser())
    challenge = await gateway.asks()
    sign_in, step_up = await house.pushes(ANA)
    assert (await house.answers(step_up)).status == 204
    assert await house.pushes(ANA) == [sign_in]
    assert await gateway.sees(challenge) is Verdict.RIGHT


async def test_two_people_are_asked_on_one_phone_without_being_mixed_up(house, gateway):
    ana, cvetka = await gateway.asks(ANA), await gateway.asks(CVETKA)
    [push] = await house.pushes(CVETKA)
    await house.answers(push)
    assert await gateway.sees(ana) is Verdict.WAITING
    assert await gateway.sees(cvetka, CVETKA) is Verdict.RIGHT


async def test_a_new_notification_takes_the_place_of_the_one_before(house, gateway):
    first = await gateway.asks()
    [push] = await house.pushes(ANA)
    second = await gateway.asks()
    assert (await house.answers(push)).status == 404
    assert await gateway.sees(first) is Verdict.REFUSED
    [push] = await house.pushes(ANA)
    await house.answers(push)
    assert await gateway.sees(second) is Verdict.RIGHT


async def test_two_minutes_without_an_answer_end_it_on_the_phone(house, gateway):
    await gateway.asks()
    house.clock.advance(minutes=2)
    assert await house.pushes(ANA) == []


async def test_what_is_withdrawn_is_not_shown_any_more(house, gateway):
    challenge = await gateway.asks()
    await gateway.method.withdraw(challenge)
    assert await house.pushes(ANA) == []


async def test_the_service_bounds_what_one_phone_is_asked_by_relying_parties_that_do_not(house, gateway):
    body = {
        "device_id": house.link(ANA).device_id,
        "portal": "P",
        "place": "/",
        "browser": "B",
        "address": "A",
        "issued_at": "2026-11-22T10:00:12Z",
        "expires_at": "2026-11-22T10:02:12Z",
        "number": "10",
        "choices": ["10", "11", "12"],
    }
    url = f"{house.provider.url}{ROOT}/pushes"
    statuses = [
        (await house.asks("POST", url, body | {"push_id": f"p{turn}"}, token=SANDBOX_API_KEY)).status
        for turn in range(11)
    ]
    assert statuses == [202] * 10 + [429]
    assert (await house.asks("POST", url, body | {"push_id": "p0"}, token=SANDBOX_API_KEY)).header(
        "retry-after"
    ) == "600"


async def test_a_name_is_used_once(house, gateway):
    challenge = await gateway.asks()
    with pytest.raises(CannotAsk, match="409"):
        await gateway.service.send(replace(notification(house), push_id=challenge.challenge_id))
    await gateway.service.begin_enrolment("e", relying_party="R", account="a", expires_at=house.clock.now)
    with pytest.raises(CannotAsk, match="409"):
        await gateway.service.begin_enrolment("e", relying_party="R", account="a", expires_at=house.clock.now)


def notification(house):
    return Notification(
        push_id="p",
        device_id=house.link(ANA).device_id,
        portal="P",
        place="/",
        browser="B",
        address="A",
        issued_at=house.clock.now,
        expires_at=house.clock.now + timedelta(minutes=2),
        number="10",
        choices=("10", "11", "12"),
    )


@pytest.mark.parametrize("key", [None, "peskovnik", SANDBOX_API_KEY.upper(), "x" * 300])
async def test_without_the_key_nobody_sends_or_asks(house, key):
    for method, path in [
        ("POST", "enrolments"),
        ("GET", "enrolments/e"),
        ("POST", "pushes"),
        ("GET", "pushes/p"),
        ("DELETE", "pushes/p"),
        ("DELETE", "devices/d"),
    ]:
        answer = await house.asks(method, f"{house.provider.url}{ROOT}/{path}", {}, token=key)
        assert answer.status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"choices": ["10", "11"]},
        {"choices": "10"},
        {"choices": [10, 11, 12]},
        {"expires_at": "soon"},
        {"expires_at": "2026-11-22T10:02:12"},
        {"number": 10},
        {"place": "/" * 400},
        {"push_id": None},
    ],
    ids=str,
)
async def test_a_notification_that_is_none_is_refused(house, changed):
    body = {
        "push_id": "p",
        "device_id": house.link(ANA).device_id,
        "portal": "P",
        "place": "/",
        "browser": "B",
        "address": "A",
        "issued_at": "2026-11-22T10:00:12Z",
        "expires_at": "2026-11-22T10:02:12Z",
        "number": "10",
        "choices": ["10", "11", "12"],
    }
    answer = await house.asks(
        "POST", f"{house.provider.url}{ROOT}/pushes", body | changed, token=SANDBOX_API_KEY
    )
    assert answer.status == 400
    assert await house.pushes(ANA) == []


# Enrolling


async def links(house, code, name="Davidov telefon"):
    return await house.asks("POST", f"{house.phone.url}/api/links", {"code": code, "name": name})


async def test_a_phone_is_enrolled_by_its_code_and_answers_from_then_on(house, gateway):
    enrolment_id, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    assert await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now) is None
    answer = await links(house, code)
    assert (answer.status, answer.json) == (
        201,
        {"relying_party": RELYING_PARTY, "account": DAVID, "name": "Davidov telefon"},
    )
    await gateway.enrol(DAVID, await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now))
    challenge = await gateway.asks(DAVID)
    [push] = await house.pushes(DAVID)
    await house.answers(push)
    assert await gateway.sees(challenge, DAVID) is Verdict.RIGHT


async def test_a_code_is_good_once_and_for_ten_minutes_and_however_it_is_typed(house, gateway):
    _, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    house.clock.advance(minutes=9)
    assert (await links(house, f" {code.lower().replace('-', ' ')} ")).status == 201
    assert (await links(house, code)).json == {"error": "wrong_code"}
    enrolment_id, late, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    house.clock.advance(minutes=10)
    assert (await links(house, late)).json == {"error": "wrong_code"}
    with pytest.raises(EnrolmentFailed):
        await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now)


async def test_a_phone_whose_person_mistyped_our_half_is_not_enrolled(house, gateway):
    enrolment_id, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    assert (await links(house, code[:-1] + ("A" if code[-1] != "A" else "B"))).status == 201
    with pytest.raises(EnrolmentFailed):
        await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now)


async def test_whoever_guesses_codes_waits(house, gateway):
    for _ in range(20):
        assert (await links(house, "AAAA-AAAA-AAAA-AAAA")).status == 400
    _, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    assert (await links(house, code)).status == 400
    house.clock.advance(minutes=10)
    _, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    assert (await links(house, code)).status == 201


@pytest.mark.parametrize("body", [{}, {"code": 4}, {"code": "A" * 200}, {"code": "A", "name": "a\nb"}])
async def test_a_link_that_is_none_is_refused(house, body):
    assert (await house.asks("POST", f"{house.phone.url}/api/links", body)).status == 400


async def test_a_phone_that_is_forgotten_at_the_gateway_gets_nothing_more_and_forgets_it_as_well(
    house, gateway
):
    await gateway.asks()
    [seeded] = await gateway.enrolments.of(owner_of(person(ANA)))
    await gateway.enrolling.forget(seeded)
    page = await opened(house, Browser())
    assert "Potrditev čaka" not in page.text
    assert "Anin telefon" not in (await opened(house, Browser())).text
    with pytest.raises(CannotAsk):
        await gateway.asks()


# The phone for people


async def test_a_person_sees_portal_and_place_and_chooses_the_number(house, gateway):
    challenge, browser = await gateway.asks(), Browser()
    page = await browser.follow(await opened(house, browser))  # it opens with what waits
    assert title(page) == "Potrdite z OnePass"
    for words in (
        "Takojšnja plačila BIPS",
        "/placila/novo",
        "Firefox, Windows, 192.0.2.7",
        ANA,
        RELYING_PARTY,
    ):
        assert words in page.text
    page = await pressed(browser, page, "action=approve", action="approve")
    assert "Za potrditev morate izbrati številko" in page.text
    page = await pressed(browser, page, "action=approve", action="approve", number=challenge.number)
    assert "Potrjeno. Vrnite se v brskalnik." in page.text
    assert await gateway.sees(challenge) is Verdict.RIGHT


@pytest.mark.parametrize(
    ("action", "sentence", "verdict"),
    [("refuse", "Zavrnjeno.", Verdict.REFUSED), ("approve", "Številka ni bila prava", Verdict.WRONG)],
)
async def test_a_person_who_refuses_or_chooses_wrongly_approves_nothing(
    house, gateway, action, sentence, verdict
):
    challenge, browser = await gateway.asks(), Browser()
    [push] = await house.pushes(ANA)
    place = f"/links/{house.link(ANA).device_id}/pushes/{push['id']}"
    page = await pressed(
        browser, await opened(house, browser, place), "action=approve", action=action, number=wrong(push)
    )
    assert sentence in page.text
    assert await gateway.sees(challenge) is verdict
    assert (
        "Na to obvestilo ni več mogoče odgovoriti"
        in (await browser.follow(await opened(house, browser, place))).text
    )


async def test_a_person_types_the_code_sees_who_asks_and_links_the_phone(house, gateway):
    enrolment_id, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
    browser = Browser()
    page = await pressed(browser, await opened(house, browser, "/links/new"), "code", code="nonsense")
    assert "Koda ni pravilna" in page.text
    page = await pressed(browser, page, "code", code=code)
    assert title(page) == "Potrdite povezavo"
    assert RELYING_PARTY in page.text
    assert DAVID in page.text
    assert await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now) is None
    page = await pressed(browser, page, "name", name="  Davidov \ttelefon ")
    assert "Telefon je povezan" in page.text
    assert (
        await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now)
    ).label == "Davidov telefon"


async def test_a_person_takes_a_link_away_on_the_phone(house, gateway):
    challenge, browser = await gateway.asks(), Browser()
    page = await opened(house, browser, "/settings")
    [link] = {
        link
        for link in page.links
        if link.endswith("/remove") and f"/links/{house.link(ANA).device_id}" in link
    }
    page = await pressed(browser, await browser.navigate(link), "_csrf")
    assert "Povezava je odstranjena" in page.text
    assert await gateway.sees(challenge) is Verdict.REFUSED
    with pytest.raises(CannotAsk):
        await gateway.asks()


async def test_a_form_that_the_phone_has_not_shown_links_and_answers_nothing(house, gateway):
    challenge, device = await gateway.asks(), house.link(ANA).device_id
    for path in (
        "/links/new",
        "/links",
        f"/links/{device}/remove",
        f"/links/{device}/pushes/{challenge.challenge_id}",
    ):
        answer = await Browser().post(
            f"{house.phone.url}{path}", {"_csrf": "guessed", "action": "approve", "number": challenge.number}
        )
        assert (answer.status, answer.header("location")) == (303, "/?said=form_old")
    assert await gateway.sees(challenge) is Verdict.WAITING


async def test_while_the_service_is_away_the_phone_says_so_and_the_gateway_asks_for_another_method(
    house, gateway
):
    challenge, browser = await gateway.asks(), Browser()
    page = await opened(house, browser, "/links/new")
    await house.provider.stop()
    assert "OnePass ni dosegljiv" in (await pressed(browser, page, "code", code="AAAA-AAAA-AAAA-AAAA")).text
    assert (await links(house, "AAAA-AAAA-AAAA-AAAA")).status == 503
    for _ in range(3):
        with pytest.raises(CannotAsk):
            await gateway.sees(challenge)
    # Waiting is no evidence; that nothing can be sent is.
    assert await gateway.method.offer(person(ANA)) is not None
    for somebody in (ANA, ANA, CVETKA):
        with pytest.raises(CannotAsk):
            await gateway.asks(somebody)
    assert await gateway.method.offer(person(ANA)) is None


# What is kept


async def test_a_restart_keeps_the_keys_of_phones_and_what_the_service_knows_of_them(tmp_path):
    async with running_onepass(tmp_path, linked=True) as house, client_session(None) as session:
        gateway = Gateway(house, session)
        enrolment_id, code, _ = await gateway.enrolling.begin(person(DAVID), now=house.clock.now)
        await links(house, code)
        await gateway.enrol(
            DAVID, await gateway.enrolling.finish(enrolment_id, label="", now=house.clock.now)
        )
        for part in (house.provider, house.phone):
            await part.stop()
            await part.start()
        challenge = await gateway.asks(DAVID)
        await house.answers((await house.pushes(DAVID))[0])
        assert await gateway.sees(challenge, DAVID) is Verdict.RIGHT


async def test_what_the_gateway_is_told_at_a_second_start_are_the_phones_that_were_kept(tmp_path):
    async with running_onepass(tmp_path, linked=True) as house:
        first = {one.email: one.public_key for one in to_be_enrolled(house.accounts, house.linked)}
    async with running_onepass(tmp_path, linked=True) as house:
        kept = house.phone.made()[PHONE].links
        assert {one.email: one.public_key for one in to_be_enrolled(house.accounts, kept)} == first
        assert {link.device_id for link in house.linked}.isdisjoint(link.device_id for link in kept)


async def test_state_files_from_before_there_were_links_are_read(tmp_path):
    async with running_onepass(tmp_path, linked=True):
        pass
    for name, member in (("phone.json", "links"), ("provider.json", "linked_phones")):
        document = json.loads((tmp_path / name).read_text())
        del document[member]
        (tmp_path / name).write_text(json.dumps(document))
    async with running_onepass(tmp_path, linked=True) as house, client_session(None) as session:
        gateway = Gateway(house, session)
        [one] = [one for one in to_be_enrolled(house.accounts, house.linked) if one.email == ANA]
        await gateway.enrol(
            ANA,
            Enrolment(
                enrolment_id="e",
                method="push",
                label="",
                enrolled_at=house.clock.now,
                secret=one.public_key,
                device_id=one.device_id,
            ),
        )
        challenge = await gateway.asks()
        await house.answers((await house.pushes(ANA))[0])
        assert await gateway.sees(challenge) is Verdict.RIGHT


async def test_neither_key_nor_token_of_a_phone_is_with_the_service_or_printed(tmp_path):
    async with running_onepass(tmp_path, linked=True) as house:
        link = house.link(ANA)
        written = (tmp_path / "provider.json").read_text()
        key = re.sub(r"-----.*?-----|\n", "", link.private_key)
        for secret in (link.device_token, key):
            assert secret not in written
            assert secret not in repr(link)
        assert link.device_id in written
        assert (tmp_path / "phone.json").stat().st_mode & 0o777 == 0o600
