"""What each part of the tuning saves of a plain request's instructions: counted with all of it, and without each part.

Instructions are counted by Valgrind's callgrind: unlike time they are the same again on a loaded machine.
"""

from __future__ import annotations

import http.client
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.benchmark.processes import Processes, free_port
from scripts.benchmark.targets import BIN, HERE, ROOT

from proxy_policies.tuning.all import TUNINGS

ALL = "nothing"
"""What is left out of the one that has all."""
WARM_UP, REQUESTS = 50, 200
"""The first ones import modules and fill tables."""
COUNTS = "callgrind"
_numbers = itertools.count()
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def command(folder: Path, port: int, origin: int) -> list[str]:
    """Return the command of a proxy that leaves out what the environment says, and counts its instructions."""
    counting = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder / COUNTS}"]
    files = (HERE / "without_tuning.py", ROOT / "addons" / "policy.py")
    scripts = [part for file in files for part in ("-s", str(file))]
    where = ["--set", f"confdir={folder}", "--mode", f"reverse:http://127.0.0.1:{origin}@127.0.0.1:{port}"]
    return [*counting, "--instr-atstart=no", sys.executable, str(BIN / "mitmdump"), *scripts, *where]


def measure(origin: int, report: Callable[[str], None]) -> dict[str, float]:
    """Return the instructions per request of each, and report each when it is counted."""
    per_request: dict[str, float] = {}
    for name in (ALL, *TUNINGS):
        os.environ["WITHOUT"] = name
        per_request[name] = _count(origin) / REQUESTS
        report(f"without {name}: {per_request[name] / 1000:.0f} thousand instructions a request")
    return per_request


def _count(origin: int) -> int:
    """Return the instructions in which a proxy serves misses to one client, once it has served some."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        running = Processes.start(command(folder, port, origin), port, folder, patience=300)
        try:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            _ask(client, WARM_UP)
            _control(running, "--instr=on")
            _ask(client, REQUESTS)
            _control(running, "--dump")
            client.close()
        finally:
            running.stop(patience=300)
        found = _TOTAL.search((folder / f"{COUNTS}.1").read_text(errors="replace"))
        if found is None:
            raise RuntimeError("callgrind counted nothing")
        return int(found[1])


def _ask(client: http.client.HTTPConnection, requests: int) -> None:
    for _ in range(requests):
        client.request("GET", f"/miss/1024/{next(_numbers)}")
        client.getresponse().read()


def _control(running: Processes, what: str) -> None:
    command = ["callgrind_control", what, str(running.process.pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def as_markdown(per_request: Mapping[str, float]) -> str:
    """Return a table of what each saves."""
    whole = per_request[ALL]
    saved = [(per_request[name] / whole - 1, name) for name in TUNINGS]
    lines = [f"| `{name}` | {share:.1%} |" for share, name in sorted(saved, reverse=True)]
    title = ["| part | more instructions without it |", "| --- | ---: |"]
    return "\n".join([*title, *lines, "", f"A miss takes {whole / 1000:.0f} thousand with all of it.", ""])
