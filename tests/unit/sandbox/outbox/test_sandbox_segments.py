from __future__ import annotations

import pytest

from authproxy.sandbox.outbox.segments import segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("č" * 70, 1),
        ("č" * 71, 2),
        ("č" + "x" * 69, 1),
        ("č" + "x" * 134, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("Äöñü", 1),
    ],
)
def test_a_text_is_cut_as_networks_cut_it(text, count):
    assert segments(text) == count
