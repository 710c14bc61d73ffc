from __future__ import annotations

from ipaddress import ip_network

import pytest

from authproxy.access.client_networks import is_in, network_of


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("local", "local"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_a_client_is_counted_under_the_network_in_which_its_address_was_chosen(address, name):
    assert network_of(address) == name


NETWORKS = (ip_network("10.0.0.0/8"), ip_network("192.0.2.7"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("address", "is_there"),
    [
        ("10.255.0.1", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("::10.0.0.1", False),
        ("2001:db8::1%eth0", True),
        ("2001:db9::1", False),
        ("local", False),
        ("", False),
        ("10.0.0.1, 192.0.2.7", False),
        ("010.0.0.1", False),
    ],
)
def test_an_address_is_in_a_network_as_what_it_is_and_what_is_no_address_is_in_none(address, is_there):
    assert is_in(NETWORKS, address) is is_there


def test_no_address_is_in_no_network():
    assert not is_in((), "10.0.0.1")
