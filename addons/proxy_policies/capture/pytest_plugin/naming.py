"""Where the capture of a test is."""

import hashlib
import re
from pathlib import Path

LONGEST_NAME = 120
"""Characters of a file's name before it is shortened: file systems take 255 octets, some programs 143."""


def capture_path(folder: Path, file: Path, nodeid: str, named: str = "") -> Path:
    """Return where a capture is: as it was named, or after module, class, test and parameters.

    A name whose characters or length not every file system takes gets a hash, so that no two tests share one.
    """
    if named:
        return folder / named
    test, bracket, parameters = nodeid.partition("[")  # which may have colons of their own
    name = ".".join([file.stem if nodeid else "session", *test.split("::")[1:]]) + bracket + parameters
    plain = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "_", name)
    if plain != name or len(plain) > LONGEST_NAME:
        plain = f"{plain[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return folder / f"{plain}.har"
