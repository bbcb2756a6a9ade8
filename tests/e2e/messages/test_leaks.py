"""No exchange outlives its end: whatever policies note of a flow goes with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

COUNTER = '''
import gc
from mitmproxy import http

class Counter:
    """Say how many flows are alive, when asked for /count."""

    def request(self, flow):
        if flow.request.path == "/count":
            gc.collect()
            alive = sum(isinstance(found, http.HTTPFlow) for found in gc.get_objects())
            flow.response = http.Response.make(200, f"{alive} alive")

addons = [Counter()]
'''
EXCHANGES = 60
ALIVE = 10
"""Flows that may live at any time: the one that asks, and what has not quite ended."""


@dataclass(frozen=True)
class Case:
    id: str
    options: tuple[str, ...]
    path: str = "/small"


CASES = [
    Case("as it comes", ()),
    Case("streamed", (), "/large"),
    Case("stored and hit", (), "/fresh"),
    Case("on disk", ("cache=disk:{folder}/cache",), "/fresh"),
    Case("recorded", ("capture_file={folder}/a.har",)),
    Case("recorded, streamed", ("capture_file={folder}/a.har",), "/large"),
    Case("replayed", ("replay_file={folder}/none.har", "replay_mode=new")),
    Case("with rules", ("header_rules=//X-A/{{cache}}", "header_rules=/~q/X-B/1", "encode_rules=//gzip")),
    Case("refused", (), "/broken"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_flows_are_forgotten(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path, case: Case
) -> None:
    server = origin()
    text = [("Content-Type", "text/plain")]
    server.route("/small", Answer(200, text, b"x" * 3000))
    server.route("/large", Answer(200, text, [b"x" * 3000] * 5))
    server.route("/fresh", Answer(200, [*text, ("Cache-Control", "max-age=60")], b"x" * 3000))
    server.route("/broken", Answer(500))
    script = tmp_path / "counter.py"
    script.write_text(COUNTER)
    options = [part for option in case.options for part in ("--set", option.format(folder=tmp_path))]
    proxy = mitmdump(*options, "-s", str(script), mode=f"reverse:{server.url}")
    urls = [f"{proxy.url}{case.path}"] * EXCHANGES
    assert curl("--compressed", *urls).code == 0

    def alive() -> int:
        found = re.search(rb"(\d+) alive", curl(f"{proxy.url}/count").body)
        assert found
        return int(found[1])

    wait_until(lambda: alive() < ALIVE, 20, "the end of all flows but a few")  # up to 16 are recorded together
