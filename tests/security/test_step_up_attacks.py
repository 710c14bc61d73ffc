"""What attackers try at fresh proofs, at two instances on one store: guessing, racing, carrying a proof
elsewhere, tiring people out.

Rows of public advisories that are repeated here: LemonLDAP::NG #2803 and CVE-2024-52946, Pocket ID
GHSA-hp74-gm6m-2qm5.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import redis

from tests.support.gateway import ANA, CVETKA, DAVID, TICKET
from tests.support.http_client import Browser
from tests.support.nginx import recording_portal
from tests.support.redis_server import FaultProxy, RedisServer, fault_proxy
from tests.support.step_up import (
    DEMANDING,
    PLACE,
    STEP_UP,
    House,
    answered,
    asked,
    begun,
    challenge_of,
    offered,
    open_step_up_house,
    sent,
    stepped_up,
    wrong,
)

pytestmark = pytest.mark.needs("redis-server")
ROUTE = "acq/prejeto"
TRIES = 5


@pytest.fixture(scope="module")
def store():
    with RedisServer() as running:
        yield running


@dataclass
class Two:
    """A house with two instances. `ports` are those of one after the other: None is the first one's own."""

    house: House
    other: int
    line: FaultProxy
    """Between the instances and the store."""

    @property
    def ports(self):
        return None, self.other

    @property
    def url(self):
        return self.house.acq + STEP_UP

    def judged(self):
        """Wrong answers that were compared with anything."""
        return len(
            [event for event in self.house.events("challenge.refused") if event["reason"] == "code_wrong"]
        )

    async def fires(self, person, challenge_id, codes, *, address="192.0.2.{}"):
        """All codes at one moment, by turns at both instances, each from an address of its own."""
        return await self.at_one_moment(
            [
                sent(
                    person,
                    self.url,
                    {"c": challenge_id, "code": code},
                    port=self.ports[turn % 2],
                    address=address.format(turn + 1),
                )
                for turn, code in enumerate(codes)
            ]
        )

    async def at_one_moment(self, requests):
        """With a store so far away that they all wait for it together: otherwise one is over before the next
        has been read."""
        with self.line.far_away(0.05):
            return await asyncio.gather(*requests)

    async def place_opens(self, person, *, place=PLACE):
        """What each instance says to a script that wants the place."""
        url = self.house.acq + place
        return [
            (await person.browser.request("GET", url, headers={"Sec-Fetch-Mode": "cors"}, port=port)).status
            for port in self.ports
        ]


@pytest.fixture
def settings():
    return {}


@pytest.fixture
async def two(store, settings):
    store.command("FLUSHALL")
    async with (
        fault_proxy(store.port) as line,
        open_step_up_house(line.url, step_up=settings) as house,
        house.second_gateway() as port,
    ):
        yield Two(house, port, line)


# Guessing.


async def test_codes_fired_from_a_hundred_addresses_at_once_are_judged_as_often_as_one_may_try(two):
    ana = await two.house.signed_in()
    challenge_id = challenge_of(await begun(ana, two.house.acq + PLACE, "sms"))
    code = await two.house.code_sent()
    answers = await two.fires(ana, challenge_id, wrong(code, 100))
    assert two.judged() == TRIES
    assert {answer.status for answer in answers} <= {303, 403, 429}
    assert not any(map(stepped_up, answers))
    for port in two.ports:
        late = await sent(ana, two.url, {"c": challenge_id, "code": code}, port=port, address="198.51.100.7")
        assert (late.status in {403, 429}, stepped_up(late)) == (True, False)
    assert await two.place_opens(ana) == [401, 401]
    assert len(two.house.events("challenge.exhausted")) == 1


@pytest.mark.parametrize("settings", [{"codes": {"tries": 2}}])
async def test_a_challenge_takes_no_more_answers_at_one_moment_than_it_has_tries(two):
    ana = await two.house.signed_in()
    challenge_id = challenge_of(await begun(ana, two.house.acq + PLACE, "totp"))
    code = two.house.app_code()
    await two.fires(ana, challenge_id, wrong(code, 30))
    assert (two.judged(), len(two.house.events("challenge.exhausted"))) == (2, 1)
    assert not stepped_up(await sent(ana, two.url, {"c": challenge_id, "code": code}))


