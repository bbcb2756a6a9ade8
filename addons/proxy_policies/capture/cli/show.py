"""`show`: prints the entries of a capture as lines or as JSON, or one of them in full."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from proxy_policies.capture.cli.messages import say, say_problems
from proxy_policies.capture.cli.pager import paged
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import entry_values, open_any
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.model import Entry, Headers, WebSocketMessage, media_type
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import printable, quantity

with lazy_imports():
    from proxy_policies.capture.har import writer
    from proxy_policies.capture.report import json_report

GREEN, CYAN, RED, PLAIN = "\x1b[32m", "\x1b[36m", "\x1b[31m", "\x1b[0m"
NONE_FOUND = 1
"""The exit code if no entry matches the filter."""
SHOWN_TEXT = 160  # characters of one WebSocket message


@dataclass(frozen=True, slots=True)
class Line:
    """The line of `show` for an entry; `started` is in seconds since the epoch."""

    number: int
    started: float
    status: int
    ms: float
    type: str
    method: str
    url: str
    error: str = ""

    def as_json(self) -> str:
        """Return the line as JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    def as_text(self, width: int | None, colour: bool) -> str:
        """Return the line as text, cut to a width unless that is None."""
        when = datetime.fromtimestamp(self.started).strftime("%H:%M:%S")
        request = f"{self.method} {self.url}" + (f"  ({self.error})" if self.error else "")
        status = f"{self.status or '-':>3}"
        head = f"{self.number:>5}  {when}  ", f"  {self.ms:>7.0f}  {self.type[:16]:<16}  "
        room = None if width is None else max(20, width - len(head[0]) - len(head[1]) - 3)
        request = printable(request)
        request = request if room is None or len(request) <= room else f"{request[: room - 1]}…"
        return f"{head[0]}{_coloured(status, self.status) if colour else status}{printable(head[1])}{request}"


def _coloured(text: str, status: int) -> str:
    style = GREEN if 200 <= status < 300 else CYAN if 300 <= status < 400 else RED
    return f"{style}{text}{PLAIN}"


def show(arguments: argparse.Namespace) -> int:
    """Print the entries as lines, or one entry in full; or repair a truncated capture."""
    path = Path(arguments.capture)
    if arguments.repair:
        path.stat()  # raises FileNotFoundError rather than creating it
        repaired = writer.resume(path, writer.new_log())
        repaired.close()
        say(f"{path} is complete: {repaired.count} entries")
        return 0
    problems: list[str] = []
    if arguments.entry:
        _, entries = open_any(path, problems)
        text = printable("\n".join(_full_text(_entry(entries, arguments.entry, path))), lines=True)
        with paged(arguments.json) as out:
            out.write(f"{text}\n")
        return 0
    lines = _filtered_lines(path, arguments.filter, problems)
    with paged(arguments.json) as out:
        count = _print_lines(lines, arguments.json, out, sys.stdout.isatty())
    say_problems(problems)
    if not count:
        say("no entry matches the filter" if arguments.filter else f"{path} has no entries")
    return NONE_FOUND if arguments.filter and not count else 0


def _filtered_lines(path: Path, filter_text: str, problems: list[str]) -> Iterator[Line]:
    """Yield the line of each entry, or of each that matches a flow filter."""
    if not filter_text:
        yield from _lines(path, problems)
        return
    matches = _matcher(filter_text)
    _, entries = open_any(path, problems)
    for number, entry in enumerate(entries, 1):
        if matches(entry):
            yield _line_of(number, entry)


def _matcher(text: str) -> Callable[[Entry], bool]:
    """Return a function that tests an entry by a mitmproxy flow filter. Raise ValueError."""
    from proxy_policies import rules  # imports mitmproxy, which is slow
    from proxy_policies.capture.formats.mitmproxy_flows import to_flow

    flow_filter = rules.parse_filter(text)

    def matches(entry: Entry) -> bool:
        try:
            return bool(flow_filter(to_flow(entry)))
        except ValueError:  # a URL that mitmproxy rejects
            return False

    return matches


def _lines(path: Path, problems: list[str]) -> Iterator[Line]:
    values = entry_values(path)
    if values is None:  # a flow file, or a foreign HAR, whose entries may be imperfect
        for number, entry in enumerate(open_any(path, problems)[1], 1):
            yield _line_of(number, entry)
        return
    for number, value in enumerate(values, 1):
        yield _line_of_value(number, value) or _line_of(number, read_entry(value, f"entry {number}"))


def _line_of_value(number: int, value: dict[str, Any]) -> Line | None:
    """Return the line of an entry that we wrote, without parsing all of it; None if it is not as we write it."""
    try:
        request, response, started = value["request"], value["response"], value["_times"][0]
        kinds = (pair["value"] for pair in response["headers"] if pair["name"].lower() == "content-type")
        kind = next(kinds, "").partition(";")[0].rpartition("/")[2]
        error = value.get("_error", "")
        return Line(number, started, response["status"], value["time"], kind, request["method"], request["url"], error)
    except (KeyError, TypeError, IndexError, AttributeError):
        return None


def _line_of(number: int, entry: Entry) -> Line:
    kind = media_type(entry.response.headers).rpartition("/")[2]
    request, times = entry.request, entry.times
    status = entry.response.status
    return Line(
        number, times.request_start, status, times.seconds * 1000, kind, request.method, request.url, entry.error
    )


def _print_lines(lines: Iterator[Line], as_json: bool, out: TextIO, is_terminal: bool) -> int:
    """Print the lines, and return their number."""
    width = shutil.get_terminal_size().columns if is_terminal else None
    colour = is_terminal and not os.environ.get("NO_COLOR")
    number = 0
    if is_terminal and not as_json:
        out.write("    #  time    status      ms  type              request\n")
    for number, line in enumerate(lines, 1):  # noqa: B007 - counted
        out.write((line.as_json() if as_json else line.as_text(width, colour)) + "\n")
    return number


def _entry(entries: Iterator[Entry], number: int, path: Path) -> Entry:
    entry = next(islice(entries, number - 1, None), None)
    if entry is None:
        raise CaptureError(f"{path} has no entry {number}")
    return entry


def _full_text(entry: Entry) -> list[str]:
    """Return the request, the response, the messages and the policies' notes of an entry as lines."""
    request, response = entry.request, entry.response
    lines = [f"{request.method} {request.url} {request.version}", *_fields(request.headers), ""]
    if request.body.content or request.body.dropped:
        text = request.body.content.decode("utf-8", "replace")
        lines += [*text.splitlines(), *_left_out(request.body.dropped), ""]
    lines += [f"{response.version} {response.status} {response.reason}", *_fields(response.headers), ""]
    lines += [*json_report.body_lines(response), *_left_out(response.body.dropped)]
    lines += [f"{'→' if message.from_client else '←'} {_message_text(message)}" for message in entry.messages]
    lines += [
        f"policy {note.get('policy')}: {note.get('verdict')} {note.get('why', '')}".rstrip() for note in entry.trace
    ]
    return lines


def _left_out(size: int) -> list[str]:
    """Return a line on bytes that were not recorded; none if all were."""
    return [f"({quantity(size, 'byte')} not recorded)"] if size else []


def _message_text(message: WebSocketMessage) -> str:
    if message.dropped:
        return _left_out(message.dropped)[0]
    text = message.data.decode("utf-8", "replace") if message.text else quantity(len(message.data), "byte")
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"


def _fields(headers: Headers) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]
