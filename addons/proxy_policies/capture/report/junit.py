"""The report as JUnit XML for CI systems: one test case for each entry."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.capture.report.terminal import change_line
from proxy_policies.log_lines import printable

MAX_NAMED = 10  # locations in the message of a failure
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


def junit_pieces(report: Report) -> Iterator[str]:
    """Yield the document, a test case at a time, as they may exceed the memory."""
    counts = {"tests": len(report.outcomes), "failures": report.counts.get("changed", 0)}
    counts |= {"errors": report.counts.get("error", 0), "skipped": report.counts.get("skipped", 0)}
    suite = ElementTree.Element("testsuite", name=_clean(report.capture), time=f"{report.seconds:.3f}")
    suite.attrib |= {name: str(value) for name, value in counts.items()}
    suite.set("timestamp", datetime.fromtimestamp(report.started, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", name="secrets not compared", value=str(report.secrets))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    before, after = ElementTree.tostring(root, encoding="unicode").rsplit("\n  </testsuite>", 1)
    yield f'<?xml version="1.0" encoding="utf-8"?>\n{before}'
    for outcome in report.outcomes:
        case = _case(outcome, report.capture)
        ElementTree.indent(case, level=2)
        yield f"\n    {ElementTree.tostring(case, encoding='unicode')}"
    yield f"\n  </testsuite>{after}\n"


def _case(outcome: Outcome, capture: str) -> ElementTree.Element:
    name = _clean(f"{outcome.number + 1}. {outcome.title}")
    case = ElementTree.Element("testcase", classname=_clean(capture), name=name)
    case.set("time", f"{outcome.new_seconds:.3f}")
    if outcome.skipped:
        ElementTree.SubElement(case, "skipped", message=_clean(outcome.skipped))
    elif outcome.error:
        ElementTree.SubElement(case, "error", message=_clean(outcome.error))
    elif outcome.changes:
        lines = [change_line(change) for change in outcome.changes]
        failure = ElementTree.SubElement(
            case, "failure", message=_clean(_message(outcome, lines)), type=_clean(_kinds(outcome))
        )
        failure.text = _clean("\n".join(lines))
    return case


def _message(outcome: Outcome, lines: list[str]) -> str:
    """Return the only change, or the number and locations of all changes."""
    if len(lines) == 1:
        return lines[0]
    named = ", ".join(change.location for change in outcome.changes[:MAX_NAMED])
    return f"{len(lines)} changes: {named}{', …' if len(lines) > MAX_NAMED else ''}"


def _kinds(outcome: Outcome) -> str:
    return " ".join(dict.fromkeys(change.location.partition(":")[0] for change in outcome.changes))


def _clean(text: str) -> str:
    """Return a text with control characters, and characters that XML forbids, made visible."""
    return _FORBIDDEN.sub("\ufffd", printable(text, lines=True))
