"""Glewlwyd, an OpenID provider written by others (in C, packaged by Debian), as a program for tests: with a
database, a configuration and a port of its own, set up by its own administration interface. Its pages are a
program for browsers; `Guest` does what that does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc.jwk import RSAKey

from tests.support.http_client import Answer, Browser
from tests.support.sandbox import listens
from tests.support.waiting import until

SCHEMA = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
"""Tables, and one administrator, as the package installs them."""
MODULES = Path("/usr/lib/glewlwyd")
PASSWORD = "a password of a person"
_CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="{origin}"
login_url="login.html"
api_prefix="api"
log_mode="file"
log_level="WARNING"
log_file="{folder}/glewlwyd.log"
cookie_secure=0
session_key="SESSION"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
use_secure_connection=false
secure_connection_key_file=""
secure_connection_pem_file=""
hash_algorithm="SHA512"
database =
{{
  type = "sqlite3";
  path = "{folder}/glewlwyd.db";
}};
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glewlwyd:
    origin: str
    administrator: Browser

    @property
    def issuer(self) -> str:
        return f"{self.origin}/api/oidc"

    async def says(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        answer = await sent(self.administrator, method, f"{self.origin}/api/{path}", body)
        assert answer.status == 200, f"{method} {path}: {answer.status} {answer.text}"


async def sent(browser: Browser, method: str, url: str, body: Mapping[str, Any]) -> Answer:
    return await browser.request(
        method, url, headers={"Content-Type": "application/json"}, body=json.dumps(body).encode()
    )


@contextlib.asynccontextmanager
async def running(
    folder: Path, port: int, *, client: Mapping[str, Any], people: Mapping[str, Mapping[str, str]]
) -> AsyncIterator[Glewlwyd]:
    """A provider with one client and these people: their user names, and their claims beside `sub`."""
    origin = f"http://localhost:{port}"
    (folder / "glewlwyd.conf").write_text(
        _CONFIGURATION.format(port=port, origin=origin, folder=folder, modules=MODULES)
    )
    database = sqlite3.connect(folder / "glewlwyd.db")
    database.executescript(SCHEMA.read_text(encoding="utf-8"))
    database.close()
    process = await asyncio.create_subprocess_exec(
        "glewlwyd",
        f"--config-file={folder / 'glewlwyd.conf'}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def answers() -> bool:
        assert process.returncode is None, (await process.stdout.read()).decode() if process.stdout else ""
        return listens(port)

    try:
        await until(answers, within=30)
        provider = Glewlwyd(origin=origin, administrator=Browser())
        await _set_up(provider, client, people)
        yield provider
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _set_up(
    provider: Glewlwyd, client: Mapping[str, Any], people: Mapping[str, Mapping[str, str]]
) -> None:
    await provider.says("POST", "auth/", {"username": "admin", "password": "password"})
    properties = sorted({name for claims in people.values() for name in claims} - {"name", "email"})
    seen = {"multiple": False, "read": True, "write": True, "profile-read": True, "profile-write": False}
    users = {"use-glewlwyd-connection": True, "data-format": dict.fromkeys(properties, seen)}
    await provider.says(
        "PUT",
        "mod/user/database",
        {
            "module": "database",
            "name": "database",
            "display_name": "People",
            "order_rank": 0,
            "parameters": users,
        },
    )
    await provider.says("PUT", "mod/user/database/reset", {})
    # By default a session alone is enough for `openid`, and the ID token then states no time of
    # authentication (`auth_time` 0).
    await provider.says(
        "PUT",
        "scope/openid",
        {"display_name": "OpenID", "password_required": True, "password_max_age": 0, "scheme": {}},
    )
    key = RSAKey.generate_key(2048, {"kid": "glewlwyd-1"})
    claims = [
        {"name": name, "user-property": name, "type": "string", "mandatory": True} for name in properties
    ]
    parameters = {
        "iss": provider.issuer,
        "jwt-type": "rsa",
        "jwt-key-size": "256",
        "key": key.as_pem(private=True).decode(),
        "cert": key.as_pem(private=False).decode(),
        "access-token-duration": 600,
        "refresh-token-duration": 600,
        "code-duration": 60,
        "refresh-token-rolling": False,
        "allow-non-oidc": False,
        "auth-type-code-enabled": True,
        "auth-type-token-enabled": False,
        "auth-type-id-token-enabled": True,
        "auth-type-none-enabled": False,
        "auth-type-password-enabled": False,
        "auth-type-client-enabled": False,
        "auth-type-device-enabled": False,
        "auth-type-refresh-enabled": False,
        "jwks-show": True,
        "subject-type": "public",
        "allowed-scope": ["openid"],
        "pkce-allowed": True,
        "pkce-required": True,
        "pkce-method-plain-allowed": False,
        "name-claim": "mandatory",
        "email-claim": "mandatory",
        "claims": claims,
        "request-parameter-allow": False,
        "session-management-allowed": True,
        "session-cookie-name": "PROVIDER_SESSION",
        "session-cookie-expiration": 3600,
        "front-channel-logout-allowed": False,
        "back-channel-logout-allowed": True,
    }
    await provider.says(
        "POST",
        "mod/plugin/",
        {"module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "parameters": parameters},
    )
    await provider.says(
        "POST",
        "client/",
        {
            "name": "Gateway",
            "confidential": True,
            "enabled": True,
            "authorization_type": ["code"],
            "scope": ["openid"],
            **client,
        },
    )
    for name, said in people.items():
        await provider.says(
            "POST",
            "user/",
            {"username": name, "password": PASSWORD, "scope": ["openid"], "enabled": True, **said},
        )


class Guest:
    """A person at a browser who knows the provider's own pages: signs in, agrees, and signs out."""

    def __init__(self, name: str, provider: Glewlwyd, browser: Browser) -> None:
        self.name = name
        self.browser = browser
        self._api = f"{provider.origin}/api"

    async def signs_in(self, url: str, client_id: str) -> Answer:
        """Opens the page and does what is asked for until a page comes that asks for nothing."""
        answer = await self.browser.navigate(url)
        for _ in range(20):
            if answer.is_redirect and "/login.html" in answer.location:
                answer = await self._fills_in(answer.location, client_id)
            elif answer.is_redirect:
                answer = await self.browser.follow(answer)
            elif chooser := next(
                (form for form in answer.forms if ("method", "rekono") in form.buttons), None
            ):
                answer = await self.browser.submit(answer, chooser, {"method": "rekono"})
            else:
                return answer
        raise AssertionError("it goes round in circles")

    async def _fills_in(self, page: str, client_id: str) -> Answer:
        assert (
            await sent(
                self.browser, "POST", f"{self._api}/auth/", {"username": self.name, "password": PASSWORD}
            )
        ).status == 200
        assert (
            await sent(self.browser, "PUT", f"{self._api}/auth/grant/{client_id}", {"scope": "openid"})
        ).status == 200
        [back] = parse_qs(urlsplit(page).query)["callback_url"]
        return await self.browser.navigate(f"{back}&g_continue", site="same-origin")

    async def ends(self, page: str) -> Answer:
        """Agrees to the end of the session on the provider's page `login.html?prompt=end_session…`."""
        [session] = parse_qs(urlsplit(page).query)["sid"]
        return await self.browser.request("DELETE", f"{self._api}/oidc/session/{session}")
