"""The commands and their arguments."""

import argparse
import math
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from proxy_policies.capture.cli.messages import say
from proxy_policies.capture.errors import CaptureError
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import error_text
from proxy_policies.script_paths import PROGRAM
from proxy_policies.terminal.argument_parser import ArgumentParser, positive, sentence, set_help
from proxy_policies.terminal.standard_output import flush_output

with lazy_imports():  # each command imports what it needs: mitmproxy alone takes half a second
    from proxy_policies import settings
    from proxy_policies.capture.cli import check, run, show, tools

FAILED = 2
CONFDIR = "~/.mitmproxy"
STRICT = "leave out bodies that cannot be searched for secrets"
JSON = "print what was done as a JSON object, for programs"
KINDS = ("har", "flows", "curl", "http", "pytest", "locust", "k6", "openapi")
MODES = (
    "once: use each recording once (default); loop: repeat them; new: forward and record other requests; "
    "strict: unused recordings are an error"
)
MATCHERS = "accept other values: any, type, regex:PATTERN, iso-date, uuid, number±X; as $.total=number±0.5"
DESCRIPTION = "Record real traffic, replay it offline, send it to a new build and see what changed."
COMPARE_CODES = {0: "the same", 1: "differences", 2: "it could not be done, or the command line is wrong"}
RUN_CODES = {0: "done; else the exit code of the command that was run", 2: COMPARE_CODES[2]}
DONE_CODES = {0: "done", 2: COMPARE_CODES[2]}
EXAMPLES: dict[str, tuple[tuple[str, ...], dict[int, str]]] = {
    "record": (
        (
            "capture record shop.har -- curl -s http://127.0.0.1:9000/",
            "capture record shop.har --append --inspect api.example.com -- python client.py",
        ),
        RUN_CODES,
    ),
    "replay": (("capture replay shop.har --mode new -- pytest tests",), RUN_CODES),
    "check": (
        (
            "capture check shop.har --target http://127.0.0.1:9000",
            "capture check shop.har --target http://127.0.0.1:9000 --html report.html --junit report.xml",
            'capture check shop.har --target http://127.0.0.1:9000 --markdown "$GITHUB_STEP_SUMMARY"',
            "capture check shop.har --target http://127.0.0.1:9000 --accept 3 7",
            "capture check shop.har --target http://127.0.0.1:9000 --match '$.total=number±0.5'",
            "capture check shop.har --openapi shop.yaml",
        ),
        COMPARE_CODES,
    ),
    "compare": (("capture compare http://127.0.0.1:9000 http://127.0.0.1:9001 shop.har",), COMPARE_CODES),
    "show": (
        ("capture show shop.har", "capture show shop.har 3", "capture show shop.har --filter '~m POST'"),
        {0: "done", 1: "no entry matches --filter", 2: COMPARE_CODES[2]},
    ),
    "scrub": (
        ("capture scrub shop.har --dry-run", "capture scrub shop.har --redact header:x-customer -o clean.har"),
        DONE_CODES,
    ),
    "merge": (("capture merge monday.har tuesday.har -o both.har",), DONE_CODES),
    "export": (
        (
            "capture export shop.har shop.mitm",
            "capture export cassette.yaml shop.har",
            "capture export shop.har shop.sh",
            "capture export shop.har test_shop.py --as pytest",
            "capture export shop.har shop.yaml --as openapi",
        ),
        DONE_CODES,
    ),
}
"""The examples and exit codes in the help of each command."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog=f"{PROGRAM} capture")
    describe(top)
    return top


def describe(top: argparse.ArgumentParser) -> None:
    """Add all commands to a parser."""
    examples = [some[0] for some, _ in EXAMPLES.values()]
    set_help(top, DESCRIPTION, examples, {**COMPARE_CODES, 0: "done; check and compare: the same"})
    top.set_defaults(run_command=run_parsed)
    commands = top.add_subparsers(dest="command_name", required=True, metavar="COMMAND")
    _add_record(commands.add_parser("record", help="run a command, and record its requests and responses"))
    _add_replay(commands.add_parser("replay", help="run a command, and answer its requests from a capture"))
    _add_check(commands.add_parser("check", help="send a capture to a new build and compare with the recording"))
    _add_compare(commands.add_parser("compare", help="send a capture to two builds and compare their responses"))
    _add_tools(commands)
    for about in commands._choices_actions:
        set_help(commands.choices[about.dest], sentence(about.help or ""), *EXAMPLES[about.dest])


def _add_tools(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    shown = commands.add_parser("show", help="print a capture, or one of its entries")
    shown.set_defaults(run=lambda arguments: show.show(arguments))
    shown.add_argument("capture", help="the capture to show")
    shown.add_argument("entry", nargs="?", type=positive, help="number of an entry to print in full")
    shown.add_argument("--json", action="store_true", help="one JSON object per line, for programs")
    shown.add_argument("--filter", default="", help="show only entries that match this mitmproxy flow filter")
    shown.add_argument("--repair", action="store_true", help="repair a truncated capture")
    scrub = commands.add_parser("scrub", help="remove secrets from a capture")
    scrub.set_defaults(run=lambda arguments: tools.scrub(arguments))
    scrub.add_argument("capture", help="the capture to clean")
    scrub.add_argument("-o", "--output", help="write here, - for standard output (default: in place)")
    scrub.add_argument("--redact", action="append", default=[], metavar="RULE", help="a further secret: header:NAME …")
    scrub.add_argument(
        "--dry-run", action="store_true", help="list what would be replaced, where and why, and write nothing"
    )
    scrub.add_argument("--json", action="store_true", help=f"{JSON}; with --dry-run, one per value")
    scrub.add_argument("--strict", action="store_true", help=STRICT)
    scrub.add_argument("--confdir", default=CONFDIR, help="where the key for placeholders is")
    merge = commands.add_parser("merge", help="write several captures as one, sorted by time")
    merge.set_defaults(run=lambda arguments: tools.merge(arguments))
    merge.add_argument("captures", nargs="+", help="the captures to merge")
    merge.add_argument("-o", "--output", required=True, help="the capture to write; - for standard output")
    merge.add_argument("--json", action="store_true", help=JSON)
    export = commands.add_parser("export", help="write a capture as HAR, a flow file, a script or an OpenAPI document")
    export.set_defaults(run=lambda arguments: tools.export(arguments))
    export.add_argument("capture", help="the capture to export")
    written = "the file to write, - for standard output; its ending chooses the format: .har, .mitm, .sh, .http"
    export.add_argument("output", help=written)
    export.add_argument("--as", dest="kind", choices=KINDS, help="format to write, regardless of the ending")
    export.add_argument("--raw", action="store_true", help="keep the secrets of a foreign file")
    export.add_argument("--confdir", default=CONFDIR, help="where the key for placeholders is")
    export.add_argument("--json", action="store_true", help=JSON)
    export.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    export.add_argument(
        "--bodies-over",
        type=_size,
        metavar="SIZE",
        help="write larger bodies to files beside the HAR, named by their hash",
    )


def _size(text: str) -> int:
    try:
        return settings.parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_check(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: check.check(arguments))
    command.add_argument("capture", help="the capture to send")
    target = "where to send it; RECORDED=URL, once for each, when the capture has several origins"
    command.add_argument("--target", action="append", default=[], metavar="URL", help=target)
    accepted = "accept the changes of these entries, or of all, as the new baseline; they are shown first"
    command.add_argument("--accept", nargs="*", type=positive, metavar="N", help=accepted)
    command.add_argument("--yes", action="store_true", help="accept without asking")
    document = "check responses against this OpenAPI document; without --target, check the recorded ones"
    command.add_argument("--openapi", metavar="FILE", help=document)
    _add_sending(command)


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: check.compare(arguments))
    command.add_argument("old", help="the URL of the old build")
    command.add_argument("new", help="the URL of the new build")
    command.add_argument("capture", help="the capture to send")
    _add_sending(command)


def _add_sending(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--learn", action="store_true", help="send it twice, and save the differences as rules of noise"
    )
    command.add_argument("--noise", metavar="FILE", help="the rules of noise (default: CAPTURE.noise)")
    command.add_argument("--exact", action="store_true", help="compare also times, random ids and other dynamic values")
    command.add_argument("--match", action="append", default=[], metavar="PATH=MATCHER", help=MATCHERS)
    command.add_argument(
        "--slower", type=_above_zero, default=0, metavar="FACTOR", help="report responses slower by this factor"
    )
    command.add_argument("--jobs", type=positive, default=1, metavar="N", help="requests at a time (default 1)")
    command.add_argument("--rate", type=_above_zero, default=0, metavar="N", help="requests per second, at most")
    command.add_argument(
        "--timeout", type=_above_zero, default=30, metavar="SECONDS", help="time for each response (default 30)"
    )
    command.add_argument("--keep-host", action="store_true", help="send the recorded Host")
    command.add_argument(
        "--carry", action="append", default=[], metavar="FROM=TO", help="carry values over: json:$.csrf=header:x-csrf"
    )
    command.add_argument("--show-links", action="store_true", help="print the values carried over between entries")
    command.add_argument("--secret", action="append", default=[], metavar="NAME=env:VAR", help="a real value")
    command.add_argument("--secrets", action="append", default=[], metavar="FILE", help="real values, NAME=value lines")
    for kind in ("html", "junit", "json", "markdown"):
        command.add_argument(
            f"--{kind}", metavar="FILE", help=f"also write the report as {kind}; - for standard output"
        )
    add_policies(command)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _add_record(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: run.record(arguments))
    command.add_argument("capture", type=_file_to_record, help="the capture to write, a HAR file")
    command.add_argument("--append", action="store_true", help="add to an existing capture, repairing it if truncated")
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing capture, once the command has ended"
    )
    command.add_argument("--strict", action="store_true", help=STRICT)
    command.add_argument("--filter", default="", help="record only requests that match this mitmproxy flow filter")
    _add_proxied(command)


def _file_to_record(text: str) -> str:
    if text == "-":
        raise argparse.ArgumentTypeError("'-': name a file; standard output is that of the command")
    return text


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=lambda arguments: run.replay(arguments))
    command.add_argument("capture", help="the capture to replay")
    command.add_argument("--mode", choices=["once", "loop", "new", "strict"], default="once", help=MODES)
    command.add_argument(
        "--match-header", action="append", default=[], metavar="NAME", help="a field that must be equal"
    )
    command.add_argument("--exact", action="store_true", help="require ids, times and random values as recorded")
    command.add_argument(
        "--dates", choices=["shift", "keep"], default="shift", help="move recorded dates to the present"
    )
    add_matching(command)
    _add_proxied(command)


def add_matching(command: argparse.ArgumentParser) -> None:
    """Add the options for parts of requests to ignore."""
    help = "parts of requests to ignore: query:NAME, form:NAME, json:JSONPATH, header:NAME, body, host"
    command.add_argument("--ignore", action="append", default=[], metavar="WHAT", help=help)


def add_policies(command: argparse.ArgumentParser) -> None:
    """Add the options that are passed to the proxy."""
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the proxy")
    command.add_argument("--policy", metavar="FILE", help="the policy file for the proxy")
    command.add_argument("--with-cache", action="store_true", help="use the cache, which starts empty")
    command.add_argument(
        "--redact", action="append", default=[], metavar="RULE", help="a further secret: header:NAME …"
    )
    command.add_argument("--inspect", action="append", metavar="GLOB", help="inspect the HTTPS of these hosts only")
    command.add_argument("--confdir", default=CONFDIR, help="where the proxy's CA and the key for placeholders are")


def _add_proxied(command: argparse.ArgumentParser) -> None:
    add_policies(command)
    if isinstance(command, ArgumentParser):  # the pytest plugin has others
        command.advice = "; write -- before the command to run"
    command.add_argument("command", nargs="+", help="the command to run, after --")


def main(arguments: Sequence[str]) -> int:
    """Run a command, and return its exit code; errors are printed in one line."""
    return run_parsed(parser().parse_args(arguments))


def run_parsed(parsed: argparse.Namespace) -> int:
    """Run the command of a parsed command line, and return its exit code."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    action: Callable[[argparse.Namespace], int] = parsed.run
    try:
        try:
            return action(parsed)
        finally:
            flush_output()
    except (CaptureError, ValueError) as error:
        say(str(error))
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does
        return 128 + signal.SIGPIPE
    except OSError as error:
        say(error_text(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return FAILED


def _on_sigterm(signum: int, _frame: object) -> NoReturn:
    """Exit by an exception, so that proxies are stopped, captures completed and temporary files removed."""
    raise SystemExit(128 + signum)