async def test_more_challenges_and_more_sessions_of_a_person_bring_no_more_tries(two):
    people = [await two.house.signed_in() for _ in range(3)]
    challenges = [challenge_of(await begun(person, two.house.acq + PLACE, "totp")) for person in people]
    codes = wrong(two.house.app_code(), 90)
    salvos = [
        two.fires(person, challenge_id, codes[at * 30 : at * 30 + 30], address=f"192.0.{at}.{{}}")
        for at, (person, challenge_id) in enumerate(zip(people, challenges, strict=True))
    ]
    await two.at_one_moment(salvos)
    assert two.judged() <= TRIES
    for person, challenge_id in zip(people, challenges, strict=True):
        late = await sent(
            person, two.url, {"c": challenge_id, "code": two.house.app_code()}, address="198.51.100.7"
        )
        assert not stepped_up(late)
        assert (await asked(person, two.house.acq + PLACE)).status == 429
    newcomer = await two.house.signed_in()
    assert (await asked(newcomer, two.house.acq + PLACE)).status == 429


async def test_a_new_challenge_after_each_wrong_answer_brings_no_more_tries(two):
    ana = await two.house.signed_in()
    for turn in range(TRIES + 3):
        answer = await sent(ana, two.url, {"method": "totp", "rt": f"/prejeto?{turn}", "for": ROUTE})
        found = re.search(r"[?&]c=([A-Za-z0-9_-]+)", answer.location) if answer.status == 303 else None
        if found:
            await sent(
                ana,
                two.url,
                {"c": found[1], "code": "000000"},
                port=two.ports[turn % 2],
                address=f"192.0.2.{turn + 1}",
            )
    assert two.judged() <= TRIES
    assert (await asked(ana, two.house.acq + PLACE)).status == 429


@pytest.mark.parametrize("settings", [{"blocks": {"after": 5, "after_from_address": 6}}])
async def test_one_address_that_tries_many_people_is_blocked_and_they_are_not(two):
    ana, cvetka, david = [await two.house.signed_in(email) for email in (ANA, CVETKA, DAVID)]
    challenges = [
        challenge_of(await begun(person, two.house.acq + PLACE, "totp")) for person in (ana, cvetka)
    ]
    code = two.house.app_code()
    for person, challenge_id in zip((ana, cvetka), challenges, strict=True):
        for turn, guess in enumerate(wrong(code, 3)):
            await sent(
                person,
                two.url,
                {"c": challenge_id, "code": guess},
                port=two.ports[turn % 2],
                address="203.0.113.9",
            )
    for port in two.ports:
        blocked = await sent(
            david, two.url, {"method": "sms", "rt": PLACE, "for": ROUTE}, port=port, address="203.0.113.9"
        )
        assert (blocked.status, await two.house.messages(DAVID)) == (429, [])
    right = await sent(
        ana, two.url, {"c": challenges[0], "code": code}, port=two.other, address="203.0.113.10"
    )
    assert stepped_up(right)


async def test_an_invented_address_in_a_header_does_not_count_as_another_address(store):
    store.command("FLUSHALL")
    trusts_nobody = {"AUTHPROXY__SERVER__TRUSTED_PROXIES": "[]"}
    blocks = {"blocks": {"after": 5, "after_from_address": 6}}
    async with open_step_up_house(store.socket_url, step_up=blocks, environment=trusts_nobody) as house:
        for email in (ANA, CVETKA):
            person = await house.signed_in(email)
            challenge_id = challenge_of(await begun(person, house.acq + PLACE, "totp"))
            for turn, guess in enumerate(wrong(house.app_code(email), 3)):
                await sent(
                    person, house.acq + STEP_UP, {"c": challenge_id, "code": guess}, address=f"192.0.2.{turn}"
                )
        david = await house.signed_in(DAVID)
        blocked = await sent(
            david, house.acq + STEP_UP, {"method": "sms", "rt": PLACE, "for": ROUTE}, address="192.0.2.99"
        )
        assert (blocked.status, await house.messages(DAVID)) == (429, [])


