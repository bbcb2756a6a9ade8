"""Flows are named as before."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.test import tflow

from proxy_policies.tuning.flow_ids import IDS, written


@given(st.binary(min_size=16, max_size=16))
def test_written_as_by_the_standard_library(random: bytes) -> None:
    assert written(random) == str(uuid.UUID(bytes=random, version=4))


def test_each_flow_has_a_name_of_its_own() -> None:
    undo = IDS.apply()
    assert undo
    try:
        names = {tflow.ttcpflow().copy().id for _ in range(3)} | {type(tflow.tflow())(None, None).id for _ in range(9)}  # type: ignore[arg-type]
    finally:
        undo()
    assert len(names) == 12
    assert {uuid.UUID(name).version for name in names} == {4}
