"""The questions and answers of the control socket: JSON objects, each a line; one question per connection. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_QUESTION = 64 * 1024
"""Bytes: asyncio's own limit for a line."""


class ControlError(ValueError):
    """The proxy cannot answer; the text says why."""


@dataclass(frozen=True)
class Question:
    """A command, and its arguments."""

    command: str
    arguments: Sequence[str] = ()


def write_question(question: Question) -> bytes:
    """Return the line of a question. Raise ControlError if it is too long."""
    line = json.dumps({"command": question.command, "arguments": list(question.arguments)}).encode() + b"\n"
    if len(line) > MAX_QUESTION:
        raise ControlError(f"the arguments are too long: {len(line)} bytes of {MAX_QUESTION}")
    return line


def read_question(line: bytes) -> Question:
    """Return the question in a line. Raise ControlError if it is malformed."""
    fields = _read_object(line)
    command, arguments = fields.get("command"), fields.get("arguments", [])
    is_text = isinstance(arguments, list) and all(isinstance(argument, str) for argument in arguments)
    if not isinstance(command, str) or not is_text:
        raise ControlError('a question is {"command": "NAME", "arguments": ["TEXT", …]}')
    return Question(command, tuple(arguments))


def write_result(result: object) -> bytes:
    """Return the line of a result."""
    return json.dumps({"result": result}).encode() + b"\n"


def write_error(text: str) -> bytes:
    """Return the line of an error."""
    return json.dumps({"error": text}).encode() + b"\n"


def read_answer(line: bytes) -> Any:
    """Return the result in a line. Raise ControlError with the error in it, or if it is malformed."""
    answer = _read_object(line)
    if "result" not in answer:
        raise ControlError(str(answer.get("error", "the answer has no result")))
    return answer["result"]


def _read_object(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not line.endswith(b"\n") or not isinstance(value, dict):
        raise ControlError("not a line with a JSON object")
    return value