@pytest.mark.parametrize("settings", [{"blocks": {"after": 2, "lasts": "5m", "at_most": "20m"}}])
async def test_a_block_grows_and_ends_by_itself_and_none_is_permanent(two):
    house, waited = two.house, []
    ana = await house.signed_in()
    for _ in range(4):
        challenge_id = challenge_of(await begun(ana, house.acq + PLACE, "totp"))
        for turn, guess in enumerate(wrong(house.app_code(), 2)):
            await sent(ana, two.url, {"c": challenge_id, "code": guess}, port=two.ports[turn])
        waited.append(int((await asked(ana, house.acq + PLACE)).header("retry-after")))
        house.advance(seconds=waited[-1] - 30)
        assert (await asked(ana, house.acq + PLACE)).status == 429
        house.advance(seconds=31)
    assert waited == [300, 600, 1200, 1200]
    page = await begun(ana, house.acq + PLACE, "totp")
    assert stepped_up(await answered(ana, page, house.app_code()))
    house.advance(minutes=6)
    challenge_id = challenge_of(await begun(ana, house.acq + PLACE, "totp"))
    for guess in wrong(house.app_code(), 2):
        await sent(ana, two.url, {"c": challenge_id, "code": guess})
    assert (await asked(ana, house.acq + PLACE)).header("retry-after") == "300"


# What an answer tells.


def told(answer):
    """An answer without what is different each time."""
    text = re.sub(r"[a-z_]+-[0-9a-f]{16}", "CODE", answer.text)
    return (
        answer.status,
        tuple(sorted(name for name, _ in answer.headers)),
        re.sub(r"[0-9a-f]{16}", "ID", text),
    )


@pytest.mark.parametrize("is_script", [False, True])
async def test_a_challenge_that_is_used_over_somebody_elses_or_invented_gets_the_same_answer(two, is_script):
    house = two.house
    ana, cvetka, again = await house.signed_in(), await house.signed_in(CVETKA), await house.signed_in()
    over = challenge_of(await begun(ana, house.acq + PLACE, "sms"))
    code = await house.code_sent()
    house.advance(minutes=5, seconds=1)
    used_page = await begun(ana, house.acq + PLACE, "totp")
    await answered(ana, used_page, house.app_code())
    house.advance(seconds=30)
    theirs = challenge_of(await begun(cvetka, house.acq + PLACE, "totp"))
    other_session = challenge_of(await begun(again, house.acq + PLACE, "totp"))
    place = {"rt": PLACE, "for": ROUTE}
    answers = [
        await sent(ana, two.url, {"c": challenge_id, "code": typed} | place, port=port, is_script=is_script)
        for challenge_id, typed in (
            (over, code),
            (challenge_of(used_page), house.app_code(steps=-1)),
            (theirs, house.app_code(CVETKA)),
            (other_session, house.app_code()),
            ("A" * 22, "123456"),
            ("x", "1"),
            ("", ""),
            ("č" * 300, "\0"),
        )
        for port in two.ports
    ]
    assert {answer.status for answer in answers} == {403}
    assert len(set(map(told, answers))) == 1
    assert stepped_up(await sent(again, two.url, {"c": other_session, "code": house.app_code()}))


async def test_every_wrong_answer_gets_the_same_text(two):
    house = two.house
    ana = await house.signed_in()
    spent = house.app_code()
    await answered(ana, await begun(ana, house.acq + PLACE, "totp"), spent)
    house.advance(minutes=6)
    old, told_so = house.app_code(steps=-12), set()
    page = await begun(ana, house.acq + PLACE, "totp")
    for turn, typed in enumerate((wrong(house.app_code())[0], spent, old, "")):
        answer = await sent(
            ana,
            two.url,
            {"c": challenge_of(page), "code": typed, "rt": PLACE, "for": ROUTE},
            port=two.ports[turn % 2],
        )
        told_so.add(
            (
                answer.status,
                answer.location,
                tuple(sorted(name for name, _ in answer.headers)),
                len(answer.body),
            )
        )
    assert len(told_so) == 1
    assert two.judged() == 4


