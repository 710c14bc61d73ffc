"""MITREid Connect 1.3.4, whose descendant Rekono runs, on Jetty: one client and two people, everything kept
in memory."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.support.foreign_providers import CLIENT_ID, ForeignGuest
from tests.support.gateway import PASSWORD
from tests.support.http_client import Answer, Browser, Form
from tests.support.java_programs import FETCHED, STARTS_WITHIN, fetched, java_program

SECRET = "a secret that forms must encode: +/% &"
ANA, EVA = "ana@example.si", "eva@example.si"
_PEOPLE = {ANA: ("90342.KRZTQWMA", "Ana Novak"), EVA: ("90342.LSAPWQXB", "Eva Brez")}
_SCOPES = ("openid", "profile", "email", "phone", "address", "offline_access")
_PATH = "openid-connect-server-webapp"
_NEEDED = "openid-connect-server-webapp-*.war"
# Its libraries are those of Java 8, and look into what newer ones keep closed.
_OPENED = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.lang.reflect", "java.util", "java.net", "java.io")
]


def is_here() -> bool:
    return fetched(_NEEDED) is not None


class Guest(ForeignGuest):
    """Knows its consent too. The scopes are ticked one by one, and what is not ticked is not granted."""

    AUTHORIZATION = "/authorize"

    async def _filled(self, form: Form, *, consents: bool) -> dict[str, str] | None:
        if "user_oauth_approval" in form.fields:
            granted = {name: name.removeprefix("scope_") for name in form.inputs if name.startswith("scope_")}
            return granted | {"user_oauth_approval": "true" if consents else "false", "remember": "none"}
        return await super()._filled(form, consents=consents)


def question(page: Answer) -> Form:
    """The form of the page before the end of the session: `approve` and `deny` are its buttons."""
    return next(form for form in page.forms if "approve" in form.inputs)


@contextlib.asynccontextmanager
async def running(folder: Path, port: int, *, portals: Sequence[str]) -> AsyncIterator[str]:
    """Its issuer. It knows no tax numbers."""
    application = folder / "application"
    shutil.unpack_archive(next(FETCHED.glob(_NEEDED)), application, "zip")
    for library in [*FETCHED.glob("jaxb-*.jar"), *FETCHED.glob("javax.activation-*.jar")]:
        shutil.copy(library, application / "WEB-INF/lib")
    issuer = f"http://localhost:{port}/{_PATH}/"
    _rewrite(application / "WEB-INF/server-config.xml", {f"http://localhost:8080/{_PATH}/": issuer})
    _rewrite(
        application / "WEB-INF/data-context.xml",
        {'name="showSql" value="true"': 'name="showSql" value="false"'},
    )
    _rewrite(application / "WEB-INF/classes/db/hsql/clients.sql", _client(portals))
    _rewrite(application / "WEB-INF/classes/db/hsql/users.sql", _people())
    command = [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        *_OPENED,
        "-jar",
        str(next(FETCHED.glob("jetty-runner-*.jar"))),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--path",
        f"/{_PATH}",
        str(application),
    ]
    async with java_program(command, folder, discovery=f"{issuer}.well-known/openid-configuration"):
        # The first page of all takes long: it is compiled then.
        assert (await Browser(patience=STARTS_WITHIN).navigate(f"{issuer}login")).status == 200
        yield issuer


def _rewrite(file: Path, changes: Mapping[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{file.name} has no {old}"
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def _client(portals: Sequence[str]) -> dict[str, str]:
    def rows(*values: str) -> str:
        return ", ".join(f"('{CLIENT_ID}', '{value}')" for value in values)

    after_logout = "".join(
        "INSERT INTO client_post_logout_redirect_uri (owner_id, post_logout_redirect_uri) "
        f"SELECT id, '{portal}/.authproxy/logout' FROM client_details WHERE client_id = '{CLIENT_ID}';\n"
        for portal in portals
    )
    client = f"('{CLIENT_ID}', '{SECRET}', 'Bankart Varni Spletni Prehod', false, null, 3600, 600, true)"
    return {
        "'Test Client', false, null, 3600, 600, "
        "true);": f"'Test Client', false, null, 3600, 600, true), {client};",
        "('client', 'offline_access');": f"('client', 'offline_access'), {rows(*_SCOPES)};",
        "('client', 'http://localhost:8080/');": f"('client', 'http://localhost:8080/'), {rows(*(f'{portal}/.authproxy/callback/rekono' for portal in portals))};",
        "('client', 'refresh_token');": f"('client', 'refresh_token'), {rows('authorization_code', 'refresh_token')};",
        "-- Close the transaction and turn": f"\n{after_logout}\n-- Close the transaction and turn",
    }


def _people() -> dict[str, str]:
    return {
        "('user','password',true);": ", ".join(
            ["('user','password',true)", *(f"('{mail}','{PASSWORD}',true)" for mail in _PEOPLE)]
        )
        + ";",
        "('user','ROLE_USER');": ", ".join(
            ["('user','ROLE_USER')", *(f"('{mail}','ROLE_USER')" for mail in _PEOPLE)]
        )
        + ";",
        "'user@example.com', true);": ", ".join(
            [
                "'user@example.com', true)",
                *(
                    f"('{subject}','{mail}','{name}','{mail}', true)"
                    for mail, (subject, name) in _PEOPLE.items()
                ),
            ]
        )
        + ";",
    }
