"""Text for people, and the same as data."""

import pytest

from proxy_policies.command_results import LineResult, LinesResult, text_and_data


@pytest.mark.parametrize(
    ("result", "lines", "data"),
    [
        (LineResult("closed 1", {"closed": 1}), ["closed 1"], {"closed": 1}),
        (LinesResult(["a", "b"], [1, 2]), ["a", "b"], [1, 2]),
        (LinesResult([], []), [], []),
        ("text", ["text"], ["text"]),
        (["a"], ["a"], ["a"]),
    ],
)
def test_results_have_text_and_data(result: object, lines: list[str], data: object) -> None:
    assert text_and_data(result) == {"lines": lines, "data": data}


def test_a_line_is_its_text() -> None:
    assert LineResult("closed 1", {}) == "closed 1"
