"""SIGHUP while a proxy starts."""

import signal
from collections.abc import Iterator

import pytest

from proxy_policies.start_up import early_hang_up

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_it_is_noted_once() -> None:
    early_hang_up.note()
    signal.raise_signal(signal.SIGHUP)
    assert early_hang_up.take()
    assert not early_hang_up.take()


def test_who_ignores_or_handles_it_still_does() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    early_hang_up.note()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
