from __future__ import annotations

from authproxy.edge.rules.connection_shares import ConnectionShares


def test_nobody_has_more_than_their_share_and_others_keep_theirs():
    shares = ConnectionShares(2)
    assert [shares.take("a") for _ in range(4)] == [True, True, False, False]
    assert shares.take("b")
    shares.give_back("a")
    assert [shares.take("a"), shares.take("a")] == [True, False]


def test_names_without_a_share_are_forgotten():
    shares = ConnectionShares(2)
    for name in map(str, range(100)):
        shares.take(name)
        shares.give_back(name)
    assert shares._taken == {}


def test_nought_is_no_limit():
    shares = ConnectionShares(0)
    assert all(shares.take("a") for _ in range(100_000))
