"""Accounts that are disabled at the provider while their person is signed in here
(`rekono.recheck_every`)."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis.asyncio

from tests.support.gateway import ANA
from tests.support.http_client import Browser
from tests.support.waiting import until

SCOPES = "openid,profile,email,phone,address,http://idp.rekono.si/openid/taxnumber"
RECHECKED = {"AUTHPROXY__REKONO__RECHECK_EVERY": "60s"}
BY_REFRESH = RECHECKED | {"AUTHPROXY__REKONO__SCOPES": f"{SCOPES},offline_access"}


async def switched(house, *, enabled, email=ANA):
    body = json.dumps({"email": email, "enabled": enabled}).encode()
    url = f"http://localhost:{house.ports['provider']}/api/accounts"
    assert (
        await Browser().request("POST", url, headers={"Content-Type": "application/json"}, body=body)
    ).status == 200


async def is_open(person, house, portal=None):
    return (await person.browser.fetch(f"{portal or house.acq}/api/jaz")).status == 200


def questions(house, name="token"):
    return len(
        [asked for asked in house.provider.asked if asked == f"POST /openid-connect-server-webapp/{name}"]
    )


async def ends(person, house):
    """The first request after the pause is followed by the end of the session."""

    async def is_over():
        return not await is_open(person, house)

    house.clock.advance(seconds=70)
    await house.at_once(is_over)


def withdrawn(house):
    events = [json.loads(line) for line in house.audit.splitlines()]
    return [event for event in events if event["event"] == "session.revoked"]


async def accounts_check(house):
    found = (await Browser().fetch(f"{house.management}/readyz")).json
    return found["status"], found["checks"]["accounts"]


@pytest.mark.parametrize(
    ("environment", "quirk"),
    [(BY_REFRESH, None), (BY_REFRESH, "refresh_rotates"), (RECHECKED, None)],
    ids=["refresh token", "rotating refresh token", "introspection"],
)
async def test_a_disabled_account_is_signed_out_at_once_when_its_person_asks_for_something(
    houses, environment, quirk
):
    async with houses(environment=environment) as house:
        if quirk is not None:
            await house.quirk(quirk)
        ana, cvetka = house.person(), house.person("cvetka.zupan@example.si")
        for person in (ana, cvetka):
            await person.signs_in(house.acq + "/")
        for _ in range(
            3
        ):  # the account stands: nothing happens, and a token that is replaced is used the next time
            house.clock.advance(seconds=70)
            assert await is_open(ana, house)
            await until(lambda: settled(house))
        await switched(house, enabled=False)
        await ends(ana, house)
        assert await is_open(cvetka, house)
        [event] = withdrawn(house)
        assert (event["by"], event["reason"], event["portal"]) == ("provider", "account_withdrawn", "acq")
        assert event["detail"].split(":")[0] in {"refresh token", "introspection"}
        assert (await ana.browser.fetch(f"{house.acq}/api/jaz")).json["reason"] == "session_ended"


async def settled(house):
    """Whether every question to the provider has been answered and put down."""
    return not any("asked" in fields for fields in await grants(house))


async def grants(house):
    async with redis.asyncio.from_url(house.settings.store.url) as store:
        return [
            {name.decode() for name in await store.hgetall(key)}
            async for key in store.scan_iter("authproxy:*:grant")
        ]


async def test_a_silent_provider_signs_nobody_out_and_is_seen_in_readyz_and_metrics(houses):
    async with houses(environment=BY_REFRESH) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        assert (await accounts_check(house))[1] == {"status": "ok", "detail": "none unanswered"}
        await house.provider.stop()
        house.clock.advance(seconds=70)
        assert await is_open(ana, house)

        async def is_seen():
            status, check = await accounts_check(house)
            return (status, check["status"]) == ("warning", "warning")

        await until(is_seen)
        assert await is_open(ana, house)
        assert withdrawn(house) == []
        counted = (await Browser().fetch(f"{house.management}/metrics")).text
        assert 'authproxy_fail_open_total{what="session_account"} 1.0' in counted


async def test_two_instances_use_a_rotating_token_one_after_the_other(houses):
    async with houses(environment=BY_REFRESH) as house, house.second_gateway() as elsewhere:
        await house.quirk("refresh_rotates")
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        before = questions(house)
        for number in range(1, 4):
            house.clock.advance(seconds=70)
            for port in (None, elsewhere):
                assert (await ana.browser.navigate(f"{house.acq}/api/jaz", port=port)).status == 200

            async def has_asked(expected=before + number):
                return questions(house) == expected and await settled(house)

            await until(has_asked)
        assert withdrawn(house) == []


async def test_the_request_itself_waits_for_nothing(houses):
    async with houses(environment=BY_REFRESH) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        await house.quirk("token_slow")
        house.clock.advance(seconds=70)
        async with asyncio.timeout(15):  # the provider takes twenty seconds
            assert await is_open(ana, house)


async def test_signing_out_has_the_provider_forget_the_tokens(houses):
    async with houses(environment=BY_REFRESH) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        [kept] = await grants(house)
        assert kept == {"sealed", "due"}
        page = await ana.opens(f"{house.acq}/.authproxy/logout")
        form = next(form for form in page.forms if form.action.startswith(f"{house.acq}/.authproxy/logout"))
        assert (await ana.browser.submit(page, form)).status == 303

        async def is_revoked():
            return questions(house, "revoke") == 1

        await until(is_revoked)
        assert await grants(house) == []


async def test_a_provider_that_gives_nothing_to_ask_with_is_seen_in_readyz(houses):
    async with houses(environment=RECHECKED, provider_is_up=False) as house:
        await house.provider.start()
        await house.quirk("introspection_missing")
        house.clock.advance(minutes=1)
        ana = house.person()
        assert (await ana.signs_in(house.acq + "/")).status == 200
        assert "offline_access" in (await accounts_check(house))[1]["detail"]


async def test_without_the_setting_no_token_is_kept(houses):
    async with houses(environment={"AUTHPROXY__REKONO__SCOPES": f"{SCOPES},offline_access"}) as house:
        await house.person().signs_in(house.acq + "/")
        assert await grants(house) == []
