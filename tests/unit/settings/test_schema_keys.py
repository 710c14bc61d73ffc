"""The schema as a tree of keys, by which findings and the reference find their words."""

from __future__ import annotations

import pytest

from authproxy.settings import schema_keys


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        (("server", "listen", 0), True),
        (("portals", "acq", "routes", 0, "path"), True),
        (("server", "nothing"), False),
        (("server", "nothing", "below"), False),
        (("server", "listen", 0, "below", "it"), False),
    ],
)
def test_a_key_is_found_by_its_path(path, is_there):
    assert (schema_keys.at(path) is not None) is is_there
