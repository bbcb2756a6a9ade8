"""Measures in interleaved rounds and writes the results. Run by scripts/bench."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.benchmark import chart, report, tuning, watching
from scripts.benchmark import targets as known
from scripts.benchmark.load import Done, Route
from scripts.benchmark.processes import Processes, free_port
from scripts.benchmark.report import Measured, Results
from scripts.benchmark.scenarios import SCENARIOS, Occasion, Scenario
from scripts.benchmark.targets import Target

CORE = {0}  # for the target; origins and load have the others


@dataclass(frozen=True)
class Plan:
    """How long, how often, and with what share of the usual sizes to measure."""

    seconds: float
    rounds: int
    scale: float


WHOLE = Plan(seconds=4, rounds=5, scale=1)
QUICK = Plan(seconds=1, rounds=2, scale=0.3)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures the proxy against stock mitmdump and peers."
    )
    parser.add_argument("--quick", action="store_true", help="five scenarios, under a minute")
    parser.add_argument(
        "--peers", action="store_true", help="also nginx, Squid, HAProxy, Varnish, tinyproxy, … if installed"
    )
    parser.add_argument(
        "--tuning", action="store_true", help="instead, measure what each part of the tuning saves (needs valgrind)"
    )
    parser.add_argument(
        "--watching",
        action="store_true",
        help="instead, measure what the access log, metrics and the dashboard cost (needs valgrind, too)",
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help="scenarios, e.g. 'tunnel*'")
    parser.add_argument("--targets", default="*", metavar="GLOB", help="targets, e.g. 'ours*', and always stock")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5, quick 2)")
    parser.add_argument("--seconds", type=float, help="seconds of each measurement (4, quick 1)")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write bench.json, bench.md and bench.svg here")
    return parser.parse_args()


@contextlib.contextmanager
def origins() -> Iterator[dict[str, int]]:
    """Run the origins; yield their ports."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        ports = {}
        for kind in ("http", "https", "tunnel"):
            ports[kind] = free_port()
            command = [sys.executable, "-m", "scripts.benchmark.origin", kind, str(ports[kind])]
            origin = Processes.start(command, ports[kind], Path(folder), other_cores())
            stack.callback(origin.stop)
        yield ports


def other_cores() -> set[int] | None:
    """Return all cores except the target's."""
    return (os.sched_getaffinity(0) - CORE) or None


@dataclass
class Started:
    """A running target."""

    target: Target
    processes: Processes
    occasion: Occasion


@contextlib.contextmanager
def started(target: Target, scenario: Scenario, ports: dict[str, int], plan: Plan) -> Iterator[Started]:
    """Run a target in the first of the scenario's roles that it supports."""
    role = next(role for role in scenario.roles if role in target.commands)
    origin = ports[scenario.origin]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        processes = Processes.start(target.commands[role](folder, port, origin), port, folder, CORE)
        try:
            route = Route(port, origin, is_forward=role in ("forward", "tunnel", "inspect"))
            yield Started(target, processes, Occasion(route, plan.seconds, folder, plan.scale, processes.restart))
        finally:
            processes.stop()


def measure(scenario: Scenario, one: Started) -> tuple[Done, float]:
    """Run the load once; return the work done, and the CPU seconds per unit."""
    before = one.processes.cpu()
    done = scenario.run(one.occasion)
    seconds = one.processes.cpu() - before
    return done, seconds / done.units if done.units else 0.0  # a target may still be starting when it warms up


def applies(scenario: Scenario, target: Target) -> bool:
    """Return whether a target supports a scenario."""
    able = {
        "": True,
        "cache": target.does_cache or target.name == "stock",
        "inspect": target.does_inspect,
        "ours": not target.is_peer,
    }
    return able[scenario.needs] and any(role in target.commands for role in scenario.roles)


def play(scenario: Scenario, chosen: list[Target], ports: dict[str, int], plan: Plan) -> dict[str, Measured]:
    """Measure all targets in one scenario, round by round."""
    results: dict[str, Measured] = {}
    with contextlib.ExitStack() as stack:
        running: list[Started] = []
        for target in chosen:
            results[target.name] = Measured()
            with recording(results[target.name]):
                running.append(stack.enter_context(started(target, scenario, ports, plan)))
        for turn in range((scenario.rounds or plan.rounds) + scenario.warm_up):
            for one in running:
                measured = results[one.target.name]
                if measured.error:
                    continue
                with recording(measured):
                    done, cpu = measure(scenario, one)
                    if turn >= scenario.warm_up:
                        measured.rates.append(done.units / done.seconds)
                        measured.cpus.append(cpu)
                        measured.peak = one.processes.peak()
                        rate = measured.rates[-1]
                        say(f"{scenario.name:32} {one.target.name:22} {rate:10.1f}/s {cpu * 1e6:10.0f} µs")
    return results


def watched(ports: dict[str, int], asked: argparse.Namespace) -> Results:
    """Measure requests per second without and with all that watches."""
    if (rest := other_cores()) is not None:
        os.sched_setaffinity(0, rest)  # of the load
    plan = Plan(asked.seconds or watching.SECONDS, asked.rounds or watching.ROUNDS, scale=1)
    chosen = [scenario for scenario in SCENARIOS if scenario.name in watching.SCENARIOS]
    return {scenario.name: play(scenario, watching.targets(), ports, plan) for scenario in chosen}


@contextlib.contextmanager
def recording(measured: Measured) -> Iterator[None]:
    """Let one target fail without ending the run."""
    try:
        yield
    except Exception as error:
        measured.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        say(f"failed: {error}")


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def write(folder: Path, results: Results, scenarios: list[Scenario], about: dict[str, Any]) -> None:
    """Write what has been measured so far: a run takes half an hour, and its end may not come."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.md").write_text(report.as_markdown(results, scenarios, about))
    (folder / "bench.json").write_text(json.dumps(report.as_json(results, scenarios, about), indent=1) + "\n")
    (folder / "bench.svg").write_text(chart.as_svg(results))


def main() -> None:
    """Measure and write."""
    asked = arguments()
    if asked.tuning:
        with origins() as ports:
            print(tuning.as_markdown(tuning.measure(ports["http"], say)))
        return
    if asked.watching:
        with origins() as ports:
            print(watching.rates_as_markdown(watched(ports, asked)))
            print(watching.as_markdown(watching.measure(ports["http"], say)))
        return
    base = QUICK if asked.quick else WHOLE
    plan = Plan(asked.seconds or base.seconds, asked.rounds or base.rounds, base.scale)
    available = known.ours() + (known.reverse_tunnels() + known.peers() if asked.peers else [])
    chosen = [target for target in available if target.name == "stock" or fnmatch.fnmatch(target.name, asked.targets)]
    if asked.quick and asked.targets == "*":
        chosen = [target for target in chosen if target.is_peer or target.name in chart.NAMES]
    scenarios = [s for s in SCENARIOS if fnmatch.fnmatch(s.name, asked.only) and (s.is_quick or not asked.quick)]
    about, results = report.machine(), Results()
    with origins() as ports:
        for scenario in scenarios:
            results[scenario.name] = play(scenario, [t for t in chosen if applies(scenario, t)], ports, plan)
            if asked.write:
                write(asked.write, results, scenarios, about)
    print(report.as_markdown(results, scenarios, about))


if __name__ == "__main__":
    main()
