"""Items kept in a file."""

import pytest

from proxy_policies.capture.files.pickled_items import PickledItems


def test_it_is_a_list() -> None:
    items: PickledItems[object] = PickledItems([b"a" * 100_000, None, {"b": (1, 2)}])
    assert (items[2], items[0], items[-1]) == ({"b": (1, 2)}, b"a" * 100_000, {"b": (1, 2)})
    items.append("last")
    assert (len(items), list(items)[1:], items[1:3]) == (4, [None, {"b": (1, 2)}, "last"], [None, {"b": (1, 2)}])
    with pytest.raises(IndexError):
        items[4]
    assert not PickledItems()
