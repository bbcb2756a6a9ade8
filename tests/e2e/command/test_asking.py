"""Sub-commands that put one of mitmproxy's commands to a running proxy."""

from collections.abc import Callable
from typing import Any


def test_json_says_who_answered(asked: Any, run_json: Callable[..., Any]) -> None:
    lines = ["no work connected", "no sessions"]
    assert run_json("tunnel", "status") == [{"pid": asked.proxy.pid, "lines": lines}]
