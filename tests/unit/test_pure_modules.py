"""What import-linter cannot say: modules that call themselves PURE are, and foreign libraries are imported in
their one home only."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys

import pytest

from tests.support.own_tests import (
    PACKAGE,
    ROOT,
    THROUGH_SOCKETS,
    compiled_modules,
    imports,
    is_pure,
    name_of,
    own_tests,
    pure_modules,
    stories_through,
)

EFFECTS = {
    "asyncio",
    "aiohttp",
    "redis",
    "socket",
    "ssl",
    "time",
    "random",
    "secrets",
    "structlog",
    "subprocess",
    "threading",
    "urllib.request",
}
HOMES = {
    "redis": {"storage", "sandbox"},
    "jwt": {"oidc", "assertions", "sandbox"},
    "httptools": {"edge"},
    "prometheus_client": {"telemetry"},
    "yaml": {"settings", "sandbox"},
    "pydantic": {"settings", "storage"},
    "uvloop": {"bootstrap", "sandbox"},
    "click": {"cli"},
    "OpenSSL": {"web", "certificates"},
    "aiodns": {"dns"},
}


def test_no_class_of_a_compiled_module_has_an_interpreted_child():
    """mypyc makes no object of such a child: `TypeError: … object expected`. Nobody makes objects of a protocol."""
    for path in modules():
        if path.name != "__main__.py":
            importlib.import_module(name_of(path))
    compiled = {name_of(path) for path in compiled_modules()}
    parents = [
        one
        for name in compiled
        for one in vars(sys.modules[name]).values()
        if isinstance(one, type) and one.__module__ == name
    ]
    assert len(parents) > 100
    children = {
        f"{child.__module__}.{child.__qualname__}"
        for one in parents
        for child in type.__subclasses__(one)
        if child.__module__.startswith("authproxy.")
        and child.__module__ not in compiled
        and not getattr(child, "_is_protocol", False)
    }
    assert children == set()


def modules():
    return sorted(PACKAGE.rglob("*.py"))


BY_NAME = {name_of(path): path for path in modules()}


def reached(path):
    """Everything that a module imports directly or by way of our own modules."""
    found, waiting = set(), [path]
    while waiting:
        new = imports(waiting.pop()) - found
        found |= new
        waiting += [BY_NAME[name] for name in new if name in BY_NAME]
    return found


def test_the_core_calls_itself_pure():
    core = [path for path in modules() if path.relative_to(PACKAGE).parts[0] in {"identity", "access"}]
    assert core
    assert [name_of(path) for path in core if not is_pure(path)] == []


@pytest.mark.parametrize("path", pure_modules(), ids=name_of)
def test_a_module_that_calls_itself_pure_reaches_nothing_that_acts(path):
    # Validation is what the settings and the record codec are for; everywhere else values are checked by the
    # types themselves.
    has_validation = path.relative_to(PACKAGE).parts[0] in {"settings", "storage", "people"}
    forbidden = EFFECTS | (set() if has_validation else {"pydantic"})
    assert {
        name for name in reached(path) if name in forbidden or name.partition(".")[0] in forbidden
    } == set()


@pytest.mark.parametrize("library", HOMES)
def test_a_foreign_library_is_imported_in_its_home_only(library):
    guests = {
        name_of(path)
        for path in modules()
        if path.relative_to(PACKAGE).parts[0] not in HOMES[library]
        and any(name.partition(".")[0] == library for name in imports(path))
    }
    assert guests == set()


# mypyc/irbuild/prepare.py, `can_subclass_builtin`, and what it treats apart.
COMPILABLE_BASES = {
    "BaseException",
    "Exception",
    "LookupError",
    "IndexError",
    "Warning",
    "UserWarning",
    "ValueError",
    "object",
    "dict",
}


@pytest.mark.parametrize("path", compiled_modules(), ids=name_of)
def test_a_compiled_module_derives_from_no_builtin_that_the_compiler_cannot_take(path):
    classes = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    bases = {
        base.id
        for each in classes
        for base in each.bases
        if isinstance(base, ast.Name) and hasattr(builtins, base.id)
    }
    assert bases <= COMPILABLE_BASES


@pytest.mark.parametrize("path", compiled_modules(), ids=name_of)
def test_a_compiled_module_has_tests_that_run_on_it_compiled(path):
    assert own_tests(path) or stories_through(path)


@pytest.mark.parametrize(
    "pattern",
    sorted({*THROUGH_SOCKETS, *(tests for stories in THROUGH_SOCKETS.values() for tests in stories)}),
)
def test_what_is_named_for_compiled_modules_is_there(pattern):
    assert any(ROOT.glob(pattern))
