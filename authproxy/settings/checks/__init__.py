"""Checks that types cannot express: rules between keys, values that are dangerous or have no effect, and the
files that keys name."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.settings.checks import (
    certificates,
    delivery,
    files,
    gateway,
    machines,
    pages,
    plaintext,
    portals,
    proofs_at_provider,
    provider,
    surroundings,
)
from authproxy.settings.findings import Remark
from authproxy.settings.machine import Machine
from authproxy.settings.validation import Sections


def remarks(sections: Sections, machine: Machine) -> Iterator[Remark]:
    """All remarks about sections that are valid each by itself."""
    yield from gateway.remarks(sections)
    yield from proofs_at_provider.remarks(sections)
    yield from certificates.remarks(sections)
    yield from delivery.remarks(sections)
    yield from portals.remarks(sections)
    yield from pages.remarks(sections)
    yield from provider.remarks(sections)
    yield from machines.remarks(sections)
    yield from plaintext.remarks(sections, machine)
    yield from surroundings.remarks(sections, machine)
    yield from files.remarks(sections, machine)
