from __future__ import annotations

import pytest

from authproxy.challenges.limits import ADDRESS, address_name, person_name


def test_people_have_names_of_their_own_however_they_are_known():
    owners = [
        ("member", "ana"),
        ("account", "https://provider.example/", "ana"),
        ("account", "https://provider.example/ana", ""),
    ]
    names = {person_name(owner) for owner in owners}
    assert len(names) == 3
    assert not any(name.startswith(ADDRESS) for name in names)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("198.51.100.7", "address:198.51.100.7"),
        ("::ffff:198.51.100.7", "address:198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:0DB8:1:2::9", "address:2001:db8:1:2::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("unix", "address:unix"),
        ("", "address:"),
    ],
)
def test_an_address_is_counted_by_the_network_of_one_household(address, name):
    assert address_name(address) == name


def test_neighbouring_networks_are_counted_apart():
    assert address_name("2001:db8:1:2::1") != address_name("2001:db8:1:3::1")
