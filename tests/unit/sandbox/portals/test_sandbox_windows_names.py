from __future__ import annotations

import pytest

from authproxy.sandbox.portals.windows_names import found

FILES = ("/Skrbnistvo", "/Skrbnistvo/Pravice.aspx", "/a/b.c")


@pytest.mark.parametrize(
    "path",
    [
        "/Skrbnistvo",
        "/SKRBNISTVO",
        "/skrbnistvo.",
        "/skrbnistvo . .",
        "/skrbnistvo::$DATA",
        "/SKRBNI~1",
    ],
)
def test_a_folder_has_many_names(path):
    assert found(path, FILES) == "/Skrbnistvo"


@pytest.mark.parametrize(
    "path",
    [
        "/skrbnistvo/pravice.aspx",
        "/Skrbnistvo\\Pravice.aspx",
        "/skrbnistvo./PRAVICE.ASPX::$DATA",
        "/skrbni~1/pravic~1.asp",
        "/Skrbnistvo/Pravic~1.asp",
    ],
)
def test_so_has_a_file_in_it(path):
    assert found(path, FILES) == "/Skrbnistvo/Pravice.aspx"


@pytest.mark.parametrize(
    "path", ["/", "/Skrbnist", "/Skrbnistvo/", "/Skrbnistvo/Pravice", "/b.c", "/a~1/b.c"]
)
def test_other_names_mean_nothing(path):
    assert found(path, FILES) is None


def test_a_short_name_stays_as_it_is():
    assert found("/A/B.C", FILES) == "/a/b.c"
