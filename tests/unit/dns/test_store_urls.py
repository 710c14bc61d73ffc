"""URLs of a store that name several servers."""

from __future__ import annotations

import pytest

from authproxy.dns.store_urls import StoreUrl, address_text, names_several, store_url


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (
            "redis+sentinel://one:26379,two:26380/bank/3",
            StoreUrl(
                kind="sentinel",
                has_tls=False,
                servers=(("one", 26379), ("two", 26380)),
                service="bank",
                database=3,
            ),
        ),
        (
            "rediss+sentinel://gateway:p%40ss,word@one,[::1]:26380/bank",
            StoreUrl(
                kind="sentinel",
                has_tls=True,
                servers=(("one", 26379), ("::1", 26380)),
                service="bank",
                username="gateway",
                password="p@ss,word",
            ),
        ),
        (
            "valkey+sentinel://:only@one/bank",
            StoreUrl(
                kind="sentinel", has_tls=False, servers=(("one", 26379),), service="bank", password="only"
            ),
        ),
        (
            "valkeys+cluster://gateway@one,two:7001/",
            StoreUrl(
                kind="cluster", has_tls=True, servers=(("one", 6379), ("two", 7001)), username="gateway"
            ),
        ),
    ],
)
def test_a_url_names_servers_service_database_and_who_asks(text, read):
    assert names_several(text)
    assert store_url(text) == read


def test_a_password_shows_nowhere():
    assert "secret" not in repr(store_url("redis+cluster://gateway:secret@one"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("redis://one", "no URL of Sentinels"),
        ("http+sentinel://one/bank", "no URL of Sentinels"),
        ("redis+sentinel://one,two", "names no service"),
        ("redis+sentinel://one/bank board", "names no service"),
        ("redis+sentinel://one/bank/first", "names no database"),
        ("redis+sentinel://one/bank/0/1", "names no database"),
        ("redis+sentinel:///bank", "names no host"),
        ("redis+sentinel://one,,two/bank", "names no host"),
        ("redis+sentinel://one:port/bank", "a port that is no port"),
        ("redis+sentinel://one:65536/bank", "a port that is no port"),
        ("redis+sentinel://one:0/bank", "names port 0"),
        ("redis+cluster://one/0", "has only one"),
        ("redis+cluster://one?decode_responses=true", "has an option"),
        ("redis+cluster://one#part", "has an option"),
        ("redis+cluster://one,two,one:6379", "names a server twice"),
        ("redis+cluster://one, two", "names no host"),
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_its_password(text, problem):
    secret = text.replace("://", "://gateway:secret@")
    for url in (text, secret):
        with pytest.raises(ValueError, match=problem) as told:
            store_url(url)
        assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    "password", ["se[cr]et", "se\u2100cret", "se/cret", "se@cret", "se?cret", "secret[", "se:cret"]
)
@pytest.mark.parametrize("rest", ["one/bank", "one:port/bank", "one:0,two/bank", "", "one"])
def test_no_part_of_a_password_is_told_however_it_is_written(password, rest):
    """Python's own errors repeat what they do not understand."""
    for kind in ("sentinel", "cluster"):
        assert "cr" not in what_is_wrong_with(f"redis+{kind}://gateway:{password}@{rest}")


def test_the_password_is_named_once_before_all_hosts():
    """Otherwise all but the last host would silently become a part of it."""
    told = what_is_wrong_with("redis+cluster://gateway:secret@one,gateway:secret@two")
    assert "more than one `@`" in told


def what_is_wrong_with(url):
    try:
        store_url(url)
    except ValueError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("text", ["redis://one", "rediss://one", "unix:///redis.sock", "memory://", ""])
def test_a_url_of_one_server_is_of_another_kind(text):
    assert not names_several(text)


def test_an_address_is_written_as_people_write_it():
    assert [address_text(("one", 6379)), address_text(("::1", 7000))] == ["one:6379", "[::1]:7000"]
