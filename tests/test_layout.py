"""Where tests are: they mirror the package, what they share is in tests/support, and no test imports a test.

A module has the test file of its name in the folder of its name, here or in tests/e2e; a policy's `addon.py`, which has
nothing but options and hooks, may have a folder of tests/e2e instead.
"""

import ast
import graphlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_policies.patches import all

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "addons" / "proxy_policies"


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_what_tests_share_is_in_support() -> None:
    wrong = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in TESTS.rglob("*.py")
        for name in imported_modules(path)
        if name.split(".")[0] == "tests" and name.split(".")[:2] != ["tests", "support"]
    ]
    assert not wrong


def test_elsewhere_are_only_tests_and_fixtures() -> None:
    others = [path for path in TESTS.rglob("*.py") if TESTS / "support" not in path.parents]
    allowed = ("test_*.py", "conftest.py", "__init__.py")
    assert not [path for path in others if not any(path.match(pattern) for pattern in allowed)]


def modules() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if not path.name.startswith("__"):
            yield name


def has_test(module: Path) -> bool:
    is_tested = any((TESTS / where / module.parent / f"test_{module.name}").is_file() for where in (".", "e2e"))
    return is_tested or (module.name == "addon.py" and any((TESTS / "e2e" / module.parent).glob("test_*.py")))


def has_passport(module: Path) -> bool:
    """Return whether a module has a patch, or a part of one: its passport names its test."""
    calls = (node.func for node in ast.walk(ast.parse((PACKAGE / module).read_text())) if isinstance(node, ast.Call))
    return any(isinstance(made, ast.Name) and made.id in ("Patch", "Companion", "Section") for made in calls)


def is_put_in_place(module: Path) -> bool:
    """Return whether a module has a class that replaces one of mitmproxy's: the patch's passport names its test."""
    name = ".".join(("proxy_policies", *module.with_suffix("").parts))
    made = (patch.wrap(getattr(patch.owner, patch.attribute)) for patch in all.ALL)
    return any(kind.__module__ == name for one in made if isinstance(one, type) for kind in one.__mro__)


def test_every_module_has_its_test_file() -> None:
    untested = [module for module in modules() if not has_test(module)]
    assert [module for module in untested if not has_passport(module) and not is_put_in_place(module)] == []


def test_no_folder_of_tests_is_for_nothing() -> None:
    others = {"conformance", "e2e", "scripts", "support"}
    folders = {path.name for path in TESTS.iterdir() if any(path.glob("**/*.py"))} - others
    assert not [name for name in folders if not (PACKAGE / name).is_dir()]


TOP = "README.md CHANGELOG.md CONTRIBUTING.md LICENSE pyproject.toml constraints.txt constraints-lowest.txt"
FOLDERS = "addons certs scripts tests"


def test_the_top_level_is_what_it_was() -> None:
    """Dotfiles apart; what is new has a place in one of the folders."""
    listed = subprocess.run(["git", "ls-files"], cwd=TESTS.parent, capture_output=True, text=True, check=True).stdout
    top = {line.partition("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} == {*TOP.split(), *FOLDERS.split()}


def test_every_script_is_on_their_page() -> None:
    scripts = TESTS.parent / "scripts"
    names = [path.name for path in scripts.iterdir() if path.is_file() and not path.suffix]
    page = (scripts / "README.md").read_text()
    assert not [name for name in names if f"| `{name}" not in page]


LARGE = ("", "cache", "capture", "patches", "reverse_tunnel")
"""Folders that have folders; the package itself."""


@pytest.mark.parametrize("folder", LARGE)
def test_imports_run_one_way(folder: str) -> None:
    """No two parts of a folder import each other, not through others either, in functions or for types alone."""
    home = ("proxy_policies", folder) if folder else ("proxy_policies",)
    graph: dict[str, set[str]] = {}
    for path in modules():
        module = ("proxy_policies", *path.with_suffix("").parts)
        if module[: len(home)] == home:
            names = (name.split(".") for name in imported_names(PACKAGE / path))
            parts = {name[len(home)] for name in names if name[: len(home)] == [*home]}
            graph.setdefault(module[len(home)], set()).update(parts - {module[len(home)]})
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(" ← ".join(error.args[1])) from None


def imported_names(path: Path) -> Iterator[str]:
    """Yield what a module imports of the package: of `from proxy_policies.a import b` it is `proxy_policies.a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "proxy_policies":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


SAME_WORD = {"Request": "the cache's and a capture's view of one"}
"""Names of types in two modules, and what they have in common."""


def type_names(path: Path) -> Iterator[str]:
    """Yield the public classes and aliases that a module defines."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.TypeAlias):
            yield node.name.id
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id


def test_a_type_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for path in modules():
        for name in type_names(PACKAGE / path):
            if name[0].isupper() and not name.isupper() and "_" not in name:
                places.setdefault(name, []).append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in SAME_WORD} == {}
