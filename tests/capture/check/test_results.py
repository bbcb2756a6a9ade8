"""Results kept in a file."""

import pytest

from proxy_policies.capture.check.results import ResultFile, SendResult
from proxy_policies.capture.model import Body, Response


def test_what_was_put_comes_back_in_any_order() -> None:
    kept = ResultFile()
    results = {
        7: SendResult(Response(200, "OK", (("a", "b"),), Body(b"\x00" * 100_000)), 0.5),
        1: SendResult(error="no answer"),
    }
    for number, sent in results.items():
        kept.put(number, sent)
    assert dict(kept) == results
    assert (kept[1], kept[7], len(kept)) == (results[1], results[7], 2)
    for number in (-1, 0, 2, 8):
        with pytest.raises(KeyError):
            kept[number]
