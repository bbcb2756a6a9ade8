"""`check` and `compare`: send a recording again and say what changed."""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from proxy_policies.capture import redact
from proxy_policies.capture.checking import Recording, noise_file, refuse_unreachable
from proxy_policies.capture.cli.run import FAILED, proxy_settings, say
from proxy_policies.capture.correlate import parse_carries
from proxy_policies.capture.keyfile import load_key
from proxy_policies.capture.noise import Noise, parse_rules
from proxy_policies.capture.outcome import Outcome, Report, Rules
from proxy_policies.capture.proxy_process import ProxyProcess
from proxy_policies.capture.report.as_json import report_json
from proxy_policies.capture.report.junit import junit_xml
from proxy_policies.capture.report.page import page_html
from proxy_policies.capture.report.terminal import print_report
from proxy_policies.capture.secrets import Placeholders
from proxy_policies.capture.sending import Pace, Sent
from proxy_policies.capture.targets import Target
from proxy_policies.capture.vault import Vault, parse_secrets

Replies = Mapping[int, Sent]


def check(arguments: argparse.Namespace) -> int:
    """Send a recording to a new build and compare with the recording. Returns 0 the same, 1 changed, 2 not run."""
    recording = _open(arguments)
    targets = recording.targets(arguments.target)
    if not targets:
        say("nothing to send to: give --target URL")
        return FAILED
    if _is_stuck(recording, targets):
        return FAILED
    rounds = [targets, targets] if arguments.learn else [targets]
    began = time.time()
    replies = _send_all(arguments, recording, rounds)
    noise = _noise(arguments, recording, replies)
    report = _report(arguments, recording, noise, began)
    report.new = ", ".join(target.live for target in targets.values())
    return _finish(arguments, report, recording.against_recording(replies[0], _rules(arguments, noise)), began)


def compare(arguments: argparse.Namespace) -> int:
    """Send a recording to two builds and compare their answers. Returns 0 the same, 1 different, 2 not run."""
    recording = _open(arguments)
    old, new = (recording.targets([url]) for url in (arguments.old, arguments.new))
    if _is_stuck(recording, old) or _is_stuck(recording, new):
        return FAILED
    rounds = [old, new, old] if arguments.learn else [old, new]
    began = time.time()
    replies = _send_all(arguments, recording, rounds)
    noise = _noise(arguments, recording, [replies[0], replies[-1]])
    report = _report(arguments, recording, noise, began)
    report.old, report.new = arguments.old, arguments.new
    outcomes = recording.against_each_other(replies[0], replies[1], _rules(arguments, noise))
    return _finish(arguments, report, outcomes, began)


def _open(arguments: argparse.Namespace) -> Recording:
    placeholders = Placeholders(load_key(Path(arguments.confdir).expanduser()))
    secrets = parse_secrets(arguments.secret, arguments.secrets, os.environ)
    path = Path(arguments.capture)
    _check_outputs(arguments)
    return Recording(
        path,
        Vault(secrets, placeholders),
        placeholders,
        redact.parse_rules(arguments.redact),
        parse_carries(arguments.carry),
    )


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse a report that cannot be written before anything is sent."""
    for name in (arguments.html, arguments.junit, arguments.json):
        if name and not Path(name).absolute().parent.is_dir():
            raise FileNotFoundError(2, "no such folder", str(Path(name).parent))


def _is_stuck(recording: Recording, targets: Mapping[str, Target]) -> bool:
    """Say what is missing before anything is sent."""
    refuse_unreachable(targets.values())
    missing = recording.missing(targets)
    for text in missing:
        say(f"no value for {text}")
    if missing:
        say("give the values with --secret NAME=env:VAR or --secrets FILE, or say where they come from with --carry")
    return bool(missing)


def _send_all(
    arguments: argparse.Namespace, recording: Recording, rounds: Sequence[Mapping[str, Target]]
) -> list[Replies]:
    pace = Pace(arguments.jobs, arguments.rate, arguments.timeout, arguments.keep_host)
    settings = proxy_settings(arguments)
    replies: list[Replies] = []
    with _progress(len(recording.order) * len(rounds)) as advance:
        for targets in rounds:  # a proxy for each: what one remembers of a build is nothing to the next
            with ProxyProcess(Path(arguments.confdir).expanduser(), settings) as proxy:
                replies.append(recording.send(proxy.port, targets, pace, advance))
    return replies


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=total)
        yield lambda: bar.advance(task)


def _noise(arguments: argparse.Namespace, recording: Recording, replies: Sequence[Replies]) -> Noise:
    """Return the rules of noise beside the capture, with those just learned; these are kept there."""
    path = Path(arguments.noise) if arguments.noise else noise_file(recording.path)
    known = parse_rules(path.read_text(encoding="utf-8"), path.name) if path.exists() else []
    if not arguments.learn:
        return Noise(known)
    learned = [rule for rule in recording.noise_between(replies[0], replies[-1]) if rule not in known]
    if learned:
        old = path.read_text(encoding="utf-8") if path.exists() else Noise().text()
        _write(path, (old + "".join(f"{rule}\n" for rule in learned)).encode())
    say(f"learned {len(learned)} rule{'' if len(learned) == 1 else 's'} of noise, kept in {path}")
    return Noise([*known, *learned])


def _rules(arguments: argparse.Namespace, noise: Noise) -> Rules:
    return Rules(noise, arguments.exact, arguments.slower)


def _report(arguments: argparse.Namespace, recording: Recording, noise: Noise, began: float) -> Report:
    links = [str(link) for link in recording.links]
    rules = [str(rule) for rule in noise.rules]
    return Report(recording.path.name, "recording", "", noise=rules, links=links, started=began)


def _finish(arguments: argparse.Namespace, report: Report, outcomes: list[Outcome], began: float) -> int:
    report.finish(outcomes, time.time() - began)
    for link in report.links if arguments.show_links else ():
        print(f"carried over: {link}")
    print_report(report, Console(highlight=False))
    if arguments.json:
        _write(Path(arguments.json), json.dumps(report_json(report), indent=1, ensure_ascii=False).encode())
    if arguments.junit:
        _write(Path(arguments.junit), junit_xml(report))
    if arguments.html:
        _write(Path(arguments.html), page_html(report).encode("utf-8", "replace"))
    return report.exit_code


def _write(path: Path, data: bytes) -> None:
    """Write beside, then rename: a report is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
