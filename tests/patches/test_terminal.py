"""What peers say is printed as text: a terminal obeys none of it."""

import contextlib
import errno
import io
import logging

import pytest
from mitmproxy.addons.dumper import Dumper
from mitmproxy.addons.termlog import TermLogHandler
from mitmproxy.log import MitmFormatter
from mitmproxy.test import taddons, tflow

from proxy_policies.patches.terminal import PATCHES, print_lines


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
        undo = print_lines()
        handler.emit(logging.makeLogRecord({"msg": "listening"}))
        assert b"listening\n" in pipe.getvalue()
        undo()
        handler.emit(logging.makeLogRecord({"msg": "stopped"}))
        assert b"stopped" not in pipe.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)


def _fails() -> None:
    raise ValueError("no \x1b[2J")


@pytest.mark.parametrize("colours", [False, True])
def test_a_line_of_the_log_is_text(colours: bool) -> None:
    out = io.StringIO()
    handler = TermLogHandler(out)
    handler.formatter = MitmFormatter(colours)
    logger = logging.getLogger("of_peers")
    logging.getLogger().addHandler(handler)
    undo = print_lines()
    try:
        logger.warning("it says %s", "\x1b[2J\x9b2J\u202e\nand more")
        try:
            _fails()
        except ValueError:
            logger.exception("responding failed")
    finally:
        undo()
        logging.getLogger().removeHandler(handler)
    printed = out.getvalue()
    assert "it says \\x1b[2J\\x9b2J\\u202e\nand more" in printed
    assert "ValueError: no \\x1b[2J" in printed
    assert "\x1b[2J" not in printed
    assert ("\x1b" in printed) is colours


class _Broken(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), BrokenPipeError()])
def test_what_cannot_be_printed_is_lost_unless_its_reader_has_left(error: OSError) -> None:
    handler, dumper = TermLogHandler(_Broken(error)), Dumper(_Broken(error))
    logging.getLogger().addHandler(handler)
    undo = print_lines(dumper)
    try:
        with contextlib.nullcontext() if error.errno else pytest.raises(SystemExit):
            handler.emit(logging.makeLogRecord({"msg": "listening"}))
        with contextlib.nullcontext() if error.errno else pytest.raises(BrokenPipeError):
            dumper.echo("GET /")
    finally:
        undo()
        logging.getLogger().removeHandler(handler)
