"""The report as one self-contained HTML page: search, filters, diffs in two shapes, timings, light and dark."""

import json
from dataclasses import replace
from importlib import resources
from itertools import chain, islice
from typing import Any

import jinja2
import markupsafe

from proxy_policies.capture.check.outcome import DIFFERENT, MAX_DETAILED, Outcome, Report
from proxy_policies.capture.report.json_report import report_json
from proxy_policies.log_lines import printable


def page_html(report: Report) -> str:
    """Return the page; everything it needs is in it."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_asset("page.html"))
    shown = _shown(report)
    data = json.dumps(_seen(report_json(replace(report, outcomes=shown), bodies=True)), ensure_ascii=False)
    return template.render(
        left_out=len(report.outcomes) - len(shown),
        title=printable(f"{report.capture}: {report.counts.get('changed', 0)} changed"),
        style=markupsafe.Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=markupsafe.Markup(_asset("page.js")),  # noqa: S704 - our own file
        data=markupsafe.Markup(_in_script(data)),  # noqa: S704 - made safe for a script element
    )


def _shown(report: Report) -> list[Outcome]:
    """Choose what a browser is asked to show: as many as there are responses for, those that differ first."""
    others = (outcome for outcome in report.outcomes if outcome.verdict not in DIFFERENT)
    return sorted(islice(chain(report.different, others), MAX_DETAILED), key=lambda outcome: outcome.number)


def _seen(value: Any) -> Any:
    """Return a document as a reader is to see it; a command to copy stays what it is."""
    if isinstance(value, str):
        return printable(value, lines=True)
    if isinstance(value, dict):
        return {name: item if name == "curl" else _seen(item) for name, item in value.items()}
    return [_seen(item) for item in value] if isinstance(value, list | tuple) else value


def _asset(name: str) -> str:
    return resources.files("proxy_policies.capture.report").joinpath(name).read_text(encoding="utf-8")


def _in_script(data: str) -> str:
    """Return JSON that cannot end the script element it stands in, nor open a comment there."""
    return data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
