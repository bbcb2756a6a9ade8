"""The paths of our mitmproxy scripts, beside the package in a clone, inside it when installed; and of our command."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from proxy_policies.version import NAME

PACKAGE = Path(__file__).parent
PROGRAM = NAME


def scripts() -> dict[str, Path]:
    """Return the scripts by name; `policy` has every policy, each of the others has one."""
    shipped = PACKAGE / "scripts"
    folder = shipped if shipped.is_dir() else PACKAGE.parent
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def own_command() -> str:
    """Return our command as it has to be typed in this working directory, for messages."""
    clone = PACKAGE.parents[1]
    script = clone / "scripts" / PROGRAM
    on_path = shutil.which(PROGRAM)
    if not script.exists():
        return PROGRAM if on_path else shlex.quote(str(Path(sys.executable).with_name(PROGRAM)))
    if on_path and Path(on_path).is_relative_to(clone):
        return PROGRAM
    try:
        near = os.path.relpath(script)
    except OSError:  # the working directory is gone
        near = os.pardir
    if near.startswith(os.pardir):
        return shlex.quote(str(script))
    return shlex.quote(near if os.sep in near else os.path.join(os.curdir, near))
