"""The `capture` command line, as a user runs it."""

import subprocess
import sys
from pathlib import Path

from tests.support import fork_server
from tests.support.mitmdump import Running, environment


def capture(folder: Path, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    """Run a subcommand that starts proxies, with a confdir in the folder."""
    name, *rest = arguments
    return tools(folder, name, "--confdir", str(folder / "conf"), *rest, timeout=timeout)


def tools(folder: Path, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a subcommand that needs no proxy."""
    if Running.is_forked:
        return fork_server.run("proxy_policies.capture", arguments, environment(), folder, timeout)
    command = [sys.executable, "-m", "proxy_policies.capture", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(), cwd=folder)
