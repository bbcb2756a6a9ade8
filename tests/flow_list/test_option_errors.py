"""Why a value was refused, under its option."""

from collections.abc import Collection
from typing import Any

from proxy_policies.flow_list.option_errors import OptionErrors


def test_what_was_refused_is_told_once_with_the_old_value() -> None:
    told: list[Any] = []

    def describe(names: Collection[str]) -> dict[str, dict[str, Any]]:
        return {name: {"value": "old"} for name in names}

    errors = OptionErrors(describe, told.append)
    errors.changed({"cache"})
    assert told == []
    errors.rejected(ValueError("not so"))
    errors.changed({"cache_size"})
    assert told == [{"cache_size": {"value": "old", "error": "not so"}}]
    errors.changed({"cache_size"})
    assert len(told) == 1
