"""The report for a terminal: a line for each change, and one with the counts."""

import json
import shlex
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any

from rich.console import Console
from rich.text import Text

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.matchers import suggest
from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.log_lines import printable, quantity

SHOWN_CHANGES = 8  # of one entry
SHOWN_ENTRIES = 40
SHOWN_SUGGESTIONS = 5
VALUE_WIDTH = 160  # characters


def short(value: Any) -> str:
    """Return a value on one line, cut to `VALUE_WIDTH`, with control characters made visible."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = printable(text.replace("\n", "⏎"))
    return text if len(text) <= VALUE_WIDTH else f"{text[:VALUE_WIDTH]}…"


def change_line(change: Change) -> str:
    """Return a change on one line: `json:$.total: 12 → 13`."""
    if change.kind == "added":
        return f"{change.location}: new: {short(change.new)}"
    if change.kind == "removed":
        return f"{change.location}: gone: {short(change.old)}"
    return "{}: {} → {}".format(change.location, *both_values(change))


def both_values(change: Change) -> tuple[str, str]:
    """Return both values, each on one line; as JSON in ASCII if they look alike, as 1 and "1" do."""
    old, new = short(change.old), short(change.new)
    is_alike = unicodedata.normalize("NFKC", old) == unicodedata.normalize("NFKC", new) and len(old) <= VALUE_WIDTH
    return (json.dumps(change.old), json.dumps(change.new)) if is_alike else (old, new)


def print_report(report: Report, console: Console) -> None:
    """Print the report."""
    for outcome in islice(report.different, SHOWN_ENTRIES):
        _print_outcome(outcome, console)
    if report.different_count > SHOWN_ENTRIES:
        console.print(f"… and {report.different_count - SHOWN_ENTRIES} more", style="dim")
    console.print(_summary(report))
    for suggestion in _suggestions(report):
        console.print(Text(f"to let it pass{suggestion}", "dim"), soft_wrap=True)
    if report.secrets:
        console.print(secrets_line(report), style="dim", soft_wrap=True)


def _suggestions(report: Report) -> list[str]:
    """Return the first `SHOWN_SUGGESTIONS` rules and matchers that would accept changes."""
    found: dict[str, None] = {}
    for outcome in report.different:
        found |= dict.fromkeys(_suggested(outcome))
        if len(found) >= SHOWN_SUGGESTIONS:
            break
    return list(found)[:SHOWN_SUGGESTIONS]


def _suggested(outcome: Outcome) -> Iterator[str]:
    """Yield a rule for each list in another order, and matchers for what changed elsewhere."""
    for rule in outcome.reordered:
        yield f", in the rules beside the capture: {printable(str(rule))}"
    for change in outcome.changes:
        if not outcome.is_reordered(change) and (matcher := suggest(change)):
            yield f": --match {shlex.quote(printable(matcher))}"


def secrets_line(report: Report) -> str:
    """Return a line about secrets: recordings contain placeholders only, so values cannot be compared."""
    number = f"{report.secrets} secret value{' was' if report.secrets == 1 else 's were'}"
    return f"{number} not compared: only presence, kind, length and repetition were"


def _print_outcome(outcome: Outcome, console: Console) -> None:
    console.print(
        Text.assemble((f"{outcome.number + 1:>4}  ", "dim"), (printable(outcome.title), "bold")), soft_wrap=True
    )
    if outcome.error:
        console.print(Text(f"      {printable(outcome.error)}", "red"), soft_wrap=True)
    for change in outcome.changes[:SHOWN_CHANGES]:
        console.print(_change_text(change), soft_wrap=True)
    if len(outcome.changes) > SHOWN_CHANGES:
        console.print(f"      … {len(outcome.changes) - SHOWN_CHANGES} more changes", style="dim")


def _change_text(change: Change) -> Text:
    text = Text(f"      {printable(change.location)}  ", "cyan")
    old, new = both_values(change)
    if change.kind != "added":
        text.append(old, "red")
    if change.kind == "changed":
        text.append(" → ", "dim")
    if change.kind != "removed":
        text.append(new, "green")
    if change.kind != "changed":
        text.append(f"  ({'new' if change.kind == 'added' else 'gone'})", "dim")
    return text


def summary_line(report: Report) -> str:
    """Return the line with the numbers of requests by verdict."""
    return _summary(report).plain


def _summary(report: Report) -> Text:
    counts = report.counts
    total, ignored = len(report.outcomes), sum(len(outcome.ignored) for outcome in report.outcomes)
    styles = {"same": "green", "changed": "red", "error": "red", "skipped": "yellow"}
    names = {"same": "the same", "changed": "changed", "error": "failed", "skipped": "skipped"}
    text = Text(f"{quantity(total, 'request')} in {report.seconds:.1f} s: ")
    parts = [Text(f"{counts[name]} {names[name]}", styles[name]) for name in styles if counts.get(name)]
    text.append_text(Text(", ").join(parts or [Text("nothing to send")]))
    if ignored:
        text.append(f" ({quantity(ignored, 'difference')} taken for noise)", "dim")
    return text
