"""The whole sandbox: every counterparty and a gateway among them, on the fixed places, until somebody says stop.

The only module of the sandbox that knows the gateway, and it knows it as an operator does: by a settings file that it writes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from aiohttp import web

from authproxy import bootstrap
from authproxy.assertions import keys
from authproxy.sandbox.accounts import PASSWORD, Accounts, people
from authproxy.sandbox.identity_provider import application as identity_provider
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.outbox import application as outbox
from authproxy.sandbox.phone import application as phone
from authproxy.sandbox.portals import application as demo_portal
from authproxy.sandbox.portals.application import ACQ, B2B, Branding
from authproxy.sandbox.serving import bound, serving
from authproxy.sandbox.start_page import application as start_page
from authproxy.sandbox.start_page.application import Place
from authproxy.sandbox.store import EmbeddedStore, embedded_store
from authproxy.settings.sources import load

_CLIENT_ID = "bankart-varni-spletni-prehod"
_BRANDINGS = (ACQ, B2B)


@dataclass(frozen=True, slots=True)
class Places:
    """The fixed places, all moved by the same number of ports."""

    offset: int = 0

    @property
    def gateway_port(self) -> int:
        return 8080 + self.offset

    @property
    def issuer(self) -> str:
        return f"http://localhost:{8081 + self.offset}/openid-connect-server-webapp/"

    @property
    def gateway(self) -> str:
        """`iss` of the assertions."""
        return f"http://localhost:{self.gateway_port}"

    @property
    def jwks(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}/.authproxy/jwks.json"

    def portal(self, portal_id: str) -> str:
        return f"http://{portal_id}.localhost:{self.gateway_port}"

    def local(self, port: int) -> str:
        return f"http://localhost:{port + self.offset}"

    @property
    def management(self) -> str:
        return f"127.0.0.1:{8090 + self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that answers."""

    places: Places
    accounts: Accounts
    store: EmbeddedStore
    settings_file: Path
    socket: Path
    """Where a front proxy may ask subrequests."""


def _upstream_port(number: int) -> int:
    return 8101 + number


def _settings(places: Places, folder: Path, store_url: str, *, is_verbose: bool) -> dict[str, object]:
    return {
        "server": {
            "listen": [f"127.0.0.1:{places.gateway_port}", f"unix:{folder / 'authproxy.sock'}"],
            "management": places.management,
        },
        "store": {"url": store_url},
        "sessions": {"keys_file": str(folder / "session.keys")},
        "assertions": {
            "issuer": places.gateway,
            "current_key_file": str(folder / "assertion-current.pem"),
            "next_key_file": str(folder / "assertion-next.pem"),
            "retiring_key_file": str(folder / "assertion-retiring.pem"),
        },
        "rekono": {
            "issuer": places.issuer,
            "client_id": _CLIENT_ID,
            "client_secret_file": str(folder / "client.secret"),
            "dashboard_url": places.local(8081) + "/",
        },
        "portals": {
            branding.portal_id: {
                "name": branding.name,
                "url": places.portal(branding.portal_id),
                "upstream": f"http://127.0.0.1:{_upstream_port(number) + places.offset}",
                "idle": "5m",
            }
            for number, branding in enumerate(_BRANDINGS)
        },
        # The terminal belongs to the list of places, unless somebody wants to watch.
        "telemetry": {
            "audit_file": str(folder / "audit.log"),
            "access_log": is_verbose,
            "log_level": "info" if is_verbose else "warning",
        },
    }


def _prepared(folder: Path, places: Places, store_url: str, *, is_verbose: bool) -> tuple[Path, str]:
    """Keys and secrets as files that only their owner reads, and the settings file that names them. Keys that are there stay."""
    _secret(folder / "session.keys", lambda: secrets.token_urlsafe(32).encode())
    _secret(folder / "client.secret", lambda: secrets.token_urlsafe(48).encode())
    _secret(folder / "assertion-current.pem", lambda: keys.generate("ES256"))
    _secret(folder / "assertion-next.pem", lambda: keys.generate("ES256"))
    file = folder / "authproxy.yaml"
    file.write_text(yaml.safe_dump(_settings(places, folder, store_url, is_verbose=is_verbose), sort_keys=False), encoding="utf-8")
    return file, (folder / "client.secret").read_text(encoding="utf-8")


def _secret(file: Path, made: Callable[[], bytes]) -> None:
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(made())


def _client(places: Places, secret: str) -> Client:
    origins = [places.portal(branding.portal_id) for branding in _BRANDINGS]
    return Client(
        client_id=_CLIENT_ID,
        client_secret=secret,
        redirect_uris=tuple(f"{origin}/.authproxy/callback/rekono" for origin in origins),
        post_logout_redirect_uris=tuple(f"{origin}/.authproxy/logout" for origin in origins),
        name="Bankart Varni Spletni Prehod",
    )


