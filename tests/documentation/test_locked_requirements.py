"""The locks install as they are, without a resolver: nothing that a locked package requires is outside of its
lock, whatever newer versions have been published since. What packages require is read from their installed
metadata: everything that is locked is installed where tests run, the packages of the foreign OpenID provider
in a folder of their own."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.conftest import IN_CI

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Debian 12 has 3.11.2 and Debian 13 has 3.13.5. Some packages require more before a patch release, such as
# 3.11.3.
PYTHONS = ["3.11.0", "3.11.2", "3.11.14", "3.12.0", "3.12.12", "3.13.0", "3.13.5"]
LOCKS = ["runtime", "sandbox", "dev", "build", "foreign"]


def asked_for(lock):
    """The project's own requirements for a lock."""
    if lock == "foreign":
        wanted_there = (
            (ROOT / "tests" / "support" / "foreign_django" / "requirements.in")
            .read_text(encoding="utf-8")
            .splitlines()
        )
        return [Requirement(line) for line in wanted_there if not line.startswith("#")]
    project = PROJECT["project"]
    optional = project["optional-dependencies"]
    building = [
        *PROJECT["build-system"]["requires"],
        *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["dependencies"],
    ]
    wanted = {
        "runtime": project["dependencies"],
        "sandbox": [*project["dependencies"], *optional["sandbox"]],
        "dev": [*project["dependencies"], *optional["sandbox"], *optional["dev"], *building],
        "build": building,
    }
    return [Requirement(each) for each in wanted[lock]]


def lines(lock):
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def locked(lock):
    """The lines of a lock, without the hashes."""
    return [Requirement(re.sub(r"\s*--hash=\S+", "", line)) for line in lines(lock)]


def holds(requirement, python, extras=()):
    """Whether a requirement applies on this Python, for a package with these extras."""
    here = {
        **default_environment(),
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
    }
    return requirement.marker is None or any(
        requirement.marker.evaluate({**here, "extra": extra}) for extra in ("", *extras)
    )


def installed(lock):
    """The metadata of the packages that are installed from this lock, by name."""
    if lock != "foreign":
        return importlib.metadata.metadata
    if not (folder := Path(sys.prefix) / "foreign").is_dir():
        (pytest.fail if IN_CI else pytest.skip)("needs django-oauth-toolkit (make setup installs it)")
    found = {
        canonicalize_name(each.name): each.metadata
        for each in importlib.metadata.distributions(path=[str(folder)])
    }
    return lambda name: found[canonicalize_name(name)]


def missing(asked, lines_of_lock, python, metadata=importlib.metadata.metadata):
    """The requirements of the project and of locked packages that the lock does not satisfy."""
    versions = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in lines_of_lock
        if holds(each, python)
    }
    waiting = [("the project", each) for each in asked if holds(each, python)] + [
        ("the lock", Requirement(name)) for name in versions
    ]
    seen, found = set(), []
    while waiting:
        by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in versions or not requirement.specifier.contains(versions[name], prereleases=True):
            found.append(f"{by} requires {requirement}")
        elif (name, *sorted(requirement.extras)) not in seen:
            seen.add((name, *sorted(requirement.extras)))
            required = [Requirement(each) for each in metadata(name).get_all("Requires-Dist") or ()]
            waiting += [(name, each) for each in required if holds(each, python, requirement.extras)]
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_everything_that_a_locked_package_requires_is_locked(lock, python):
    assert missing(asked_for(lock), locked(lock), python, installed(lock)) == []


def test_what_only_an_extra_requires_is_missed_too():
    without = [each for each in locked("runtime") if each.name != "hiredis"]  # `redis[hiredis]` asks for it
    assert [each.partition(" requires ")[0] for each in missing(asked_for("runtime"), without, "3.11.2")] == [
        "redis"
    ]


def test_what_only_an_older_python_requires_is_missed_too():
    without = [each for each in locked("runtime") if each.name != "async-timeout"]
    assert missing(asked_for("runtime"), without, "3.11.2") != []
    assert missing(asked_for("runtime"), without, "3.11.14") == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_hashes(lock):
    assert [
        line
        for line in lines(lock)
        if not re.fullmatch(r"[a-z0-9.-]+==\S+(?: ; [^\\]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*", line)
    ] == []


def test_locks_agree_with_each_other():
    versions = {}
    for lock in LOCKS:
        for each in locked(lock):
            versions.setdefault(each.name, set()).add(str(each.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("lock", ["dev", "foreign"])
def test_the_locked_packages_run_on_every_python_that_the_classifiers_name(lock):
    promised = {
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", line)
    }
    assert promised == {python.rpartition(".")[0] for python in PYTHONS}
    metadata = installed(lock)
    for each in locked(lock):
        assert str(each.specifier) == f"=={metadata(each.name)['Version']}", (
            f"{each.name} is installed in another version than the locked one"
        )
        needed = SpecifierSet(metadata(each.name).get("Requires-Python") or "")
        assert [python for python in PYTHONS if not needed.contains(python)] == [], each.name


def test_packages_of_node_are_locked_by_hashes_and_without_addresses_of_a_server():
    packages = json.loads(
        (ROOT / "tests" / "support" / "foreign_provider" / "package-lock.json").read_text(encoding="utf-8")
    )["packages"]
    wanted = json.loads(
        (ROOT / "tests" / "support" / "foreign_provider" / "package.json").read_text(encoding="utf-8")
    )["dependencies"]
    assert packages.pop("")["dependencies"] == wanted
    assert [
        name
        for name, each in packages.items()
        if not each["integrity"].startswith("sha512-") or "resolved" in each
    ] == []
    required = {name for each in packages.values() for name in each.get("dependencies", {})}
    assert [name for name in required if f"node_modules/{name}" not in packages] == []


# The documents, the Dockerfile and the scripts that operators and CI follow. A command may span several
# lines.
FOLLOWED = [
    "*.md",
    "Makefile",
    "Dockerfile",
    ".ci/*",
    "deploy/*",
    "deploy/**/README.md",
    "bench/*.md",
    "tests/*.md",
]


def installations():
    files = sorted({path for pattern in FOLLOWED for path in ROOT.glob(pattern) if path.is_file()})
    for path in files:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        variables = dict(re.findall(r"^(\w+) [:?]?= (.*)$", text, re.MULTILINE))
        for name, value in variables.items():
            text = text.replace(f"$({name})", value)
        yield from (
            (path.relative_to(ROOT), line.strip())
            for line in text.splitlines()
            if re.search(r"\binstall\b.*\s(--requirement|-r)\b", line)
        )


def test_nothing_installs_a_lock_with_a_resolver():
    found = list(installations())
    assert len(found) >= 6
    assert [
        (str(path), line) for path, line in found if "--no-deps" not in line or "--require-hashes" not in line
    ] == []
