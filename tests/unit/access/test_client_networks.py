from __future__ import annotations

import pytest

from authproxy.access.client_networks import network_of


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
