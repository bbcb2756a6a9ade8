"""The questions and answers of the control socket: a JSON object, a line feed; one question a connection. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_QUESTION = 64 * 1024
"""Bytes: asyncio's own limit for a line."""


class ControlError(ValueError):
    """What was asked for cannot be had; the text says why."""


@dataclass(frozen=True)
class Question:
    """A command, and its arguments."""

    command: str
    arguments: Sequence[str] = ()


def write_question(question: Question) -> bytes:
    """Write a question; raises ControlError for one that is too long."""
    line = json.dumps({"command": question.command, "arguments": list(question.arguments)}).encode() + b"\n"
    if len(line) > LONGEST_QUESTION:
        raise ControlError(f"the arguments are too long: {len(line)} bytes of {LONGEST_QUESTION}")
    return line


def read_question(line: bytes) -> Question:
    """Read a question; raises ControlError."""
    read = _read_object(line)
    command, arguments = read.get("command"), read.get("arguments", [])
    is_text = isinstance(arguments, list) and all(isinstance(argument, str) for argument in arguments)
    if not isinstance(command, str) or not is_text:
        raise ControlError('a question is {"command": "NAME", "arguments": ["TEXT", …]}')
    return Question(command, tuple(arguments))


def write_result(result: object) -> bytes:
    """Write what came of a question."""
    return json.dumps({"result": result}).encode() + b"\n"


def write_error(text: str) -> bytes:
    """Write why nothing came of it."""
    return json.dumps({"error": text}).encode() + b"\n"


def read_answer(line: bytes) -> Any:
    """Return what came of a question; raises ControlError with what the other side says went wrong."""
    answer = _read_object(line)
    if "result" not in answer:
        raise ControlError(str(answer.get("error", "the answer holds no result")))
    return answer["result"]


def _read_object(line: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        read = None
    if not line.endswith(b"\n") or not isinstance(read, dict):
        raise ControlError("not a line with a JSON object")
    return read
