"""What could not be searched for secrets is said."""

from dataclasses import replace
from pathlib import Path

import pytest

from proxy_policies.capture.cli.unsearched import say_unsearched
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets.redact import UNSEARCHED


def entry(**why: str) -> Entry:
    return Entry(Request("GET", "http://a.test/"), Response(200), Times(1.0), extra={UNSEARCHED: why} if why else {})


def capture(folder: Path, *entries: Entry) -> Path:
    path = folder / "a.har"
    writer.rewrite(path, writer.new_log(), entries)
    return path


@pytest.mark.parametrize(("strict", "outcome"), [(False, "--strict leaves them out"), (True, "and were left out")])
def test_kinds_are_counted(strict: bool, outcome: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, entry(), entry(request="cut", response="binary"), entry(response="binary"))
    say_unsearched(path, strict)
    assert capsys.readouterr().err == f"capture: could not be searched for secrets: 2 binary, 1 cut; {outcome}\n"


def test_nothing_is_said_when_all_was_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say_unsearched(capture(tmp_path, entry()), strict=False)
    assert capsys.readouterr().err == ""


def test_a_body_that_came_from_the_origin_as_it_was_sent_on_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    octets = Response(200, body=Body(b"\0\1"))
    same, other = replace(octets), Response(200, body=Body(b"\0\2"))
    both = entry(response="binary", origin="binary")
    path = capture(tmp_path, *(replace(both, response=octets, origin=origin) for origin in (same, other)))
    say_unsearched(path, strict=False)
    assert "secrets: 3 binary;" in capsys.readouterr().err
