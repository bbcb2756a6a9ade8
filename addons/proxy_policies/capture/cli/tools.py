"""`show`, `scrub`, `merge` and `export`: look at captures, clean them, combine them, hand them on."""

import argparse
import heapq
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy_policies.capture.cli.run import say, say_problems, say_unsearched
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats import merged_log, open_any, same_key
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry, Headers, media_type
from proxy_policies.capture.report.json_report import body_lines
from proxy_policies.capture.report.terminal import short
from proxy_policies.capture.secrets import redact
from proxy_policies.capture.secrets.keyfile import load_key
from proxy_policies.capture.secrets.placeholders import Placeholders


def show(arguments: argparse.Namespace) -> int:
    """Print the entries as a table, or one entry whole; mend a torn capture when asked to."""
    path = Path(arguments.capture)
    if arguments.repair:
        mended = writer.resume(path, writer.new_log())
        mended.close()
        say(f"{path} is whole: {mended.count} entries")
        return 0
    problems: list[str] = []
    _, entries = open_any(path, problems)
    console = Console(highlight=False)
    if arguments.entry:
        _print_entry(_numbered(entries, arguments.entry, path), console)
    else:
        _print_table(entries, console)
    say_problems(problems)
    return 0


def _numbered(entries: Iterator[Entry], wanted: int, path: Path) -> Entry:
    for number, entry in enumerate(entries, 1):
        if number == wanted:
            return entry
    raise CaptureError(f"{path} has no entry {wanted}")


def _print_table(entries: Iterator[Entry], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for name, justify in (("#", "right"), ("time", "left"), ("status", "left"), ("ms", "right"), ("type", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("request", overflow="fold")
    for number, entry in enumerate(entries, 1):
        when = datetime.fromtimestamp(entry.times.request_start).strftime("%H:%M:%S")
        status = Text(str(entry.response.status or "—"), _style(entry.response.status))
        kind = media_type(entry.response.headers).rpartition("/")[2]
        asked = f"{entry.request.method} {entry.request.url}" + (f"  ({entry.error})" if entry.error else "")
        table.add_row(str(number), when, status, f"{entry.times.seconds * 1000:.0f}", kind, Text(asked))
    console.print(table if table.row_count else "no entries")


def _style(status: int) -> str:
    return "green" if 200 <= status < 300 else "cyan" if 300 <= status < 400 else "red"


def _print_entry(entry: Entry, console: Console) -> None:
    request, response = entry.request, entry.response
    lines = [f"{request.method} {request.url} {request.version}", *_fields(request.headers), ""]
    if request.body.content:
        lines += [*request.body.content.decode("utf-8", "replace").splitlines(), ""]
    lines += [f"{response.version} {response.status} {response.reason}", *_fields(response.headers), ""]
    lines += body_lines(response)
    lines += [
        f"{'→' if item.from_client else '←'} {short(item.data.decode('utf-8', 'replace'))}" for item in entry.messages
    ]
    lines += [
        f"policy {note.get('policy')}: {note.get('verdict')} {note.get('why', '')}".rstrip() for note in entry.trace
    ]
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _fields(headers: Headers) -> list[str]:
    return [f"{name}: {value}" for name, value in headers]


def scrub(arguments: argparse.Namespace) -> int:
    """Write a capture anew without secrets."""
    path, target = Path(arguments.capture), Path(arguments.output or arguments.capture)
    placeholders = Placeholders(load_key(Path(arguments.confdir).expanduser()))
    redactor = redact.Redactor(redact.parse_rules(arguments.redact), placeholders, arguments.strict)
    log, entries = open_any(path)
    for entry in entries:  # once for what the secrets are, so that none is missed before it is first named
        redactor.entry(entry)
    problems: list[str] = []
    _, entries = open_any(path, problems)
    own = {**log["_capture"], "key": placeholders.key_id}
    foreign = {name: value for name, value in log.items() if name not in ("_capture", "entries")}
    log = {**redactor.document(foreign), "_capture": own}
    count = writer.rewrite(target, log, (redactor.entry(entry) for entry in entries))
    say_problems(problems)
    say(f"scrubbed {_entries(count)} into {target}")
    say_unsearched(open_any(target)[1], arguments.strict)
    return 0


def merge(arguments: argparse.Namespace) -> int:
    """Write several captures as one, by time; entries that are in several of them once."""
    target = Path(arguments.output)
    problems: list[str] = []
    opened = [open_any(Path(name), problems) for name in arguments.captures]
    logs = [log for log, _ in opened]
    log, pages = merged_log(logs, writer.new_log(same_key(logs)))
    by_time = heapq.merge(
        *(_sorted(_renamed(entries, names)) for (_, entries), names in zip(opened, pages, strict=True)),
        key=lambda entry: entry.times.request_start,
    )
    count = writer.rewrite(target, log, _once(by_time))
    say_problems(problems)
    say(f"merged {len(opened)} captures, {_entries(count)}, into {target}")
    return 0


def _entries(count: int) -> str:
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _sorted(entries: Iterator[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.times.request_start)


def _renamed(entries: Iterator[Entry], names: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the entries with what their pages are called now."""
    for entry in entries:
        page = names.get(str(entry.extra.get("pageref")))
        yield replace(entry, extra={**entry.extra, "pageref": page}) if page else entry


def _once(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Leave out what comes again. Other tools' ids are hashes of requests, which may come twice: the time tells."""
    seen: set[tuple[str, float]] = set()
    for entry in entries:
        name = (entry.id, entry.times.request_start)
        if not entry.id or name not in seen:
            seen.add(name)
            yield entry


def export(arguments: argparse.Namespace) -> int:
    """Write a capture as a mitmproxy flow file (`.mitm`, `.flow`), or as HAR, with large bodies beside it if asked."""
    source, target = Path(arguments.capture), Path(arguments.output)
    if target.exists() and not arguments.overwrite:
        raise CaptureError(f"{target} exists: --overwrite replaces it")
    problems: list[str] = []
    log, entries = open_any(source, problems)
    if target.suffix in (".mitm", ".flow", ".flows"):
        count = _export_flows(target, entries)
    else:
        count = writer.rewrite(target, log, entries, arguments.bodies_over)
    say_problems(problems)
    say(f"exported {_entries(count)} to {target}")
    return 0


def _export_flows(target: Path, entries: Iterator[Entry]) -> int:
    from proxy_policies.capture.mitmproxy_flows import write_flow_file  # mitmproxy is slow to import: only when needed

    part = target.with_name(f".{target.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            count = write_flow_file(file, entries)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return count
