"""Files that a proxy watches."""

from pathlib import Path


def rewrite(path: Path, text: str) -> None:
    """Replace a file atomically: its readers see the old text or the new one, never an empty file between the two."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)
