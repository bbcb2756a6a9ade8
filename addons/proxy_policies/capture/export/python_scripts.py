"""Captures as Python: a pytest module, and a load test for Locust, both with the interface of `requests`."""

import base64
from collections.abc import Iterable, Iterator

from proxy_policies.capture.export.steps import Step, expression, json_expression, script_of, split_markers
from proxy_policies.capture.model import Entry

_HELPERS = '''

def input_value(page, name):
    """Return the value of a form's hidden field, or of a meta element."""
    for tag in re.findall(r"<(?:input|meta)\\b[^>]*>", page):
        found = dict(re.findall(r"""\\b(name|id|value|content)\\s*=\\s*["']([^"']*)["']""", tag))
        if name in (found.get("name"), found.get("id")):
            return html.unescape(found.get("value", found.get("content", "")))
    raise LookupError(f"the page has no {name}")
'''

_READER = '''

def secret(name):
    """Return the secret in an environment variable."""
    if not os.environ.get(name):
        {stop}
    return os.environ[name]
'''
_MISSING = 'f"set {name} in the environment: the requests need it"'


def pytest_module(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a module with one test, which sends all requests and expects the recorded statuses."""
    script = script_of(entries)
    yield '"""Requests of a capture as a test, by `proxy-policies capture export`: TARGET=URL pytest THIS_FILE."""\n'
    yield "\nimport base64\nimport html\nimport os\nimport re\n\nimport pytest\nimport requests\n"
    yield f'\nTARGET = os.environ.get("TARGET", {script.origin!r})\n'
    yield _HELPERS + _READER.format(stop=f"pytest.fail({_MISSING}, pytrace=False)")
    yield "\n\ndef test_capture():\n"
    yield from (f"    {name} = secret({name!r})\n" for name in script.secrets)
    yield "    send = requests.request\n"
    for step in script.steps:
        yield from _step(step, "    ", "TARGET + ", ", allow_redirects=False, timeout=30")


def locust_file(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a locustfile with one task, which sends the whole capture."""
    script = script_of(entries)
    yield '"""Requests of a capture as a load test, made by `proxy-policies capture export`: locust -f THIS_FILE."""\n'
    yield "\nimport base64\nimport html\nimport os\nimport re\nimport sys\n"
    yield "\nfrom locust import HttpUser, between, task\n"
    yield _HELPERS + _READER.format(stop=f"sys.exit({_MISSING})")
    yield "\n\n" if script.secrets else ""
    yield from (f"{name} = secret({name!r})\n" for name in script.secrets)
    yield "\n\nclass Recorded(HttpUser):\n"
    yield f"    host = {script.origin!r}\n    wait_time = between(1, 3)\n\n    @task\n    def capture(self):\n"
    yield "        send = self.client.request\n        self.client.cookies.clear()\n"
    for step in script.steps:
        yield from _step(step, "        ", "", f", allow_redirects=False, name={_name(step)!r}")


def _name(step: Step) -> str:
    path = "".join("*" if is_name else piece for piece, is_name in split_markers(step.path.partition("?")[0]))
    return f"{step.method} {path}"


def _step(step: Step, indent: str, target: str, options: str) -> Iterator[str]:
    fields = "".join(f"{indent}    {name!r}: {_value(value)},\n" for name, value in step.headers)
    url = _value(step.path) if "://" in step.path else f"{target}{_value(step.path)}"
    yield f"\n{indent}# {step.number}\n{indent}headers = {{\n{fields}{indent}}}\n"
    yield f"{indent}response = send({step.method!r}, {url}, headers=headers{_body(step)}{options})\n"
    yield f"{indent}assert response.status_code == {step.status}, response.text[:500]\n"
    yield from (f"{indent}{name} = {_source(where)}\n" for name, where in step.extracts)


def _body(step: Step) -> str:
    if not step.content:
        return ""
    if step.text is None:
        return f", data=base64.b64decode({base64.b64encode(step.content).decode()!r})"
    return f", data=({_value(step.text)}).encode()"


def _value(text: str) -> str:
    return expression(text, ascii, "str({})".format)


def _source(where: str) -> str:
    """Return the expression for a value of the response."""
    kind, _, name = where.partition(":")
    if kind == "json":
        return json_expression(name, repr)
    return {"cookie": f"response.cookies[{name!r}]", "input": f"input_value(response.text, {name!r})"}.get(
        kind, f"response.headers[{name!r}]"
    )
