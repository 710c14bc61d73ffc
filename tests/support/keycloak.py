"""Keycloak 26 in its development mode: a realm with one client and three people, everything kept in a folder
of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.foreign_providers import CLIENT_ID, ForeignGuest
from tests.support.gateway import PASSWORD
from tests.support.http_client import Answer, Browser
from tests.support.java_programs import FETCHED, fetched, java_program

SECRET = "a-secret-of-good-length"
ANA, BOR, CENE, EVA = "ana@example.si", "bor@example.si", "cene@example.si", "eva@example.si"
_NEEDED = "keycloak-quarkus-dist-*.zip"


def is_here() -> bool:
    return fetched(_NEEDED) is not None


class Guest(ForeignGuest):
    AUTHORIZATION = "/auth"


class Administrator:
    """Changes the realm by its administration interface."""

    def __init__(self, issuer: str) -> None:
        self._origin, _, _ = issuer.partition("/realms/")
        self._browser = Browser(patience=60)

    async def says(self, method: str, path: str, body: Any = None) -> Answer:
        answered = await self._browser.post(
            f"{self._origin}/realms/master/protocol/openid-connect/token",
            {
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": "admin",
                "password": PASSWORD,
            },
        )
        headers = {
            "Authorization": f"Bearer {answered.json['access_token']}",
            "Content-Type": "application/json",
        }
        content = b"" if body is None else json.dumps(body).encode()
        answer = await self._browser.request(
            method, f"{self._origin}/admin/realms/bank{path}", headers=headers, body=content
        )
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.text}"
        return answer

    async def disables(self, email: str) -> None:
        [person] = (await self.says("GET", f"/users?email={email}")).json
        await self.says("PUT", f"/users/{person['id']}", person | {"enabled": False})

    async def replaces_the_key(self) -> None:
        await self.says(
            "POST",
            "/components",
            {
                "name": "newer",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "config": {"priority": ["200"]},
            },
        )


@contextlib.asynccontextmanager
async def running(folder: Path, port: int, *, portals: Sequence[str]) -> AsyncIterator[str]:
    """Its issuer. It tells the first portal who has signed out."""
    shutil.unpack_archive(next(FETCHED.glob(_NEEDED)), folder, "zip")
    home = next(folder.glob("keycloak-2*"))
    (home / "data/import").mkdir(parents=True)
    (home / "data/import/bank-realm.json").write_text(json.dumps(_realm(portals)), encoding="utf-8")
    # Java does not know that every name under localhost is this machine.
    names = {portal.partition("//")[2].partition(":")[0] for portal in portals}
    (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *sorted(names))))
    command = [
        "bash",
        str(home / "bin/kc.sh"),
        "start-dev",
        "--import-realm",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
    ]
    environment = {
        "JAVA_OPTS_APPEND": f"-Djdk.net.hosts.file={folder / 'hosts'} -XX:TieredStopAtLevel=1",
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
    }
    issuer = f"http://localhost:{port}/realms/bank"
    async with java_program(
        command,
        folder,
        discovery=f"{issuer}/.well-known/openid-configuration",
        environment=environment,
        within=300,
    ):
        yield issuer


def _realm(portals: Sequence[str]) -> dict[str, Any]:
    fields = ["username", "email", "firstName", "lastName", "taxnumber", "loa"]
    profile = {
        "attributes": [
            {"name": name, "permissions": {"view": ["admin", "user"], "edit": ["admin"]}} for name in fields
        ]
    }
    return {
        "realm": "bank",
        "enabled": True,
        "sslRequired": "none",
        "components": {
            "org.keycloak.userprofile.UserProfileProvider": [
                {
                    "providerId": "declarative-user-profile",
                    "config": {"kc.user.profile.config": [json.dumps(profile)]},
                }
            ]
        },
        "clients": [
            {
                "clientId": CLIENT_ID,
                "secret": SECRET,
                "standardFlowEnabled": True,
                "directAccessGrantsEnabled": False,
                "redirectUris": [f"{portal}/.authproxy/callback/rekono" for portal in portals],
                "protocolMappers": [_mapper("taxnumber"), _mapper("loa")],
                "attributes": {
                    "post.logout.redirect.uris": "##".join(
                        f"{portal}/.authproxy/logout" for portal in portals
                    ),
                    "pkce.code.challenge.method": "S256",
                    "backchannel.logout.session.required": "true",
                    "backchannel.logout.url": f"{portals[0]}/.authproxy/backchannel-logout",
                },
            }
        ],
        "users": [
            _person(ANA, "Ana", "Novák", taxnumber="99990008", loa="20"),
            _person(EVA, "Eva", "Brez", loa="20"),
            _person(BOR, "Bor", "Kranjc", taxnumber="99990024"),
            _person(CENE, "Cene", "Zupan", taxnumber="99990032", loa="20"),
        ],
    }


def _mapper(name: str) -> dict[str, Any]:
    config = {
        "user.attribute": name,
        "claim.name": name,
        "jsonType.label": "String",
        "id.token.claim": "true",
        "userinfo.token.claim": "true",
    }
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": "oidc-usermodel-attribute-mapper",
        "config": config,
    }


def _person(mail: str, given: str, family: str, **attributes: str) -> dict[str, Any]:
    return {
        "username": mail,
        "email": mail,
        "emailVerified": True,
        "enabled": True,
        "firstName": given,
        "lastName": family,
        "attributes": {name: [value] for name, value in attributes.items()},
        "credentials": [{"type": "password", "value": PASSWORD}],
    }
