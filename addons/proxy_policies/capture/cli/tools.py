"""`scrub`, `merge` and `export`: remove secrets from captures, merge them, and convert them."""

import argparse
import heapq
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from proxy_policies.capture.cli.findings import findings
from proxy_policies.capture.cli.messages import say, say_problems, text_output, title
from proxy_policies.capture.cli.unsearched import say_unsearched
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.export.curl import curl_script
from proxy_policies.capture.export.http_file import http_file
from proxy_policies.capture.export.k6 import k6_script
from proxy_policies.capture.export.openapi_file import openapi_json, openapi_yaml
from proxy_policies.capture.export.python_scripts import locust_file, pytest_module
from proxy_policies.capture.files import private_files
from proxy_policies.capture.formats.any_format import is_har, merged_log, newest_first, open_any, open_by_time, same_key
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry
from proxy_policies.capture.secrets import redact
from proxy_policies.capture.secrets.keyfile import load_key
from proxy_policies.capture.secrets.placeholders import Placeholders, as_digits
from proxy_policies.log_lines import printable, quantity
from proxy_policies.options.files import expand_home

KINDS_BY_ENDING = {".har": "har", ".mitm": "flows", ".flow": "flows", ".flows": "flows", ".sh": "curl", ".http": "http"}
"""The default format, by the ending of the file."""
type TextWriter = Callable[[Iterable[Entry]], Iterator[str]]

TEXT_WRITERS: dict[str, TextWriter] = {
    **{"curl": curl_script, "http": http_file, "k6": k6_script},
    **{"pytest": pytest_module, "locust": locust_file},
}


def scrub(arguments: argparse.Namespace) -> int:
    """Write a capture without its secrets."""
    path, target = Path(arguments.capture), private_files.output(arguments.output or arguments.capture)
    _require_one_output(arguments)
    if not arguments.output and not arguments.dry_run and not is_har(path):
        raise CaptureError(
            f"{path} is not a plain HAR file, and what is written is one: name it with -o {path.stem}.har"
        )
    redactor = _redactor(arguments.confdir, arguments.redact, arguments.strict)
    problems: list[str] = []
    log, entries = _redacted(path, redactor, problems)
    if arguments.dry_run:
        return _dry_run(path, redactor, arguments.json)
    with private_files.draft_of(target) as draft:
        count = writer.rewrite(draft, log, entries)
        say_unsearched(draft, arguments.strict)
    fields = {"output": str(target), "entries": count}
    _report(arguments, f"scrubbed {quantity(count, 'entry')} into {title(target)}", fields, problems)
    return 0


def _require_one_output(arguments: argparse.Namespace) -> None:
    """Raise CaptureError if both the output and what `--json` prints would go to standard output."""
    text_output([arguments.output or "", *(["-"] if arguments.json else [])])


def _redactor(confdir: str, rules: Iterable[str] = (), strict: bool = False) -> redact.Redactor:
    placeholders = Placeholders(load_key(expand_home(confdir)))
    return redact.Redactor(redact.parse_rules(rules), placeholders, strict)


def _redacted(path: Path, redactor: redact.Redactor, problems: list[str]) -> tuple[dict[str, Any], Iterator[Entry]]:
    """Return the log object and the entries of a capture without secrets.

    The last entries are read first, to learn secrets whose first use is not recognisable.
    """
    log, _ = open_any(path)
    redactor.learn(newest_first(path))
    header = {**log["_capture"], "key": redactor.key_id}
    foreign = {name: value for name, value in log.items() if name not in ("_capture", "entries")}
    _, entries = open_any(path, problems)
    return {**redactor.document(foreign), "_capture": header}, (redactor.entry(entry) for entry in entries)


def _dry_run(path: Path, redactor: redact.Redactor, as_json: bool) -> int:
    """Print the location of each secret, and the rule that found it, but not its value."""
    problems: list[str] = []
    count, numbers = 0, set()
    for number, entry in enumerate(open_any(path, problems)[1], 1):
        for found in findings(entry, redactor.entry(entry)):
            rule = redactor.rules.get(as_digits(found.placeholder), "known")
            fields = {"entry": number, "message": found.side, "location": found.location, "rule": rule}
            line = f"{number:>5}  {found.side:<8}  {found.location}  ({rule})"
            print(json.dumps(fields | {"placeholder": found.placeholder}) if as_json else printable(line))
            count += 1
            numbers.add(number)
    say_problems(problems)
    say(f"{quantity(count, 'value')} in {quantity(len(numbers), 'entry')} would be replaced; nothing was written")
    return 0


