"""The commands and their arguments."""

import argparse
import math
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from proxy_policies.argument_parser import set_help
from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.errors import CaptureError
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import error_text
from proxy_policies.script_paths import PROGRAM
from proxy_policies.standard_output import flush_output

with lazy_imports():  # what a command needs is imported for it: mitmproxy alone takes half a second
    from proxy_policies import settings
    from proxy_policies.capture.cli import check, run, show, tools

FAILED = 2
CONFDIR = "~/.mitmproxy"
STRICT = "leave out bodies that cannot be searched for secrets"
KINDS = ("har", "flows", "curl", "http", "pytest", "locust", "k6", "openapi")
MATCHERS = "what a value may be: any, type, regex:PATTERN, iso-date, uuid, number±X; as $.total=number±0.5"
DESCRIPTION = "Record real traffic, replay it offline, send it to a new build and see what changed."
COMPARED = {0: "the same", 1: "differences", 2: "it could not be done, or the command line is wrong"}
RUN = {0: "done; else the exit code of the command that was run", 2: COMPARED[2]}
DONE = {0: "done", 2: COMPARED[2]}
EXAMPLES: dict[str, tuple[tuple[str, ...], dict[int, str]]] = {
    "record": (
        (
            "capture record shop.har -- curl -s http://127.0.0.1:9000/",
            "capture record shop.har --append --inspect api.example.com -- python client.py",
        ),
        RUN,
    ),
    "replay": (("capture replay shop.har --mode new -- pytest tests",), RUN),
    "check": (
        (
            "capture check shop.har --target http://127.0.0.1:9000",
            "capture check shop.har --target http://127.0.0.1:9000 --html report.html --junit report.xml",
            'capture check shop.har --target http://127.0.0.1:9000 --markdown "$GITHUB_STEP_SUMMARY"',
            "capture check shop.har --target http://127.0.0.1:9000 --accept 3 7",
            "capture check shop.har --target http://127.0.0.1:9000 --match '$.total=number±0.5'",
            "capture check shop.har --openapi shop.yaml",
        ),
        COMPARED,
    ),
    "compare": (("capture compare http://127.0.0.1:9000 http://127.0.0.1:9001 shop.har",), COMPARED),
    "show": (("capture show shop.har", "capture show shop.har 3", "capture show shop.har --filter '~m POST'"), DONE),
    "scrub": (
        ("capture scrub shop.har --dry-run", "capture scrub shop.har --redact header:x-customer -o clean.har"),
        DONE,
    ),
    "merge": (("capture merge monday.har tuesday.har -o both.har",), DONE),
    "export": (
        (
            "capture export shop.har shop.mitm",
            "capture export cassette.yaml shop.har",
            "capture export shop.har shop.sh",
            "capture export shop.har test_shop.py --as pytest",
            "capture export shop.har shop.yaml --as openapi",
        ),
        DONE,
    ),
}
"""By command: the examples of its help, and its exit codes."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog=f"{PROGRAM} capture")
    describe(top)
    return top


def describe(top: argparse.ArgumentParser) -> None:
    """Add all commands to a parser."""
    examples = [some[0] for some, _ in EXAMPLES.values()]
    set_help(top, DESCRIPTION, examples, {**COMPARED, 0: "done; check and compare: the same"})
    top.set_defaults(run_command=run_parsed)
    commands = top.add_subparsers(dest="command_name", required=True, metavar="COMMAND")
    _record(commands.add_parser("record", help="record what a command sends and gets"))
    _replay(commands.add_parser("replay", help="answer a command from a capture, offline"))
    _check(commands.add_parser("check", help="send a capture to a new build and compare with the recording"))
    _compare(commands.add_parser("compare", help="send a capture to two builds and compare their answers"))
    _tools(commands)
    for name, command in commands.choices.items():
        set_help(command, DESCRIPTION, *EXAMPLES[name])


def _tools(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    shown = commands.add_parser("show", help="print a capture, or one of its entries")
    shown.set_defaults(run=lambda arguments: show.show(arguments))
    shown.add_argument("capture", help="the capture to show")
    shown.add_argument("entry", nargs="?", type=_positive, help="the number of the entry to print whole")
    shown.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    shown.add_argument("--filter", default="", help="show only what matches this mitmproxy flow filter")
    shown.add_argument("--repair", action="store_true", help="repair a capture whose recording was cut off")
    scrub = commands.add_parser("scrub", help="remove secrets from a capture")
    scrub.set_defaults(run=lambda arguments: tools.scrub(arguments))
    scrub.add_argument("capture", help="the capture to clean")
    scrub.add_argument("-o", "--output", help="write here (default: in place)")
    scrub.add_argument("--redact", action="append", default=[], metavar="RULE", help="a further secret: header:NAME …")
    scrub.add_argument("--dry-run", action="store_true", help="list what would go, where and why, and write nothing")
    scrub.add_argument("--json", action="store_true", help="with --dry-run: one JSON object a line, for programs")
    scrub.add_argument("--strict", action="store_true", help=STRICT)
    scrub.add_argument("--confdir", default=CONFDIR, help="where the key for placeholders is")
    merge = commands.add_parser("merge", help="write several captures as one, by time")
    merge.set_defaults(run=lambda arguments: tools.merge(arguments))
    merge.add_argument("captures", nargs="+", help="the captures to merge")
    merge.add_argument("-o", "--output", required=True, help="the capture to write")
    export = commands.add_parser("export", help="write a capture as HAR, a flow file, a script or an OpenAPI document")
    export.set_defaults(run=lambda arguments: tools.export(arguments))
    export.add_argument("capture", help="the capture to export")
    export.add_argument("output", help="the file to write; its ending says what: .har, .mitm, .sh, .http")
    export.add_argument("--as", dest="kind", choices=KINDS, help="format to write, regardless of the ending")
    export.add_argument("--raw", action="store_true", help="leave the secrets of a foreign file in what is written")
    export.add_argument("--confdir", default=CONFDIR, help="where the key for placeholders is")
    export.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    export.add_argument("--bodies-over", type=_size, metavar="SIZE", help="keep larger bodies beside the HAR, by hash")


def _size(text: str) -> int:
    try:
        return settings.parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _check(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: check.check(arguments))
    command.add_argument("capture", help="the capture to send")
    target = "where to send it; RECORDED=URL, once for each, when the capture has several origins"
    command.add_argument("--target", action="append", default=[], metavar="URL", help=target)
    accepted = "make what changed the new baseline, of these entries or of all; it is shown before it is written"
    command.add_argument("--accept", nargs="*", type=_positive, metavar="N", help=accepted)
    command.add_argument("--yes", action="store_true", help="accept without being asked")
    document = "answers must fit this OpenAPI document, JSON or YAML; without --target the recorded ones are looked at"
    command.add_argument("--openapi", metavar="FILE", help=document)
    _sent(command)


def _compare(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: check.compare(arguments))
    command.add_argument("old", help="the URL of the old build")
    command.add_argument("new", help="the URL of the new build")
    command.add_argument("capture", help="the capture to send")
    _sent(command)


def _sent(command: argparse.ArgumentParser) -> None:
    command.add_argument("--learn", action="store_true", help="send it twice, and keep what differs by itself as noise")
    command.add_argument("--noise", metavar="FILE", help="the rules of noise (default: CAPTURE.noise)")
    command.add_argument("--exact", action="store_true", help="count values that differ each time: times, random ids")
    command.add_argument("--match", action="append", default=[], metavar="PATH=MATCHER", help=MATCHERS)
    command.add_argument(
        "--slower", type=_above_zero, default=0, metavar="FACTOR", help="count answers this much slower"
    )
    command.add_argument("--jobs", type=_positive, default=1, metavar="N", help="send so many at a time (default 1)")
    command.add_argument("--rate", type=_above_zero, default=0, metavar="N", help="send at most so many a second")
    command.add_argument(
        "--timeout", type=_above_zero, default=30, metavar="SECONDS", help="for each answer (default 30)"
    )
    command.add_argument("--keep-host", action="store_true", help="send the Host that was recorded")
    command.add_argument("--carry", action="append", default=[], metavar="FROM=TO", help="json:$.csrf=header:x-csrf")
    command.add_argument("--show-links", action="store_true", help="print which values are carried over, as guessed")
    command.add_argument("--secret", action="append", default=[], metavar="NAME=env:VAR", help="a real value")
    command.add_argument("--secrets", action="append", default=[], metavar="FILE", help="real values, NAME=value lines")
    for kind in ("html", "junit", "json", "markdown"):
        command.add_argument(f"--{kind}", metavar="FILE", help=f"write the report as {kind} too")
    policies(command)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid number of 1 or more")
    return int(text)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _record(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: run.record(arguments))
    command.add_argument("capture", help="the capture to write, a HAR file")
    command.add_argument("--append", action="store_true", help="add to an existing capture, repairing it if truncated")
    command.add_argument("--overwrite", action="store_true", help="replace a capture that exists, once this is done")
    command.add_argument("--strict", action="store_true", help=STRICT)
    command.add_argument("--filter", default="", help="record only what matches this mitmproxy flow filter")
    _proxied(command)


def _replay(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: run.replay(arguments))
    command.add_argument("capture", help="the capture to play")
    command.add_argument("--mode", choices=["once", "loop", "new", "strict"], default="once", help="default: once")
    command.add_argument(
        "--match-header", action="append", default=[], metavar="NAME", help="a field that must be equal"
    )
    command.add_argument("--exact", action="store_true", help="refuse other ids, times and random values than recorded")
    command.add_argument("--dates", choices=["shift", "keep"], default="shift", help="move recorded dates to now")
    matching(command)
    _proxied(command)


def matching(command: argparse.ArgumentParser) -> None:
    """Add what to ignore in requests."""
    help = "what does not count: query:NAME, form:NAME, json:JSONPATH, header:NAME, body, host"
    command.add_argument("--ignore", action="append", default=[], metavar="WHAT", help=help)


def policies(command: argparse.ArgumentParser) -> None:
    """Add what is passed on to the proxy."""
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the proxy")
    command.add_argument("--policy", metavar="FILE", help="the policy file for the proxy")
    command.add_argument("--with-cache", action="store_true", help="leave the cache on; it starts empty")
    command.add_argument(
        "--redact", action="append", default=[], metavar="RULE", help="a further secret: header:NAME …"
    )
    command.add_argument("--inspect", action="append", metavar="GLOB", help="open the HTTPS of these hosts only")
    command.add_argument("--confdir", default=CONFDIR, help="where the proxy's CA and the key for placeholders are")


def _proxied(command: argparse.ArgumentParser) -> None:
    policies(command)
    command.add_argument("command", nargs="+", help="the command to run, after --")


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code. What cannot be done is said in one line."""
    return run_parsed(parser().parse_args(arguments))


def run_parsed(parsed: argparse.Namespace) -> int:
    """Run the command of a parsed command line."""
    signal.signal(signal.SIGTERM, _terminated)
    action: Callable[[argparse.Namespace], int] = parsed.run
    try:
        try:
            return action(parsed)
        finally:
            flush_output()
    except (CaptureError, ValueError) as error:
        say(str(error))
    except BrokenPipeError:  # `| head` has enough
        return 128 + signal.SIGPIPE
    except OSError as error:
        say(error_text(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return FAILED


def _terminated(signum: int, _frame: object) -> NoReturn:
    """End as Python does not by itself: proxies are stopped, captures whole, temporary files removed."""
    raise SystemExit(128 + signum)
