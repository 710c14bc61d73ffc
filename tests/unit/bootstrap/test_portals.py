from __future__ import annotations

from types import SimpleNamespace

from authproxy.bootstrap.portals import default_site


def test_the_only_portal_is_the_default_and_of_several_the_one_that_is_named():
    acq, b2b = (SimpleNamespace(portal=SimpleNamespace(portal_id=name)) for name in ("acq", "b2b"))
    both = {"acq.example": acq, "b2b.example": b2b}
    assert default_site({"acq.example": acq}, None) is acq
    assert default_site(both, None) is None
    assert default_site(both, "b2b") is b2b
