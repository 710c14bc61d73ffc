from __future__ import annotations

from authproxy.edge.rules.headers import folded, is_identity
from authproxy.edge.rules.identity_names import FAMILIES, NAMES, known


def test_all_names_are_known_once_in_order_and_in_folded_form():
    names = known()
    assert list(names) == sorted(set(names))
    assert set(NAMES) <= set(names)
    assert all(prefix + member in names for prefix, members in FAMILIES.items() for member in members)
    assert all(folded(name.encode()).decode() == name.strip("-") for name in names)


def test_every_known_name_is_taken_for_identity():
    assert [name for name in known() if not is_identity(name.encode())] == []
