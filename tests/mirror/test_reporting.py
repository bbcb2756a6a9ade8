"""The report of a mirror that has copied nothing yet."""

import asyncio
import json

from proxy_policies.capture.check.noise import NoiseRules
from proxy_policies.capture.check.outcome import CompareOptions
from proxy_policies.capture.model import Request, Response
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.mirror.copies import Copies
from proxy_policies.mirror.reporting import text


async def no_sender(request: Request) -> tuple[Response, float]:
    await asyncio.sleep(0)
    raise AssertionError


def test_an_empty_report_says_so() -> None:
    redactor = Redactor(parse_rules(()), Placeholders(b"k" * 32))
    made = Copies("http://b.test", no_sender, redactor, CompareOptions(NoiseRules()), 1, False, lambda: None)
    made.drop("body too large")
    report = json.loads(text(made, "r.json", 1, 3))
    assert (report["new"], report["seconds"], report["outcomes"]) == ("http://b.test", 2, [])
    assert report["mirror"] == {"copied": 0, "not_copied": {"body too large": 1}}
