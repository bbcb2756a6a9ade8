"""No two tests share a file's name, and every name can be one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.pytest_plugin.naming import capture_path

FOLDER, FILE = Path("captures"), Path("test_shop.py")


def test_names() -> None:
    assert capture_path(FOLDER, FILE, "test_shop.py::TestA::test_b[1-x]").name == "test_shop.TestA.test_b[1-x].har"
    assert capture_path(FOLDER, FILE, "test_shop.py::test_b", "shared.har") == FOLDER / "shared.har"
    assert capture_path(FOLDER, FILE, "test_shop.py").name == "test_shop.har"
    assert capture_path(FOLDER, FILE, "").name == "session.har"


@pytest.mark.parametrize("ids", [("a::b", "a.b"), ("a/b", "a_b"), ("a b", "a_b"), ("x" * 300, "x" * 301), ("[", "]")])
def test_parameters_alike_are_told_apart(ids: tuple[str, str]) -> None:
    one, other = (capture_path(FOLDER, FILE, f"test_shop.py::TestA::test[{name}]").name for name in ids)
    assert one != other


@given(st.lists(st.text(min_size=1, max_size=200), min_size=2, max_size=2, unique=True))
def test_other_tests_have_other_files(names: list[str]) -> None:
    one, other = (capture_path(FOLDER, FILE, f"test_shop.py::test[{name}]").name for name in names)
    assert one != other
    assert max(len(one), len(other)) < 160
    assert "/" not in one
