"""Which modules are PURE, which are compiled, and which tests are their own.

A module's own tests are the unit tests of its package that import it. `make test-compiled` and `make coverage`
ask here, so that nobody has to remember a list:

    python tests/support/own_tests.py compiled        # tests that run on the compiled modules
    python tests/support/own_tests.py pure            # tests that must pass every branch of the PURE modules
    python tests/support/own_tests.py pure-modules    # these modules
    python tests/support/own_tests.py elsewhere       # tests that these two run, so that `make test-rest` need not
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "authproxy"

THROUGH_SOCKETS: Mapping[str, tuple[str, ...]] = {
    "authproxy/edge/**/*.py": (
        "tests/integration/test_edge_*.py",
        "tests/integration/test_nginx_story.py",
        "tests/security/test_framing.py",
        "tests/security/test_header_spoofing.py",
        "tests/security/test_targets.py",
    ),
    "authproxy/access/*.py": (
        "tests/security/test_spellings.py",
        "tests/conversations/test_spelled_paths.py",
        "tests/conversations/test_sign_in.py",
        "tests/unit/flows/sign_in/test_provider_demands.py",
        "tests/unit/flows/step_up/test_bound_requests.py",
    ),
    "authproxy/identity/*.py": (
        "tests/contracts/test_session_stores.py",
        "tests/contracts/test_grant_stores.py",
        "tests/unit/flows/sign_in/test_session_ends.py",
    ),
    "authproxy/flows/access.py": (
        "tests/conversations/test_open_parts.py",
        "tests/conversations/test_session_life.py",
        "tests/security/test_random_bytes.py",
    ),
    "authproxy/flows/identity_headers.py": ("tests/conversations/test_portal_identity.py",),
    "authproxy/storage/near_cache.py": ("tests/faults/test_gateway_store.py",),
    "authproxy/storage/redis/*.py": (
        "tests/integration/test_redis_pipeline.py",
        "tests/integration/test_redis_sessions.py",
    ),
    "authproxy/telemetry/*.py": ("tests/unit/telemetry/test_*.py",),
}
"""Compiled modules, and tests of whole stories that lead through them: what speaks a protocol or waits has
its tests there and not among the unit tests."""


BEHIND_DOORS = ("tests/unit/settings/test_*.py", "tests/documentation/test_settings_documents.py")
"""PURE modules of the settings stand behind `read`, and are tested by what it says of a file of settings."""


@cache
def imports(path: Path) -> frozenset[str]:
    """Names of everything that a file imports directly, at whatever depth of its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def name_of(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_pure(module: Path) -> bool:
    return module.read_text(encoding="utf-8").startswith('"""PURE')


def pure_modules() -> list[Path]:
    """Of the gateway. The sandbox is a tool, and its modules are tested as far as that needs."""
    modules = (path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "sandbox"))
    return sorted(filter(is_pure, modules))


def compiled_modules() -> list[Path]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    matching = {path for pattern in hook["modules"] for path in ROOT.glob(pattern)}
    return sorted(matching - {ROOT / path for path in hook["interpreted"]})


def own_tests(module: Path) -> list[Path]:
    package = module.relative_to(PACKAGE).parts[0]
    return [path for path in _unit_tests(package) if name_of(module) in imports(path)]


@cache
def _unit_tests(package: str) -> list[Path]:
    return sorted((ROOT / "tests/unit" / package).rglob("test_*.py"))


def stories_through(module: Path) -> list[str]:
    through = (tests for modules, tests in THROUGH_SOCKETS.items() if module in set(ROOT.glob(modules)))
    return found(pattern for tests in through for pattern in tests)


def found(patterns: Iterable[str]) -> list[str]:
    return [str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)]


def tests_of(modules: Iterable[Path]) -> set[str]:
    return {str(test.relative_to(ROOT)) for module in modules for test in own_tests(module)}


def waits_for_nothing(test: str) -> bool:
    """PURE modules do not, and tests of theirs that do are about something else."""
    return "\nasync def test_" not in (ROOT / test).read_text(encoding="utf-8")


def tests_of_pure() -> set[str]:
    return {*filter(waits_for_nothing, tests_of(pure_modules())), *found(BEHIND_DOORS)}


def draws_nothing(test: str) -> bool:
    """Hypothesis draws other examples in each run, but in `make coverage`, where it draws few."""
    return not any(name.startswith("hypothesis") for name in imports(ROOT / test))


def tests_of_compiled() -> set[str]:
    modules = compiled_modules()
    return tests_of(modules) | {story for module in modules for story in stories_through(module)}


def tests_elsewhere() -> set[str]:
    """What is compiled is tested as it is shipped, and a second time as it is written only by what `make
    coverage` runs: mypyc takes less than Python does, so that a story seldom fails there alone."""
    return {*filter(draws_nothing, tests_of_pure()), *tests_of_compiled()}


LISTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "compiled": tests_of_compiled,
    "pure": tests_of_pure,
    "elsewhere": tests_elsewhere,
    "pure-modules": lambda: (str(path.relative_to(ROOT)) for path in pure_modules()),
}

if __name__ == "__main__":
    print(*sorted(LISTS[sys.argv[1]]()))
