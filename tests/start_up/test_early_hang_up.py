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


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["usual", "nohup"])
def test_it_is_noted_once(before: signal.Handlers) -> None:
    signal.signal(signal.SIGHUP, before)
    early_hang_up.note()
    signal.raise_signal(signal.SIGHUP)
    assert early_hang_up.take()
    assert not early_hang_up.take()


def test_a_handler_stays() -> None:
    def handler(number: int, frame: object) -> None: ...

    signal.signal(signal.SIGHUP, handler)
    early_hang_up.note()
    assert signal.getsignal(signal.SIGHUP) is handler
