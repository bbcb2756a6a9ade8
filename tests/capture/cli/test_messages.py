"""What the commands say is on stderr, and no terminal obeys it."""

import pytest

from proxy_policies.capture.cli.messages import SHOWN_PROBLEMS, say, say_problems


def test_it_says_who_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x1b[2J\x9b\u202e")
    assert capsys.readouterr() == ("", "capture: a\nb\\x1b[2J\\x9b\\u202e\n")


@pytest.mark.parametrize("count", [0, 1, SHOWN_PROBLEMS, SHOWN_PROBLEMS + 3])
def test_of_many_problems_the_first_are_named(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    say_problems([f"problem {number}" for number in range(count)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[:SHOWN_PROBLEMS] == [f"capture: problem {number}" for number in range(min(count, SHOWN_PROBLEMS))]
    rest = ["capture: and 3 more like these; all other entries were read"] if count > SHOWN_PROBLEMS else []
    assert lines[SHOWN_PROBLEMS:] == rest