# Races.


async def test_a_code_of_one_step_at_two_instances_at_one_moment_counts_once(two):
    first, second = await two.house.signed_in(), await two.house.signed_in()
    challenges = [
        challenge_of(await begun(person, two.house.acq + PLACE, "totp")) for person in (first, second)
    ]
    code = two.house.app_code()
    answers = await two.at_one_moment(
        sent(person, two.url, {"c": challenge_id, "code": code}, port=port)
        for person, challenge_id, port in zip((first, second), challenges, two.ports, strict=True)
    )
    assert sorted(map(stepped_up, answers)) == [False, True]


async def test_a_code_from_paper_at_two_instances_at_one_moment_counts_once(two):
    house = two.house
    first, second = await house.signed_in(), await house.signed_in()
    codes = await house.sheet()
    challenges = [
        challenge_of(await begun(person, house.acq + PLACE, "recovery")) for person in (first, second)
    ]
    answers = await two.at_one_moment(
        sent(person, two.url, {"c": challenge_id, "code": codes[0]}, port=port)
        for person, challenge_id, port in zip((first, second), challenges, two.ports, strict=True)
    )
    assert sorted(map(stepped_up, answers)) == [False, True]


@pytest.mark.parametrize("method", ["sms", "totp"])
async def test_fifty_right_answers_at_one_moment_bring_one_proof_and_block_nobody(two, method):
    house = two.house
    ana = await house.signed_in()
    before = ana.ticket(house.acq)
    page = await begun(ana, house.acq + PLACE, method)
    code = await house.code_sent() if method == "sms" else house.app_code()
    answers = await two.fires(ana, challenge_of(page), [code] * 50, address="192.0.2.1")
    assert sum(map(stepped_up, answers)) == 1
    assert len(house.events("challenge.approved")) == 1
    # Those that came too late came with a ticket that had been exchanged already, or with a challenge that
    # was over.
    assert {answer.status for answer in answers} <= {303, 403, 429}
    assert ana.ticket(house.acq) != before
    assert await two.place_opens(ana) == [200, 200]
    house.advance(minutes=6)
    begins = await sent(ana, two.url, {"method": "totp", "rt": PLACE, "for": ROUTE}, address="192.0.2.1")
    assert begins.status == 303
    challenge_id = re.search(r"[?&]c=([A-Za-z0-9_-]+)", begins.location)[1]
    assert stepped_up(
        await sent(ana, two.url, {"c": challenge_id, "code": house.app_code()}, address="192.0.2.1")
    )


async def test_the_phone_and_many_looks_at_one_moment_bring_one_proof(two):
    house = two.house
    ana = await house.signed_in()
    page = await begun(ana, house.acq + PLACE, "push")

    async def looks(turn):
        answers = []
        for _ in range(5):
            answers.append(await sent(ana, two.url, {"c": challenge_of(page)}, port=two.ports[turn % 2]))
        return answers

    [_, *looked] = await two.at_one_moment([house.answers_push(), *map(looks, range(6))])
    answers = [answer for each in looked for answer in each]
    if not any(map(stepped_up, answers)):
        answers.append(await sent(ana, two.url, {"c": challenge_of(page)}))
    assert (sum(map(stepped_up, answers)), len(house.events("challenge.approved"))) == (1, 1)
    assert await two.place_opens(ana) == [200, 200]


async def test_after_another_message_the_earlier_code_does_not_work_at_the_other_instance_either(two):
    house = two.house
    ana = await house.signed_in()
    first_id = challenge_of(await begun(ana, house.acq + PLACE, "sms"))
    first = await house.code_sent()
    house.advance(seconds=61)
    again = await sent(ana, two.url, {"c": first_id, "again": "yes"})
    second_id = re.search(r"[?&]c=([A-Za-z0-9_-]+)", again.location)[1]
    second = await house.code_sent()
    for challenge_id, code in ((first_id, first), (first_id, second), (second_id, first)):
        if (challenge_id, code) != (second_id, second):
            assert not stepped_up(await sent(ana, two.url, {"c": challenge_id, "code": code}, port=two.other))
    assert stepped_up(await sent(ana, two.url, {"c": second_id, "code": second}, port=two.other))


