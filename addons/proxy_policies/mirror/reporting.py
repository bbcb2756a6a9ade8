"""The report on the candidate's different responses, in the form of a check's report."""

import json
from collections.abc import Mapping
from typing import Any

from proxy_policies.capture.check.outcome import Report
from proxy_policies.capture.report.html_report import page_html
from proxy_policies.capture.report.json_report import report_json
from proxy_policies.mirror.copies import KEPT, Copies


def text(copies: Copies, path: str, started: float, now: float) -> str:
    """Return the report as HTML or JSON, by the file's name; with how many requests were not copied, and why."""
    report = _report(copies, started, now)
    if path.lower().endswith((".html", ".htm")):
        return page_html(report)
    return json.dumps(report_json(report) | {"mirror": _counts(copies.counts)}, indent=1, ensure_ascii=False)


def _report(copies: Copies, started: float, now: float) -> Report:
    kept = [*copies.outcomes, *list(copies.same)[: KEPT - len(copies.outcomes)]]
    report = Report("live requests", "origin", copies.target, started=started)
    report.noise = [str(rule) for rule in copies.rules.noise.rules]
    report.finish(sorted(kept, key=lambda outcome: outcome.number), now - started)
    report.counts |= {name: copies.counts[name] for name in ("same", "changed", "error")}
    return report


def _counts(counts: Mapping[str, int]) -> dict[str, Any]:
    dropped = {name.removeprefix("not copied: "): count for name, count in counts.items() if name.startswith("not ")}
    return {"copied": counts.get("copied", 0), "not_copied": dropped}
