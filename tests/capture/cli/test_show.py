"""The lines of `show`: cut to a terminal, whole when piped, JSON for programs."""

import json

import pytest

from proxy_policies.capture.cli.show import Line

LINE = Line(7, 1_700_000_000.0, 200, 12.4, "json", "GET", "http://a.test/" + "x" * 100)


def test_a_line_is_whole_when_piped() -> None:
    assert LINE.as_text(None, colour=False).endswith("200       12  json              GET " + LINE.url)


@pytest.mark.parametrize("width", [70, 80, 100])
def test_a_line_fits_a_terminal(width: int) -> None:
    text = LINE.as_text(width, colour=False)
    assert len(text) == width
    assert text.endswith("…")


def test_a_status_has_a_colour() -> None:
    assert "\x1b[32m200\x1b[0m" in LINE.as_text(None, colour=True)


def test_no_terminal_obeys_a_url() -> None:
    line = Line(1, 0.0, 0, 0.0, "", "GET", "http://a.test/\x1b]0;title\x07", error="\x9b2J")
    assert not {"\x1b", "\x07", "\x9b"} & set(line.as_text(None, colour=False))


def test_a_program_gets_json() -> None:
    assert json.loads(LINE.as_json()) == {
        **{"number": 7, "started": 1_700_000_000.0, "status": 200, "ms": 12.4, "type": "json"},
        **{"method": "GET", "url": LINE.url, "error": ""},
    }
