"""Text for people, and the same as data."""

import pytest

from proxy_policies.control.command_results import LineResult, LinesResult, text_and_data


@pytest.mark.parametrize(
    ("result", "lines", "data", "error"),
    [
        (LineResult("closed 1", {"closed": 1}), ["closed 1"], {"closed": 1}, ""),
        (LineResult("closed 0", {"closed": 0}, "no such session"), ["closed 0"], {"closed": 0}, "no such session"),
        (LinesResult(["a", "b"], [1, 2]), ["a", "b"], [1, 2], ""),
        (LinesResult([], [], "nothing is stored"), [], [], "nothing is stored"),
        ("text", ["text"], ["text"], ""),
        (["a"], ["a"], ["a"], ""),
    ],
)
def test_results_have_text_and_data(result: object, lines: list[str], data: object, error: str) -> None:
    assert text_and_data(result) == {"lines": lines, "data": data, "error": error}


def test_a_line_is_its_text() -> None:
    assert LineResult("closed 1", {}) == "closed 1"