async def test_two_instances_that_are_asked_at_one_moment_send_one_message(two):
    ana = await two.house.signed_in()
    people = [ana, await two.house.signed_in(), await two.house.signed_in()]
    asking = {"method": "sms", "rt": PLACE, "for": ROUTE}
    answers = await two.at_one_moment(
        sent(person, two.url, asking, port=port, address=f"192.0.2.{turn}")
        for turn, person in enumerate(people)
        for port in two.ports
    )
    assert len(await two.house.messages()) == 1
    assert sum(answer.status == 303 for answer in answers) >= 1
    assert {answer.status for answer in answers} <= {303, 429}


# Tiring people out.


async def test_a_person_is_notified_three_times_in_ten_minutes_whichever_instance_and_session_asks(two):
    house = two.house
    people = [await house.signed_in() for _ in range(2)]
    asking = {"method": "push", "rt": PLACE, "for": ROUTE}
    for turn in range(3):
        # Each in the place of the one before: a phone never has two to choose from.
        answer = await sent(
            people[turn % 2], two.url, asking | {"rt": f"/prejeto?{turn}"}, port=two.ports[turn % 2]
        )
        assert (answer.status, len(await house.pushes())) == (303, 1)
        house.advance(seconds=30)
    for port in two.ports:
        fourth = await sent(
            people[0], two.url, asking | {"rt": "/prejeto?4"}, port=port, address="192.0.2.77"
        )
        assert (fourth.status, int(fourth.header("retry-after")) > 60) == (429, True)
    house.advance(minutes=9)
    assert (await sent(people[0], two.url, asking, port=two.other)).status == 303


# Carrying a proof, or a code, elsewhere.


async def test_a_code_answers_nothing_but_its_own_challenge_in_its_own_session(two):
    house = two.house
    ana, again, cvetka = await house.signed_in(), await house.signed_in(), await house.signed_in(CVETKA)
    page = await begun(ana, house.acq + PLACE, "sms")
    mine, code = challenge_of(page), await house.code_sent()
    other = challenge_of(await begun(ana, house.acq + PLACE, "totp"))
    carried = [
        (ana, other, code),
        (again, mine, code),
        (cvetka, mine, code),
        (again, challenge_of(await begun(again, house.acq + PLACE, "totp")), code),
        (cvetka, challenge_of(await begun(cvetka, house.acq + PLACE, "totp")), house.app_code()),
    ]
    for person, challenge_id, typed in carried:
        assert not stepped_up(await sent(person, two.url, {"c": challenge_id, "code": typed}, port=two.other))
    assert stepped_up(await sent(ana, two.url, {"c": mine, "code": code}, port=two.other))


async def test_a_challenge_of_one_portal_does_not_work_at_another(two):
    house = two.house
    ana = await house.signed_in()
    await ana.signs_in(house.b2b + "/")
    mine = challenge_of(await begun(ana, house.acq + PLACE, "totp"))
    there = house.b2b + STEP_UP
    refused = await sent(ana, there, {"c": mine, "code": house.app_code()})
    assert (refused.status, stepped_up(refused)) == (403, False)
    # Nor by the ticket of the one in the place of the other's.
    stranger = Browser()
    stranger.cookies.put(house.b2b, TICKET, ana.ticket(house.acq))
    thief = house.person(browser=stranger)
    assert not stepped_up(await sent(thief, there, {"c": mine, "code": house.app_code()}))
    assert stepped_up(await sent(ana, two.url, {"c": mine, "code": house.app_code()}))
    assert [
        proof["method"] for proof in (await ana.browser.fetch(f"{house.b2b}/api/jaz")).json["step_up"]
    ] == ["rekono"]


async def test_a_proof_in_one_session_helps_no_other_of_the_same_person(two):
    house = two.house
    ana, again = await house.signed_in(), await house.signed_in()
    await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code())
    assert (await two.place_opens(ana), await two.place_opens(again)) == ([200, 200], [401, 401])
    house.advance(minutes=6)
    await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code())
    for port in two.ports:
        refused = await sent(
            again, f"{house.acq}/.authproxy/session/methods", {"method": "push", "label": ""}, port=port
        )
        assert f"{STEP_UP}?" in refused.location


