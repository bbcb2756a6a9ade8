"""The tests of mitmproxy's own that differ with our changes are named once each, with a reason."""

import tomllib
from collections import Counter
from pathlib import Path

GROUPS = tomllib.loads((Path(__file__).parent / "mitmproxy.toml").read_text("utf-8"))["difference"]


def test_each_is_named_once() -> None:
    names = Counter(name for group in GROUPS for name in group["tests"])
    assert [name for name, times in names.items() if times > 1] == []
    assert all("::" in name for name in names)


def test_each_has_a_reason_of_its_group_alone() -> None:
    reasons = [group["reason"] for group in GROUPS]
    assert all(reasons)
    assert len(set(reasons)) == len(reasons)
