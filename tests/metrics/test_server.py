"""Under which names the page may be asked for."""

import pytest

from proxy_policies.metrics.server import is_own_name


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1", "localhost", "LOCALHOST", "192.0.2.7"])
def test_ours(host: str) -> None:
    assert is_own_name(host)


@pytest.mark.parametrize("host", ["", "attacker.test", "127.0.0.1.attacker.test", "localhost.attacker.test", "0x7f.1"])
def test_somebody_elses(host: str) -> None:
    assert not is_own_name(host)
