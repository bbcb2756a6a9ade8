"""How much each client address has."""

import gc
from weakref import WeakSet

import pytest

from proxy_policies.limits.shares import Shares, share_of


@pytest.mark.parametrize(
    ("address", "share"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_whose_share(address: str, share: str) -> None:
    assert share_of(address) == share


def test_no_more_than_there_may_be() -> None:
    shares = Shares()
    assert [shares.enter("192.0.2.7", number, 2) for number in range(3)] == [True, True, False]
    assert shares.enter("192.0.2.8", 0, 2)
    assert shares.enter("192.0.2.7", 1, 2), "it is in already"
    shares.leave("192.0.2.7", 0)
    shares.leave("192.0.2.7", 99)
    assert shares.enter("192.0.2.7", 3, 2)
    assert len(shares) == 3


def test_no_limit() -> None:
    shares = Shares()
    assert all(shares.enter("192.0.2.7", number, 0) for number in range(100))


def test_unused_shares_are_removed() -> None:
    class Flow:
        pass

    shares, flow = Shares(WeakSet), Flow()
    assert shares.enter("192.0.2.7", flow, 1)
    assert not shares.enter("192.0.2.7", Flow(), 1)
    del flow
    gc.collect()
    assert shares.enter("192.0.2.7", Flow(), 1)
