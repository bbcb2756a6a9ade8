"""Makes a release in a temporary clone, and fetches it from there if all checks pass. See scripts/release."""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
BRANCH = "main"
CHANGELOG, VERSION_FILE = Path("CHANGELOG.md"), Path("addons/proxy_policies/version.py")
UNRELEASED = "## Unreleased\n"
_VERSION = re.compile(r'^VERSION = "([^"]+)"$', re.MULTILINE)


class NotReadyError(Exception):
    """A condition for a release is not met."""


def cut(changelog: str, version: str, date: str) -> str:
    """Return the changelog with the unreleased section under a version and its date. Raise NotReadyError."""
    before, found, rest = changelog.partition(UNRELEASED)
    if not found:
        raise NotReadyError(f"{CHANGELOG} has no section {UNRELEASED.strip()!r}")
    changes, heading, older = rest.partition("\n## ")
    if re.search(rf"^## {re.escape(version)}\b(?!\.)", heading.lstrip() + older, re.MULTILINE):
        raise NotReadyError(f"{CHANGELOG} has a section {version} already: choose the next version")
    if not re.search(r"^- ", changes, re.MULTILINE):
        raise NotReadyError(f"{CHANGELOG}: nothing is listed under {UNRELEASED.strip()!r}")
    return f"{before}{UNRELEASED}\n## {version}, {date}\n{changes}{heading}{older}"


def parsed(version: str, current: str) -> Version:
    """Return a version that may follow the current one. Raise NotReadyError."""
    try:
        found = Version(version)
    except InvalidVersion:
        raise NotReadyError(f"{version!r} is not a version: write one such as 1.0.0 or 1.0.0rc1") from None
    if str(found) != version or found.local or found.is_devrelease:
        raise NotReadyError(f"{version!r}: write a release such as 1.0.0 or 1.0.0rc1, as PyPI spells it")
    if found < Version(current):
        raise NotReadyError(f"{version} is before {current}, the present version")
    return found


def current_version(text: str) -> str:
    """Return the version in the text of version.py. Raise NotReadyError."""
    found = _VERSION.search(text)
    if found is None:
        raise NotReadyError(f"{VERSION_FILE} has no line VERSION = …")
    return found[1]


def git(*words: str, at: Path = ROOT) -> str:
    """Return the output of a git command. Raise NotReadyError with its error."""
    done = subprocess.run(["git", *words], cwd=at, capture_output=True, text=True)
    if done.returncode:
        raise NotReadyError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def look_over(tag: str) -> None:
    """Raise NotReadyError unless the clone is clean, on main, and without the tag."""
    if changed := git("status", "--porcelain"):
        raise NotReadyError(f"commit or stash the uncommitted changes first:\n{changed}")
    if (branch := git("rev-parse", "--abbrev-ref", "HEAD")) != BRANCH:
        raise NotReadyError(f"a release is made on {BRANCH}; this is {branch}")
    if git("tag", "--list", tag):
        raise NotReadyError(f"the tag {tag} already exists")


def committer(name: str) -> str:
    """Return git's setting for the committer. Raise NotReadyError if it is missing."""
    try:
        return git("config", name)
    except NotReadyError:
        raise NotReadyError(f"git does not know who makes the release: git config {name} …") from None


def build(clone: Path) -> list[Path]:
    """Build the source archive and the wheel, and check them with twine. Raise NotReadyError."""
    _run(clone, "-m", "build", "--outdir", "dist")
    made = sorted((clone / "dist").iterdir())
    _run(clone, "-m", "twine", "check", "--strict", *map(str, made))
    return made


def _run(clone: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-P", *words], cwd=clone, capture_output=True, text=True)
    if done.returncode:
        raise NotReadyError(f"{' '.join(words[1:3])} failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def prepare(clone: Path, version: str, tag: str) -> list[Path]:
    """Write, build, commit and tag in a clone; return the built files."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    changelog, version_file = clone / CHANGELOG, clone / VERSION_FILE
    changelog.write_text(cut(changelog.read_text(), version, date))
    version_file.write_text(_VERSION.sub(f'VERSION = "{version}"', version_file.read_text()))
    made = build(clone)
    names = [path.name for path in made if f"-{version}" in path.name]
    if len(names) != 2 or len(made) != 2:
        raise NotReadyError(f"built something else than one archive and one wheel of {version}: {made}")
    git("add", str(CHANGELOG), str(VERSION_FILE), at=clone)
    why = f"Its changes are listed in CHANGELOG.md, under {version}."
    git("commit", "-q", "-m", f"Release {version}", "-m", why, at=clone)
    git("tag", "-a", tag, "-m", f"proxy-policies {version}", at=clone)
    return made


def take_over(clone: Path, made: Sequence[Path], tag: str) -> None:
    """Fetch the commit and the tag, and copy the built files."""
    git("fetch", "-q", str(clone), f"refs/tags/{tag}:refs/tags/{tag}")
    git("merge", "-q", "--ff-only", tag)
    (ROOT / "dist").mkdir(exist_ok=True)
    for path in made:
        shutil.copy(path, ROOT / "dist")


def release(version: str, is_dry: bool) -> None:
    """Make the release. Raise NotReadyError, having changed nothing."""
    parsed(version, current_version((ROOT / VERSION_FILE).read_text()))
    tag = f"v{version}"
    look_over(tag)
    who = {name: committer(name) for name in ("user.name", "user.email")}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        git("clone", "-q", str(ROOT), str(clone))
        for name, value in who.items():
            git("config", name, value, at=clone)
        made = prepare(clone, version, tag)
        print(*(f"built and checked {path.name}" for path in made), sep="\n")
        if is_dry:
            print(f"dry run: {tag} could be made; nothing has changed")
            return
        take_over(clone, made, tag)
    names = " ".join(f"dist/{path.name}" for path in made)
    print(f"committed and tagged {tag}. To publish: git push --follow-tags, then twine upload {names}")


def main() -> None:
    """Run the command line; exit with 1 if a condition is not met."""
    parser = argparse.ArgumentParser(prog="scripts/release", description="Makes a release: builds, checks, tags.")
    parser.add_argument("version", help="such as 1.0.0")
    parser.add_argument("--dry-run", action="store_true", help="only in a temporary clone")
    asked = parser.parse_args()
    try:
        release(asked.version, asked.dry_run)
    except NotReadyError as problem:
        sys.exit(f"release: {problem}")


if __name__ == "__main__":
    main()