async def test_the_old_ticket_opens_nothing_at_any_instance_and_a_planted_one_is_never_used(two):
    house = two.house
    browser = Browser()
    browser.cookies.put(house.acq, TICKET, "A" * 86)
    ana = await house.signed_in(browser=browser)
    stolen = ana.ticket(house.acq)
    assert await two.place_opens(ana, place="/api/jaz") == [200, 200]  # both know the session now
    assert stepped_up(await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code()))
    assert ana.ticket(house.acq) not in {stolen, "A" * 86}
    thief = house.person()
    thief.browser.cookies.put(house.acq, TICKET, stolen)

    async def opens_nothing():
        return await two.place_opens(thief, place="/api/jaz") == [401, 401]

    await house.at_once(opens_nothing)
    assert await two.place_opens(thief) == [401, 401]
    assert not stepped_up(await sent(thief, two.url, {"method": "totp", "rt": PLACE, "for": ROUTE}))
    assert await two.place_opens(ana) == [200, 200]


async def test_ten_proofs_raise_no_level_and_move_no_end(two):
    house = two.house
    ana = await house.signed_in()

    async def session():
        return (await ana.browser.fetch(f"{house.acq}/.authproxy/session")).json

    before = await session()
    for turn in range(10):
        house.advance(minutes=5, seconds=30)
        begins = await sent(
            ana, two.url, {"method": "totp", "rt": PLACE, "for": ROUTE}, port=two.ports[turn % 2]
        )
        challenge_id = re.search(r"[?&]c=([A-Za-z0-9_-]+)", begins.location)[1]
        assert stepped_up(
            await sent(
                ana, two.url, {"c": challenge_id, "code": house.app_code()}, port=two.ports[(turn + 1) % 2]
            )
        )
    after = await session()
    names = ("level", "method", "subject", "started_at", "expires_at")
    assert [after[name] for name in names] == [before[name] for name in names]
    assert [proof["method"] for proof in after["step_up"]] == ["rekono", "totp"]


async def test_a_fresh_proof_by_a_weaker_method_is_not_enough_where_another_is_demanded(two):
    house = two.house
    ana = await house.signed_in()
    # The address says which route demands it: whoever changes that proves something that the place does not
    # ask for.
    begins = await sent(ana, two.url, {"method": "sms", "rt": "/piskotek", "for": ROUTE})
    challenge_id = re.search(r"[?&]c=([A-Za-z0-9_-]+)", begins.location)[1]
    answer = await sent(ana, two.url, {"c": challenge_id, "code": await house.code_sent()}, port=two.other)
    assert stepped_up(answer)
    assert (answer.location, await two.place_opens(ana, place="/piskotek")) == (
        f"{house.acq}/piskotek",
        [401, 401],
    )
    assert offered(await asked(ana, f"{house.acq}/piskotek")) == {"push"}


async def test_methods_that_a_route_does_not_accept_cannot_be_begun_for_it(two):
    ana = await two.house.signed_in()
    for method in (
        "sms",
        "totp",
        "rekono",
        "certificate",
        "recovery",
        "SMS",
        "sms\0",
        "",
        "../push",
        "x" * 5000,
    ):
        refused = await sent(
            ana, two.url, {"method": method, "rt": "/piskotek", "for": "acq/piskotek"}, port=two.other
        )
        assert refused.status == 403, method
    assert await two.house.messages() == []
    assert two.house.events("challenge.issued") == []


# What is in addresses and forms.


HOSTILE = (
    "javascript:alert(1)",
    "//evil.example/",
    "/\\evil.example",
    "https://evil.example/",
    '"><script>alert(1)</script>',
    "/x\r\nSet-Cookie: a=b",
    "/" + "a" * 10_000,
    "",
    "/\0",
    "/../../etc",
    "/%0d%0aX: y",
    "{{7*7}}",
    "/\udcff",
)


