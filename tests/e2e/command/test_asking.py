"""Sub-commands that put one of mitmproxy's commands to a running proxy."""

from collections.abc import Callable
from typing import Any


def result(run_json: Callable[..., Any], *words: str) -> Any:
    (answer,) = run_json(*words)
    assert answer.keys() == {"pid", "result"}
    return answer["result"]


def test_json_says_who_answered(asked: Any, run_json: Callable[..., Any]) -> None:
    nothing: dict[str, list[Any]] = {"works": [], "sessions": []}
    assert run_json("tunnel", "status") == [{"pid": asked.proxy.pid, "result": nothing}]


def test_json_is_data_and_not_text(asked: Any, run_json: Callable[..., Any]) -> None:
    assert result(run_json, "tunnel", "close", "all") == {"closed": 0}
    assert result(run_json, "cache", "stats").keys() == {"responses", "bytes", "limit"}
    (listed,) = result(run_json, "cache", "list", "/page")
    assert (listed["url"], listed["status"], listed["range"]) == (asked.stored, 200, None)
    assert 0 < listed["fresh_seconds"] <= 600
    (shown,) = result(run_json, "cache", "show", asked.stored)
    assert shown.items() >= {"key": listed["key"], "selected_by": {}, "tags": []}.items()
    assert ["Cache-Control", "max-age=600"] in shown["fields"]
    assert result(run_json, "cache", "list", "http://a.test/") == []
    assert result(run_json, "cache", "purge", "tag:none") == {"purged": 0}
    assert result(run_json, "cache", "purge", "--soft", "tag:none") == {"made_stale": 0}
