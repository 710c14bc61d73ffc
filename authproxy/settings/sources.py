"""Reads the settings: the YAML file, and over it the environment. Either may name files for secrets.

All faults are found at once, each with its place. Only a fault of YAML syntax is reported alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from authproxy.settings import checks, environment, schema_keys, secret_files
from authproxy.settings.document import DocumentUnreadable, Value
from authproxy.settings.environment import Misfit, Override
from authproxy.settings.findings import Finding, KeyPath, Remark, SettingsInvalid, SettingsUnreadable, dotted
from authproxy.settings.machine import Machine
from authproxy.settings.schema import Settings
from authproxy.settings.schema_keys import FILE_SUFFIX
from authproxy.settings.settings_file import document_in
from authproxy.settings.this_machine import this_machine
from authproxy.settings.validation import validated


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The result of reading. `settings` is None exactly if one of the findings is an error. `files` are the
    settings file and all that it names to be read."""

    settings: Settings | None
    findings: tuple[Finding, ...]
    files: frozenset[str] = frozenset()


def load(path: Path | str, environ: Mapping[str, str]) -> Settings:
    """The settings. Raises SettingsInvalid with every finding, or SettingsUnreadable if the file cannot be
    read."""
    reading = read(path, environ)
    if reading.settings is None:
        raise SettingsInvalid(reading.findings)
    return reading.settings


def read(path: Path | str, environ: Mapping[str, str], *, machine: Machine | None = None) -> Reading:
    """The settings and every finding, warnings included, checked for the given machine or else for this one.

    Raises SettingsUnreadable if the file cannot be read."""
    origins = _Origins(file=str(path))
    try:
        document = document_in(Path(path))
    except OSError as error:
        origins.report_file(f"cannot be read: {error.strerror}")
        raise SettingsUnreadable(origins.in_order()) from None
    except DocumentUnreadable as error:
        origins.report_file(str(error), error.line)
        return Reading(settings=None, findings=origins.in_order(), files=frozenset({str(path)}))
    origins.lines = document.lines
    for remark in document.remarks:
        origins.report(remark)
    tree = secret_files.tidied(document.value, schema_keys.ROOT, Path(path).absolute().parent)
    assert isinstance(tree, dict)  # noqa: S101  # `document_in` refuses anything else
    _override(tree, environ, origins)
    files = frozenset({str(path), *secret_files.named(tree, schema_keys.ROOT)})
    unread = secret_files.resolve(tree, origins.is_in_file, origins.report)
    settings, sound, remarks = validated(tree, unread)
    for remark in (*remarks, *checks.remarks(sound, machine or this_machine())):
        origins.report(remark)
    findings = origins.in_order()
    has_errors = any(finding.severity == "error" for finding in findings)
    return Reading(settings=None if has_errors else settings, findings=findings, files=files)


def _override(tree: dict[str, Value], environ: Mapping[str, str], origins: _Origins) -> None:
    """Replaces values of the file by those of the environment."""
    for override in environment.overrides(environ, tree):
        if isinstance(override, Misfit):
            origins.report_variable(override.variable, override.remark)
            continue
        other = origins.variables.get(_twin(override.path))
        if other is not None:
            origins.report_variable(
                override.variable, Remark(path=override.path, problem=f"is given twice: {other} gives it too")
            )
        _put(tree, override)
        origins.variables[override.path] = override.variable


def _put(tree: dict[str, Value], override: Override) -> None:
    for part in override.path[:-1]:
        below = tree.get(str(part))
        if not isinstance(below, dict):
            tree[str(part)] = below = {}
        tree = below
    # A secret in the environment replaces the secret's file in the settings, and the other way round.
    tree.pop(str(_twin(override.path)[-1]), None)
    tree[str(override.path[-1])] = override.value


def _twin(path: KeyPath) -> KeyPath:
    """The key of a secret's file for a secret, and the other way round; for any other key a key that does not
    exist."""
    name, key = str(path[-1]), schema_keys.at(path)
    above = schema_keys.at(path[:-1])
    is_named = above is not None and above.kind == "names" and key is not None and key.may_be_in_file
    if key is None or (is_named and name.endswith(FILE_SUFFIX)):
        return (*path[:-1], name.removesuffix(FILE_SUFFIX))
    return (*path[:-1], name + FILE_SUFFIX)


@dataclass(slots=True, kw_only=True)
class _Origins:
    """Where every key was written, and the findings so far."""

    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(self, remark: Remark) -> None:
        """Reports a remark at the place of its key or of the key that names its file, or of the nearest
        section around it."""
        for origin in _upwards(remark.path):
            written = (origin, (*origin[:-1], f"{origin[-1]}{FILE_SUFFIX}")) if origin else (origin,)
            for place in written:
                if place in self.variables:
                    self.report_variable(self.variables[place], remark)
                    return
            for place in written:
                if place in self.lines:
                    self._add(remark, self.file, self.lines[place] if place else None)
                    return
        self._add(remark, self.file, None)

    def report_variable(self, variable: str, remark: Remark) -> None:
        self._add(remark, f"environment {variable}", None)

    def report_file(self, problem: str, line: int | None = None) -> None:
        self._add(Remark(path=(), problem=problem), self.file, line)

    def is_in_file(self, path: KeyPath) -> bool:
        """Whether the value of a key is the one in the settings file itself."""
        return path in self.lines and not any(origin in self.variables for origin in _upwards(path))

    def in_order(self) -> tuple[Finding, ...]:
        """All findings: those of the file by line, then those of the environment."""
        return tuple(
            sorted(self.findings, key=lambda finding: (finding.file != self.file, finding.line or 0))
        )

    def _add(self, remark: Remark, file: str, line: int | None) -> None:
        self.findings.append(
            Finding(
                file=file,
                line=line,
                key=dotted(remark.path),
                problem=remark.problem,
                read=remark.read,
                valid=remark.valid,
                severity=remark.severity,
            )
        )


def _upwards(path: KeyPath) -> Iterator[KeyPath]:
    for length in range(len(path), -1, -1):
        yield path[:length]
