"""What peers say is printed as text: a terminal obeys none of it."""

import io
import logging

from mitmproxy.addons.dumper import Dumper
from mitmproxy.addons.termlog import TermLogHandler
from mitmproxy.test import taddons, tflow

from proxy_policies.patches.terminal import PATCHES, print_log_lines


def test_the_reason_for_closing_a_websocket_is_text() -> None:
    flow = tflow.twebsocketflow(err=False)
    assert flow.websocket
    flow.websocket.close_code, flow.websocket.close_reason = 4000, "bye \x9b2J\u202e"
    printed = io.StringIO()
    undo = [undo for patch in PATCHES if (undo := patch.apply())]
    try:
        dumper = Dumper(printed)
        with taddons.context(dumper) as context:
            context.configure(dumper, flow_detail=3)
            dumper.websocket_end(flow)
    finally:
        for each in undo:
            each()
    assert "bye" in printed.getvalue()
    assert not {"\x9b", "\u202e"} & set(printed.getvalue())


def test_a_line_of_the_log_is_printed_at_once_until_that_is_undone() -> None:
    pipe = io.BytesIO()
    out = io.TextIOWrapper(pipe, "utf-8")
    handler = TermLogHandler(out)
    logging.getLogger().addHandler(handler)
    try:
        undo = print_log_lines()
        handler.emit(logging.makeLogRecord({"msg": "listening"}))
        assert b"listening\n" in pipe.getvalue()
        undo()
        handler.emit(logging.makeLogRecord({"msg": "stopped"}))
        assert b"stopped" not in pipe.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)
