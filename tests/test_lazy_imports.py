"""Imports put off: modules that are there by name, and run when they are used."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_policies.lazy_imports import lazy_imports
from tests.support.mitmdump import ADDONS

FICKLE = """from pathlib import Path
COUNT = int(Path(__file__ + ".count").read_text())
assert COUNT > 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with modules that are imported nowhere else."""
    package = tmp_path / "put_off"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "plain.py").write_text("VALUE = 1\n")
    (package / "user.py").write_text("from put_off.plain import VALUE\n")
    (package / "broken.py").write_text("raise LookupError('broken')\n")
    (package / "fickle.py").write_text(FICKLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "put_off"]:
        del sys.modules[name]


def has_run(name: str) -> bool:
    return type(sys.modules[name]).__name__ != "_LazyModule"


def test_a_module_runs_when_something_of_it_is_asked_for(folder: Path) -> None:
    with lazy_imports():
        from put_off import plain, user  # type: ignore[import-not-found]
    assert not has_run("put_off.plain")
    assert user.VALUE == 1
    assert has_run("put_off.plain")
    assert sys.modules["put_off.plain"] is plain


def test_two_may_put_off_the_same_module(folder: Path) -> None:
    for _ in range(2):
        with lazy_imports():
            from put_off import plain
    assert not has_run("put_off.plain")
    assert plain.VALUE == 1


def test_what_is_not_there_is_missed_at_once(folder: Path) -> None:
    with pytest.raises(ImportError, match="missing"), lazy_imports():
        from put_off import missing  # noqa: F401
    assert not any("later" in type(finder).__module__ for finder in sys.meta_path)


def test_a_broken_module_fails_for_every_importer(folder: Path) -> None:
    with lazy_imports():
        from put_off import broken
    for _ in range(3):
        with pytest.raises(LookupError, match="broken"):
            broken.VALUE  # noqa: B018


def test_what_broke_and_was_mended_is_there(folder: Path) -> None:
    with lazy_imports():
        from put_off import fickle
    with pytest.raises(FileNotFoundError):
        fickle.COUNT  # noqa: B018
    count = folder / "fickle.py.count"
    count.write_text("1")
    with pytest.raises(AssertionError):
        fickle.COUNT  # noqa: B018
    count.write_text("2")
    assert fickle.COUNT == 2
    assert has_run("put_off.fickle")
    assert type(fickle.__loader__).__module__ != lazy_imports.__module__
    assert fickle.__spec__.loader is fickle.__loader__


def test_a_bare_program_may_put_off_imports() -> None:
    module = str(ADDONS / "proxy_policies" / "lazy_imports.py")
    code = "with lazy_imports(): import json.tool\nprint(json.tool.__name__)"
    program = [sys.executable, "-S", "-c", f"import runpy; globals().update(runpy.run_path({module!r}))\n{code}"]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=100, check=False)
    assert (ran.stdout, ran.stderr) == ("json.tool\n", "")


def test_afterwards_imports_are_as_ever(folder: Path) -> None:
    with lazy_imports():
        pass
    from put_off import plain

    assert has_run("put_off.plain")
    assert plain.VALUE == 1
