"""django-oauth-toolkit, an OpenID provider written by others, as a program for tests: with a database, keys
and a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.foreign_providers import CLIENT_ID, ForeignGuest
from tests.support.gateway import PASSWORD
from tests.support.http_client import Browser, Form
from tests.support.sandbox import listens
from tests.support.waiting import until

PROGRAM = Path(__file__).parent / "foreign_django" / "provider.py"
PACKAGES = Path(sys.prefix) / "foreign"
"""Where `make setup` puts it: beside the packages of the gateway, which does not see it."""
SECRET = "a secret that the provider's form encoding must survive: +/% &"


def is_here() -> bool:
    return (PACKAGES / "oauth2_provider").is_dir()


class Guest(ForeignGuest):
    AUTHORIZATION = "/authorize/"

    async def _filled(self, form: Form, *, consents: bool) -> dict[str, str] | None:
        if "code_challenge" in form.fields:  # its question whether the gateway may know this
            return {"allow": "Authorize"} if consents else {}
        return await super()._filled(form, consents=consents)


class Administrator:
    """Does by an address of the program what an administrator of the provider would do."""

    def __init__(self, issuer: str) -> None:
        self._origin = issuer.removesuffix("/o")

    async def says(self, what: str) -> None:
        assert (await Browser().request("POST", f"{self._origin}/tests/{what}")).status == 204

    async def asked(self) -> list[dict[str, str]]:
        """Every request to the provider so far: `method`, `path`, and the scheme of `authorization`."""
        return (await Browser().fetch(f"{self._origin}/tests/requests")).json


@contextlib.asynccontextmanager
async def running(
    folder: Path, port: int, *, portals: Sequence[str], people: Mapping[str, Mapping[str, Any]]
) -> AsyncIterator[str]:
    """Its issuer. It has the client of the gateway, one that signs with its secret (HS256), and these people
    with their claims."""
    addresses = {
        "redirect_uris": " ".join(f"{portal}/.authproxy/callback/rekono" for portal in portals),
        "post_logout_redirect_uris": " ".join(f"{portal}/.authproxy/logout" for portal in portals),
    }
    clients = [
        {"client_id": CLIENT_ID, "client_secret": SECRET, "name": "Gateway", **addresses},
        {
            "client_id": "symmetric",
            "client_secret": SECRET,
            "name": "Symmetric",
            "algorithm": "HS256",
            "hash_client_secret": False,
            **addresses,
        },
    ]
    said = json.dumps(
        {"port": port, "folder": str(folder), "clients": clients, "people": people, "password": PASSWORD}
    ).encode()
    # What Python has translated is kept, whatever the machine says: without that each start takes three
    # seconds of a core more.
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "PYTHONDONTWRITEBYTECODE": ""}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
        )

    async def answers() -> bool:
        assert process.returncode is None, (folder / "log").read_text(errors="replace")
        return listens(port)

    try:
        assert process.stdin is not None
        process.stdin.write(said)
        process.stdin.close()
        await until(answers, within=60)
        yield f"http://localhost:{port}/o"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
