"""`proxy-policies explain`."""

from collections.abc import Callable
from typing import Any


def test_it_prints_what_was_decided_and_why(asked: Any, run: Callable[..., str]) -> None:
    first, *decisions = run("explain", "/page").splitlines()
    assert first.endswith(f" GET {asked.stored} → 200")
    assert any(line.startswith("  cache ") and "stored" in line for line in decisions)


def test_it_says_why_an_exchange_failed(asked: Any, run: Callable[..., str]) -> None:
    first, decision = run("explain", asked.failed).splitlines()
    assert asked.failed in first
    assert decision.startswith("  proxy  failed: cannot connect to 127.0.0.1:")


def test_it_prints_the_last(asked: Any, run_json: Callable[..., Any]) -> None:
    (flow,) = run_json("explain", "--last", "1")
    assert flow["flow"] == f"GET {asked.failed}"
    assert flow["decisions"][0]["verdict"] == "failed"


def test_it_says_that_there_is_nothing(run: Callable[..., str]) -> None:
    assert run("explain", "/nowhere") == "no flow has '/nowhere' in its URL\n"
