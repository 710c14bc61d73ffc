"""In which language a walk through the pages is done. Each walk does what a person does, which is the same in
both: so each is done in one of them, in turns. `WALKS=both` does all of them in both."""

from __future__ import annotations

import os
from typing import Literal

import pytest

Locale = Literal["sl-SI", "en-GB"]
BOTH: tuple[Locale, ...] = ("sl-SI", "en-GB")


def walked_in(locale: Locale) -> pytest.MarkDecorator:
    """Gives a test its `locale`."""
    return pytest.mark.parametrize("locale", BOTH if os.environ.get("WALKS") == "both" else (locale,))
