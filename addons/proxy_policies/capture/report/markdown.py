"""A summary for pull requests, in GitHub's Markdown: what changed, where, from what to what."""

import re
from itertools import islice

from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.capture.report.terminal import change_line, secrets_line, summary_line
from proxy_policies.log_lines import printable

SHOWN_ENTRIES = 20
SHOWN_CHANGES = 10  # of one entry
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def markdown(report: Report) -> str:
    """Return the summary. What was captured cannot be markup in it."""
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
    said = [outcome.error] if outcome.error else [change_line(change) for change in outcome.changes[:SHOWN_CHANGES]]
    if len(outcome.changes) > SHOWN_CHANGES:
        said.append(f"… {len(outcome.changes) - SHOWN_CHANGES} more")
    return f"| {outcome.number + 1} | {escape(outcome.title)} | {'<br>'.join(map(escape, said))} |"


def escape(text: str) -> str:
    """Return a text that says in Markdown what it is, on one line."""
    plain = printable(" ".join(text.split())).replace("@", "@\u200b")  # nobody is called by what was captured
    return _SPECIAL.sub(r"\\\1", plain.replace("&", "&amp;")).replace("\\<", "&lt;").replace("\\>", "&gt;")