@pytest.mark.parametrize("name", ["rt", "for", "held", "c", "said", "lost", "calm"])
async def test_no_address_leads_elsewhere_or_becomes_markup(two, name):
    ana = await two.house.signed_in()
    elsewhere = {
        link for link in (await asked(ana, two.house.acq + PLACE)).links if not link.startswith(two.house.acq)
    }  # Rekono's pages of help
    for value in HOSTILE:
        query = urlencode(
            {"rt": PLACE, "for": ROUTE, "held": "A" * 43} | {name: value}, errors="surrogateescape"
        )
        answers = [await ana.opens(f"{two.url}{below}?{query}") for below in ("", "/status", "/send")]
        answers.append(await sent_raw(ana, two.url, query + "&method=totp"))
        answers.append(await sent_raw(ana, two.url + "/discard", query))
        for answer in answers:
            assert answer.status < 500, (answer.url, answer.text)
            assert "<script>alert" not in answer.text
            assert (
                answer.all("x") + [cookie for cookie in answer.all("set-cookie") if cookie.startswith("a=")]
                == []
            )
            targets = [*answer.links, *(form.action for form in answer.forms), *answer.all("location")]
            # An anchor within the page keeps whatever address the page was asked at.
            strange = {target for target in targets if target.partition("#")[0] != answer.url} - elsewhere
            assert [target for target in strange if not is_ours(target, two.house.acq)] == []


def is_ours(target, origin):
    """Whether a link stays at the portal, and so does the place that it goes on to."""
    parts = urlsplit(target)
    place = parse_qs(parts.query).get("rt", ["/"])[0]
    return target.startswith(f"{origin}/") and place.startswith("/") and not place.startswith(("//", "/\\"))


async def sent_raw(person, url, body):
    headers = {
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate",
        "Accept": "text/html",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return await person.browser.request("POST", url, headers=headers, body=body.encode("ascii"))


async def test_a_form_with_a_field_twice_is_unreadable_and_costs_no_try(two):
    ana = await two.house.signed_in()
    challenge_id = challenge_of(await begun(ana, two.house.acq + PLACE, "totp"))
    code = two.house.app_code()
    for fields in (
        [("c", challenge_id), ("code", code), ("code", "000000")],
        [("c", challenge_id), ("c", "x"), ("code", code)],
        [("method", "sms"), ("method", "totp")],
        [("c", challenge_id), ("code", code), *[(f"f{at}", "") for at in range(30)]],
    ):
        answer = await sent(ana, two.url, fields)
        assert (answer.status, stepped_up(answer)) == (400, False)
    twice = await ana.opens(f"{two.url}?rt=/prejeto&rt=//evil.example&for={ROUTE}&for=x&c={challenge_id}&c=x")
    assert twice.status < 500
    assert "evil.example" not in twice.text
    assert two.judged() == 0
    assert stepped_up(await sent(ana, two.url, {"c": challenge_id, "code": code}))


OF_GATEWAYS = re.compile(rb"authproxy:\{store\}:|authproxy:\{\w+\}:taker$")


def contents(store):
    """Every key with its value and without its time, but for what gateways write for themselves once a
    second."""
    with redis.Redis.from_url(store.socket_url) as connection:
        keys = [key for key in connection.scan_iter(count=1000) if not OF_GATEWAYS.match(key)]
        return {key: connection.dump(key) for key in keys}


async def settled(store):
    """The same, once what requests leave for later has been done."""
    found = contents(store)
    while found != (found := contents(store)):
        await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_looking_changes_nothing(two, store, method):
    house = two.house
    ana = await house.signed_in()
    held = await ana.browser.request(
        "POST",
        f"{house.acq}/vnos",
        headers={
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "navigate",
            "Accept": "text/html",
            "Origin": house.acq,
            "Content-Type": "application/x-www-form-urlencoded",
        },
        body=b"znesek=100",
    )
    name = held.location.partition("&held=")[2]
    pages = [await begun(ana, house.acq + PLACE, way) for way in ("sms", "push", "totp")]
    await house.answers_push()
    before, sent_before = await settled(store), await house.messages()
    place = f"rt={quote(PLACE)}&for={quote(ROUTE)}"
    for path in (
        f"?{place}",
        f"?{place}&held={name}",
        f"?{place}&lost=yes",
        f"?{place}&method=sms",
        f"/send?held={name}",
        f"/discard?held={name}",
        *(f"?c={challenge_of(page)}&{place}&code=123456&again=yes" for page in pages),
        *(f"/status?c={challenge_of(page)}" for page in pages),
    ):
        for port in two.ports:
            answer = await ana.browser.request(
                method,
                two.url + path,
                headers={"Sec-Fetch-Mode": "navigate", "Accept": "text/html"},
                port=port,
            )
            assert answer.status < 500
            assert answer.all("set-cookie") == []
    for path in ("", "/methods", "/methods/finish", "/methods/remove?id=x"):
        await ana.browser.request(
            method,
            f"{house.acq}/.authproxy/session{path}",
            headers={"Sec-Fetch-Mode": "navigate", "Accept": "text/html"},
        )
    assert await settled(store) == before
    assert await house.messages() == sent_before


ELSEWHERE = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "another subdomain": {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost"},
    "no fetch metadata": {"Origin": "https://evil.example"},
    "opaque without metadata": {"Origin": "null"},
}


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE.keys())
async def test_a_form_of_another_site_asks_answers_and_sends_nothing(two, store, headers):
    house = two.house
    ana = await house.signed_in()
    challenge_id = challenge_of(await begun(ana, house.acq + PLACE, "totp"))
    before = await settled(store)
    content = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "text/html",
        "Sec-Fetch-Mode": "navigate",
    } | headers
    for url, fields in (
        (two.url, {"method": "sms", "rt": PLACE, "for": ROUTE}),
        (two.url, {"c": challenge_id, "code": house.app_code()}),
        (two.url, {"c": challenge_id, "again": "yes"}),
        (f"{two.url}/discard", {"held": "A" * 43}),
        (f"{house.acq}/.authproxy/session/methods", {"method": "recovery"}),
        (f"{house.acq}/.authproxy/session/methods/remove", {"id": "onepass-codes-ana.novak"}),
    ):
        refused = await ana.browser.post(url, fields, headers=content)
        assert (refused.status, refused.all("set-cookie")) == (403, [])
    assert await settled(store) == before
    assert await house.messages() == []


