"""Reports of checks, from recorded and received bodies."""

from proxy_policies.capture.check.noise import NoiseRules
from proxy_policies.capture.check.outcome import CompareOptions, Outcome, Report, evaluate
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.model import Body, Headers, Request, Response

JSON: Headers = (("Content-Type", "application/json"),)


def an_outcome(number: int, old: str, new: str, *, status: int = 200, url: str = "/{}?a=<b>|c") -> Outcome:
    """Return the outcome of a check in which the JSON response to a request, `old`, became `new`."""
    before, after = Response(200, "", JSON, Body(old.encode())), Response(status, "", JSON, Body(new.encode()))
    request = Request("GET", f"http://shop.test{url.format(number)}")
    return evaluate(number, request, before, 0.1, SendResult(after, 0.1), CompareOptions(NoiseRules()))


def a_report(*outcomes: Outcome) -> Report:
    """Return a report of outcomes."""
    found = Report("shop.har", "run", "http://127.0.0.1:9000", started=1.76e9)
    found.finish(outcomes, 1.0)
    return found
