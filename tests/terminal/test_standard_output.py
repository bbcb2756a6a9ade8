"""What is printed into what takes nothing more."""

import io
import os
import sys

import pytest

from proxy_policies.terminal.standard_output import drop_output_if_closed, flush_output, prepare_output


def test_what_a_pipe_does_not_take_is_raised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        print("a line")
        with pytest.raises(BrokenPipeError):
            flush_output()
        flush_output()


def test_what_is_printed_to_a_closed_stream_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    prepare_output()
    flush_output()
    print("a line")
    with pytest.raises(OSError, match="standard output: Bad file descriptor"):
        flush_output()
    sys.stdout.close()


def test_the_log_of_a_program_is_dropped_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    prepare_output()
    drop_output_if_closed()
    print("a line")
    flush_output()
    sys.stdout.close()


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "latin-1"))
    prepare_output()
    print("→")
    flush_output()
    assert printed.getvalue() == b"\\u2192\n"
