"""The `capture` command line, as a user runs it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support import fork_server
from tests.support.mitmdump import Running, environment


def capture(folder: Path, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    """Run a subcommand that starts proxies, with a confdir in the folder."""
    name, *rest = arguments
    return tools(folder, name, "--confdir", str(folder / "conf"), *rest, timeout=timeout)


def tools(folder: Path, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a subcommand that needs no proxy."""
    return run_module(folder, "proxy_policies.capture", *arguments, env=environment(), timeout=timeout)


def run_module(
    folder: Path, module: str, *arguments: str, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a module, which may start proxies."""
    if Running.is_forked:
        return fork_server.run(module, arguments, env, folder, timeout)
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, cwd=folder)
