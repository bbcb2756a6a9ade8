"""scripts/release, in a clone that is thrown away: what it makes, and what it refuses."""

import subprocess
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from scripts.release import UNRELEASED, NotReadyError, cut, parsed
from tests.support.clone import ROOT, Clone

CHANGES = "# Changelog\n\n## Unreleased\n\n- New.\n  More of it.\n"


@pytest.mark.parametrize("older", ["", "\n## 0.9.0, 2026-01-01\n\n- Old.\n"])
def test_the_changelog_is_cut(older: str) -> None:
    cut_once = cut(CHANGES + older, "1.0.0", "2026-12-01")
    assert cut_once == (f"# Changelog\n\n## Unreleased\n\n## 1.0.0, 2026-12-01\n\n- New.\n  More of it.\n{older}")
    with pytest.raises(NotReadyError, match="nothing is listed under"):
        cut(cut_once, "1.0.1", "2026-12-02")
    with pytest.raises(NotReadyError, match=r"has a section 1\.0\.0 already"):
        cut(CHANGES + "\n## 1.0.0, 2026-11-30\n\n- Old.\n", "1.0.0", "2026-12-02")
    assert "## 1.0.0, 2026" in cut(CHANGES + "\n## 1.0.0rc1, 2026-11-30\n\n- Old.\n", "1.0.0", "2026-12-02")
    with pytest.raises(NotReadyError, match="has no section"):
        cut("# Changelog\n", "1.0.1", "2026-12-02")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.0rc1", "0.1.0"])
def test_versions(version: str) -> None:
    assert str(parsed(version, "0.1.0")) == version


@pytest.mark.parametrize("version", ["", "one", "v1.0.0", "1.0.0-rc1", "1.0.0+local", "1.0.dev1", "0.0.9"])
def test_no_versions(version: str) -> None:
    with pytest.raises(NotReadyError):
        parsed(version, "0.1.0")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a repository of its own, on main, before its first release."""
    clone = Clone(tmp_path)
    clone.seem_set_up()
    (clone.root / ".venv/.installed-release").write_text(clone.stamp())
    (clone.root / "CHANGELOG.md").write_text(CHANGES)
    (clone.root / "addons/proxy_policies/version.py").write_text('VERSION = "0.1.0"\n')
    git(clone, "init", "-q", "-b", "main")
    git(clone, "config", "user.name", "Somebody")
    git(clone, "config", "user.email", "somebody@example.test")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "All of it")
    return clone


def git(clone: Clone, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=clone.root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.xdist_group("packaging")
def test_it_refuses_what_is_not_ready_and_changes_nothing(clone: Clone) -> None:
    for words, complaint in (
        (["one"], "release: 'one' is not a version: write one such as 1.0.0 or 1.0.0rc1\n"),
        (["0.0.1"], "release: 0.0.1 is before 0.1.0, the present version\n"),
    ):
        assert clone.run("release", *words).stderr == complaint
    (clone.root / "new").touch()
    assert clone.run("release", "1.0.0").stderr.endswith("commit or stash the uncommitted changes first:\n?? new\n")
    (clone.root / "new").unlink()
    git(clone, "tag", "v1.0.0")
    assert clone.run("release", "1.0.0").stderr == "release: the tag v1.0.0 already exists\n"
    git(clone, "tag", "-d", "v1.0.0")
    git(clone, "config", "--unset", "user.email")
    unknown = clone.run("release", "1.0.0", GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
    assert unknown.stderr == "release: git does not know who makes the release: git config user.email …\n"
    git(clone, "switch", "-q", "-c", "other")
    assert clone.run("release", "1.0.0").stderr == "release: a release is made on main; this is other\n"
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("packaging")
def test_a_release_is_built_checked_and_tagged(clone: Clone) -> None:
    before = git(clone, "rev-parse", "HEAD")
    dry = clone.run("release", "--dry-run", "1.0.0")
    assert dry.stdout.endswith("dry run: v1.0.0 could be made; nothing has changed\n"), dry.stderr
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag"), git(clone, "status", "--porcelain")) == (before, "", "")
    made = clone.run("release", "1.0.0")
    assert "committed and tagged v1.0.0. To publish: git push --follow-tags" in made.stdout, made.stderr
    assert git(clone, "rev-parse", "HEAD") == git(clone, "rev-parse", "v1.0.0^{commit}")
    assert git(clone, "log", "--format=%s", f"{before}..") == "Release 1.0.0"
    assert git(clone, "log", "-1", "--format=%b") == "Its changes are listed in CHANGELOG.md, under 1.0.0."
    assert "\n## 1.0.0, 2" in (clone.root / "CHANGELOG.md").read_text()
    archive, wheel = (clone.root / "dist" / f"proxy_policies-1.0.0{end}" for end in (".tar.gz", "-py3-none-any.whl"))
    with zipfile.ZipFile(wheel) as opened:
        metadata = opened.read("proxy_policies-1.0.0.dist-info/METADATA").decode()
    shown = str(message_from_string(metadata).get_payload())
    assert shown.startswith("# proxy-policies\n")
    assert "](addons/" not in shown, "a link that leads nowhere on PyPI"
    assert ".png" not in shown
    with tarfile.open(archive) as opened_archive:
        names = opened_archive.getnames()
    assert "proxy_policies-1.0.0/README.md" in names
    assert not [name for name in names if ".venv" in name]


def test_the_projects_own_changelog_can_be_cut() -> None:
    """As soon as something stands under Unreleased."""
    text = (ROOT / "CHANGELOG.md").read_text().replace(UNRELEASED, f"{UNRELEASED}\n- New.\n", 1)
    assert cut(text, "9.9.9", "2026-12-01").count("\n## ") == text.count("\n## ") + 1
