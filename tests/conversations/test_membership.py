"""The register of people at work: who comes in by it, as whom, and how fast an operator's word counts
everywhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import websockets

from authproxy.access.decision import Reason
from authproxy.bootstrap.audited_register import audited_register
from authproxy.identity.member import Account, PortalRole
from authproxy.identity.person import MemberId, TaxNumber
from authproxy.identity.register import ListedPerson
from authproxy.storage.redis import keys as keyspace
from tests.support.gateway import ANA, BOR, CVETKA, DAVID, TICKET
from tests.support.http_client import Browser
from tests.support.waiting import PATIENCE, until

MEMBERS_ONLY = {"AUTHPROXY__PORTALS__ACQ__MEMBERS": "register"}
ENTERED = ListedPerson(
    member_id=MemberId("e-1"), name="Ana Novak", tax_number=TaxNumber("99990008"), portals=("acq",)
)
CVETKA_ENTERED = replace(
    ENTERED,
    member_id=MemberId("e-2"),
    name="Cvetka Zupan",
    tax_number=TaxNumber("99990016"),
    portals=("b2b",),
)


async def entered(house, *listed, replaces=False):
    async with audited_register(house.settings) as register:
        return await register.take_over(listed, replaces=replaces)


async def on_register(house, work):
    async with audited_register(house.settings) as register:
        return await work(register)


async def is_open(person, portal, *, port=None):
    return (await person.browser.navigate(f"{portal}/api/jaz", port=port)).status == 200


async def is_shut(person, portal, *, port=None):
    return not await is_open(person, portal, port=port)


async def told(house, *names):
    """The events once there are as many as names. An operator's act reaches the trail when a gateway takes it
    over from the store."""

    async def are_there():
        return len(house.events(*names)) >= len(names)

    await until(are_there)
    return house.events(*names)


async def test_a_portal_for_members_admits_whom_the_register_names_and_nobody_else(houses):
    async with houses(environment=MEMBERS_ONLY) as house:
        ready = (await Browser().fetch(f"{house.management}/readyz")).json["checks"]["store"]
        assert (
            ready["status"],
            "no register of people, so that nobody may enter acq" in ready["detail"],
        ) == ("warning", True)
        await entered(house, ENTERED, CVETKA_ENTERED)
        ana, cvetka = house.person(ANA), house.person(CVETKA)
        assert (await ana.signs_in(f"{house.acq}/")).status == 200
        assert await is_open(ana, house.acq)
        refused = await cvetka.signs_in(f"{house.acq}/")
        assert (refused.status, cvetka.ticket(house.acq)) == (403, None)
        assert "not_a_member-" in refused.text
        assert "register" not in refused.text.lower()
        assert (await cvetka.signs_in(f"{house.b2b}/")).status == 200


async def test_roles_reach_their_portal_and_whoever_loses_one_is_signed_out(house):
    roles = (PortalRole("b2b", "clerk"), PortalRole("acq", "approver"), PortalRole("*", "auditor"))
    await entered(house, replace(ENTERED, portals=("acq", "b2b"), roles=roles))
    ana = house.person()
    for portal, expected in ((house.acq, ["approver", "auditor"]), (house.b2b, ["auditor", "clerk"])):
        await ana.signs_in(f"{portal}/")
        forged = [
            (name, "chief") for name in ("X-Auth-Roles", "x_auth_roles", "X-Auth-Groups", "Remote-Groups")
        ]
        received = (await ana.browser.fetch(f"{portal}/api/received", headers=forged)).json
        lines = [value for name, value in received["headers"] if name.lower() == "x-auth-roles"]
        assert lines == [",".join(expected)]
        assert received["assertion"]["claims"]["roles"] == expected
        assert "chief" not in str(received)
    await on_register(
        house, lambda register: register.change_roles("e-1", removed=[PortalRole("b2b", "clerk")])
    )
    await until(lambda: is_shut(ana, house.b2b))
    await ana.signs_in(f"{house.b2b}/")
    assert (await ana.browser.fetch(f"{house.b2b}/api/jaz")).status == 200


async def test_at_level_10_nobody_is_linked_and_the_page_says_what_is_missing(houses):
    environment = MEMBERS_ONLY | {"AUTHPROXY__PORTALS__ACQ__REQUIRED_CLAIMS": "name"}
    async with houses(environment=environment) as house:
        await entered(
            house, ENTERED, replace(ENTERED, member_id=MemberId("e-3"), tax_number=TaxNumber("99990024"))
        )
        david, bor = (
            await house.person(DAVID).signs_in(f"{house.acq}/"),
            await house.person(BOR).signs_in(f"{house.acq}/"),
        )
        for page in (david, bor):
            assert page.status == 403
            assert "level_too_low-" in page.text
        [first, _] = house.events("sign_in.refused")
        assert "activation code" in first["detail"]


async def test_the_portal_knows_a_member_by_the_id_of_the_register_and_everybody_else_by_the_providers(house):
    await entered(house, ENTERED)
    ana, cvetka = house.person(ANA), house.person(CVETKA)
    await ana.signs_in(f"{house.b2b}/")
    await cvetka.signs_in(f"{house.b2b}/")
    for person, subject in ((ana, "e-1"), (cvetka, cvetka.account.subject)):
        received = (await person.browser.fetch(f"{house.b2b}/api/received")).json
        assert [value for name, value in received["headers"] if name.lower() == "x-auth-subject"] == [subject]
        assert received["assertion"]["claims"]["sub"] == subject
    linked, *others = await told(house, "person.linked")
    assert (linked["by"], others) == ("provider", [])
    assert linked["person"] == next(event for event in house.events("session.started"))["person"]


async def test_a_second_account_with_the_same_tax_number_is_refused_with_an_alarm(house):
    await entered(house, ENTERED)
    other = await on_register(
        house, lambda register: register.link("e-1", account=(house.issuer, "another-account"))
    )
    assert other.member.accounts
    thief = house.person(ANA)
    page = await thief.signs_in(f"{house.acq}/")
    assert (page.status, thief.ticket(house.acq)) == (403, None)
    [alarm] = house.events("link.refused")
    assert "another account" in alarm["detail"]
    assert "99990008" not in house.audit


async def test_a_blocked_person_is_out_on_two_instances_at_once_and_cannot_come_back(houses):
    async with houses(environment=MEMBERS_ONLY) as house, house.second_gateway() as port:
        await entered(house, ENTERED)
        ana = house.person(ANA)
        await ana.signs_in(f"{house.acq}/")
        assert await is_open(ana, house.acq)
        assert await is_open(ana, house.acq, port=port)
        url = f"{house.acq.replace('http', 'ws')}/ws"
        cookie = {"Cookie": f"{TICKET}={ana.ticket(house.acq)}"}
        async with websockets.connect(
            url, host="127.0.0.1", port=port, origin=house.acq, additional_headers=cookie
        ) as socket:
            blocked = await on_register(house, lambda register: register.block("e-1", "lost card"))
            assert blocked.sessions_ended == 1
            await house.at_once(lambda: is_shut(ana, house.acq))
            await house.at_once(lambda: is_shut(ana, house.acq, port=port))
            await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        page = await house.person(ANA).signs_in(f"{house.acq}/")
        assert page.status == 403
        assert "not_a_member-" in page.text
        assert "lost card" not in page.text + house.audit
        await on_register(house, lambda register: register.unblock("e-1"))
        assert (await house.person(ANA).signs_in(f"{house.acq}/")).status == 200
        assert [event["event"] for event in await told(house, "person.blocked", "person.unblocked")] == [
            "person.blocked",
            "person.unblocked",
        ]


async def test_a_blocked_account_outside_the_register_is_out_on_two_instances_at_once_and_cannot_come_back(
    house,
):
    async with house.second_gateway() as port:
        ana = house.person(ANA)
        await ana.signs_in(f"{house.acq}/")
        assert await is_open(ana, house.acq, port=port)
        blocked = Account(issuer=house.issuer, subject=ana.account.subject)
        assert (
            await on_register(house, lambda register: register.block_account(blocked, "stolen password"))
        ).sessions_ended == 1
        await house.at_once(lambda: is_shut(ana, house.acq))
        await house.at_once(lambda: is_shut(ana, house.acq, port=port))
        page = await house.person(ANA).signs_in(f"{house.acq}/")
        assert (page.status, "not_a_member-" in page.text) == (403, True)
        assert (await house.person(CVETKA).signs_in(f"{house.acq}/")).status == 200
        assert "stolen" not in page.text + house.audit
        await on_register(house, lambda register: register.unblock_account(blocked))
        assert (await house.person(ANA).signs_in(f"{house.acq}/")).status == 200


async def test_a_lost_register_lets_in_nobody_and_signs_nobody_out(house, redis_server):
    await entered(house, ENTERED)
    await on_register(house, lambda register: register.block("e-1", None))
    cvetka = house.person(CVETKA)
    await cvetka.signs_in(f"{house.acq}/")
    redis_server.command("DEL", keyspace.REGISTER_NAMES)
    page = await house.person(ANA).signs_in(f"{house.acq}/")
    assert (page.status, "store_unavailable-" in page.text) == (503, True)
    ready = await Browser().fetch(f"{house.management}/readyz")
    assert (ready.status, ready.json["checks"]["store"]["status"]) == (503, "failed")
    assert "a part of the register of people is lost" in ready.json["checks"]["store"]["detail"]
    assert await is_open(cvetka, house.acq)
    redis_server.command("DEL", keyspace.REGISTER, keyspace.REGISTER_PEOPLE)
    assert (await house.person(ANA).signs_in(f"{house.acq}/")).status == 503
    ready = await Browser().fetch(f"{house.management}/readyz")
    assert "the register of people is lost" in ready.json["checks"]["store"]["detail"]


async def test_whoever_a_new_list_leaves_out_is_signed_out(houses):
    async with houses(environment=MEMBERS_ONLY) as house:
        await entered(house, ENTERED)
        ana = house.person(ANA)
        await ana.signs_in(f"{house.acq}/")
        outcome = await entered(house, CVETKA_ENTERED, replaces=True)
        assert (outcome.removed, outcome.sessions_ended) == (1, 1)
        await house.at_once(lambda: is_shut(ana, house.acq))


async def test_a_portal_that_becomes_one_for_members_lets_no_strangers_session_go_on(house):
    ana = house.person(ANA)
    await ana.signs_in(f"{house.acq}/")
    text = house.settings_file.read_text().replace("  acq:", "  acq:\n    members: register", 1)
    house.settings_file.write_text(text)
    async with house.second_gateway() as port:
        answer = await ana.browser.fetch(f"{house.acq}/api/jaz")
        assert answer.status == 200
        refused = await ana.browser.request(
            "GET", f"{house.acq}/api/jaz", headers={"Accept": "application/json"}, port=port
        )
        assert (refused.status, refused.json["reason"]) == (403, Reason.NOT_A_MEMBER.value)
