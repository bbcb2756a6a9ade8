"""The folder in which our command keeps certificates, and the command for another one, for messages."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from proxy_policies.options.files import expand_home
from proxy_policies.script_paths import PACKAGE, own_command

CONFDIR = "confdir"
"""The name of the confdir in the folder."""


def certificates_folder() -> Path:
    """Return the clone's `certs`; for an installed package, a folder in the user's data (XDG_DATA_HOME)."""
    clone = PACKAGE.parents[1]
    if (clone / "addons" / "policy.py").exists() and (clone / "pyproject.toml").exists():
        return clone / "certs"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return expand_home(data) / "proxy-policies" / "certs"


def certs_command(folder: Path) -> str:
    """Return our command `certs` as it has to be typed for the authority in a folder."""
    return f"{own_command()} certs{'' if _is_own(folder) else f' --folder {shlex.quote(str(folder))}'}"


def run_command(folder: Path) -> str:
    """Return our command `run` as it has to be typed for a proxy that signs with the authority in a folder."""
    return f"{own_command()} run{'' if _is_own(folder) else f' --set confdir={shlex.quote(str(folder))}'}"


def _is_own(folder: Path) -> bool:
    return folder.absolute() in (certificates_folder(), certificates_folder() / CONFDIR)
