"""What a portal might take a path for, by the spellings that got past rules elsewhere."""

from __future__ import annotations

import pytest

from authproxy.access.path_readings import ANY_SEGMENT, as_compared, as_written, readings

ADMIN = "/admin"


@pytest.mark.parametrize(
    "path", ["/", "/a/b", "/~jan/x", "/a.b/", "/Merchants(5)", "/%C4%8D", "/a%20b", "/a%25"]
)
def test_an_ordinary_path_has_one_reading_where_paths_are_exact(path):
    assert readings(path) == (path,)


@pytest.mark.parametrize(
    ("path", "also"),
    [
        ("/a//b", "/a/b"),
        ("/admin;v=1", "/admin"),
        ("/admin;v=1/x", "/admin/x"),
        ("/admin%3Bx/secret", "/admin/secret"),
        ("/;x/admin", "/admin"),
        # Programs that look for the first `;` end the path there.
        ("/admin;/x/y", "/admin"),
        ("/admin%3Fx=1", "/admin"),
        ("/admin%23x", "/admin"),
        ("/a%2Fb", "/a/b"),
        ("/a%5Cb", "/a/b"),
        ("/Merchants%285%29", "/Merchants(5)"),
        ("/a%21b", "/a!b"),
        ("/v1/x%3Aexport", "/v1/x:export"),
        ("/a|b^c[d]", "/a%7Cb%5Ec%5Bd%5D"),
        ("/%2561dmin", "/admin"),
        ("/%25252561dmin", "/admin"),
        ("/a%252Fb", "/a/b"),
        ("/admin%253Bx", "/admin"),
        # Whoever drops parameters before decoding keeps the encoded one.
        ("/x;y/admin/health%3Bz", "/x/admin/health;z"),
    ],
)
def test_a_path_is_read_in_every_way_that_some_server_reads_it(path, also):
    assert also in readings(path)


@pytest.mark.parametrize(
    ("path", "also"),
    [
        ("/ADMIN/secret", "/admin/secret"),
        ("/Admin;x", "/admin"),
        ("/PLA%C4%8CILA", "/plačila"),
        ("/admIn%20x", "/admin x"),
        # Letters that some servers take for others when they ignore case.
        ("/adm%C4%B1n", "/admin"),
        ("/adm%C4%B0n", "/admin"),
        ("/%C5%BFtanje", "/stanje"),
        ("/STRA%C3%9FE", "/strasse"),
        ("/%CE%9F%CE%94%CE%9F%CE%A3", as_compared("/%CE%BF%CE%B4%CE%BF%CF%82", "ignore_case")),
    ],
)
@pytest.mark.parametrize("paths", ["ignore_case", "windows"])
def test_case_counts_for_nothing_where_the_portal_ignores_it(path, also, paths):
    assert also in readings(path, paths)
    assert readings(path, "exact")[0][:4] == path[:4]


@pytest.mark.parametrize(
    "path",
    [
        "/admin.",
        "/Admin...",
        "/admin%20",
        "/admin.%20.",
        "/admin::$DATA",
        "/admin:x",
        "/admin%3A%3A$DATA",
        "/admin:$I30:$INDEX_ALLOCATION",
        "/admin%EF%BC%8E",
        "/%EF%BC%A1dmin",
        "/%EF%BD%81dmin",
        "/%F0%9D%90%9Admin",
        "/admin%EF%BC%9Bx=1",
        "/admin%EF%BC%9Fx=1",
        "/admin%C2%A0",
        "/(S(abc))/admin",
        "/(A(x)S(y))/ADMIN",
        "/ad/(S(abc))min",
        "/admin.;x",
    ],
)
def test_windows_finds_a_name_behind_many_spellings(path):
    assert ADMIN in readings(path, "windows")
    below = readings(path + "/secret", "windows")
    assert {"/admin/secret", ADMIN} & set(below)
    assert ADMIN not in readings(path, "exact") or path.endswith(";x")


def test_a_short_name_may_stand_for_any_name():
    for path in (
        "/ADMINI~1/x",
        "/ADMINI~1./x",
        "/ab1c2d~12.do/x",
        "/ADMINI~1::$DATA/x",
        "/A%25B.CD~1.htm/x",
        "/a~b~1/x",
    ):
        assert f"/{ANY_SEGMENT}/x" in readings(path, "windows")
    for path in ("/~jan/x", "/a/longername~1", "/x~y"):
        assert not any(ANY_SEGMENT in reading for reading in readings(path, "windows"))


@pytest.mark.parametrize(
    "path",
    [
        "/..%EF%BC%8Fadmin",
        "/x/%EF%BC%8E%EF%BC%8E/admin",
        "/x/%E2%80%A5/admin",
        "/x/..%20/admin",
        "/x/.../admin",
        "/x/%20/admin",
        "/x/..:y/admin",
        "/x/..%EF%BC%9By/admin",
        "/x/..%EF%BC%BCadmin",
        "/%EF%BC%852e/admin",
        "/%E2%84%AAonto",
    ],
)
def test_what_windows_might_take_for_a_dot_segment_cannot_be_read(path):
    assert readings(path, "windows") == ()


@pytest.mark.parametrize("path", ["/x/..;/admin", "/x/.;y", "/x/..%3Fy"])
def test_a_dot_segment_in_any_reading_makes_a_path_unreadable(path):
    assert readings(path) == ()


def test_what_no_two_servers_agree_about_letters_is_not_mixed_up():
    assert readings("/%E8", "ignore_case") != readings("/%C8", "ignore_case")


def test_on_windows_a_name_in_another_encoding_may_be_any_name():
    """HTTP.sys takes what is no UTF-8 for letters of the server's code page: C8 is a Č on a Slovene one."""
    for path in ("/%C8aka/x", "/p%E8/x", "/%C4%8C%E8/x"):
        assert f"/{ANY_SEGMENT}/x" in readings(path, "windows")
    assert f"/{ANY_SEGMENT}/x/{ANY_SEGMENT}" in readings("/%C4%8Caka/x/p%E8", "windows")
    for path in ("/%C4%8Caka/x", "/caka/x"):
        assert not any(ANY_SEGMENT in reading for reading in readings(path, "windows"))


def test_a_path_with_too_many_readings_is_unreadable():
    odd = "/a;b//%EF%BC%A1.%20/(S(x))/c:d%2Fe%3Ff%25%2561~1/x;%C4%B1"
    assert readings(odd, "windows") == ()
    assert len(readings("/a;b//c%3Fd")) <= 12


def test_a_long_path_has_fewer_readings_because_each_costs_its_length():
    assert len(readings("/" + "a" * 4000 + ";b//c%3Fd")) == len(readings("/a;b//c%3Fd")) > 4
    assert readings("/" + "a" * 8000 + ";b//c%3Fd./(S(x))", "windows") == ()
    assert readings("/" + "a" * 8000 + ";jsessionid=A", "windows") != ()


@pytest.mark.parametrize("paths", ["exact", "ignore_case", "windows"])
def test_readings_do_not_repeat_and_begin_with_the_path(paths):
    for path in ("/A", "/a;b", "/a//b.", "/%C4%8C;x"):
        found = readings(path, paths)
        assert len(set(found)) == len(found)
        assert found[0] == as_compared(path, paths)
        assert all(reading.startswith("/") for reading in found)


def test_a_path_has_one_spelling_with_regard_to_escapes():
    assert (
        as_written("/%21%24%26%27%28%29%2B%2C%3A%3B%3D%40|^[]%20%C4%8D")
        == "/!$&'()+,:;=@%7C%5E%5B%5D%20%C4%8D"
    )
