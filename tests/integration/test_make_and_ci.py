"""`.ci/run` and the environment that make makes, with a stand-in for what they call: what they do is theirs,
not that of the tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = (
    "setup",
    "lint",
    "types",
    "imports",
    "compiled",
    "instructions",
    "coverage",
    "test-rest",
    "test-compiled",
)
MAKE = (
    """#!/bin/sh
for word; do case $word in STEPS) step=$word;; esac; done
echo "$*" >>"$CALLS"
case $step in
    lint) echo 'All checks passed!';;
    types) echo 'Success: no issues found in 3 source files';;
    imports) echo 'Contracts: 9 kept, 0 broken.';;
    instructions) echo 'No request takes too many more instructions.';;
    test*|coverage) echo "==== 12 passed in 3.4s ====";;
esac
[ "$step" != "$FAILS" ]
"""
).replace("STEPS", "|".join(STEPS))


@pytest.fixture
def checkout(tmp_path):
    """A folder with what is tested, and with a stand-in for make before all other programs."""
    folder = tmp_path / "a checkout"
    (folder / ".ci").mkdir(parents=True)
    (folder / "tests/support/foreign_provider").mkdir(parents=True)
    (folder / "build/compiled/authproxy/edge").mkdir(parents=True)
    (folder / "build/compiled/authproxy/edge/listener.so").touch()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "make").write_text(MAKE)
    (programs / "make").chmod(0o755)
    return folder


def run(checkout, **environment):
    """Exit code, what it said, and how make was called."""
    calls = checkout / "calls"
    path = f"{checkout.parent / 'programs'}:{os.environ['PATH']}"
    done = subprocess.run(
        [checkout / ".ci/run"],
        env=os.environ | {"PATH": path, "CALLS": str(calls), "FAILS": ""} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, calls.read_text().splitlines()


def test_every_step_is_run_and_counted(checkout):
    code, said, calls = run(checkout)
    assert code == 0, said
    assert {call.split()[1] for call in calls} == set(STEPS)
    told = {line.split()[0]: line for line in said.splitlines() if "  " in line}
    assert "All checks passed!" in told["lint"]
    assert "3 source files" in told["types"]
    assert "9 kept" in told["imports"]
    assert "1 modules" in told["compiled"]
    assert "No request takes too many more" in told["instructions"]
    assert "12 passed" in told["coverage"]
    assert "12 passed" in told["test-rest"]
    assert "12 passed" in told["test-compiled"]


def test_the_slowest_tests_are_named(checkout):
    _, _, calls = run(checkout)
    named = {call.split()[1] for call in calls if "OPTIONS=--durations=20" in call}
    assert {"test-rest", "test-compiled"} <= named


def test_nothing_is_tested_that_was_not_compiled(checkout):
    _, said, calls = run(checkout, FAILS="compiled")
    assert "test-compiled" not in {call.split()[1] for call in calls}
    assert "not begun" in said


@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_fails_all_of_it(checkout, step):
    code, said, _ = run(checkout, FAILS=step)
    assert code == 1
    assert " FAILED " in said


@pytest.mark.parametrize(("longest", "is_said"), [("900", False), ("0", True)])
def test_it_is_said_when_all_of_it_took_too_long(checkout, longest, is_said):
    code, said, _ = run(checkout, LONGEST=longest)
    assert code == 0
    assert ("That is longer than" in said) == is_said


def test_a_link_to_the_environment_of_another_checkout_goes_and_the_environment_stays(checkout, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    (checkout / ".venv").symlink_to(other)
    assert run(checkout)[0] == 0
    assert not (checkout / ".venv").is_symlink()
    assert (other / "kept").exists()


def make(folder, *words):
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(folder, *, made_at=None):
    """A virtual environment that looks whole: a Python that runs, and what says where it was made."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to("/bin/true")
    (folder / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {made_at or folder}\n"
    )
    return folder


def test_an_environment_of_ones_own_is_left_as_it_is(tmp_path):
    environment(tmp_path / ".venv")
    assert make(tmp_path, "help").returncode == 0
    assert (tmp_path / ".venv/pyvenv.cfg").exists()


def test_an_environment_that_was_made_elsewhere_is_no_environment(tmp_path):
    environment(tmp_path / ".venv", made_at="/nowhere/.venv")
    assert make(tmp_path, "help").returncode == 0
    assert not (tmp_path / ".venv").exists()


def test_a_link_that_leads_nowhere_is_no_environment(tmp_path):
    (tmp_path / ".venv").symlink_to(tmp_path / "gone")
    assert make(tmp_path, "help").returncode == 0
    assert not (tmp_path / ".venv").is_symlink()


def test_nothing_is_installed_into_the_environment_of_another_checkout(tmp_path):
    other = environment(tmp_path / "other/.venv")
    here = tmp_path / "here"
    (here / "deploy/requirements").mkdir(parents=True)
    (here / "deploy/requirements/sandbox.txt").touch()
    (here / ".venv").symlink_to(other)
    refused = make(here, ".venv/.sandbox")
    assert refused.returncode != 0
    assert f".venv leads to {other}" in refused.stderr
    assert not (other / ".sandbox").exists()
