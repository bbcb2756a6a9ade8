"""What addons say of the ways around mitmproxy's layers."""

from typing import Any

import pytest

from proxy_policies.fast_paths import NO_OBJECTION, PATHS, objections


@pytest.mark.parametrize(
    ("said", "path", "expected"),
    [
        (None, "hits", None),
        ({"exchanges"}, "exchanges", ()),
        ({"exchanges"}, "hits", None),
        ({"hits": ["a", "b"]}, "hits", ("a", "b")),
        ({"hits": ()}, "tunnels", None),
    ],
)
def test_objections(said: Any, path: str, expected: tuple[str, ...] | None) -> None:
    addon = type("Addon", (), {} if said is None else {"fast_paths": said})()
    assert objections(addon, path) == expected


def test_no_objection_at_all() -> None:
    addon = type("Addon", (), {"fast_paths": NO_OBJECTION})
    assert [objections(addon, path) for path in PATHS] == [()] * 3
