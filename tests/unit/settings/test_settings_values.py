from __future__ import annotations

import base64
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.settings.values import (
    SocketPath,
    TcpAddress,
    bytes_of,
    day_of,
    duration_of,
    is_local,
    is_rekonos_own,
    key_of,
    listen_address,
    name_server,
    url_of,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("8h", timedelta(hours=8)),
        ("1d", timedelta(days=1)),
        ("250ms", timedelta(milliseconds=250)),
        ("1h30m", timedelta(minutes=90)),
        ("0.5s", timedelta(milliseconds=500)),
        (" 45 ", timedelta(seconds=45)),
        ("0", timedelta()),
        (7, timedelta(seconds=7)),
        (1.5, timedelta(seconds=1.5)),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_a_duration_is_read_as_a_person_means_it(written, meant):
    assert duration_of(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", "-5s", "5 minutes", "15M", "1h 30m", "s", "5s5", "٣s", "1e9", "inf", "nan", True, None, []],
)
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(ValueError, match="is not a duration"):
        duration_of(written)


@pytest.mark.parametrize("written", ["4000d", "999999999999999", "1" * 20, "99999999999999999999999d"])
def test_a_duration_of_more_than_ten_years_is_a_mistake(written):
    with pytest.raises(ValueError, match="ten years"):
        duration_of(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("32KiB", 32768),
        ("10MiB", 10 * 2**20),
        ("1GiB", 2**30),
        ("1KB", 1000),
        ("2 MB", 2_000_000),
        ("5B", 5),
        ("17", 17),
        (0, 0),
    ],
)
def test_a_size_is_read_as_a_person_means_it(written, meant):
    assert bytes_of(written) == meant


@pytest.mark.parametrize("written", ["", "-1", "1.5MiB", "10mb", "ten", "1TB", False, None, {}])
def test_what_is_no_size_is_refused(written):
    with pytest.raises(ValueError, match="is not a size"):
        bytes_of(written)


@given(st.binary(min_size=32, max_size=32).filter(lambda octets: len(set(octets)) > 20 and max(octets) > 127))
def test_a_random_key_is_read_in_each_of_its_spellings(octets):
    # Hypothesis also draws arithmetic patterns, which are refused for good reason.
    if len({(later - earlier) % 256 for earlier, later in pairwise(octets)}) < 8:
        return
    spellings = [
        octets.hex(),
        octets.hex().upper(),
        base64.b64encode(octets).decode(),
        base64.urlsafe_b64encode(octets).decode(),
    ]
    spellings += [spelling.rstrip("=") for spelling in spellings] + [f" {spellings[2]}\n"]
    assert {key_of(spelling) for spelling in spellings} == {octets}


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("ab" * 16, "as hex and is 16 bytes long, not 32"),
        (base64.b64encode(bytes(range(24))).decode(), "as base64 and is 24 bytes long, not 32"),
        ("--__", "as base64url and is 3 bytes long, not 32"),
        ("not a key!", "neither hex nor base64 nor base64url"),
        ("", "0 bytes long"),
        ("čšž", "neither hex nor base64"),
    ],
)
def test_a_key_of_the_wrong_form_is_told_what_it_was_understood_as_and_how_to_make_one(written, understood):
    with pytest.raises(ValueError, match=understood) as refusal:
        key_of(written)
    assert "openssl rand -base64 32" in str(refusal.value)
    assert not written or written not in str(refusal.value)


@pytest.mark.parametrize(
    "octets",
    [
        bytes(32),
        bytes(range(32)),
        bytes(range(64, 0, -2)),
        b"correct horse battery staple 123",
        b"\xde\xad\xbe\xef" * 8,
        bytes(range(16)) * 2,
    ],
    ids=["zeros", "counting", "counting down", "typed text", "repetition", "twice counting"],
)
def test_a_key_that_nobody_drew_at_random_is_refused(octets):
    with pytest.raises(ValueError, match="is not random"):
        key_of(octets.hex())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1:8080", TcpAddress("127.0.0.1", 8080)),
        ("[::1]:443", TcpAddress("::1", 443)),
        ("0.0.0.0:65535", TcpAddress("0.0.0.0", 65535)),
        ("localhost:1", TcpAddress("localhost", 1)),
        ("unix:/run/authproxy/edge.sock", SocketPath("/run/authproxy/edge.sock")),
    ],
)
def test_a_listen_address_is_read(written, meant):
    assert listen_address(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:123456",
        "::1:80",
        "[zz]:80",
        "1.2.3:80",
        "300.1.1.1:80",
        "[:::]:80",
        "gateway.example.si:80",
        "unix:",
        "unix:relative.sock",
        "unix:/" + "x" * 107,
    ],
)
def test_what_is_no_listen_address_is_refused(written):
    with pytest.raises(ValueError, match=r"is not|names no IP address"):
        listen_address(written)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("acq.localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost.example.si", False),
        ("notlocalhost", False),
        ("", False),
        (None, False),
    ],
)
def test_only_names_that_are_this_machine_by_definition_are_local(host, answer):
    assert is_local(host) is answer


@pytest.mark.parametrize("written", ["http://[", "http://host:port/", "http://host:99999/"])
def test_what_cannot_be_taken_apart_is_no_url(written):
    assert url_of(written) is None


def test_a_url_is_taken_apart():
    url = url_of("https://user@Host:8443/path?query")
    assert url is not None
    assert (url.hostname, url.port, url.path) == ("host", 8443, "/path")


@pytest.mark.parametrize("text", ["10.1.2.3", "10.1.2.3:5353", "fd00::53", "[fd00::53]:5353"])
def test_a_name_server_is_an_address_and_perhaps_a_port(text):
    assert name_server(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ns.example.si", "is no address"),
        ("10.1.2", "is no address"),
        ("10.1.2.300:53", "is no address"),
        ("10.1.2.3:0", "has no port"),
        ("10.1.2.3:65536", "has no port"),
    ],
)
def test_what_is_no_name_server_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        name_server(text)


@pytest.mark.parametrize(
    ("issuer", "is_own"),
    [
        ("https://idp.rekono.si/openid-connect-server-webapp/", True),
        ("http://localhost:8180/openid-connect-server-webapp/", True),
        ("http://localhost:8180/", False),
        ("https://idp.example.si/openid-connect-server-webapp/", False),
        ("http://localhost:port/openid-connect-server-webapp", False),
    ],
)
def test_rekono_is_known_by_its_issuer(issuer, is_own):
    assert is_rekonos_own(issuer) is is_own


def test_a_day_that_yaml_has_read_is_that_day():
    assert day_of(date(2027, 6, 28)) == day_of("2027-06-28") == date(2027, 6, 28)
