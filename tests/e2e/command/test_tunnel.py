"""`proxy-policies tunnel`."""

from collections.abc import Callable


def test_it_prints_and_closes_sessions(run: Callable[..., str]) -> None:
    assert run("tunnel", "status") == "no work connected\nno sessions\n"
    assert run("tunnel", "close", "all") == "closed 0\n"


def test_a_session_that_is_not_there_is_an_error(run: Callable[..., str]) -> None:
    for which in ("99", "ssh", "ssh@office", ""):
        said = run("tunnel", "close", which, code=1)
        assert said == f"proxy-policies tunnel: no open session matches {which!r}; tunnel status lists them\n"
