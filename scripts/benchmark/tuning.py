"""What each part of the tuning saves of a plain request's CPU time: the proxy with all of it, and without each part.

All run at once, on one core, and are asked in turn: whatever else the machine does, it does to all of them.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from pathlib import Path

from scripts.benchmark import load
from scripts.benchmark.load import Route
from scripts.benchmark.processes import Processes, free_port
from scripts.benchmark.targets import BIN, HERE, ROOT

from proxy_policies.tuning.all import TUNINGS

ALL = "nothing"
"""What is left out of the one that has all."""
WARM_UP = 1


def command(folder: Path, port: int, origin: int) -> list[str]:
    """Return the command of a proxy that leaves out what the environment says."""
    files = (HERE / "without_tuning.py", ROOT / "addons" / "policy.py")
    scripts = [part for file in files for part in ("-s", str(file))]
    where = ["--set", f"confdir={folder}", "--mode", f"reverse:http://127.0.0.1:{origin}@127.0.0.1:{port}"]
    return [str(BIN / "mitmdump"), *scripts, *where]


def measure(origin: int, core: set[int], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the CPU seconds per request of each, round by round."""
    cpus: dict[str, list[float]] = {name: [] for name in (ALL, *TUNINGS)}
    with contextlib.ExitStack() as stack:
        running: dict[str, Processes] = {}
        for name in cpus:
            folder, port = Path(stack.enter_context(tempfile.TemporaryDirectory())), free_port()
            os.environ["WITHOUT"] = name
            running[name] = Processes.start(command(folder, port, origin), port, folder, core)
            stack.callback(running[name].stop)
        for turn in range(rounds + WARM_UP):
            for name, processes in running.items():
                before = processes.cpu()
                done = load.requests(Route(processes.port, origin, False), "/miss/1024/x", seconds, distinct=True)
                if turn >= WARM_UP:
                    cpus[name].append((processes.cpu() - before) / done.units)
    return cpus


def as_markdown(cpus: dict[str, list[float]]) -> str:
    """Return a table of what each saves."""
    lines = ["| part | saves of a miss's CPU time | ± |", "| --- | ---: | ---: |"]
    for name in TUNINGS:
        shares = [without / whole - 1 for without, whole in zip(cpus[name], cpus[ALL], strict=True)]
        low, middle, high = statistics.quantiles(shares, n=4)
        lines.append(f"| `{name}` | {middle:.1%} | {(high - low) / 2:.1%} |")
    whole = statistics.median(cpus[ALL]) * 1e6
    return "\n".join(
        [*lines, "", f"With all of it a miss takes {whole:.0f} µs; quartiles of {len(cpus[ALL])} rounds.", ""]
    )
