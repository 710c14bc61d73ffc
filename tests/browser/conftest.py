"""The whole sandbox as a process, one for the tests of a module, and for each test a browser of its own: a
context of the worker's Chromium."""

from __future__ import annotations

import pytest
import pytest_asyncio
from aiohttp import ClientSession, ClientTimeout

from tests.support.browser import LookedAt, Visitor
from tests.support.sandbox import running_sandbox
from tests.support.tunnelling_proxy import tunnelling_proxy


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.needs("chromium", "chromium-headless-shell"))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory, authority_state):
    """Its provider sends a hundred messages an hour to one address, and one module of newcomers after another
    would use them up."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), authority=authority_state) as running:
        yield running


@pytest.fixture(scope="session")
def looked_at(run_folder):
    """One page of each kind and language is asked about barriers, by whichever worker comes first."""
    return LookedAt(run_folder / "looked-at")


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium, sandbox, looked_at):
    """Opens a browser of its own for a person; at the end nothing may have been complained about, and nobody
    else asked."""
    opened = []

    async def visit(email="ana.novak@example.si", **options):
        context = await chromium.new_context(**options)
        person = Visitor(
            await context.new_page(),
            sandbox,
            email,
            language=options.get("locale", "sl")[:2],
            looked_at=looked_at,
        )
        opened.append((context, person))
        return person

    yield visit
    for context, person in opened:
        await context.close()
        assert person.complaints == []
        assert person.strangers == []


@pytest_asyncio.fixture(loop_scope="session")
async def proxy():
    async with tunnelling_proxy() as url:
        yield url


@pytest.fixture
def certificate_visitor(proxy, visitor, sandbox, tmp_path):
    """A browser that shows the certificate of that name, as the authority gives it out for browsers, to the
    gateway and to the provider; the hosts' own one is let pass. The proxy is asked for first, so that it is
    there for as long as pages load themselves anew."""

    async def visit(name, **options):
        origins = [f"https://localhost:{port + sandbox.offset}" for port in (8444, 8445)]
        shown = {}
        if name is not None:
            async with (
                ClientSession(timeout=ClientTimeout(10)) as session,
                session.get(f"{sandbox.local(8084)}/people/{name}.p12") as answer,
            ):
                assert answer.status == 200
                (tmp_path / f"{name}.p12").write_bytes(await answer.read())
            file = tmp_path / f"{name}.p12"
            shown = {
                "client_certificates": [
                    {"origin": origin, "pfxPath": file, "passphrase": "sandbox"} for origin in origins
                ],
                "proxy": {"server": proxy},
            }
        email = options.pop("email", "nobody@example.si" if name is None else f"{name}@example.si")
        return await visitor(email, ignore_https_errors=True, **shown, **options)

    return visit
