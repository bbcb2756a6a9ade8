"""What a peer brings about is not logged as often as it likes."""

import logging

import pytest

from proxy_policies.reverse_tunnel.throttled_log import ThrottledLog


def test_a_kind_has_so_many_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ThrottledLog(logging.getLogger("test"), burst=2)
    assert [log.info("came", f"came {number}") for number in range(4)] == [True, True, False, False]
    assert log.warning("left", "left")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "came 0"),
        ("INFO", "came 1"),
        ("WARNING", "left"),
    ]
