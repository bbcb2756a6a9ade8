"""The report as one HTML page without external resources."""

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
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_asset("page.html"))
    shown = _selected(report)
    data = json.dumps(_printable(report_json(replace(report, outcomes=shown), bodies=True)), ensure_ascii=False)
    return template.render(
        left_out=len(report.outcomes) - len(shown),
        title=printable(f"{report.capture}: {report.counts.get('changed', 0)} changed"),
        style=markupsafe.Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=markupsafe.Markup(_asset("page.js")),  # noqa: S704 - our own file
        data=markupsafe.Markup(_script_safe(data)),  # noqa: S704 - made safe for a script element
    )


def _selected(report: Report) -> list[Outcome]:
    """Return the outcomes to show, at most `MAX_DETAILED`; those that differ are preferred."""
    others = (outcome for outcome in report.outcomes if outcome.verdict not in DIFFERENT)
    return sorted(islice(chain(report.different, others), MAX_DETAILED), key=lambda outcome: outcome.number)


def _printable(value: Any) -> Any:
    """Return a JSON value with control characters of its texts made visible, except in the command to copy."""
    if isinstance(value, str):
        return printable(value, lines=True)
    if isinstance(value, dict):
        return {name: item if name == "curl" else _printable(item) for name, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list | tuple) else value


def _asset(name: str) -> str:
    return resources.files("proxy_policies.capture.report").joinpath(name).read_text(encoding="utf-8")


def _script_safe(data: str) -> str:
    """Return JSON escaped for a script element: it cannot end the element, or start a comment."""
    return data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
