"""Files that a proxy watches."""

from pathlib import Path


def rewrite(path: Path, text: str) -> None:
    """Write a file at once: who watches it reads its old text or the new one, never an empty file between the two."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)
