"""Captures as a load test for k6 (JavaScript)."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator

from proxy_policies.capture.export.steps import ORIGIN, PieceKind, Step, expression, json_expression, script_of
from proxy_policies.capture.model import Entry

_URL_VALUE = """
function urlValue(url, place) {
  const [path, query] = url.replace(/^[a-z]+:\\/\\/[^/?#]*/i, "").split("#")[0].split("?");
  const [kind, name] = place.split(/:(.*)/);
  if (kind === "path") return decodeURIComponent(path.split("/")[Number(name) + 1]);
  const pairs = (query || "").replace(/\\+/g, "%20").split("&").map((pair) => pair.split(/=(.*)/));
  return decodeURIComponent(pairs.find((pair) => decodeURIComponent(pair[0]) === name)[1]);
}

function link(page, number) {
  return page.match(/\\b(?:href|action|src)\\s*=\\s*["'][^"']*["']/gi)[number].split(/["']/)[1];
}
"""

_READER = """
function secret(name) {
  if (!__ENV[name]) throw new Error(`set ${name}, as the requests need it: k6 run -e ${name}=… THIS_FILE`);
  return __ENV[name];
}

"""


_WRITERS: dict[PieceKind, Callable[[str], str]] = {
    PieceKind.LITERAL: json.dumps,
    PieceKind.RAW: str,
    PieceKind.URL: "encodeURIComponent({})".format,
    PieceKind.JSON: "JSON.stringify(String({})).slice(1, -1)".format,
}


def k6_script(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the script: one iteration sends the whole capture."""
    script = script_of(entries)
    yield "// Requests of a capture, made by `proxy-policies capture export`.\n"
    yield "// k6 run -e TARGET=http://127.0.0.1:9000 THIS_FILE\n"
    yield 'import http from "k6/http";\nimport encoding from "k6/encoding";\nimport { check, sleep } from "k6";\n\n'
    yield f"const {ORIGIN} = __ENV.{ORIGIN} || {json.dumps(script.origin)};\n"
    yield _URL_VALUE
    yield _READER if script.secrets else ""
    yield from (f"const {name} = secret({json.dumps(name)});\n" for name in script.secrets)
    yield "\nexport default function () {\n  let response;\n"
    for step in script.steps:
        yield from _step(step)
    yield "  sleep(1);\n}\n"


def _step(step: Step) -> Iterator[str]:
    fields = ", ".join(f"{json.dumps(name)}: {_value(value)}" for name, value in step.headers)
    url = _value(step.path) if "://" in step.path else f"{ORIGIN} + {_value(step.path)}"
    options = f"{{ redirects: 0, jar: new http.CookieJar(), headers: {{ {fields} }} }}"
    yield f"\n  // {step.number}\n"
    yield f"  response = http.request({json.dumps(step.method)}, {url}, {_body(step)}, {options});\n"
    name = f"{step.number}: status is {step.status}"
    yield f"  check(response, {{ {json.dumps(name)}: (one) => one.status === {step.status} }});\n"
    yield from (f"  const {name} = {_source(where)};\n" for name, where in step.extracts)


def _body(step: Step) -> str:
    if not step.content:
        return "null"
    if step.text is None:
        return f"encoding.b64decode({json.dumps(base64.b64encode(step.content).decode())})"
    return _value(step.text)


def _value(text: str) -> str:
    return expression(text, _WRITERS)


def _source(where: str) -> str:
    """Return the expression for a value of the response."""
    kind, _, name = where.partition(":")
    if kind == "json":
        return json_expression(name, json.dumps)
    if kind == "cookie":
        return f"response.cookies[{json.dumps(name)}][0].value"
    if kind == "input":
        selector = json.dumps(f'[name="{name}"]')
        return f'(response.html({selector}).attr("value") || response.html({selector}).attr("content"))'
    if kind == "location":
        return f'urlValue(response.headers["Location"], {json.dumps(name)})'
    if kind == "link":
        number, _, place = name.partition(":")
        return f"urlValue(link(response.body, {number}), {json.dumps(place)})"
    return f"response.headers[{json.dumps('-'.join(part.capitalize() for part in name.split('-')))}]"
