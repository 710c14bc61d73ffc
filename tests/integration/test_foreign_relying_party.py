"""A relying party written by others (npm `openid-client`) at the sandbox's provider: discovery, code with
PKCE, userinfo, introspection, revocation and logout, and the refusals that it must understand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import IN_CI
from tests.support.http_client import Browser
from tests.support.rekono import AFTER_LOGOUT, CLIENT, REDIRECT_URI, SCOPE, Guest, answer_in, running_rekono

FOREIGN = Path(__file__).parents[1] / "support" / "foreign_provider"
ANA = "ana.novak@example.si"
pytestmark = pytest.mark.needs("node")


@pytest.fixture
async def rekono():
    if not (FOREIGN / "node_modules" / "openid-client").is_dir():
        (pytest.fail if IN_CI else pytest.skip)("needs npm openid-client (make setup installs it)")
    async with running_rekono() as running:
        # The relying party goes by the time of day.
        running.clock.now = datetime.now(UTC)
        yield running


class Party:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self, **message) -> dict:
        """Its answer to a message."""
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        assert line, (await self._process.stderr.read()).decode()
        return json.loads(line)


@contextlib.asynccontextmanager
async def foreign_party(rekono, *, authentication="post", secret=CLIENT.client_secret):
    """A relying party that has discovered the provider, and where it sends the browser."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOREIGN / "relying_party.mjs"),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, "NODE_ENV": "test"},
    )
    try:
        party = Party(process)
        begun = await party.told(
            issuer=rekono.issuer,
            clientId=CLIENT.client_id,
            secret=secret,
            authentication=authentication,
            redirectUri=REDIRECT_URI,
            afterLogout=AFTER_LOGOUT,
            scope=SCOPE,
            maxAge=300,
        )
        yield party, begun["go"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def arrived(guest, page):
    """Where the browser is sent, consent given where it is asked for."""
    return (
        page.location
        if page.is_redirect
        else (await guest.sends(page, button=("user_oauth_approval", "true"))).location
    )


@pytest.mark.parametrize("authentication", ["post", "basic"])
async def test_a_stranger_signs_somebody_in_learns_who_it_is_and_signs_out(rekono, authentication):
    ana = Guest(rekono)
    async with foreign_party(rekono, authentication=authentication) as (party, go):
        learned = await party.told(came=await arrived(ana, await ana.signs_in(ANA, url=go)))
    assert learned.get("error") is None
    assert learned["claims"]["sub"] == learned["userinfo"]["sub"] == rekono.accounts.find(ANA).subject
    assert "auth_time" in learned["claims"]
    assert (learned["userinfo"]["name"], learned["userinfo"]["taxnumber"], learned["userinfo"]["loa"]) == (
        "Ana Novak",
        "99990008",
        20,
    )
    assert (learned["active"], learned["afterRevocation"]) == (True, "refused")
    page = await ana.get(learned["logout"])
    ended = await ana.sends(page, button=("approve", "true"))
    assert ended.location == f"{AFTER_LOGOUT}?state=bye"
    assert "username" in {
        name for form in (await ana.get(rekono.authorize_url())).forms for name in form.inputs
    }


async def test_a_stranger_takes_a_person_through_registration(rekono):
    eva = Guest(rekono)
    async with foreign_party(rekono) as (party, go):
        page = await eva.get(go)
        page = await eva.get(next(link for link in page.links if "/register/start.htm" in link))
        learned = await party.told(came=await arrived(eva, await eva.registers(page)))
    assert learned["userinfo"]["email"] == "eva.cuk@example.si"
    assert "name" not in learned["userinfo"]
    assert "taxnumber" not in learned["userinfo"]


async def test_a_stranger_understands_a_refused_consent_a_spent_code_and_a_wrong_secret(rekono):
    ana = Guest(rekono)
    async with foreign_party(rekono) as (party, go):
        page = await ana.signs_in(ANA, url=go)
        refused = await ana.sends(page, button=("user_oauth_approval", "false"))
        assert await party.told(came=refused.location) == {"error": "access_denied"}
    async with foreign_party(rekono) as (party, go):
        came = await arrived(ana, await ana.get(go))
        spends = {
            "grant_type": "authorization_code",
            "code": answer_in(came)["code"],
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.client_secret,
        }
        assert (await Browser().post(f"{rekono.issuer}token", spends)).status == 400
        assert await party.told(came=came) == {"error": "invalid_grant"}
    async with foreign_party(rekono, secret="wrong") as (party, go):
        assert await party.told(came=await arrived(ana, await ana.get(go))) == {
            "error": "OAUTH_WWW_AUTHENTICATE_CHALLENGE"
        }
