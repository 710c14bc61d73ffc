"""Parts of a portal that are open to everybody, closed, or for one network or role only, through a whole
gateway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authproxy.bootstrap.audited_register import audited_register
from authproxy.bootstrap.open_sessions import session_standing
from authproxy.bootstrap.portals import all_portals
from authproxy.cli.explanation import explained
from authproxy.identity.member import PortalRole
from authproxy.identity.session import NO_SESSION
from tests.support.gateway import ANA, DAVID

PLAIN = ("subject", "name", "email", "tax-number", "method", "level", "roles", "step-up")
ROUTES = [
    {"path": "/api/received", "access": "public"},
    {"path": "/closed", "access": "deny"},
    {"path": "/office", "networks": ["203.0.113.0/24"]},
    {"path": "/here", "networks": ["127.0.0.1"]},
    {"path": "/open-office", "access": "public", "networks": ["203.0.113.0/24"]},
]
TRUSTING = {"AUTHPROXY__SERVER__TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture
def parted(houses):
    return lambda **more: houses(acq={"routes": ROUTES}, **more)


async def received(person, portal, **headers):
    answer = await person.browser.fetch(f"{portal}/api/received", headers=headers)
    assert answer.status == 200
    found = {}
    for name, value in answer.json["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return {name: found.get(f"x-auth-{name}", []) for name in (*PLAIN, "assertion")}


NOBODY = {name: ["-"] for name in PLAIN} | {"assertion": []}


async def test_a_public_part_tells_the_portal_who_is_there_or_that_it_is_nobody(parted):
    async with parted() as house:
        ana = house.person()
        forged = {f"X-Auth-{name}": "mallory" for name in (*PLAIN, "assertion")}
        assert await received(ana, house.acq, **forged) == NOBODY
        await ana.signs_in(house.acq + "/")
        told = await received(ana, house.acq, **forged)
        assert (told["name"], told["level"], len(told["assertion"])) == (["Ana Novak"], ["20"], 1)
        house.clock.advance(minutes=6)
        assert await received(ana, house.acq, **forged) == NOBODY


async def test_a_public_part_keeps_nobody_signed_in_and_signs_nobody_out(parted):
    async with parted() as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        ticket = ana.ticket(house.acq)
        for _ in range(4):
            house.clock.advance(minutes=1)
            assert await received(ana, house.acq) != NOBODY
        assert ana.ticket(house.acq) == ticket
        house.clock.advance(minutes=1, seconds=1)
        assert await received(ana, house.acq) == NOBODY
        assert ana.ticket(house.acq) == ticket
        assert (await ana.opens(house.acq + "/")).location.startswith(f"{house.acq}/.authproxy/login")


async def test_a_closed_part_is_a_page_in_both_languages_and_a_problem_for_scripts(parted):
    async with parted() as house:
        ana = house.person()
        for language, heading in (
            ("sl", "Ta del portala je zaprt"),
            ("en", "This part of the portal is closed"),
        ):
            page = await ana.browser.navigate(house.acq + "/closed", headers={"Accept-Language": language})
            assert (page.status, page.heading, "access_denied_here-" in page.text) == (403, heading, True)
        script = await ana.browser.fetch(house.acq + "/closed/x")
        assert (script.status, script.json["reason"]) == (403, "access_denied_here")
        await ana.signs_in(house.acq + "/")
        assert (await ana.browser.fetch(house.acq + "/closed")).status == 403
        assert [event["reason"] for event in house.events("access.denied")] == ["access_denied_here"]


async def test_a_part_for_a_network_asks_nobody_from_elsewhere_to_sign_in(parted):
    async with parted() as house:
        ana = house.person()
        for path in ("/office", "/open-office"):
            page = await ana.browser.navigate(house.acq + path)
            assert (page.status, "network_not_allowed-" in page.text) == (403, True)
        assert (await ana.browser.navigate(house.acq + "/here")).status == 303
        await ana.signs_in(house.acq + "/")
        assert (await ana.browser.fetch(house.acq + "/office")).json["reason"] == "network_not_allowed"
        claimed = {"X-Forwarded-For": "203.0.113.9"}
        assert (await ana.browser.fetch(house.acq + "/office", headers=claimed)).status == 403
        assert (await ana.browser.fetch(house.acq + "/here")).status == 404


async def test_behind_a_trusted_proxy_its_clients_are_judged_and_one_that_it_does_not_name_is_nowhere(parted):
    async with parted(environment=TRUSTING) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")

        async def status(path, forwarded):
            headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
            return (await ana.browser.fetch(house.acq + path, headers=headers)).status

        assert await status("/office", "203.0.113.9") == 404
        assert await status("/open-office", "203.0.113.9") == 404
        assert await status("/office", "203.0.113.9, 198.51.100.1") == 403
        assert await status("/office", "198.51.100.1, 203.0.113.9") == 404
        assert await status("/office", "198.51.100.1") == 403
        assert await status("/here", "198.51.100.1") == 403
        assert await status("/here", None) == 403
        assert await status("/here", "unknown") == 403


async def test_a_sign_in_that_begins_in_a_public_part_leads_back_there(parted):
    async with parted() as house:
        ana = house.person()
        assert (await ana.signs_in(f"{house.acq}/.authproxy/login?rt=/api/received")).status == 200
        assert ana.browser.history[-1].url == f"{house.acq}/api/received"
        page = await ana.opens(f"{house.acq}/.authproxy/step-up?rt=/api/received&for=acq/api/received")
        assert (page.status, page.location) == (303, f"{house.acq}/api/received")


CLERK, BOSS = PortalRole("acq", "clerk"), PortalRole("b2b", "boss")
DESKS = [
    {"path": "/desk", "roles": ["clerk", "auditor"]},
    {"path": "/office", "roles": ["boss"]},
    {"path": "/vault", "roles": ["auditor"], "level": "30", "step_up": {"methods": ["push"]}},
]


async def test_a_part_for_a_role_is_for_people_to_whom_the_register_gives_it_at_this_portal(houses):
    async with houses(acq={"routes": DESKS}) as house:
        await house.enrols(replace(house.listed(ANA), roles=(CLERK, BOSS)))
        ana, david = house.person(), house.person(DAVID)
        for person in (ana, david):
            assert (await person.browser.fetch(house.acq + "/desk")).json["reason"] == "no_session"
            await person.signs_in(house.acq + "/")

        async def told(person, path):
            answer = await person.browser.fetch(house.acq + path)
            return answer.json["reason"] if answer.status == 403 else answer.status

        assert await told(ana, "/desk") == 404
        assert await told(david, "/desk") == "role_missing"
        # A role at another portal is none here, and nobody is asked for what would not let them in.
        assert await told(ana, "/office") == "role_missing"
        assert await told(ana, "/vault") == "role_missing"
        page = await david.opens(house.acq + "/desk")
        assert (page.status, page.heading) == (403, "Do tega dela portala nimate dostopa")
        assert "role_missing-" in page.text
        refused = [event["reason"] for event in house.events("access.denied")]
        assert refused == ["role_missing"] * 4


async def test_whoever_loses_a_role_loses_what_it_opened(houses):
    async with houses(acq={"routes": DESKS}) as house:
        await house.enrols(replace(house.listed(ANA), roles=(CLERK,)))
        ana = house.person()
        await ana.signs_in(house.acq + "/desk")
        assert (await ana.browser.fetch(house.acq + "/desk")).status == 404
        async with audited_register(house.settings) as register:
            await register.change_roles("ana.novak", removed=(CLERK,))
        assert (await ana.browser.fetch(house.acq + "/desk")).status == 401
        await ana.signs_in(house.acq + "/")
        assert (await ana.browser.fetch(house.acq + "/desk")).json["reason"] == "role_missing"


async def test_explain_says_of_an_open_session_what_the_gateway_answers_it(houses):
    async with houses(acq={"routes": DESKS}) as house:
        await house.enrols(replace(house.listed(ANA), roles=(CLERK,)))
        ana, david = await house.signed_in(ANA), await house.signed_in(DAVID)

        async def named(person):
            return (await person.browser.fetch(f"{house.acq}/.authproxy/session")).json["session_id"]

        async def told(session_id, url):
            session = await session_standing(house.settings, session_id) or NO_SESSION
            found = explained("GET", url, all_portals(house.settings), session=session)
            return found.is_served, found.text.splitlines()

        async def is_refused_alike(person, session_id, path):
            reason = (await person.browser.fetch(house.acq + path)).json["reason"]
            served, lines = await told(session_id, house.acq + path)
            return not served and lines[-1].startswith(f"refused  {reason}: ")

        anas, davids = await named(ana), await named(david)
        assert (await ana.browser.fetch(house.acq + "/desk")).status == 404  # the portal's answer
        served, lines = await told(anas, f"{house.acq}/desk")
        assert served
        assert "whose    ana.novak, Ana Novak, tax number *****008" in lines
        assert "has      the role clerk in the register now" in lines
        assert lines[-3].startswith("passes ")
        assert [line.rpartition(" ")[2] for line in lines[-2:]] == ["role_missing", "step_up_required"]
        assert await is_refused_alike(ana, anas, "/vault")
        assert await is_refused_alike(david, davids, "/desk")
        served, lines = await told(anas, f"{house.b2b}/")
        assert (served, lines[-1]) == (
            False,
            "refused  session_of_another_portal: the session is one at acq",
        )
        async with audited_register(house.settings) as register:
            await register.block("ana.novak", "lost her telephone")
        assert await is_refused_alike(ana, anas, "/desk")


WEBDAV = [
    {"path": "/pub/people", "level": "30"},
    {"path": "/pub/closed", "access": "deny"},
    {"path": "/pub", "access": "public"},
    {"path": "/open", "access": "public"},
]


async def test_what_a_webdav_request_acts_on_must_be_open_as_well(houses):
    async with houses(acq={"webdav": True, "routes": WEBDAV}) as house:
        ana = house.person()

        async def asks(method, path, **fields):
            headers = {name.replace("_", "-"): value for name, value in fields.items()}
            answer = await ana.browser.request(method, house.acq + path, headers=headers)
            is_ours = answer.header("content-type").startswith("application/problem+json")
            return answer.json["reason"] if is_ours else "reached the portal"

        def at(path):
            return house.acq + path

        assert await asks("PROPFIND", "/pub/x", Depth="0") == "reached the portal"
        assert await asks("COPY", "/open/x", Destination=at("/open/y")) == "reached the portal"
        assert await asks("PROPFIND", "/pub", Depth="1") == "no_session"
        assert await asks("COPY", "/open/x", Destination=at("/elsewhere")) == "no_session"
        assert await asks("COPY", "/elsewhere", Destination=at("/open/x")) == "no_session"
        assert await asks("MOVE", "/open/x", Destination=at("/pub/closed/x")) == "access_denied_here"
        assert await asks("REPORT", "/open/x") == "no_session"
        await ana.signs_in(house.acq + "/")
        assert await asks("COPY", "/open/x", Destination=at("/elsewhere")) == "reached the portal"
        assert await asks("PROPFIND", "/pub", Depth="0") == "reached the portal"
        assert await asks("DELETE", "/pub") == "level_too_low"
        assert await asks("COPY", "/pub/closed/x", Destination=at("/open/x")) == "access_denied_here"
