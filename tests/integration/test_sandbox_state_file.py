"""What the provider's state file is for: a restart forgets nobody."""

from __future__ import annotations

import secrets
import stat

import pytest

from authproxy.sandbox.accounts import people
from authproxy.sandbox.identity_provider.state import StateBroken
from tests.support.clock import Clock
from tests.support.rekono import LONG_PASSWORD, MORNING, Guest, running_rekono, title

EVA, ANA = "eva.cuk@example.si", "ana.novak@example.si"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rekono.json"


async def registered(rekono):
    eva = Guest(rekono)
    page = await eva.get(rekono.authorize_url())
    page = await eva.get(next(link for link in page.links if "/register/start.htm" in link))
    page = await eva.registers(page)
    return await eva.sends(page, button=("user_oauth_approval", "true"))


async def test_accounts_consents_and_code_secrets_survive_a_restart(file):
    clock = Clock(MORNING)
    async with running_rekono(clock=clock, state_file=file) as before:
        await registered(before)
        subject, secret = before.accounts.find(EVA).subject, before.accounts.find(ANA).totp_secret
    async with running_rekono(clock=clock, state_file=file) as after:
        assert (after.accounts.find(EVA).subject, after.accounts.find(ANA).totp_secret) == (subject, secret)
        back = await Guest(after).signs_in(EVA, url=after.authorize_url(), password=LONG_PASSWORD)
        assert "code=" in back.location  # nobody asks for a consent that was given


async def test_what_a_page_says_is_done_is_on_the_disk(file):
    async with running_rekono(state_file=file) as rekono:
        assert EVA not in file.read_text()
        await registered(rekono)
        assert EVA in file.read_text()
        assert "http://idp.rekono.si/openid/taxnumber" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert LONG_PASSWORD not in file.read_text()


async def test_code_secrets_survive_a_restart_although_nobody_came(file):
    async with running_rekono(state_file=file) as before:
        secret = before.accounts.find(ANA).totp_secret
    async with running_rekono(state_file=file) as after:
        assert after.accounts.find(ANA).totp_secret == secret


async def test_a_withdrawn_consent_stays_withdrawn(file):
    clock = Clock(MORNING)
    async with running_rekono(clock=clock, state_file=file) as before:
        await registered(before)
        eva = Guest(before)
        page = await eva.signs_in(EVA, password=LONG_PASSWORD)
        await eva.sends(page, "client_id")
    async with running_rekono(clock=clock, state_file=file) as after:
        page = await Guest(after).signs_in(EVA, url=after.authorize_url(), password=LONG_PASSWORD)
        assert title(page) == "Dovoljenje za posredovanje podatkov"


async def test_a_broken_file_is_an_error_at_the_start_and_is_not_overwritten(file):
    file.write_text('{"format": 1, "accounts": [{"email": "half')
    with pytest.raises(StateBroken, match="not a JSON document"):
        async with running_rekono(accounts=people(secrets.token_bytes), state_file=file):
            pass
    assert file.read_text().endswith("half")
