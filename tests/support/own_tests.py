"""Which modules are PURE, which are compiled, and which tests are their own.

A module's own tests are the unit tests of its package that import it, or the room in which it lies. `make
test-compiled` and `make coverage` ask here, so that nobody has to remember a list:

    python tests/support/own_tests.py compiled        # tests that run on the compiled modules
    python tests/support/own_tests.py pure            # tests that must pass every branch of the PURE modules
    python tests/support/own_tests.py pure-modules    # these modules
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
        "tests/conversations/test_session_life.py",
        "tests/security/test_random_bytes.py",
    ),
    "authproxy/flows/identity_headers.py": ("tests/conversations/test_portal_identity.py",),
    "authproxy/storage/near_cache.py": ("tests/faults/test_gateway_store.py",),
    "authproxy/telemetry/*.py": ("tests/unit/telemetry/test_*.py",),
}
"""Compiled modules, and tests of whole stories that lead through them: what speaks a protocol or waits has
its tests there and not among the unit tests."""


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
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").startswith("PURE")


def pure_modules() -> list[Path]:
    """Of the gateway. The sandbox is a tool, and its modules are tested as far as that needs."""
    modules = (path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "sandbox"))
    return sorted(filter(is_pure, modules))


def compiled_modules() -> list[Path]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    return sorted({path for pattern in patterns for path in ROOT.glob(pattern)})


def own_tests(module: Path) -> list[Path]:
    parts = name_of(module).split(".")
    names = {".".join(parts[:depth]) for depth in range(min(3, len(parts)), len(parts) + 1)}
    return [path for path in _unit_tests(parts[1]) if names & imports(path)]


@cache
def _unit_tests(package: str) -> list[Path]:
    return sorted((ROOT / "tests/unit" / package).rglob("test_*.py"))


def stories_through(module: Path) -> list[Path]:
    patterns = (tests for modules, tests in THROUGH_SOCKETS.items() if module in set(ROOT.glob(modules)))
    return [path for tests in patterns for pattern in tests for path in ROOT.glob(pattern)]


def files_with_tests_of(modules: Iterable[Path]) -> list[str]:
    found = {test for module in modules for test in own_tests(module)}
    return sorted(str(test.relative_to(ROOT)) for test in found)


def tests_of_compiled() -> list[str]:
    stories = {test for module in compiled_modules() for test in stories_through(module)}
    return sorted(
        {*files_with_tests_of(compiled_modules()), *(str(test.relative_to(ROOT)) for test in stories)}
    )


LISTS: Mapping[str, Callable[[], list[str]]] = {
    "compiled": tests_of_compiled,
    "pure": lambda: files_with_tests_of(pure_modules()),
    "pure-modules": lambda: [str(path.relative_to(ROOT)) for path in pure_modules()],
}

if __name__ == "__main__":
    print(*LISTS[sys.argv[1]]())
