from __future__ import annotations

import pytest

from authproxy.edge.client_address import neighbourhood
from authproxy.edge.shares import Shares


def test_nobody_has_more_than_their_share_and_others_keep_theirs():
    shares = Shares(2)
    assert [shares.take("a") for _ in range(4)] == [True, True, False, False]
    assert shares.take("b")
    shares.give_back("a")
    assert [shares.take("a"), shares.take("a")] == [True, False]


def test_names_without_a_share_are_forgotten():
    shares = Shares(2)
    for name in map(str, range(100)):
        shares.take(name)
        shares.give_back(name)
    assert shares._taken == {}


def test_nought_is_no_limit():
    shares = Shares(0)
    assert all(shares.take("a") for _ in range(100_000))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        (":", ":"),
        ("local", "local"),
    ],
)
def test_an_address_counts_under_the_network_in_which_it_was_chosen(address, name):
    assert neighbourhood(address) == name
