"""`check` and `compare`: send a recording again and report the differences."""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from proxy_policies.capture.check.check_run import CheckRun, noise_file, require_reachable
from proxy_policies.capture.check.conformance import recorded_outcomes, with_conformance
from proxy_policies.capture.check.correlate import parse_carry_rules
from proxy_policies.capture.check.learning import rules_text
from proxy_policies.capture.check.noise import NoiseRule, NoiseRules, match_rule, parse_rules
from proxy_policies.capture.check.outcome import DIFFERENT, CompareOptions, Outcome, Report, drop_excess_bodies
from proxy_policies.capture.check.results import SendResults
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.secret_values import SecretValues, parse_secrets
from proxy_policies.capture.check.sender import SendOptions
from proxy_policies.capture.check.targets import CheckTarget
from proxy_policies.capture.cli import accept
from proxy_policies.capture.cli.messages import say, say_problems, text_output
from proxy_policies.capture.cli.run import FAILED, proxy_settings
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.files import private_files
from proxy_policies.capture.files.pickled_items import PickledItems
from proxy_policies.capture.openapi.references import read_document
from proxy_policies.capture.openapi.response_checker import ResponseChecker, checker_of
from proxy_policies.capture.report.html_report import page_html
from proxy_policies.capture.report.json_report import json_pieces
from proxy_policies.capture.report.junit import junit_pieces
from proxy_policies.capture.report.markdown import markdown
from proxy_policies.capture.report.terminal import print_report
from proxy_policies.capture.runner.proxy_process import ProxyProcess
from proxy_policies.capture.secrets import redact
from proxy_policies.capture.secrets.keyfile import load_key
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.log_lines import printable, quantity
from proxy_policies.options.files import expand_home, read_text


def check(arguments: argparse.Namespace) -> int:
    """Send a recording to a new build, and compare the responses. Return 0 if equal, 1 if not, 2 if it was not sent."""
    checker = checker_of(read_document(Path(arguments.openapi))) if arguments.openapi else None
    run, known = _open(arguments)
    if checker and not (arguments.target or arguments.learn or arguments.accept is not None):
        return _check_recorded(arguments, run, checker)
    targets = run.targets(arguments.target)
    if not targets:
        say("nothing to send to: give --target URL")
        return FAILED
    accept.require_acceptable(arguments, run)
    if _report_missing_secrets(run, targets):
        return FAILED
    rounds = [targets, targets] if arguments.learn else [targets]
    start = time.time()
    results = _send_all(arguments, run, rounds)
    noise = _noise(arguments, run, known, results)
    report = _report(arguments, run, noise, start)
    report.new = ", ".join(target.live for target in targets.values())
    options = _compare_options(arguments, run, noise)
    outcomes = run.compare_with_recording(results[0], options)
    reported = PickledItems(with_conformance(outcomes, results[0], checker)) if checker else outcomes
    code = _finish(arguments, report, reported, start)
    if arguments.accept is None:
        return code
    with redirect_stdout(text_output(_reports(arguments))):
        accepted = accept.accept_changes(arguments, run, results[0], outcomes, options)
    pairs = zip(outcomes, reported, strict=True)
    remaining = (full for plain, full in pairs if plain.number not in accepted or full.changes != plain.changes)
    return int(any(outcome.verdict in DIFFERENT for outcome in remaining))


def _check_recorded(arguments: argparse.Namespace, run: CheckRun, checker: ResponseChecker) -> int:
    """Check the recorded responses against the OpenAPI document, without sending anything."""
    start = time.time()
    entries = (run.entries[number] for number in range(len(run.entries)))
    outcomes = PickledItems(drop_excess_bodies(recorded_outcomes(entries, checker)))
    if all(outcome.skipped for outcome in outcomes):
        raise CaptureError(f"{run.path} has no response to check against {arguments.openapi}")
    report = Report(run.path.name, "run", Path(arguments.openapi).name, started=start)
    return _finish(arguments, report, outcomes, start)


def compare(arguments: argparse.Namespace) -> int:
    """Send a recording to two builds, and compare the responses. Return 0 if equal, 1 if not, 2 if it was not sent."""
    run, known = _open(arguments)
    old, new = (run.targets([url]) for url in (arguments.old, arguments.new))
    if _report_missing_secrets(run, old) or _report_missing_secrets(run, new):
        return FAILED
    rounds = [old, new, old] if arguments.learn else [old, new]
    start = time.time()
    results = _send_all(arguments, run, rounds)
    noise = _noise(arguments, run, known, [results[0], results[-1]])
    report = _report(arguments, run, noise, start)
    report.old, report.new = arguments.old, arguments.new
    outcomes = run.compare_builds(results[0], results[1], _compare_options(arguments, run, noise))
    return _finish(arguments, report, outcomes, start)


