"""Cassettes of vcrpy and pytest-recording, in YAML or JSON, as entries.

They have no times: entries get one second each, in order.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy_policies.capture.bodies.content_coding import from_wire
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.other_formats import what_it_is
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times

_BEGINNINGS = (b"interactions:", b"version:", b"---", b"#")
MAX_ERROR = 120  # characters


def is_cassette(path: Path) -> bool:
    """Return whether a file is a cassette, by its first bytes: YAML as vcrpy writes it, or JSON with `interactions`."""
    with path.open("rb") as file:
        head = file.read(4096).lstrip()
    if head.startswith(b"{"):
        return b'"interactions"' in head and b'"log"' not in head[: head.index(b'"interactions"')]
    return head.startswith(_BEGINNINGS) or (path.suffix in (".yaml", ".yml") and b"interactions:" in head)


def read_cassette(path: Path, problems: list[str]) -> Iterator[Entry]:
    """Yield the interactions of a cassette; invalid ones are skipped, with an error in `problems`.

    Raise OSError and CaptureError.
    """
    document = _document(path)
    interactions = document.get("interactions") if isinstance(document, dict) else None
    if not isinstance(interactions, list):
        kind = what_it_is(path, path.read_bytes())
        raise CaptureError(f"{path}: {kind or 'not a cassette of vcrpy: it has no list of interactions'}")
    for number, interaction in enumerate(interactions, 1):
        try:
            yield _entry(number, interaction)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"interaction {number}: {type(error).__name__}: {error}: left out")


def _document(path: Path) -> Any:
    from ruamel.yaml import YAML  # slow to import: only for cassettes
    from ruamel.yaml.error import YAMLError

    data = path.read_bytes()
    try:
        if data.lstrip().startswith(b"{"):
            return json.loads(data)
        return YAML(typ="safe", pure=True).load(data.decode())
    except RecursionError:
        raise CaptureError(f"{path}: not a cassette: nested too deeply") from None
    except (ValueError, YAMLError) as error:
        reason = " ".join(str(error).split())[:MAX_ERROR]
        raise CaptureError(f"{path}: not a cassette, or cut off: {reason}") from None


def _entry(number: int, interaction: dict[str, Any]) -> Entry:
    request, response = interaction["request"], interaction["response"]
    uri = str(request["uri"])
    if "://" not in uri:
        raise ValueError(f"{uri[:80]!r} is not an absolute URL")
    request_headers, response_headers = _headers(request.get("headers")), _headers(response.get("headers"))
    body = from_wire(_as_bytes(request.get("body")), request_headers)
    status = response["status"] if "status" in response else response["status_code"]
    code, reason = (status["code"], status.get("message")) if isinstance(status, dict) else (status, "")
    content = _response_body(response, response_headers)
    recorded = Response(int(code), str(reason or ""), response_headers, content)
    return Entry(Request(str(request["method"]), uri, request_headers, body), recorded, Times(float(number)))


def _response_body(response: dict[str, Any], headers: Headers) -> Body:
    """Return the body; vcrpy may have decoded it without removing Content-Encoding (decode_compressed_response)."""
    raw = _as_bytes(response["body"] if "body" in response else response.get("content"))  # `content`: httpx, up to 5
    body = from_wire(raw, headers)
    return Body(raw) if body.content == raw else body


def _headers(value: Any) -> Headers:
    fields = []
    for name, values in value.items() if isinstance(value, dict) else value or ():
        for text in values if isinstance(values, list) else [values]:
            decoded = text.decode("latin-1") if isinstance(text, bytes) else str(text)
            fields.append((str(name), decoded))
    return tuple(fields)


def _as_bytes(body: Any) -> bytes:
    """Return a body as bytes: a text, bytes, or an object with `string` or `base64_string`."""
    if isinstance(body, dict):
        if "base64_string" in body:
            return base64.b64decode(body["base64_string"])
        body = body.get("string")
    if body is None:
        return b""
    return body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogateescape")