def _applications(
    places: Places, accounts: Accounts, client: Client, store: EmbeddedStore, clock: Callable[[], datetime]
) -> list[tuple[int, web.Application]]:
    """Port (before the offset) and application of every counterparty."""

    def portal(branding: Branding) -> web.Application:
        return demo_portal.application(branding=branding, jwks_url=places.jwks, issuer=places.gateway, clock=clock)

    return [
        (8083, outbox.application(clock=clock)),
        (8082, phone.application(accounts=accounts, clock=clock)),
        (8081, identity_provider.application(
            issuer=places.issuer, clients=(client,), accounts=accounts, outbox_url=places.local(8083), clock=clock,
        )),
        (8088, start_page.application(places=_listed(places), accounts=accounts, password=PASSWORD, store=store.what)),
        *((_upstream_port(number), portal(branding)) for number, branding in enumerate(_BRANDINGS)),
    ]  # fmt: skip


def _listed(places: Places) -> list[Place]:
    return [
        *(Place(kind="portal", url=places.portal(branding.portal_id) + "/", label=branding.name) for branding in _BRANDINGS),
        Place(kind="provider", url=places.local(8081) + "/"),
        Place(kind="phone", url=places.local(8082) + "/"),
        Place(kind="outbox", url=places.local(8083) + "/"),
        Place(kind="management", url=f"http://{places.management}/readyz"),
    ]


@asynccontextmanager
async def running(
    *, port_offset: int = 0, store_url: str | None = None, folder: Path, clock: Callable[[], datetime] = bootstrap.utc_now,
    is_verbose: bool = True,
) -> AsyncIterator[Sandbox]:  # fmt: skip
    """The sandbox for the length of the block. `folder` holds keys, secrets, settings and the audit stream. Raises OSError where a port
    is taken."""
    places = Places(port_offset)
    accounts = people(secrets.token_bytes)
    async with AsyncExitStack() as resources:
        store = await resources.enter_async_context(embedded_store(store_url))
        settings_file, secret = _prepared(folder, places, store.url, is_verbose=is_verbose)
        for port, application in _applications(places, accounts, _client(places, secret), store, clock):
            await resources.enter_async_context(serving(application, bound(port + port_offset)))
        settings = load(settings_file, {})
        async with bootstrap.running(settings, clock=clock):
            yield Sandbox(
                places=places, accounts=accounts, store=store, settings_file=settings_file, socket=folder / "authproxy.sock"
            )  # fmt: skip


def run(*, port_offset: int = 0, store_url: str | None = None, state_dir: Path | None = None, is_verbose: bool = False) -> None:
    """Runs the sandbox until Ctrl-C or SIGTERM. Without `state_dir` everything is forgotten at the end; `is_verbose` shows the logs."""
    import uvloop  # noqa: PLC0415  (only a sandbox that runs needs it)

    if state_dir is not None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        uvloop.run(_until_stopped(port_offset, store_url, state_dir, is_verbose=is_verbose))
    else:
        with tempfile.TemporaryDirectory(prefix="authproxy-sandbox-") as folder:
            uvloop.run(_until_stopped(port_offset, store_url, Path(folder), is_verbose=is_verbose))


async def _until_stopped(port_offset: int, store_url: str | None, folder: Path, *, is_verbose: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with running(port_offset=port_offset, store_url=store_url, folder=folder, is_verbose=is_verbose) as sandbox:
        sys.stderr.write(_greeting(sandbox))
        await stopped.wait()
        sys.stderr.write("\nStopping …\n")


def _greeting(sandbox: Sandbox) -> str:
    places = sandbox.places
    lines = [
        "",
        "  Bankart Varni Spletni Prehod: sandbox",
        "",
        f"  Start here           {places.local(8088)}/",
        *(f"  {branding.name:<20} {places.portal(branding.portal_id)}/" for branding in _BRANDINGS),
        f"  Provider             {places.local(8081)}/",
        f"  OnePass phone        {places.local(8082)}/",
        f"  Outbox (SMS)         {places.local(8083)}/",
        f"  Management           http://{places.management}/readyz",
        "",
        f"  Sign in as           ana.novak@example.si, password {PASSWORD}",
        f"  Sessions are in      {sandbox.store.what}",
        f"  Settings             {sandbox.settings_file}",
        f"  Audit events         {sandbox.settings_file.parent / 'audit.log'} (`--verbose` shows the logs here)",
        f"  Subrequests          unix:{sandbox.socket}",
        "",
        "  Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(lines) + "\n"
