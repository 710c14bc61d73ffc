"""Runs the whole sandbox: every counterparty and a gateway, on the fixed addresses, until it is stopped.

This is the only module of the sandbox that knows the gateway. It knows it as an operator does: it writes a
settings file.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from aiohttp import web

from authproxy.access.unavailable import CannotAsk
from authproxy.assertions import keys
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.descriptors import raise_limit
from authproxy.bootstrap.gateway import running as running_gateway
from authproxy.bootstrap.own_folders import own_folder
from authproxy.edge.client import address_holders
from authproxy.sandbox import private_files
from authproxy.sandbox.accounts import PASSWORD, Accounts, people
from authproxy.sandbox.addresses import (
    AUTHORITY_FOLDER,
    CERTIFICATE_AUTHORITY_PORT,
    CERTIFICATE_CONFIRMATION_PORT,
    OUTBOX_PORT,
    PHONE_PORT,
    PROVIDER_PORT,
    SMTP_PORT,
    START_PORT,
    Addresses,
    gateway_settings,
    greeting,
    listed,
    program_registration,
    registration,
    upstream_port,
    used_ports,
)
from authproxy.sandbox.certificate_authority import application as certificate_authority
from authproxy.sandbox.certificate_confirmation import asking_for_certificates, linked_certificates
from authproxy.sandbox.certificate_sign_in import enrolled, host_certificate
from authproxy.sandbox.enrolled_methods import enrolments
from authproxy.sandbox.identity_provider import application as identity_provider
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.installation import installed_beforehand, linked_beforehand, to_be_enrolled
from authproxy.sandbox.outbox import application as outbox
from authproxy.sandbox.phone import application as phone
from authproxy.sandbox.portals import application as demo_portal
from authproxy.sandbox.portals.catalogue import portals
from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.serving import bound, serving
from authproxy.sandbox.start_page import application as start_page
from authproxy.sandbox.store import EmbeddedStore, embedded_store
from authproxy.settings.sources import load


class PortsTaken(OSError):  # noqa: N818
    """Ports of the sandbox are taken. The message is one line that names them and says how to use other
    ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox."""

    addresses: Addresses
    accounts: Accounts
    store: EmbeddedStore
    settings_file: Path
    socket: Path
    """Unix socket on which a front proxy may ask subrequests."""


def _prepared(folder: Path, addresses: Addresses, store_url: str, *, is_verbose: bool) -> tuple[Path, str]:
    """Writes keys and secrets that do not exist yet, and the settings file that names them. Returns the
    settings file and the client secret."""
    _secret(folder / "session.keys", lambda: secrets.token_urlsafe(32).encode())
    _secret(folder / "audit.key", lambda: secrets.token_urlsafe(32).encode())
    _secret(folder / "client.secret", lambda: secrets.token_urlsafe(48).encode())
    _secret(folder / "assertion-current.pem", lambda: keys.generate("ES256"))
    _secret(folder / "assertion-next.pem", lambda: keys.generate("ES256"))
    file = folder / "authproxy.yaml"
    written = gateway_settings(addresses, portals(), folder, store_url, is_verbose=is_verbose)
    file.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return file, (folder / "client.secret").read_text(encoding="utf-8")


def _secret(file: Path, new_content: Callable[[], bytes]) -> None:
    if not file.exists():
        private_files.create(file, new_content())


def _applications(
    addresses: Addresses,
    accounts: Accounts,
    client: Client,
    store: EmbeddedStore,
    clock: Callable[[], datetime],
    *,
    smtp: socket.socket,
    folder: Path,
) -> list[tuple[int, web.Application]]:
    """Port (before the offset) and application of every counterparty. Provider and phone either both keep
    their state in a file or both forget it, because they share secrets."""

    def demo(portal: Description) -> web.Application:
        return demo_portal.application(
            portal=portal, jwks_url=addresses.jwks, issuer=addresses.gateway, clock=clock
        )

    authority_url, authority_folder = addresses.local(CERTIFICATE_AUTHORITY_PORT), folder / AUTHORITY_FOLDER
    # Made first, because it writes the folder with the certificates that `linked_certificates` reads.
    authority = certificate_authority.application(
        base_url=authority_url, clock=clock, state_dir=authority_folder
    )
    certificates = linked_certificates(
        accounts.seeded, authority_folder, url=addresses.certificate_confirmation, authority_url=authority_url
    )
    installed, linked = (
        installed_beforehand(accounts, secrets.token_bytes),
        linked_beforehand(accounts, secrets.token_bytes),
    )
    return [
        (OUTBOX_PORT, outbox.application(clock=clock, smtp=smtp)),
        (
            PHONE_PORT,
            phone.application(
                provider_url=addresses.local(PROVIDER_PORT),
                installed=installed,
                linked=linked,
                clock=clock,
                state_file=folder / "phone.json",
            ),
        ),
        (
            PROVIDER_PORT,
            identity_provider.application(
                issuer=addresses.issuer,
                clients=(client, program_registration()),
                accounts=accounts,
                outbox_url=addresses.local(OUTBOX_PORT),
                clock=clock,
                installed=installed,
                linked=linked,
                state_file=folder / "provider.json",
                phone_url=addresses.local(PHONE_PORT),
                certificates=certificates,
            ),
        ),
        (CERTIFICATE_AUTHORITY_PORT, authority),
        (
            START_PORT,
            start_page.application(
                addresses=listed(addresses, portals()), accounts=accounts, password=PASSWORD, store=store.what
            ),
        ),
        *((upstream_port(portal.portal_id), demo(portal)) for portal in portals()),
    ]


@asynccontextmanager
async def running(
    *,
    port_offset: int = 0,
    store_url: str | None = None,
    folder: Path,
    clock: Callable[[], datetime] = utc_now,
    is_verbose: bool = True,
) -> AsyncIterator[Sandbox]:
    """Runs the sandbox for the length of the block. `folder` contains keys, secrets, settings and the audit
    stream. Raises PortsTaken."""
    _refuse_taken(port_offset)
    addresses = Addresses(port_offset)
    accounts = people(secrets.token_bytes)
    async with AsyncExitStack() as resources:
        store = await resources.enter_async_context(
            embedded_store(store_url, folder=resources.enter_context(own_folder()))
        )
        settings_file, secret = _prepared(folder, addresses, store.url, is_verbose=is_verbose)
        smtp = resources.enter_context(bound(SMTP_PORT + port_offset))
        client = registration(addresses, portals(), secret)
        applications = _applications(addresses, accounts, client, store, clock, smtp=smtp, folder=folder)
        for port, application in applications:
            await resources.enter_async_context(serving(application, bound(port + port_offset)))
        host_certificate(folder, now=clock())
        await resources.enter_async_context(
            asking_for_certificates(
                identity_provider.certificate_application(dict(applications)[PROVIDER_PORT]),
                bound(CERTIFICATE_CONFIRMATION_PORT + port_offset),
                folder,
                folder / AUTHORITY_FOLDER,
            )
        )
        settings = load(settings_file, {})
        async with running_gateway(settings, clock=clock) as gateway:
            # A configured store may be away. The gateway starts without it, and so does the sandbox.
            with suppress(CannotAsk):
                await gateway.register.take_over(
                    enrolled(accounts.seeded, folder / AUTHORITY_FOLDER), replaces=False
                )
                for known in to_be_enrolled(accounts, dict(applications)[PHONE_PORT][phone.PHONE].links):
                    for member_id, enrolment in enrolments(known, now=clock()):
                        await gateway.register.enrol(member_id, enrolment)
            yield Sandbox(
                addresses=addresses,
                accounts=accounts,
                store=store,
                settings_file=settings_file,
                socket=folder / "authproxy.sock",
            )


def _refuse_taken(offset: int) -> None:
    """Checks all ports before anything starts. Raises PortsTaken."""
    taken = [(port + offset, what) for port, what in used_ports().items() if not _is_free(port + offset)]
    if taken:
        listed = ", ".join(f"{port} ({what}) by {address_holders.of_port(port)}" for port, what in taken)
        free = next(
            (
                other
                for other in range(100, 50_000, 100)
                if all(_is_free(port + other) for port in used_ports())
            ),
            100,
        )
        way = f"move all ports with `make demo PORTS=+{free}` or `authproxy sandbox --port-offset {free}`"
        raise PortsTaken(f"ports are taken: {listed}; {way}")


def _is_free(port: int) -> bool:
    try:
        bound(port).close()
    except OSError:
        return False
    return True


def run(
    *,
    port_offset: int = 0,
    store_url: str | None = None,
    state_dir: Path | None = None,
    is_verbose: bool = False,
) -> None:
    """Runs the sandbox until Ctrl-C or SIGTERM. Without `state_dir` it forgets everything at the end.
    `is_verbose` shows the logs."""
    import uvloop  # noqa: PLC0415  (only a sandbox that runs needs it)

    raise_limit()
    if state_dir is not None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        uvloop.run(_until_stopped(port_offset, store_url, state_dir, is_verbose=is_verbose))
    else:
        with own_folder() as folder:
            uvloop.run(_until_stopped(port_offset, store_url, folder, is_verbose=is_verbose))


async def _until_stopped(port_offset: int, store_url: str | None, folder: Path, *, is_verbose: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    # SIGHUP: the terminal was closed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    async with running(
        port_offset=port_offset, store_url=store_url, folder=folder, is_verbose=is_verbose
    ) as sandbox:
        sys.stderr.write(_greeting(sandbox))
        await stopped.wait()
        sys.stderr.write("\nStopping …\n")


def _greeting(sandbox: Sandbox) -> str:
    lines = [
        "",
        "  Bankart Varni Spletni Prehod: sandbox",
        "",
        *greeting(sandbox.addresses, portals(), person="ana.novak@example.si", password=PASSWORD),
        f"  Sessions are in      {sandbox.store.what[1]}",
        f"  Settings             {sandbox.settings_file}",
        (
            f"  Audit events         {sandbox.settings_file.parent / 'audit.log'} (`--verbose` shows the "
            "logs here)"
        ),
        f"  Subrequests          unix:{sandbox.socket}",
        "",
        "  Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(lines) + "\n"
