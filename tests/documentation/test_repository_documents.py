from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from authproxy import __version__
from authproxy.cli import main

ROOT = Path(__file__).parents[2]
SKIPPED_FOLDERS = {
    ".git",
    ".venv",
    "node_modules",
    "__pycache__",
    "dist",
    "build",
    ".hypothesis",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".import_linter_cache",
}


def tracked_files():
    """The files that git tracks or would track. In an export without .git, all files."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = (
        listing.stdout.splitlines()
        if listing.returncode == 0
        else [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    )
    files = [ROOT / name for name in names]
    return [
        path for path in files if path.is_file() and not SKIPPED_FOLDERS & set(path.relative_to(ROOT).parts)
    ]


def commands(group=main, above=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield " ".join(("authproxy", *above, name))


def documents():
    return [path for path in tracked_files() if path.suffix == ".md"]


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_in_the_readme(command):
    assert f"`{command}" in (ROOT / "README.md").read_text()


def test_the_readme_names_no_command_that_does_not_exist():
    table = (ROOT / "README.md").read_text().partition("## Operate it")[2].partition("`-c FILE` may")[0]
    named = re.findall(
        r"^\| `(authproxy [a-z-]+(?: (?:add|list|revoke|rotate|import|show|block|unblock|link|unlink|export|methods|roles|reseal|explain|check|acl|forget|oauth2-proxy|mod_auth_openidc|examine|consent))?)",
        table,
        re.MULTILINE,
    )
    assert set(named) == set(commands())


def anchors(document):
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_changelog_knows_this_version():
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_settings_of_the_readme_are_settings():
    from authproxy.settings import schema_keys
    from authproxy.settings.document import parse

    [block] = re.findall(
        r"^   ```yaml\n(.*?)^   ```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    document = parse(re.sub(r"^   ", "", block, flags=re.MULTILINE))
    unknown = [
        path
        for path in document.lines
        if path
        and schema_keys.at(tuple(name.removesuffix("_file") for name in map(str, path))) is None
        and schema_keys.at(path) is None
    ]
    assert unknown == []
    assert document.remarks == []


def test_every_check_of_readiness_is_in_the_documents():
    """Every permanent task is a check with the task's name."""
    sources = "".join(path.read_text() for path in (ROOT / "authproxy/bootstrap").glob("*.py"))
    names = (
        set(re.findall(r'\bkeep\(\s*f?"(\w+)', sources))
        | set(re.findall(r'"(\w+)": (?:check_|[\w.]+\.check)', sources))
        | {"time_limits", "draining"}
    )
    assert {"store", "names", "own_certificates", "ended_sessions", "sms_connection_"} <= names
    told = (
        (ROOT / "deploy/README.md").read_text().partition("## What `/readyz` checks")[2].partition("\n## ")[0]
    )
    assert [name for name in sorted(names) if f"`{name}" not in told] == []


# Paths of one machine, registries (installers get these from their own configuration), and secrets.
FORBIDDEN = re.compile(
    r"p[y]pi\.org|pythonh[o]sted\.org|npm[j]s\.(?:org|com)|registry\.yarnpkg|/root/|/home/[a-z]+/|-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]"
    r"|(?<![\w.])/tmp/|/work/"
)
HAS_THE_PATTERN = {"tests/documentation/test_repository_documents.py"}


@pytest.mark.parametrize("folder", ["", "authproxy", "bench", "config", "deploy", "tests"])
def test_no_file_names_a_registry_or_a_place_of_one_machine_or_holds_a_private_key(folder):
    found = []
    for path in tracked_files():
        name = str(path.relative_to(ROOT))
        is_here = name.startswith(f"{folder}/") if folder else "/" not in name or name.startswith(".")
        if not is_here or name in HAS_THE_PATTERN:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0]!r}" for match in FORBIDDEN.finditer(text)]
    assert found == []


def test_no_two_modules_of_tests_have_the_same_name():
    """pytest imports them by their name alone, and leaves the second one out with an error."""
    names = [path.name for path in tracked_files() if path.match("tests/**/test_*.py") and path.exists()]
    assert sorted(names) == sorted(set(names))