def _open(arguments: argparse.Namespace) -> tuple[CheckRun, list[NoiseRule]]:
    """Return the run, and the rules of noise in the file of `--noise`, or beside the capture."""
    placeholders = Placeholders(load_key(expand_home(arguments.confdir)))
    secrets = parse_secrets(arguments.secret, arguments.secrets, os.environ)
    path = Path(arguments.capture)
    _check_outputs(arguments)
    for spec in arguments.match:
        match_rule(spec)
    run = CheckRun(
        path,
        SecretValues(secrets, placeholders),
        placeholders,
        redact.parse_rules(arguments.redact),
        parse_carry_rules(arguments.carry),
    )
    known = _known_noise(_noise_file(arguments, run))
    say_problems(run.problems)
    if not run.entries:
        raise CaptureError(f"{path} has no entries: there is nothing to send")
    return run, known


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raise CaptureError if a report cannot be written."""
    text_output(_reports(arguments))
    for name in _reports(arguments):
        private_files.require_replaceable(private_files.output(name))


def _reports(arguments: argparse.Namespace) -> list[str]:
    named = (arguments.html, arguments.junit, arguments.json, arguments.markdown)
    return [name for name in named if name]


def _report_missing_secrets(run: CheckRun, targets: Mapping[str, CheckTarget]) -> bool:
    """Return whether values of placeholders are missing, and list them. Raise CaptureError if a target is down."""
    require_reachable(targets.values())
    unresolved = run.unresolved(targets)
    for text in unresolved:
        say(f"no value for {text}")
    if unresolved:
        say("give the values with --secret NAME=env:VAR or --secrets FILE, or name their sources with --carry")
    return bool(unresolved)


def _send_all(
    arguments: argparse.Namespace, run: CheckRun, rounds: Sequence[Mapping[str, CheckTarget]]
) -> list[SendResults]:
    options = SendOptions(arguments.jobs, arguments.rate, arguments.timeout, arguments.keep_host)
    settings = proxy_settings(arguments)
    results: list[SendResults] = []
    with _progress(len(run.order) * len(rounds)) as advance:
        for targets in rounds:  # each with its own proxy, so that nothing cached is shared between builds
            with ProxyProcess(expand_home(arguments.confdir), settings) as proxy:
                results.append(run.send(proxy.port, targets, options, advance))
    return results


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=total)
        yield lambda: bar.advance(task)


def _noise(
    arguments: argparse.Namespace, run: CheckRun, known: Sequence[NoiseRule], results: Sequence[SendResults]
) -> NoiseRules:
    """Return the known rules of noise; with `--learn`, also new ones, added to the file."""
    matchers = [match_rule(spec) for spec in arguments.match]
    if not arguments.learn:
        return NoiseRules([*known, *matchers])
    found = run.learn_noise(results[0], results[-1], arguments.exact)
    learned = [learned for learned in found if learned.rule not in known]
    path = _noise_file(arguments, run)
    if learned:
        old = read_text(path) if path.exists() else NoiseRules().text()
        private_files.write_bytes(path, (old + rules_text(learned)).encode())
    kept = f", kept in {path}" if learned else ""
    say(f"learned {quantity(len(learned), 'rule')} of noise{kept}")
    for rule in learned:
        say(f"  {rule}")
    return NoiseRules([*known, *matchers, *(rule.rule for rule in learned)])


def _noise_file(arguments: argparse.Namespace, run: CheckRun) -> Path:
    return Path(arguments.noise) if arguments.noise else noise_file(run.path)


def _known_noise(path: Path) -> list[NoiseRule]:
    return parse_rules(read_text(path, allow_pipe=True), path.name) if path.exists() else []


def _compare_options(arguments: argparse.Namespace, run: CheckRun, noise: NoiseRules) -> CompareOptions:
    return CompareOptions(noise, arguments.exact, arguments.slower, SecretPairs(run.placeholders.of))


def _report(arguments: argparse.Namespace, run: CheckRun, noise: NoiseRules, start: float) -> Report:
    rules = [str(rule) for rule in noise.rules]
    return Report(run.path.name, "run", "", noise=rules, links=run.links, started=start)


def _finish(arguments: argparse.Namespace, report: Report, outcomes: Sequence[Outcome], start: float) -> int:
    report.finish(outcomes, time.time() - start)
    with redirect_stdout(text_output(_reports(arguments))):
        for link in report.links if arguments.show_links else ():
            print(printable(f"carried over: {link}"))
        print_report(report, Console(highlight=False))
    if arguments.json:
        private_files.write_pieces(private_files.output(arguments.json), json_pieces(report))
    if arguments.junit:
        private_files.write_pieces(private_files.output(arguments.junit), junit_pieces(report))
    if arguments.markdown:
        private_files.write_bytes(private_files.output(arguments.markdown), markdown(report).encode("utf-8", "replace"))
    if arguments.html:
        private_files.write_bytes(private_files.output(arguments.html), page_html(report).encode("utf-8", "replace"))
    return report.exit_code
