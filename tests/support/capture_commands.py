"""The `capture` command line, as a user runs it."""

import subprocess
import sys
from pathlib import Path

from tests.support.mitmdump import environment


def capture(folder: Path, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    """Run a subcommand that starts proxies, with a confdir in the folder."""
    name, *rest = arguments
    command = [sys.executable, "-m", "proxy_policies.capture", name, "--confdir", str(folder / "conf"), *rest]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(), cwd=folder)


def tools(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a subcommand that needs no proxy."""
    command = [sys.executable, "-m", "proxy_policies.capture", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
