from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.edge.rules.client_address import LOCAL_PEER, TrustedProxies, peer_of, read_address

TRUSTED = TrustedProxies.of(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("192.0.2.256", None),
        ("1.2.3.4, 5.6.7.8", None),
    ],
)
def test_addresses_are_read_as_proxies_write_them(text, address):
    read = read_address(text)
    assert (str(read) if read else None) == address


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        (LOCAL_PEER, True),
        ("nonsense", False),
    ],
)
def test_a_peer_is_trusted_if_it_is_listed_or_local(peer, trusted):
    assert TRUSTED.trusts(peer) is trusted
    assert TRUSTED.trusts(peer) is trusted


def test_a_network_that_is_none_is_named():
    with pytest.raises(ValueError, match="99"):
        TrustedProxies.of(["10.0.0.0/99"])


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("203.0.113.1", [b"1.1.1.1"], "203.0.113.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", [b"6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", [b"6.6.6.6", b"1.1.1.1", b"10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", [b"10.0.0.3,10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"1.1.1.1,junk"], "10.0.0.1"),
        ("10.0.0.1", [b"junk,10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"1.1.1.1,"], "10.0.0.1"),
        (LOCAL_PEER, [b"1.1.1.1"], "1.1.1.1"),
        (LOCAL_PEER, [], LOCAL_PEER),
    ],
)
def test_the_chain_is_read_from_the_right_and_believed_up_to_the_first_stranger(peer, chain, client):
    assert TRUSTED.client(peer, chain) == client


@pytest.mark.parametrize(
    ("peer", "chain", "is_nobody"),
    [
        (LOCAL_PEER, [], True),
        (LOCAL_PEER, [b"unknown"], True),
        (LOCAL_PEER, [b"1.1.1.1"], False),
        ("10.0.0.1", [], True),
        ("10.0.0.1", [b"1.1.1.1,junk"], True),
        ("10.0.0.1", [b"junk,10.0.0.2"], True),
        ("10.0.0.1", [b"10.0.0.3,10.0.0.2"], False),
        ("10.0.0.1", [b"10.0.0.1"], False),
        ("203.0.113.1", [], False),
        ("203.0.113.1", [b"junk"], False),
    ],
)
def test_a_proxy_that_names_nobody_is_no_client(peer, chain, is_nobody):
    assert TRUSTED.is_nobody(peer, chain) is is_nobody


@given(some.lists(some.binary(max_size=20), max_size=5))
def test_no_chain_makes_the_client_anything_but_an_address(chain):
    assert ip_address(TRUSTED.client("10.0.0.1", chain))
    assert TRUSTED.client("203.0.113.1", chain) == "203.0.113.1"


def test_strangers_do_not_fill_the_memory():
    trusted = TrustedProxies.of(["10.0.0.0/8"])
    for number in range(5000):
        assert not trusted.trusts(f"172.16.{number // 256}.{number % 256}")
    assert len(trusted._known) == 4096


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        (("192.0.2.1", 4711), "192.0.2.1"),
        (("::ffff:192.0.2.1", 4711, 0, 0), "192.0.2.1"),
        (("2001:db8::1", 4711, 0, 0), "2001:db8::1"),
    ],
)
def test_a_peer_on_a_socket_for_both_families_has_its_own_address(name, peer):
    assert peer_of(name) == peer
