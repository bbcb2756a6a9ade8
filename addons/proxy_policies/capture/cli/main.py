"""The commands and their arguments."""

import argparse
import sys
from collections.abc import Callable, Sequence

from proxy_policies.capture.cli import run
from proxy_policies.capture.places import CaptureError

CONFDIR = "~/.mitmproxy"
EPILOG = "Exit codes of check and compare: 0 the same, 1 differences, 2 could not run."


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="capture",
        description="Record real traffic, replay it offline, send it to a new build and see what changed.",
    )
    commands = top.add_subparsers(dest="command_name", required=True, metavar="COMMAND")
    _record(commands.add_parser("record", help="record what a command sends and gets"))
    _replay(commands.add_parser("replay", help="answer a command from a capture, offline"))
    return top


def _record(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run.record)
    command.add_argument("capture", help="the capture to write, a HAR file")
    command.add_argument("--append", action="store_true", help="go on with a capture that exists, mending it if torn")
    command.add_argument("--overwrite", action="store_true", help="replace a capture that exists, once this is done")
    command.add_argument("--filter", default="", help="record only what matches this mitmproxy flow filter")
    _proxied(command)


def _replay(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run.replay)
    command.add_argument("capture", help="the capture to play")
    command.add_argument("--mode", choices=["once", "loop", "new", "strict"], default="once", help="default: once")
    command.add_argument(
        "--match-header", action="append", default=[], metavar="NAME", help="a field that must be equal"
    )
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
    parsed = parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return action(parsed)
    except (CaptureError, ValueError) as error:
        run.say(str(error))
    except OSError as error:
        run.say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return run.FAILED
