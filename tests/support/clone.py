"""A copy of the project in which scripts run, so that they change nothing in the one under test."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.mitmdump import environment

ROOT = Path(__file__).parents[2]
PARTS = (
    "scripts",
    "addons",
    "certs/README.md",
    "certs/.gitignore",
    "pyproject.toml",
    "constraints.txt",
    "constraints-lowest.txt",
    "README.md",
    "LICENSE",
    ".gitignore",
)


class Clone:
    """A copy of the project's files, with a home folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.home = folder / "home"
        self.home.mkdir()
        for part in PARTS:
            source, target = ROOT / part, self.root / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)

    def seem_set_up(self) -> None:
        """Make a .venv of links to the one that runs this test, with the stamp of a completed installation."""
        programs = self.root / ".venv/bin"
        programs.mkdir(parents=True)
        ours = Path(sys.executable).parents[1]
        for name in ("python", "mitmdump", "mitmweb"):
            (programs / name).symlink_to(ours / "bin" / name)
        (programs.parent / "lib").symlink_to(ours / "lib")
        shutil.copy(ours / "pyvenv.cfg", programs.parent)
        (self.root / ".venv/.installed").write_text(self.stamp())

    def stamp(self, constraints: str = "constraints.txt") -> str:
        """Return the stamp of a completed installation."""
        return "".join(
            [f"{self.root}\n", *((self.root / name).read_text() for name in ("pyproject.toml", constraints))]
        )

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment for a script; PYENV_ROOT stays, as it follows HOME."""
        kept = environment()
        pyenv = kept.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
        return {**kept, "PYENV_ROOT": pyenv, "HOME": str(self.home), "PYTHONPATH": str(self.root / "addons"), **extra}

    def run(self, script: str, *arguments: str, timeout: float = 60, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the clone from another working directory."""
        return subprocess.run(
            [str(self.root / "scripts" / script), *arguments],
            env=self.environment(**extra),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
