"""The path of a test's capture."""

import hashlib
import re
from pathlib import Path

MAX_NAME = 120
"""Characters of a file's name; longer ones are shortened: file systems allow 255 bytes, some programs 143."""


def capture_path(folder: Path, file: Path, nodeid: str, named: str = "") -> Path:
    """Return the path of a capture: as `named`, or by module, class, test and parameters.

    A name that not every file system allows is changed and gets a hash, so that no two tests share it.
    """
    if named:
        return folder / named
    test, bracket, parameters = nodeid.partition("[")  # parameters may contain colons
    name = ".".join([file.stem if nodeid else "session", *test.split("::")[1:]]) + bracket + parameters
    plain = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "_", name)
    if plain != name or len(plain) > MAX_NAME:
        plain = f"{plain[:MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return folder / f"{plain}.har"
