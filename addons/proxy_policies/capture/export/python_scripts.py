"""Captures as Python: a pytest module, and a load test for Locust, both with the interface of `requests`."""

import base64
from collections.abc import Callable, Iterable, Iterator

from proxy_policies.capture.export.steps import (
    ORIGIN,
    PieceKind,
    Step,
    expression,
    json_expression,
    script_of,
    split_markers,
)
from proxy_policies.capture.model import Entry

_IMPORTS = """
import base64
import html
import json
import os
import re
{more}from urllib.parse import parse_qsl, quote, unquote, urlsplit

"""

_HELPERS = '''

def input_value(page, name):
    """Return the value of a form's hidden field, or of a meta element."""
    for tag in re.findall(r"<(?:input|meta)\\b[^>]*>", page):
        found = dict(re.findall(r"""\\b(name|id|value|content)\\s*=\\s*["']([^"']*)["']""", tag))
        if name in (found.get("name"), found.get("id")):
            return html.unescape(found.get("value", found.get("content", "")))
    raise LookupError(f"the page has no {name}")


def link(page, number):
    """Return the URL of a link, form or image of a page."""
    return re.findall(r"""\\b(?:href|action|src)\\s*=\\s*["']([^"']*)["']""", page, re.I)[number]


def url_value(url, place):
    """Return a segment of a URL's path, or a parameter of its query."""
    kind, _, name = place.partition(":")
    if kind == "path":
        return unquote(urlsplit(url).path.split("/")[int(name) + 1])
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))[name]


def cookie_value(response, name):
    """Return a cookie that a response sets, for this host or another one."""
    for line in response.raw.headers.getlist("Set-Cookie"):
        cookie, _, value = line.partition(";")[0].partition("=")
        if cookie.strip() == name:
            return value.strip()
    raise LookupError(f"the response sets no cookie {name}")
'''

_READER = '''

def secret(name):
    """Return the secret in an environment variable."""
    if not os.environ.get(name):
        {stop}
    return os.environ[name]
'''
_MISSING = 'f"set {name} in the environment: the requests need it"'


_USER = '''

class Recorded(HttpUser):
    host = {origin!r}
    wait_time = between(1, 3)

    def send(self, method, url, *, status, **options):
        """Send a request. Another status than the recorded one is a failure, and ends the iteration."""
        self.client.cookies.clear()
        with self.client.request(method, url, allow_redirects=False, catch_response=True, **options) as response:
            if response.status_code == status:
                response.success()
                return response
            response.failure(f"{{response.status_code}}, recorded was {{status}}: {{(response.text or '')[:500]}}")
        raise RescheduleTask

    @task
    def capture(self):
        TARGET, send = self.client.base_url, self.send
'''
_ASSERT = "assert response.status_code == {status}, response.text[:500]"
_WRITERS: dict[PieceKind, Callable[[str], str]] = {
    PieceKind.LITERAL: ascii,
    PieceKind.RAW: "str({})".format,
    PieceKind.URL: "quote(str({}), safe='')".format,
    PieceKind.JSON: "json.dumps(str({}))[1:-1]".format,
}
_SET_BY_REQUESTS = "accept-encoding"  # what it can decode depends on the packages that are installed


def pytest_module(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a module with one test, which sends all requests and expects the recorded statuses."""
    script = script_of(entries)
    yield '"""Requests of a capture as a test, by `proxy-policies capture export`: TARGET=URL pytest THIS_FILE."""\n'
    yield _IMPORTS.format(more="") + "import pytest\nimport requests\n"
    yield f'\n{ORIGIN} = os.environ.get("{ORIGIN}", {script.origin!r})\n'
    yield _HELPERS + _READER.format(stop=f"pytest.fail({_MISSING}, pytrace=False)")
    yield "\n\ndef test_capture():\n"
    yield from (f"    {name} = secret({name!r})\n" for name in script.secrets)
    yield "    send = requests.request\n"
    for step in script.steps:
        yield from _step(step, "    ", f"{ORIGIN} + ", ", allow_redirects=False, timeout=30", _ASSERT)


def locust_file(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a locustfile with one task, which sends the whole capture."""
    script = script_of(entries)
    yield '"""Requests of a capture as a load test, made by `proxy-policies capture export`: locust -f THIS_FILE."""\n'
    yield _IMPORTS.format(more="import sys\n") + "from locust import HttpUser, between, task\n"
    yield "from locust.exception import RescheduleTask\n"
    yield _HELPERS + _READER.format(stop=f"sys.exit({_MISSING})")
    yield "\n\n" if script.secrets else ""
    yield from (f"{name} = secret({name!r})\n" for name in script.secrets)
    yield _USER.format(origin=script.origin)
    for step in script.steps:
        yield from _step(step, "        ", "", f", status={step.status}, name={_name(step)!r}", "")


def _name(step: Step) -> str:
    path = step.path.partition("?")[0]
    return f"{step.method} " + "".join(
        piece if kind is PieceKind.LITERAL else "*" for piece, kind in split_markers(path)
    )


def _step(step: Step, indent: str, target: str, options: str, check: str) -> Iterator[str]:
    fields = [(name, value) for name, value in step.headers if name.lower() != _SET_BY_REQUESTS]
    lines = "".join(f"{indent}    {name!r}: {_value(value)},\n" for name, value in fields)
    url = _value(step.path) if "://" in step.path else f"{target}{_value(step.path)}"
    yield f"\n{indent}# {step.number}\n{indent}headers = {{\n{lines}{indent}}}\n"
    yield f"{indent}response = send({step.method!r}, {url}, headers=headers{_body(step)}{options})\n"
    yield f"{indent}{check.format(status=step.status)}\n" if check else ""
    yield from (f"{indent}{name} = {_source(where)}\n" for name, where in step.extracts)


def _body(step: Step) -> str:
    if not step.content:
        return ""
    if step.text is None:
        return f", data=base64.b64decode({base64.b64encode(step.content).decode()!r})"
    return f", data=({_value(step.text)}).encode()"


def _value(text: str) -> str:
    return expression(text, _WRITERS)


def _source(where: str) -> str:
    """Return the expression for a value of the response."""
    kind, _, name = where.partition(":")
    if kind == "json":
        return json_expression(name, repr)
    if kind == "link":
        number, _, place = name.partition(":")
        return f"url_value(link(response.text, {number}), {place!r})"
    return {
        "cookie": f"cookie_value(response, {name!r})",
        "input": f"input_value(response.text, {name!r})",
        "location": f"url_value(response.headers['Location'], {name!r})",
    }.get(kind, f"response.headers[{name!r}]")
