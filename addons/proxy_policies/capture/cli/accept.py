"""`check --accept`: shows what becomes the new baseline, asks, and writes the capture anew."""

import argparse
import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence

from proxy_policies.capture.check.accept import Acceptance, accept, refusal
from proxy_policies.capture.check.check_run import CheckRun
from proxy_policies.capture.check.outcome import CompareOptions, Outcome
from proxy_policies.capture.check.sender import SendResult
from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats import is_har, open_any
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry, Response
from proxy_policies.capture.report.json_report import body_lines
from proxy_policies.log_lines import printable

Accepted = Mapping[int, Entry]


def refuse_unless_asked(arguments: argparse.Namespace, run: CheckRun) -> None:
    """Raise CaptureError, before anything is sent, where nothing could be accepted."""
    if arguments.accept is None:
        return
    if not arguments.yes and not sys.stdin.isatty():
        raise CaptureError("--accept asks before it writes, which needs a terminal; use --yes")
    if not is_har(run.path):
        raise CaptureError(f"{run.path} is not a plain HAR file: export it to one, and accept into that")
    beyond = [number for number in arguments.accept if number > len(run.entries)]
    if beyond:
        raise CaptureError(f"--accept {beyond[0]}: {run.path} has {len(run.entries)} entries")


def accept_changes(
    arguments: argparse.Namespace,
    run: CheckRun,
    replies: Mapping[int, SendResult],
    outcomes: Sequence[Outcome],
    rules: CompareOptions,
) -> Sequence[int]:
    """Show what is accepted, write it when that is wanted, and return the numbers of the entries, from 0."""
    entries = dict(_accepted(arguments.accept, run, replies, outcomes, rules))
    if not entries:
        say("nothing to accept")
        return ()
    for number, entry in entries.items():
        print(printable("\n".join(_difference(number, run.entries[number], entry)), lines=True))
    what = f"{len(entries)} answer{'' if len(entries) == 1 else 's'}"
    if not arguments.yes and not _is_wanted(f"accept {what} into {run.path}? [y/N] "):
        say("nothing was written")
        return ()
    _write(run, entries)
    say(f"accepted {what} into {run.path}")
    return tuple(entries)


def _is_wanted(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _accepted(
    wanted: Sequence[int],
    run: CheckRun,
    replies: Mapping[int, SendResult],
    outcomes: Sequence[Outcome],
    rules: CompareOptions,
) -> Iterator[tuple[int, Entry]]:
    """Yield the entries that are to be, by number; of all that changed, or of those that are wanted."""
    places = {outcome.number: at for at, outcome in enumerate(outcomes)}
    for number in [number - 1 for number in wanted] or sorted(places):
        outcome, entry, reply = outcomes[places[number]], run.entries[number], replies[number]
        why = refusal(entry) or ("" if reply.response else outcome.error or outcome.skipped)
        if outcome.changes and not why and reply.response:
            handed_back = {link.source for link in run.links.from_entry(number)}
            locations = {change.location for change in outcome.changes}
            unordered = rules.noise.unordered(entry.request)
            what = Acceptance(locations, handed_back, unordered, rules.secrets.restore)
            yield number, accept(entry, reply.response, reply.seconds, what)
        elif wanted or why:
            say(f"entry {number + 1} is left as it is: {why or 'nothing in it changed'}")


def _difference(number: int, old: Entry, new: Entry) -> list[str]:
    names = f"entry {number + 1}, recorded", f"entry {number + 1}, {new.request.method} {new.request.url}"
    return list(difflib.unified_diff(_lines(old.response), _lines(new.response), *names, lineterm=""))


def _lines(response: Response) -> list[str]:
    head = [f"{response.status} {response.reason}", *(f"{name}: {value}" for name, value in response.headers)]
    return [*head, "", *body_lines(response)]


def _write(run: CheckRun, accepted: Accepted) -> None:
    log, entries = open_any(run.path)
    own = {**log["_capture"], "key": run.placeholders.key_id}
    changed = (accepted.get(number, entry) for number, entry in enumerate(entries))
    writer.rewrite(run.path, {**log, "_capture": own}, changed)
