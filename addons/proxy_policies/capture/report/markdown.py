"""The report as a summary in GitHub's Markdown, for pull requests."""

import re
from itertools import islice

from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.capture.report.terminal import change_line, secrets_line, summary_line
from proxy_policies.log_lines import printable

SHOWN_ENTRIES = 20
SHOWN_CHANGES = 10  # of one entry
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def markdown(report: Report) -> str:
    """Return the summary, with captured texts escaped."""
    sign = "❌" if report.exit_code else "✅"
    lines = [f"### {sign} {escape(report.capture)}: {escape(summary_line(report))}"]
    lines += ["", "| entry | request | what changed |", "| --: | --- | --- |"] if report.different_count else []
    lines += [_row(outcome) for outcome in islice(report.different, SHOWN_ENTRIES)]
    if report.different_count > SHOWN_ENTRIES:
        lines += ["", f"… and {report.different_count - SHOWN_ENTRIES} more"]
    if report.secrets:
        lines += ["", f"<sub>{escape(secrets_line(report))}</sub>"]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> str:
    lines = [outcome.error] if outcome.error else [change_line(change) for change in outcome.changes[:SHOWN_CHANGES]]
    if len(outcome.changes) > SHOWN_CHANGES:
        lines.append(f"… {len(outcome.changes) - SHOWN_CHANGES} more")
    return f"| {outcome.number + 1} | {escape(outcome.title)} | {'<br>'.join(map(escape, lines))} |"


def escape(text: str) -> str:
    """Return a text on one line, escaped for Markdown."""
    plain = printable(" ".join(text.split())).replace("@", "@\u200b")  # GitHub notifies the users it names
    return _SPECIAL.sub(r"\\\1", plain.replace("&", "&amp;")).replace("\\<", "&lt;").replace("\\>", "&gt;")
