"""`record` and `replay`: run a command through the proxy."""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_policies.capture.cli.messages import say, say_problems
from proxy_policies.capture.cli.unsearched import say_unsearched
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import open_source
from proxy_policies.capture.har.reader import count_entries
from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.proxy_process import STOPPED, ProxyProcess
from proxy_policies.log_lines import quantity
from proxy_policies.options.files import expand_home

FAILED, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code as in a shell, whether Ctrl-C was pressed, and the proxy that it had."""

    code: int
    interrupted: bool
    proxy: ProxyProcess


def proxy_settings(arguments: argparse.Namespace) -> list[str]:
    """Return the options of the proxy: ours, then those of the user."""
    settings = [f"inspect_hosts={glob}" for glob in (arguments.inspect or ["*"])]
    settings += [] if arguments.with_cache else ["cache=off"]
    settings += [f"capture_redact={rule}" for rule in arguments.redact]
    settings += [f"policy_file={Path(arguments.policy).resolve()}"] if arguments.policy else []
    return [*settings, *arguments.set]


def record(arguments: argparse.Namespace) -> int:
    """Record the requests of a command. Return its exit code; 2 if it succeeded but not all could be recorded."""
    path = Path(arguments.capture)
    if path.exists() and not (arguments.append or arguments.overwrite):
        raise CaptureError(f"{path} exists: --append adds to it, --overwrite replaces it")
    target = path.with_name(f"{path.name}.part") if arguments.overwrite else path
    target.unlink(missing_ok=True) if arguments.overwrite else None
    settings = [f"capture_file={target.resolve()}", *proxy_settings(arguments)]
    settings += [f"capture_filter={arguments.filter}"] if arguments.filter else []
    settings += ["capture_strict=on"] if arguments.strict else []
    before = count_entries(path) if arguments.append else 0
    is_new = not target.exists()
    try:
        ended = _through_proxy(arguments, settings)
    finally:
        if is_new and not count_entries(target):
            target.unlink(missing_ok=True)  # so that the next attempt does not fail
    stopped = STOPPED.search(ended.proxy.text)
    if stopped and arguments.overwrite and path.exists():
        target.unlink(missing_ok=True)
        raise CaptureError(f"recording stopped: {stopped[1]}; {path} is as it was")
    if arguments.overwrite and target.exists():
        target.replace(path)
    added = count_entries(path) - before
    if stopped and not added:
        raise CaptureError(f"recording stopped: {stopped[1]}")
    if not added:
        return _say_no_request(ended)
    say(f"recorded {quantity(added, 'exchange')} into {path}")
    say_unsearched(path, arguments.strict)
    if stopped:
        say(f"recording stopped: {stopped[1]}; what was received later is missing")
    return ended.code or (FAILED if stopped else 0)


def replay(arguments: argparse.Namespace) -> int:
    """Replay a capture to a command. Return its exit code; 1 if it succeeded but requests were not answered."""
    path = Path(arguments.capture)
    if arguments.mode != "new":
        open_source(path)
    with tempfile.TemporaryDirectory(prefix="capture-") as folder:
        report = Path(folder) / "report.json"
        settings = [f"replay_file={path.resolve()}", f"replay_mode={arguments.mode}", f"replay_report={report}"]
        settings += [f"replay_ignore={spec}" for spec in arguments.ignore]
        settings += [f"replay_ignore=match:{name}" for name in arguments.match_header]
        settings += [f"replay_dates={arguments.dates}"]
        settings += ["replay_exact=on"] if arguments.exact else []
        settings += [f"capture_file={path.resolve()}"] if arguments.mode == "new" else []
        ended = _through_proxy(arguments, [*settings, *proxy_settings(arguments)])
        outcome = json.loads(report.read_text()) if report.exists() else {"played": 0, "misses": [], "unused": []}
    return ended.code or _verdict(outcome, arguments.mode, ended)


def _say_no_request(ended: Ended) -> int:
    """Say why there is nothing to report, and return the exit code."""
    if ended.interrupted:
        say("interrupted before a request reached the proxy")
        return ended.code or INTERRUPTED
    say(client_environment.HINT.format(port=ended.proxy.port, proxy=ended.proxy.url))
    return ended.code or FAILED


def _verdict(outcome: dict[str, Any], mode: str, ended: Ended) -> int:
    """Print the result of a replay, and return its exit code."""
    say_problems(outcome.get("problems", []))
    for found in outcome.get("alike", []):
        say(f"answered, though it differs (--exact refuses it): {found['url']}: entry {found['entry']}, {found['why']}")
    for miss in outcome["misses"]:
        say(f"not answered: {miss['url']}: {miss['why']}")
    unused = outcome["unused"] if mode == "strict" else []
    for text in unused:
        say(f"never requested: {text}")
    if not outcome["played"] and not outcome["misses"] and mode != "new":
        return _say_no_request(ended)
    say(f"replayed {quantity(outcome['played'], 'exchange')}, {len(outcome['misses'])} not answered")
    return 1 if outcome["misses"] or unused else 0


def _through_proxy(arguments: argparse.Namespace, settings: Sequence[str]) -> Ended:
    """Run the command with a proxy, and stop the proxy."""
    with ProxyProcess(expand_home(arguments.confdir), settings) as proxy, _bundle_folder(proxy) as folder:
        bundle = Path(folder) / "ca-bundle.pem"
        client_environment.write_bundle(bundle, proxy.ca, os.environ)
        code, interrupted = _run(
            arguments.command, client_environment.environment(os.environ, proxy.url, bundle, proxy.ca)
        )
    return Ended(code, interrupted, proxy)


def _bundle_folder(proxy: ProxyProcess) -> "tempfile.TemporaryDirectory[str]":
    if not proxy.ca.exists():
        raise CaptureError(f"the proxy made no CA certificate at {proxy.ca}")
    return tempfile.TemporaryDirectory(prefix="capture-")


def _run(command: Sequence[str], environment: dict[str, str]) -> tuple[int, bool]:
    """Run the command; return its exit code, as a shell would, and whether Ctrl-C was pressed."""
    interrupted = False
    try:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own command
    except OSError as error:
        raise CaptureError(f"cannot start {command[0]}: {error.strerror or error}") from None
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupted = True  # the terminal sent it to the command, too, which decides when to end
        except SystemExit:
            process.terminate()  # SIGTERM was sent to us only
        else:
            return code if code >= 0 else 128 - code, interrupted
