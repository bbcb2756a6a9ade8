"""Where tests are: they mirror the package, what they share is in tests/support, and no test imports a test."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


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
