"""Prints the size of a body that passed its flow by, whole or in part.

mitmproxy prints the size of what a flow has: for a streamed body, that of the part kept for viewing.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from mitmproxy import http
from mitmproxy.addons.dumper import Dumper
from mitmproxy.utils import human

from proxy_policies.patch import Patch, PatchKind
from proxy_policies.streaming.decision import size_beyond

NO_CONTENT = "(content missing)"
"""What mitmproxy prints in place of a size."""

EchoLine = Callable[[Any, http.HTTPFlow], None]


def _with_real_size(original: EchoLine) -> EchoLine:
    @functools.wraps(original)
    def _echo_response_line(dumper: Any, flow: http.HTTPFlow) -> None:
        response = flow.response
        size = size_beyond(flow, response) if response is not None else None
        if response is None or size is None:
            original(dumper, flow)
            return
        content, lines = response.raw_content, list[str]()
        writer = copy.copy(dumper)
        writer.echo = lines.append
        original(writer, flow)
        before, _, after = lines[0].rpartition(NO_CONTENT if content is None else human.pretty_size(len(content)))
        dumper.echo(f"{before}{human.pretty_size(size)}{after}")

    return _echo_response_line


PATCH = Patch(
    owner=Dumper,
    attribute="_echo_response_line",
    wrap=_with_real_size,
    kind=PatchKind.SEAM,
    seen_on="12.2.1 to 12.3.1",
    why="the line of a streamed or stored response has the size of the part that its flow has, or none",
    upstream="not reported, a feature: `Dumper` shows the size of the content that a flow has",
    remove_when="mitmproxy counts the bytes of streamed bodies, and shows them",
    test="tests/patches/test_shown_sizes.py::test_the_line_has_the_whole_size",
    source_sha256={"12.2.1 to 12.3.1": "493ac58359a0af3914221c354610b44708e1ac0a9b907b63d8b34b3aa851dc7c"},
)
