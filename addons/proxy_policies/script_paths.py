"""Where the scripts for mitmproxy are: beside the package in a clone, inside it when it is installed."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def scripts() -> dict[str, Path]:
    """Return the scripts by name; `policy` has every policy, each other has one."""
    shipped = PACKAGE / "scripts"
    folder = shipped if shipped.is_dir() else PACKAGE.parent
    return {path.stem: path for path in sorted(folder.glob("*.py"))}
