"""`check --accept`: shows the new baseline, asks for confirmation, and rewrites the capture."""

import argparse
import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence

from proxy_policies.capture.check.accept import Acceptance, accept, refusal_reason
from proxy_policies.capture.check.check_run import CheckRun
from proxy_policies.capture.check.outcome import CompareOptions, Outcome
from proxy_policies.capture.check.results import SendResults
from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import is_har, open_any
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry, Response
from proxy_policies.capture.report.json_report import body_lines
from proxy_policies.log_lines import printable, quantity

NewBaseline = Mapping[int, Entry]


def require_acceptable(arguments: argparse.Namespace, run: CheckRun) -> None:
    """Raise CaptureError if `--accept` cannot work, before anything is sent."""
    if arguments.accept is None:
        return
    if not arguments.yes and not sys.stdin.isatty():
        raise CaptureError("--accept asks before it writes, which needs a terminal; use --yes")
    if not is_har(run.path):
        raise CaptureError(f"{run.path} is not a plain HAR file: export it to one, and accept into that")
    missing = [number for number in arguments.accept if number > len(run.entries)]
    if missing:
        raise CaptureError(f"--accept {missing[0]}: {run.path} has {len(run.entries)} entries")


def accept_changes(
    arguments: argparse.Namespace,
    run: CheckRun,
    results: SendResults,
    outcomes: Sequence[Outcome],
    options: CompareOptions,
) -> Sequence[int]:
    """Show the accepted changes, write them if confirmed, and return the numbers (from 0) of the entries written."""
    entries = dict(_accepted(arguments.accept, run, results, outcomes, options))
    if not entries:
        say("nothing to accept")
        return ()
    for number, entry in entries.items():
        print(printable("\n".join(_unified_diff(number, run.entries[number], entry)), lines=True))
    count = quantity(len(entries), "response")
    if not arguments.yes and not _confirm(f"accept {count} into {run.path}? [y/N] "):
        say("nothing was written")
        return ()
    _write(run, entries)
    say(f"accepted {count} into {run.path}")
    return tuple(entries)


def _confirm(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _accepted(
    chosen: Sequence[int],
    run: CheckRun,
    results: SendResults,
    outcomes: Sequence[Outcome],
    options: CompareOptions,
) -> Iterator[tuple[int, Entry]]:
    """Yield the new entries with their numbers: the chosen ones, counted from 1, or all that changed if none are."""
    indices = {outcome.number: index for index, outcome in enumerate(outcomes)}
    for number in [number - 1 for number in chosen] or sorted(indices):
        outcome, entry, result = outcomes[indices[number]], run.entries[number], results[number]
        reason = refusal_reason(entry) or ("" if result.response else outcome.error or outcome.skipped)
        if outcome.changes and not reason and result.response:
            locations = {change.location for change in outcome.changes}
            unordered = options.noise.unordered(entry.request)
            acceptance = Acceptance(locations, run.links.sources_in(number), unordered, options.secrets.restore)
            yield number, accept(entry, result.response, result.seconds, acceptance)
        elif chosen or reason:
            say(f"entry {number + 1} is left as it is: {reason or 'nothing in it changed'}")


def _unified_diff(number: int, old: Entry, new: Entry) -> list[str]:
    names = f"entry {number + 1}, recorded", f"entry {number + 1}, {new.request.method} {new.request.url}"
    return list(difflib.unified_diff(_lines(old.response), _lines(new.response), *names, lineterm=""))


def _lines(response: Response) -> list[str]:
    head = [f"{response.status} {response.reason}", *(f"{name}: {value}" for name, value in response.headers)]
    return [*head, "", *body_lines(response)]


def _write(run: CheckRun, accepted: NewBaseline) -> None:
    log, entries = open_any(run.path)
    header = {**log["_capture"], "key": run.placeholders.key_id}
    changed = (accepted.get(number, entry) for number, entry in enumerate(entries))
    writer.rewrite(run.path, {**log, "_capture": header}, changed)
