"""The files that the image is built from. `make image` builds it."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]


def instructions():
    text = re.sub(
        r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    ).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def copied():
    """The paths that the Dockerfile copies from the checkout."""
    words = [shlex.split(rest) for name, rest in instructions() if name == "COPY"]
    return [source for parts in words if not parts[0].startswith("--from=") for source in parts[:-1]]


def is_sent(path, patterns):
    """Whether the build context contains this file: the last pattern that matches it, or a folder above it,
    decides."""
    sent = True
    for pattern in patterns:
        expression = (
            re.escape(pattern.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        )
        if any(re.fullmatch(expression, str(part)) for part in (path, *path.parents)):
            sent = pattern.startswith("!")
    return sent


def ignored():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("source", copied())
def test_what_the_dockerfile_copies_is_there_and_is_sent_to_the_engine(source):
    found = ROOT / source
    files = (
        [found]
        if found.is_file()
        else [
            path
            for path in found.rglob("*")
            if path.is_file() and not {"__pycache__", "sandbox"} & set(path.relative_to(ROOT).parts)
        ]
    )
    assert files, "is not there"
    assert [
        str(path) for path in files if not is_sent(PurePosixPath(path.relative_to(ROOT)), ignored())
    ] == []


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        "authproxy/sandbox/accounts.py",
        "authproxy/edge/__pycache__/listener.pyc",
        "tests/conftest.py",
        "session-keys",
    ],
)
def test_secrets_the_sandbox_and_what_the_image_does_not_need_are_not_sent(name):
    assert not is_sent(PurePosixPath(name), ignored())


def test_bases_can_be_named_from_outside():
    bases = [rest.partition(" AS ")[0] for name, rest in instructions() if name == "FROM"]
    given = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    assert len(bases) == 2
    assert all(base.strip("${}") in given for base in bases)
    # Compiled modules and the environment fit one version of Python, and a tag alone can be moved.
    named = [
        re.fullmatch(r"python:(\d+\.\d+)[a-z0-9.-]*@sha256:[0-9a-f]{64}", given[base.strip("${}")])
        for base in bases
    ]
    assert {name and name[1] for name in named} == {"3.11"}


def hook():
    spec = importlib.util.spec_from_file_location("compiled_modules_hook", ROOT / "deploy" / "compiled.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_compiler_reads_the_types_of_the_libraries_that_the_gateway_runs_with():
    [build] = [rest for name, rest in instructions() if name == "RUN" and "hatchling build" in rest]
    environment = dict(re.findall(r"\b([A-Z_]+)=(\S+)", build))
    installed = next(rest for name, rest in instructions() if name == "RUN" and "runtime.txt" in rest)
    assert environment["AUTHPROXY_RUNTIME_PYTHON"] in installed
    options = hook()._options(environment)
    assert options[options.index("--python-executable") + 1] == environment["AUTHPROXY_RUNTIME_PYTHON"]
    assert "--python-executable" not in hook()._options({})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The plain wheel, unpacked. The compiled wheel has the same files and the compiled modules."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [Path(sys.executable).with_name("hatchling"), "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    [file] = folder.glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        opened.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_the_gateway_and_nothing_of_the_sandbox(wheel):
    names = {
        str(path.relative_to(wheel))
        for path in wheel.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert {"authproxy/cli/__init__.py", "authproxy/web/locales/sl.po", "authproxy/py.typed"} <= names
    # An installed gateway has only the command, which says that the sandbox is part of the source checkout.
    assert [name for name in names if "sandbox" in name.lower()] == ["authproxy/cli/sandbox.py"]
    assert [name for name in names if b"Sandbox-2026!" in (wheel / name).read_bytes()] == []


def test_the_sandbox_of_an_installed_gateway_is_one_line_that_says_where_it_is(wheel, tmp_path):
    result = subprocess.run(
        [sys.executable, "-P", "-m", "authproxy", "sandbox"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "source checkout" in result.stderr
