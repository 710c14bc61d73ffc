"""Reads secrets from files of their own (`client_secret_file`, `…__FILE`), and prepares the tree of values
before it is validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from authproxy.settings import schema_keys
from authproxy.settings.document import Value
from authproxy.settings.findings import KeyPath, Remark
from authproxy.settings.schema_keys import FILE_SUFFIX, Key
from authproxy.settings.settings_file import octets_of

_LARGEST = 64 * 1024
WRITTEN: KeyPath = ("telemetry", "audit_file")
"""The one file of the settings that the gateway writes."""


class SecretUnreadable(ValueError):  # noqa: N818
    """The file gives no secret. The message says why, and contains nothing of the file."""


def resolve(
    tree: dict[str, Value], is_in_settings_file: Callable[[KeyPath], bool], report: Callable[[Remark], None]
) -> set[KeyPath]:
    """Replaces the names of secret files by the secrets. Returns the keys whose file gave none; each has been
    reported.

    `is_in_settings_file` tells whether a key was written in the settings file itself. A secret there is
    reported as a warning, because people copy that file."""
    unread: set[KeyPath] = set()
    for section, path, key in list(_secrets(tree, schema_keys.ROOT, ())):
        name, file_key = str(path[-1]), f"{path[-1]}{FILE_SUFFIX}"
        file_path = (*path[:-1], file_key)
        file_name = section.pop(file_key, None)
        if file_name is None:
            if key.is_secret and section.get(name) and is_in_settings_file(path):
                advice = (
                    "is a secret in a file that gets copied; put it into a file of its own and name that as "
                    f"`{file_key}`"
                )
                report(Remark(path=path, problem=advice, severity="warning"))
            continue
        try:
            lines = _lines(file_name, name if name in section else None)
            section[name] = (
                [line.strip() for line in lines if line.strip() and not line.startswith("#")]
                if key.kind == "list"
                else lines[0]
            )
        except SecretUnreadable as error:
            unread.add(path)
            report(Remark(path=file_path, problem=str(error)))
        else:
            if Path(str(file_name)).stat().st_mode & 0o004:
                report(
                    Remark(
                        path=file_path,
                        problem=f"{file_name} can be read by every user; `chmod 0400` it",
                        severity="warning",
                    )
                )
    return unread


def _lines(file_name: Value, given_too: str | None) -> list[str]:
    if given_too is not None:
        raise SecretUnreadable(f"and `{given_too}` are both given; leave one out")
    if not isinstance(file_name, str) or not file_name:
        raise SecretUnreadable("is no file name")
    try:
        text = octets_of(Path(file_name), _LARGEST).decode()
    except OSError as error:
        raise SecretUnreadable(f"{file_name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretUnreadable(f"{file_name} is not UTF-8 text") from None
    if not text.strip():
        raise SecretUnreadable(f"{file_name} is empty")
    return text.splitlines()


def _secrets(tree: Value, key: Key, path: KeyPath) -> Iterator[tuple[dict[str, Value], KeyPath, Key]]:
    """Every secret that the tree may hold: the section around it, its path and its key."""
    if not isinstance(tree, dict):
        return
    children = key.keys
    if key.kind == "names" and key.item is not None:
        names = (name.removesuffix(FILE_SUFFIX) if key.item.may_be_in_file else name for name in tree)
        children = dict.fromkeys(names, key.item)
    for name, child in children.items():
        if child.may_be_in_file:
            yield tree, (*path, name), child
        elif name in tree:
            yield from _secrets(tree[name], child, (*path, name))


def named(tree: Value, key: Key, path: KeyPath = ()) -> Iterator[str]:
    """Every file that the tree names to be read."""
    if path == WRITTEN:
        return
    if isinstance(tree, str):
        if key.expects == "file" and tree:
            yield tree
    elif isinstance(tree, list):
        for item in tree if key.item else ():
            yield from named(item, key.item or key, path)
    elif isinstance(tree, dict):
        for section, below, _ in _secrets(tree, key, ()) if not path else ():
            file = section.get(f"{below[-1]}{FILE_SUFFIX}")
            if isinstance(file, str) and file:
                yield file
        for name, value in tree.items():
            child = key.item if key.kind == "names" else key.keys.get(name)
            if child is not None:
                yield from named(value, child, (*path, name))


def tidied(tree: Value, key: Key, directory: Path) -> Value:
    """The values of a settings file with absolute file names, and without sections that have no keys because
    all of them are commented out."""
    if key.kind == "value" or not isinstance(tree, dict | list):
        is_relative_file = key.expects == "file" and isinstance(tree, str) and tree
        return str(directory / str(tree)) if is_relative_file else tree
    if isinstance(tree, list):
        return [tidied(item, key.item, directory) if key.item else item for item in tree]
    tidy: dict[str, Value] = {}
    for name, value in tree.items():
        child = key.item if key.kind == "names" else key.keys.get(name)
        if child is None or (child.may_be_in_file and key.kind == "names" and name.endswith(FILE_SUFFIX)):
            secret = child or key.keys.get(name.removesuffix(FILE_SUFFIX))
            is_file = secret is not None and secret.may_be_in_file and isinstance(value, str) and value
            tidy[name] = str(directory / str(value)) if is_file else value
        elif value is not None or child.kind != "section":
            tidy[name] = tidied(value, child, directory)
    return tidy
