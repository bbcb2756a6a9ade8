"""What mitmdump prints about a flow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitmproxy.io import read_flows_from_paths
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

TEXT = [("Content-Type", "text/plain")]


def test_the_story_stands_under_the_flow(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), mitmdump("--set", "flow_detail=2")
    server.route("/text", Answer(headers=TEXT, body=b"words " * 1000))
    curl("-x", proxy.url, f"{server.url}/text", "-H", "Accept-Encoding: gzip")
    told = proxy.wait_log(r"(?s)<< .*?200 .*?\n    Content-Encoding: gzip.*?\n    encoding +gzip: [^\n]+\n")[0]
    assert told.index("Content-Encoding") < told.index("encoding ")


def test_no_story_with_little_detail(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), mitmdump()
    curl("-x", proxy.url, f"{server.url}/")
    proxy.wait_log("<< 200|<<  ?Whatever| 200 ")
    assert proxy.stop() == 0
    assert "encoding  " not in proxy.log()


def test_what_was_decided_is_saved_with_the_flow(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    server, proxy = origin(), mitmdump("-w", str(tmp_path / "flows"))
    server.route("/text", Answer(headers=TEXT, body=b"words " * 1000))
    curl("-x", proxy.url, f"{server.url}/text", "-H", "Accept-Encoding: gzip")
    assert proxy.stop() == 0
    (flow,) = read_flows_from_paths([str(tmp_path / "flows")])
    assert [note["verdict"] for note in flow.metadata["policy_trace"] if note["policy"] == "encoding"] == ["gzip"]
    assert "encoding: gzip" in flow.comment
