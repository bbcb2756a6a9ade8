"""Checks that Python, mitmproxy and all packages are present and recent enough; else prints one line.

Runs with nothing installed, and on Python versions that cannot parse the other modules.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shlex
import sys
from pathlib import Path

PYTHON = (3, 12)
LOWEST = "12.2.1"
"""The oldest mitmproxy that works: 12.2.0 has no `tcp_timeout`."""
NEWEST = "12.3.1"
"""The newest mitmproxy that the test suite was run with."""
MODULES = {
    "aiohappyeyeballs": "aiohappyeyeballs",
    "argcomplete": "argcomplete",
    "brotli": "brotli",
    "cryptography": "cryptography",
    "h11": "h11",
    "h2": "h2",
    "hpack": "hpack",
    "http_sf": "http-sf",
    "hyperframe": "hyperframe",
    "jinja2": "jinja2",
    "jsonpath": "python-jsonpath",
    "orjson": "orjson",
    "pyparsing": "pyparsing",
    "redis": "redis",
    "rich": "rich",
    "ruamel.yaml": "ruamel.yaml",
    "tornado": "tornado",
    "werkzeug": "werkzeug",
    "zstandard": "zstandard",
}
"""The modules that are imported, and their packages."""


def check() -> None:
    """Check; if something is missing, end a starting mitmproxy or our command, else raise ImportError."""
    if not (line := missing()):
        return
    if _is_mitmproxy_starting():
        _end_at_once(line)
    if _is_our_command():
        sys.exit(line)
    raise ImportError(line)


def _end_at_once(line: str) -> None:
    """End the process: mitmproxy before 12.2 would listen, without policies, after SystemExit in a script."""
    print(line, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1)


def _is_mitmproxy_starting() -> bool:
    """Return the same as `starting.is_starting`, which cannot be imported if something is missing."""
    master = getattr(sys.modules.get("mitmproxy.ctx"), "master", None)
    watch = master.addons.get("errorcheck") if master else None
    return watch is not None and watch.logger in logging.getLogger().handlers


def _is_our_command() -> bool:
    """Return whether this process is `proxy-policies`, or `python -m proxy_policies`."""
    if sys.argv[0] == "-m":
        return "proxy_policies" in sys.orig_argv
    return Path(sys.argv[0]).stem == "proxy-policies"


def missing() -> str:
    """Return a line on what is missing or too old, with the command to install it; "" if nothing is."""
    if sys.version_info < PYTHON:
        return "proxy-policies needs Python 3.12 or newer, this is {}.{}".format(*sys.version_info)
    version = mitmproxy_version()
    if not version:
        return _line("mitmproxy", ["mitmproxy>=" + LOWEST])
    if numbers(version) < numbers(LOWEST):
        return _line(f"mitmproxy {LOWEST} or newer (this is {version})", ["mitmproxy>=" + LOWEST])
    packages = [package for module, package in MODULES.items() if not is_installed(module)]
    return _line(", ".join(packages), packages) if packages else ""


def untested() -> str:
    """Return a line on a mitmproxy version that was never tested; "" for a tested one."""
    version = mitmproxy_version()
    if numbers(LOWEST) <= numbers(version) <= numbers(NEWEST):
        return ""
    return f"mitmproxy {version} was never tested with these policies; {LOWEST} to {NEWEST} were"


def mitmproxy_version() -> str:
    """Return the version of mitmproxy; "" if it is not installed."""
    try:
        from mitmproxy.version import VERSION
    except ImportError:
        return ""
    return str(VERSION)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's leading numbers, for comparison; `dev` in 13.0.0.dev is ignored."""
    found = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        found.append(int(part))
    return tuple(found)


def is_installed(module: str) -> bool:
    """Return whether a module can be imported."""
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except ImportError:  # its package is missing
        return False


def _line(needed: str, packages: list[str]) -> str:
    if getattr(sys, "frozen", False):
        return f"proxy-policies needs {needed}, which mitmproxy's standalone binaries lack: install mitmproxy with pip"
    return f"proxy-policies needs {needed}: {install_command(packages)}"


def install_command(packages: list[str]) -> str:
    """Return the command that installs packages for this Python; pipx and uv create environments without pip."""
    environment = Path(sys.prefix)
    if (environment / "pipx_metadata.json").exists():
        command = ["pipx", "runpip", environment.name, "install"]
    elif not is_installed("pip"):
        command = ["uv", "pip", "install", "--python", sys.executable]
    else:
        command = [sys.executable, "-m", "pip", "install"]
    return shlex.join([*command, *packages])
