"""Checks Python, mitmproxy, packages, open files and the clock."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from proxy_policies.doctor.finding import Finding, fail, ok, warn
from proxy_policies.limits.open_files import open_file_limits
from proxy_policies.start_up import requirements

EXTRAS = {"isal": "isal", "zlib_ng": "zlib-ng"}
"""Modules for faster compression, and their packages: the extra `fast`."""
FEW_FILES = 4096
"""A hard limit below this is reported: each client has a descriptor, and its origin another."""
RELEASED = 1767225600.0  # 2026-01-01: a clock that is before this is wrong
CLOCK_TIMEOUT = 5.0  # seconds for timedatectl


def python() -> Iterator[Finding]:
    """Check the versions of Python and mitmproxy."""
    yield ok("python", f"{platform.python_version()}, {sys.executable}")
    version = requirements.mitmproxy_version()
    if line := requirements.untested():
        yield warn("mitmproxy", line)
    else:
        yield ok("mitmproxy", f"{version}; {requirements.LOWEST} to {requirements.NEWEST} were tested")


def packages() -> Iterator[Finding]:
    """Check the packages; the required ones are present, as the command has started."""
    yield ok("packages", f"all {len(requirements.MODULES)} required packages are installed")
    if missing := [package for module, package in EXTRAS.items() if not requirements.is_installed(module)]:
        advice = requirements.install_command(missing)
        yield warn("packages", f"without {', '.join(missing)} gzip takes several times the CPU", advice)


def open_files() -> Iterator[Finding]:
    """Check the limit of open files."""
    if (found := open_file_limits()) is None:
        return
    _, hard = found
    if hard < FEW_FILES:
        advice = f"ulimit -Hn {FEW_FILES * 16}, or LimitNOFILE= of the systemd unit"
        yield warn("open files", f"a process may open {hard}: that is some {hard // 2} clients", advice)
    else:
        yield ok("open files", f"a process may open {hard}" if hard < sys.maxsize else "no limit")


def clock() -> Iterator[Finding]:
    """Check the clock, on which certificates and freshness depend."""
    now = time.time()
    written = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if now < RELEASED:
        yield fail("clock", f"{written} is in the past", "set it, for example by systemd-timesyncd")
    elif is_synchronized() is False:
        yield warn("clock", f"{written}, not synchronized", "timedatectl set-ntp true")
    else:
        yield ok("clock", written)


def is_synchronized() -> bool | None:
    """Return whether systemd reports the clock as synchronized; None if that is unknown."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLOCK_TIMEOUT)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())
