"""The whole sandbox as a process, one for all browser tests of a worker, and a Chromium for each test."""

from __future__ import annotations

import pytest

from tests.support.browser import Visitor, chromium
from tests.support.sandbox import running_sandbox


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.needs("chromium"))
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="session")
def looked_at():
    """Kinds of pages that were asked about barriers; one of each kind and language is enough."""
    return set()


@pytest.fixture
async def chrome():
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def visitor(chrome, sandbox, looked_at):
    """Opens a browser of its own for a person; at the end nothing may have been complained about, and nobody else asked."""
    opened = []

    async def visit(email="ana.novak@example.si", **options):
        context = await chrome.new_context(**options)
        person = Visitor(await context.new_page(), sandbox, email, language=options.get("locale", "sl")[:2], looked_at=looked_at)
        opened.append((context, person))
        return person

    yield visit
    for context, person in opened:
        await context.close()
        assert person.complaints == []
        assert person.strangers == []