# Clocks.


@pytest.mark.parametrize("minutes", [2, -2])
async def test_instances_whose_clocks_are_two_minutes_apart_judge_alike(store, minutes):
    store.command("FLUSHALL")
    ahead = timedelta(minutes=minutes)
    async with contextlib.AsyncExitStack() as resources:
        # A portal that reads no assertions: to one with a clock of its own those of an instance two minutes
        # off are of another time.
        portal = await resources.enter_async_context(recording_portal())
        acq = DEMANDING | {"upstream": f"http://127.0.0.1:{portal.port}"}
        line = await resources.enter_async_context(fault_proxy(store.port))
        house = await resources.enter_async_context(open_step_up_house(line.url, acq=acq))
        port = await resources.enter_async_context(house.second_gateway(clock=lambda: house.clock() + ahead))
        two = Two(house, port, line)
        ana = await house.signed_in()
        challenge_id = challenge_of(await begun(ana, house.acq + PLACE, "sms"))
        assert stepped_up(
            await sent(ana, two.url, {"c": challenge_id, "code": await house.code_sent()}, port=port)
        )
        assert await two.place_opens(ana) == [200, 200]
        house.advance(minutes=7, seconds=10)
        assert await two.place_opens(ana) == [401, 401]

        page = await begun(ana, house.acq + PLACE, "sms")
        for guess in wrong(await house.code_sent(), 5):
            await sent(ana, two.url, {"c": challenge_of(page), "code": guess}, port=port)
        blocked = await sent(ana, two.url, {"c": challenge_of(page), "code": await house.code_sent()})
        assert (blocked.status in {403, 429}, stepped_up(blocked)) == (True, False)
        house.advance(minutes=17, seconds=10)
        page = await begun(ana, house.acq + PLACE, "totp")
        assert stepped_up(await answered(ana, page, house.app_code()))
        assert await two.place_opens(ana) == [200, 200]
