"""The size in mitmdump's line of a streamed response."""

import io
import re

import pytest
from mitmproxy.addons.dumper import Dumper
from mitmproxy.test import taddons, tflow

from proxy_policies.body import PREVIEW_LIMIT, Pipeline, Preview
from proxy_policies.patches.shown_sizes import PATCH
from proxy_policies.streaming.stream import Stream
from proxy_policies.tuning.dumper import DUMPER

STYLES = re.compile("\x1b\\[[0-9;]*m")


@pytest.mark.parametrize("has_colours", [False, True], ids=["plain", "colours"])
@pytest.mark.parametrize(("sent", "shown"), [(1000, "1000b"), (PREVIEW_LIMIT, "256k"), (3 * PREVIEW_LIMIT, "768k")])
def test_the_line_has_the_whole_size(sent: int, shown: str, has_colours: bool) -> None:
    flow, preview, out = tflow.tflow(resp=True), Preview(), io.StringIO()
    dumper = Dumper(out)
    dumper.out_has_vt_codes = has_colours
    assert flow.response
    flow.response.stream = Stream(Pipeline(), preview)
    preview.feed(bytes(sent))
    flow.response.raw_content = bytes(preview.kept)
    undos = [PATCH.apply(), DUMPER.apply()]
    with taddons.context(dumper):
        dumper.response(flow)
    for undo in undos:
        assert undo
        undo()
    assert STYLES.sub("", out.getvalue()).endswith(f" << 200 OK {shown}\n")
