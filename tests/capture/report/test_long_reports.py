"""Reports of recordings that are longer than memory: outcomes are read from their file one at a time."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any
from weakref import ref

import pytest
from rich.console import Console
from tests.support.capture_reports import an_outcome

from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.capture.report.json_report import json_pieces
from proxy_policies.capture.report.junit import junit_pieces
from proxy_policies.capture.report.markdown import markdown
from proxy_policies.capture.report.terminal import print_report


class Tracked(Outcome):
    """An outcome of which it is known whether it is still there."""


class Outcomes(Sequence[Outcome]):
    """Outcomes that are made when they are asked for; `most` is how many were there at once."""

    def __init__(self, count: int) -> None:
        self._fields = [an_outcome(number, '{"n": 1}', '{"n": 2}') for number in range(count)]
        self._made: list[ref[Outcome]] = []
        self.most = 0

    def __len__(self) -> int:
        return len(self._fields)

    def __getitem__(self, index: Any) -> Any:
        made = Tracked(**{field.name: getattr(self._fields[index], field.name) for field in fields(Outcome)})
        self._made.append(ref(made))
        self.most = max(self.most, sum(known() is not None for known in self._made))
        return made


def printed(report: Report) -> str:
    out = io.StringIO()
    print_report(report, Console(file=out))
    return out.getvalue()


@pytest.mark.parametrize("write", [json_pieces, junit_pieces, markdown, printed])
def test_of_a_long_recording_few_outcomes_are_in_memory_at_once(write: Callable[[Report], Iterable[str]]) -> None:
    outcomes = Outcomes(100)
    report = Report("shop.har", "run", "http://127.0.0.1:9000")
    report.finish(outcomes, 1.0)
    assert report.different_count == 100
    for _ in write(report):
        pass
    assert outcomes.most < 10
