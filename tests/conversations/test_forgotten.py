"""Somebody who has used everything is forgotten."""

from __future__ import annotations

from authproxy.bootstrap.audited_register import audited_register
from authproxy.bootstrap.stores import open_stores_of_command
from tests.support.gateway import ANA
from tests.support.personal_data import kind_of, may_stay
from tests.support.step_up import PLACE, answered, begun, landed, open_step_up_house, sent_form, stepped_up


async def contents(settings):
    """Every key of the store with what it holds."""
    async with open_stores_of_command(settings) as stores:
        keys = [key async for page in stores.connection.scan("*") for key in page]
        dumped = await stores.connection.each([("DUMP", key) for key in keys])
    return dict(zip(keys, dumped, strict=True))


async def test_nothing_that_names_somebody_is_left_after_they_have_used_everything(redis_server):
    redis_server.command("FLUSHALL")
    async with open_step_up_house(redis_server.socket_url) as house:
        ana = await house.signed_in(ANA)
        [code, *_] = await house.sheet(ANA)
        assert stepped_up(await answered(ana, await begun(ana, house.acq + PLACE, "recovery"), code))
        house.advance(minutes=6)
        page = await begun(ana, house.acq + PLACE, "sms")
        assert stepped_up(await answered(ana, page, await house.code_sent(ANA)))
        house.advance(minutes=6)
        held = await sent_form(ana, house.acq + "/vnos", b"znesek=120")
        assert (await landed(ana, held)).status == 200  # the form waits for a fresh proof
        assert not stepped_up(await answered(ana, await begun(ana, house.acq + PLACE, "totp"), "000000"))
        await begun(ana, house.acq + PLACE, "push")
        before = await contents(house.settings)
        used = [
            "session",
            "enrolments",
            "recovery",
            "number",
            "answers",
            "messages",
            "kept",
            "push",
            "challenge",
        ]
        assert set(used) <= {kind_of(key) for key in before}
        async with audited_register(house.settings) as register:
            assert (await register.forget("ana.novak")).sessions_ended == 1
            # Cvetka has enrolled something, too.
            assert (await register.forget("cvetka.zupan")).sessions_ended == 0
        after = await contents(house.settings)
        assert {kind_of(key) for key in after} <= may_stay()
        account = ana.account
        names = (account.name, account.phone, account.tax_number, "ana.novak", account.totp_secret)
        for key, dumped in after.items():
            assert not any(name.encode() in dumped or name.encode() in key for name in names), key
