"""The mistakes of broken deployments are still mistakes in the files that are shipped."""

from __future__ import annotations

import importlib

import pytest

from tests.support.fronts.every import FRONTS
from tests.support.fronts.front import Front


@pytest.mark.parametrize("kind", FRONTS, ids=lambda kind: kind.name)
def test_each_mistake_can_be_made_in_the_shipped_files(kind: Front) -> None:
    shipped = kind.files()
    mistakes = importlib.import_module(f"tests.support.fronts.broken.{kind.name}").BROKEN
    assert mistakes
    for broken in mistakes:
        assert broken.edited(shipped) != shipped, broken.name