def merge(arguments: argparse.Namespace) -> int:
    """Write several captures as one, by time, without duplicate entries."""
    target = private_files.output(arguments.output)
    _require_one_output(arguments)
    problems: list[str] = []
    opened = [open_by_time(Path(name), problems) for name in arguments.captures]
    logs = [log for log, _ in opened]
    log, pages = merged_log(logs, writer.new_log(same_key(logs)))
    renamed = [_renamed(entries, names) for (_, entries), names in zip(opened, pages, strict=True)]
    by_time = _Counted(heapq.merge(*renamed, key=_start))
    count = writer.rewrite(target, log, _once(by_time))
    fields = {"output": str(target), "captures": len(opened), "entries": count, "duplicates": by_time.count - count}
    text = f"merged {len(opened)} captures, {quantity(count, 'entry')}, into {title(target)}"
    _report(arguments, text, fields, problems)
    return 0


class _Counted:
    """An iterator over entries that counts them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.count = 0
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.count += 1
            yield entry


def _report(arguments: argparse.Namespace, text: str, fields: Mapping[str, Any], problems: Sequence[str]) -> None:
    """Say what was done, on stderr; with `--json`, print it as an object instead."""
    say_problems(problems)
    if arguments.json:
        print(json.dumps({**fields, "problems": problems}))
    else:
        say(text)


def _start(entry: Entry) -> float:
    return entry.times.request_start


def _renamed(entries: Iterator[Entry], names: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the entries with the new names of their pages."""
    for entry in entries:
        page = names.get(str(entry.extra.get("pageref")))
        yield replace(entry, extra={**entry.extra, "pageref": page}) if page else entry


def _once(by_time: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries without duplicates: same id and time. In other tools' files, ids alone are not unique."""
    for _, entries in groupby(by_time, _start):
        seen: set[str] = set()
        for entry in entries:
            if not entry.id or entry.id not in seen:
                seen.add(entry.id)
                yield entry


def export(arguments: argparse.Namespace) -> int:
    """Write a capture in another format: that of `--as`, or of the file's ending."""
    source, target = Path(arguments.capture), private_files.output(arguments.output)
    _require_one_output(arguments)
    if target != private_files.STANDARD_OUTPUT and target.exists() and not arguments.overwrite:
        raise CaptureError(f"{target} exists: --overwrite replaces it")
    kind = arguments.kind or KINDS_BY_ENDING.get(target.suffix)
    if kind is None:
        raise CaptureError(
            f"{title(target)}: unknown file type; use one of the endings {', '.join(KINDS_BY_ENDING)}, or --as"
        )
    problems: list[str] = []
    log, entries = open_any(source, problems)
    redactor = None
    if not log["_capture"].get("key") and (kind == "openapi" or not arguments.raw):  # a foreign file, with secrets
        redactor = _redactor(arguments.confdir)
        log, entries = _redacted(source, redactor, problems)
    if kind == "flows":
        count = _export_flows(target, entries)
    elif kind == "har":
        count = writer.rewrite(target, log, entries, arguments.bodies_over)
    else:
        count = _export_text(target, _text_writer(kind, target), entries)
    replaced = len(redactor.rules) if redactor and kind != "openapi" else 0
    if replaced:
        say(f"replaced {quantity(replaced, 'secret')} of {source} by placeholders; --raw keeps them")
    fields = {"output": str(target), "format": kind, "entries": count, "replaced": replaced}
    _report(arguments, f"exported {quantity(count, 'entry')} to {title(target)}", fields, problems)
    return 0


def _text_writer(kind: str, target: Path) -> TextWriter:
    """Return the writer for a format; an OpenAPI document is YAML if the file's ending says so."""
    if kind == "openapi":
        return openapi_yaml if target.suffix.lower() in (".yaml", ".yml") else openapi_json
    return TEXT_WRITERS[kind]


def _export_text(target: Path, write: TextWriter, entries: Iterator[Entry]) -> int:
    """Write a text file, readable by its owner only; return the number of entries."""
    counted = _Counted(entries)
    private_files.write_pieces(target, write(counted))
    return counted.count


def _export_flows(target: Path, entries: Iterator[Entry]) -> int:
    from proxy_policies.capture.formats.mitmproxy_flows import (
        write_flow_file,  # mitmproxy is slow to import: only when needed
    )

    with (
        private_files.draft_of(target) as draft,
        os.fdopen(os.open(draft, private_files.NEW, private_files.FILE), "wb") as file,
    ):
        return write_flow_file(file, entries)
