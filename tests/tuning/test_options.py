"""Options are read as by mitmproxy's own function, and what is read can be changed without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from mitmproxy import optmanager

from proxy_policies.tuning.options import OPTIONS

VALUES: list[tuple[Any, Any]] = [
    (bool, True),
    (int, 3),
    (str, "text"),
    (str | None, None),
    (Sequence[str], []),
    (Sequence[str], ["one", "two"]),
    (Sequence[str], ("one", "two")),
]


@pytest.mark.parametrize("is_set", [False, True], ids=["default", "set"])
@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[f"{value!r}" for _, value in VALUES])
def test_as_stock(kind: Any, value: Any, is_set: bool) -> None:
    options = optmanager.OptManager()
    options.add_option("some", kind, value, "help")
    if is_set:
        options.update(some=value)
    stock = options.some
    undo = [undo for each in OPTIONS if (undo := each.apply())]
    assert len(undo) == len(OPTIONS)
    try:
        assert (options.some, type(options.some)) == (stock, type(stock)) == (value, type(value))
        if isinstance(options.some, list):
            options.some.append("three")
            assert options.some == value
    finally:
        for take_out in undo:
            take_out()


def test_a_list_of_lists_is_copied_throughout() -> None:
    option = optmanager._Option("some", object, [["one"]], "help", None)
    undo = [undo for each in OPTIONS if (undo := each.apply())]
    assert len(undo) == len(OPTIONS)
    try:
        option.current()[0].append("two")
        assert option.current() == [["one"]]
    finally:
        for take_out in undo:
            take_out()
