"""`proxy-policies tunnel`."""

from collections.abc import Callable


def test_it_prints_and_closes_sessions(run: Callable[..., str]) -> None:
    assert run("tunnel", "status") == "no work connected\nno sessions\n"
    assert run("tunnel", "close", "all") == "closed 0\n"
