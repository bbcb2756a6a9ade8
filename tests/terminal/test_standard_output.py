"""What is printed into what takes nothing more."""

import io
import os
import sys

import pytest

from proxy_policies.terminal.standard_output import flush_output, prepare_output


def test_what_a_pipe_does_not_take_is_raised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        print("a line")
        with pytest.raises(BrokenPipeError):
            flush_output()
        flush_output()


def test_closed_streams_take_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    prepare_output()
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
