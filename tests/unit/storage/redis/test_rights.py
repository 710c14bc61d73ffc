"""The rights that `authproxy store acl` prints are those of the commands in the code, and are written the same
everywhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import authproxy.storage.redis
from authproxy.storage.redis import rights

CODE = sorted(Path(authproxy.storage.redis.__file__).parent.glob("*.py"))
ROOT = Path(__file__).parents[4]
SUBCOMMANDS = {"CLIENT", "CLUSTER"}
NO_COMMANDS = {"wrongtype", "noperm"}
OF_THE_LIBRARY = {"select"}
"""What redis-py says when it connects."""


def name_of(words):
    return "|".join(words[:2] if words[0] in SUBCOMMANDS else words[:1]).lower()


def asked_by(source):
    """The commands that a module sends, or lets its scripts call. Every command is written in capitals, as the
    first item of a tuple or the first argument of a call."""
    for node in ast.walk(ast.parse(source)):
        items = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        words = [
            item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)
        ]
        first = items[0] if items else None
        if isinstance(first, ast.Constant) and words and re.fullmatch("[A-Z]{3,}", words[0]):
            yield from {name_of(words)} - NO_COMMANDS
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (found.lower() for found in re.findall(r"redis\.p?call\('([A-Z]+)'", node.value))
            yield from (found.lower() for found in re.findall(r"\b(?:put|try)\('([A-Z]+)'", node.value))


def test_the_rights_are_those_of_the_commands_in_the_code():
    asked = {
        command
        for path in CODE
        if path.name not in {"rights.py", "answer_shapes.py", "errors.py", "sentinels.py"}
        for command in asked_by(path.read_text())
    }
    # Sentinels are asked by another user, who has no rights at the store.
    assert asked | OF_THE_LIBRARY == set(rights.commands())


def test_a_command_is_found_wherever_the_code_asks_it():
    source = """
script = "redis.call('HSET', KEYS[1]) redis.pcall('GET', KEYS[1])"
ask("EVAL", script)
all([("CLIENT", "ID"), ("DEL", key)])
"""
    assert set(asked_by(source)) == {"hset", "get", "eval", "client|id", "del"}


def test_the_file_for_the_server_is_what_the_command_prints():
    assert (ROOT / "deploy/redis/users.acl").read_text() == rights.acl_file("gateway")


def test_the_readme_has_the_rights():
    assert rights.rules() in (ROOT / "authproxy/storage/README.md").read_text()


def test_no_trial_touches_a_key_of_somebody_else():
    for _, command in rights.trials("name"):
        assert all(
            str(word).startswith("authproxy:{trial}:name:")
            for word in command
            if str(word).startswith("authproxy:")
        )
