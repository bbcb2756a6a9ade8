"""Questions and answers, as they are and as they should not be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.control.messages import (
    MAX_QUESTION,
    ControlError,
    Question,
    read_answer,
    read_question,
    write_error,
    write_question,
    write_result,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text(), st.lists(st.text()))
def test_a_question_is_read_as_it_was_written(command: str, arguments: list[str]) -> None:
    line = write_question(Question(command, arguments))
    assert line.count(b"\n") == 1
    assert read_question(line) == Question(command, tuple(arguments))


@given(JSON)
def test_a_result_is_read_as_it_was_written(result: object) -> None:
    assert read_answer(write_result(result)) == result


@given(st.text())
def test_an_error_is_raised_where_it_is_read(text: str) -> None:
    with pytest.raises(ControlError) as raised:
        read_answer(write_error(text))
    assert str(raised.value) == text


@given(st.binary())
def test_no_other_bytes_do_any_harm(line: bytes) -> None:
    for read in (read_question, read_answer):
        with pytest.raises(ControlError):
            read(line)


@pytest.mark.parametrize(
    "question", [{}, [], "x", {"command": 1}, {"command": "x", "arguments": "y"}, {"command": "x", "arguments": [1]}]
)
def test_what_is_no_question_is_refused(question: object) -> None:
    with pytest.raises(ControlError):
        read_question(json.dumps(question).encode() + b"\n")


def test_deep_nesting_is_refused() -> None:
    deep = b"[" * (MAX_QUESTION - 1) + b"\n"
    with pytest.raises(ControlError):
        read_question(deep)


def test_a_question_too_large_to_be_read_is_not_sent() -> None:
    with pytest.raises(ControlError, match="too long"):
        write_question(Question("x", ["y" * MAX_QUESTION]))
