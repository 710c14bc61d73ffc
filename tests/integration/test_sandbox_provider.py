"""A foreign relying party, made of joserfc and plain HTTP, signs somebody in at the sandbox's provider and
out again.

It knows the issuer, its credentials, and the OpenID Connect specifications; everything else it reads from
discovery.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from authproxy.sandbox.accounts import PASSWORD, people
from authproxy.sandbox.identity_provider.application import application as provider_application
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.installation import installed_beforehand
from authproxy.sandbox.outbox.application import application as outbox_application
from authproxy.sandbox.phone.application import application as phone_application
from authproxy.sandbox.serving import bound, port_of, serving

REDIRECT_URI = "http://rp.example.si/callback"
AFTER_LOGOUT = "http://rp.example.si/bye"
CLIENT = Client(
    client_id="foreign",
    client_secret="s3cret",
    redirect_uris=(REDIRECT_URI,),
    post_logout_redirect_uris=(AFTER_LOGOUT,),
    name="Tuja aplikacija",
)


@dataclass
class Sandbox:
    issuer: str
    outbox: str
    phone: str
    session: aiohttp.ClientSession


@pytest.fixture(
    params=["/openid-connect-server-webapp/", "/openid-connect-server-webapp"], ids=["slash", "no-slash"]
)
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    accounts = people(secrets.token_bytes)
    installed = installed_beforehand(accounts, secrets.token_bytes)
    listeners = [bound() for _ in range(3)]
    places = [f"http://localhost:{port_of(listener)}" for listener in listeners]

    def clock() -> datetime:
        return datetime.now(UTC)

    provider = provider_application(
        issuer=places[0] + request.param,
        clients=(CLIENT,),
        accounts=accounts,
        outbox_url=places[1],
        clock=clock,
        installed=installed,
    )
    made = [
        provider,
        outbox_application(clock=clock),
        phone_application(provider_url=places[0], installed=installed, clock=clock),
    ]
    async with AsyncExitStack() as stack:
        for application, listener in zip(made, listeners, strict=True):
            await stack.enter_async_context(serving(application, listener))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Sandbox(places[0] + request.param, places[1], places[2], session)


class RelyingParty:
    def __init__(self, session: aiohttp.ClientSession, metadata: dict) -> None:
        self.session = session
        self.metadata = metadata
        self.state, self.nonce, self.verifier = (secrets.token_urlsafe(32) for _ in range(3))

    @classmethod
    async def discovered(cls, sandbox: Sandbox) -> RelyingParty:
        async with sandbox.session.get(
            f"{sandbox.issuer.rstrip('/')}/.well-known/openid-configuration"
        ) as response:
            metadata = await response.json()
        assert metadata["issuer"] == sandbox.issuer
        return cls(sandbox.session, metadata)

    def authorization_url(self) -> str:
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        )
        return (
            self.metadata["authorization_endpoint"]
            + "?"
            + urlencode(
                {
                    "response_type": "code",
                    "client_id": CLIENT.client_id,
                    "redirect_uri": REDIRECT_URI,
                    "state": self.state,
                    "nonce": self.nonce,
                    "scope": "openid profile email http://idp.rekono.si/openid/taxnumber",
                    "code_challenge": challenge,
                    "code_challenge_method": "S256",
                    "max_age": "300",
                }
            )
        )

    async def tokens(self, location: str) -> dict:
        answer = dict(parse_qsl(urlsplit(location).query))
        assert answer["state"] == self.state
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.client_secret,
        }
        async with self.session.post(self.metadata["token_endpoint"], data=form) as response:
            assert response.status == 200
            assert response.headers["Cache-Control"] == "no-store"
            return await response.json()

    async def identity(self, tokens: dict) -> dict:
        async with self.session.get(self.metadata["jwks_uri"]) as response:
            keys = KeySet.import_key_set(await response.json())
        token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.metadata["issuer"]},
            aud={"essential": True, "value": CLIENT.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": self.nonce},
            auth_time={"essential": True},
        ).validate(token.claims)
        return token.claims

    async def userinfo(self, tokens: dict) -> dict:
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        async with self.session.post(self.metadata["userinfo_endpoint"], headers=bearer) as response:
            return await response.json()


async def sign_in(sandbox: Sandbox, url: str, *, mode: str) -> str:
    """Does what a person does, and returns where the browser is sent at the end."""
    page, base = await opened(sandbox, "GET", url, None)
    page, base = await opened(
        sandbox,
        "POST",
        urljoin(base, action(page)),
        hidden(page) | {"username": "ana.novak@example.si", "password": PASSWORD},
    )
    page, base = await opened(
        sandbox, "POST", urljoin(base, action(page)), {"_csrf": hidden(page)["_csrf"], "mode": mode}
    )
    if mode == "smslogin":
        async with sandbox.session.get(
            f"{sandbox.outbox}/api/messages", params={"to": "+38640123456"}
        ) as response:
            code = re.search(r"\d{6}", (await response.json())[0]["text"])[0]
    else:
        async with sandbox.session.get(
            f"{sandbox.phone}/api/codes", params={"email": "ana.novak@example.si"}
        ) as response:
            code = (await response.json())["code"]
    page, base = await opened(
        sandbox, "POST", urljoin(base, action(page)), {"_csrf": hidden(page)["_csrf"], "code": code}
    )
    assert "Dovolim" in page
    _, base = await opened(
        sandbox, "POST", urljoin(base, action(page)), hidden(page) | {"user_oauth_approval": "true"}
    )
    return base


async def opened(sandbox: Sandbox, method: str, url: str, form: dict | None) -> tuple[str, str]:
    """The page at the end of the redirects within the provider, and its URL; outside the provider only the
    URL."""
    while url.startswith("http://localhost:"):
        async with sandbox.session.request(method, url, data=form, allow_redirects=False) as response:
            if response.status not in (302, 303):
                return await response.text(), url
            method, form, url = "GET", None, urljoin(url, response.headers["Location"])
    return "", url


def action(page: str) -> str:
    return re.search(r'<form[^>]* action="([^"]+)"', page)[1]


def hidden(page: str) -> dict[str, str]:
    """Hidden fields of the first form."""
    form = page[page.index("<form") : page.index("</form>")]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))


@pytest.mark.parametrize("mode", ["smslogin", "otplogin"])
async def test_discovery_code_pkce_userinfo_and_logout_work_for_a_stranger(sandbox: Sandbox, mode: str):
    party = await RelyingParty.discovered(sandbox)
    tokens = await party.tokens(await sign_in(sandbox, party.authorization_url(), mode=mode))
    identity = await party.identity(tokens)
    userinfo = await party.userinfo(tokens)
    assert userinfo["sub"] == identity["sub"]
    assert (userinfo["name"], userinfo["taxnumber"], userinfo["loa"]) == ("Ana Novak", "99990008", 20)

    again = await RelyingParty.discovered(sandbox)
    _, back = await opened(sandbox, "GET", again.authorization_url(), None)
    assert (await again.identity(await again.tokens(back)))["auth_time"] == identity["auth_time"]

    told = urlencode(
        {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": AFTER_LOGOUT, "state": "bye"}
    )
    page, base = await opened(sandbox, "GET", f"{party.metadata['end_session_endpoint']}?{told}", None)
    _, end = await opened(sandbox, "POST", urljoin(base, action(page)), hidden(page) | {"approve": "true"})
    assert end == f"{AFTER_LOGOUT}?state=bye"
    page, _ = await opened(sandbox, "GET", again.authorization_url(), None)
    assert 'name="password"' in page
